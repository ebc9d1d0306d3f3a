/**
 * Makes elements, and updates the rows of tables in place: whatever is selected, focused or under the mouse stays where
 * it is.
 *
 * Text from the mesh is only ever set as text, never as markup.
 */

export const part = (id) => document.getElementById(id);

/** Makes an element. `class`, `role` and names with a dash are set as attributes, all others as properties. */
export function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name === "role" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// The explicit roles are needed on a phone: rows are laid out as cards there, and some browsers then drop the implicit roles.
export const row = (key, ...children) => make("tr", { role: "row", "data-row": key }, ...children);
export const cell = (label, style, ...children) =>
  make("td", { role: "cell", class: style, "data-label": label }, ...children);
export const heading = (...children) => make("th", { role: "rowheader", scope: "row" }, ...children);
export const quiet = (...children) => make("span", { class: "quiet" }, ...children);

export function button(label, spoken, key, act) {
  const made = make("button", { type: "button", "aria-label": spoken, "data-key": key }, label);
  made.addEventListener("click", () => act(made));
  return made;
}

/** How long rows stay where they are after the mouse has last moved over them. Unit: ms. */
const heldForMs = 20_000;

/** The rows of one table, which replace those shown before. */
export class Rows {
  #body;
  #columns;
  #movedMs = -Infinity;
  #waiting;

  constructor(id, columns) {
    this.#body = part(id);
    this.#columns = columns;
    this.#body.addEventListener("pointermove", ({ pointerType }) => {
      if (pointerType === "mouse") this.#movedMs = Date.now();
    });
    this.#body.addEventListener("pointerleave", () => {
      this.#movedMs = -Infinity;
      if (this.#waiting !== undefined) this.show(...this.#waiting);
    });
  }

  /** Shows new rows, each with its `data-row`; `empty` is the text when there are none. */
  show(rows, empty) {
    const held = this.#isHeld();
    this.#waiting = held ? [rows, empty] : undefined;
    const known = new Map([...this.#body.children].map((shown) => [shown.dataset.row, shown]));
    const focused = document.activeElement?.dataset?.key;
    const shown = rows.map((fresh) => {
      const old = known.get(fresh.dataset.row);
      if (old === undefined) return fresh;
      update(old, fresh);
      return old;
    });
    // In a held table only the content of rows changes, not their order or number.
    if (held) return;
    const nothing = row("", make("td", { role: "cell", colSpan: this.#columns, class: "empty" }, empty));
    place(this.#body, shown.length > 0 ? shown : [nothing]);
    if (focused !== undefined && document.activeElement?.dataset?.key !== focused) {
      this.#body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  #isHeld() {
    if (this.#body.querySelector("[data-row]:not([data-row=''])") === null) return false;
    const selection = document.getSelection();
    const isSelected =
      selection !== null && !selection.isCollapsed && this.#body.contains(selection.anchorNode);
    return isSelected || Date.now() - this.#movedMs < heldForMs;
  }
}

/** Makes these rows the body's children, in this order. Those that are in place already are not touched. */
function place(body, rows) {
  for (const [index, wanted] of rows.entries()) {
    if (body.children[index] !== wanted) body.insertBefore(wanted, body.children[index] ?? null);
  }
  while (body.children.length > rows.length) body.lastElementChild.remove();
}

/** Gives an element the content of a new one, and changes only what differs. */
function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const isAlike = old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName;
  // A button is replaced as a whole, because its action belongs to it.
  if (!isAlike || old.nodeName === "BUTTON") {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
  const children = [...fresh.childNodes];
  for (const [index, child] of children.entries()) {
    const before = old.childNodes[index];
    if (before === undefined) old.append(child);
    else update(before, child);
  }
  while (old.childNodes.length > children.length) old.lastChild.remove();
}
