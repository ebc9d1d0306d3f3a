/**
 * Elements, and rows of tables that change in place: what is selected, focused or under the mouse stays where it is.
 *
 * Text from the mesh is only ever set as text, never as markup.
 */

export const part = (id) => document.getElementById(id);

/** An element; properties are set as such, `class`, `role` and names with a dash as attributes. */
export function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name === "role" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// The roles repeat what the elements are: on a phone rows are laid out as cards, and some browsers then forget.
export const row = (key, ...children) => make("tr", { role: "row", "data-row": key }, ...children);
export const cell = (label, look, ...children) =>
  make("td", { role: "cell", class: look, "data-label": label }, ...children);
export const heading = (...children) => make("th", { role: "rowheader", scope: "row" }, ...children);
export const quiet = (...children) => make("span", { class: "quiet" }, ...children);

export function button(label, spoken, key, act) {
  const made = make("button", { type: "button", "aria-label": spoken, "data-key": key }, label);
  made.addEventListener("click", () => act(made));
  return made;
}

/** Rows stay where they are for so long after the mouse has last moved over them. Unit: ms. */
const heldForMs = 20_000;

/** One table's rows, shown in place of those before. */
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

  /** Fresh rows, each with its `data-row`; `empty` is said when there are none. */
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
    // A held table changes what its rows say, and neither their order nor their number.
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

/** The body's children are these in this order; those that are in place already are not touched. */
function place(body, rows) {
  for (const [index, wanted] of rows.entries()) {
    if (body.children[index] !== wanted) body.insertBefore(wanted, body.children[index] ?? null);
  }
  while (body.children.length > rows.length) body.lastElementChild.remove();
}

/** Makes an element say what a fresh one says, changing no more than differs. */
function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const isAlike = old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName;
  // A button's action goes with it.
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
