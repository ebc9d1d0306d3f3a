/**
 * Guards all texts of the page: names, notes and outputs reorder and hide nothing around them. Characters that would do that are
 * written as escapes, and text from right to left is kept apart from its neighbours.
 */
import { h, options, type ComponentChildren, type VNode } from "preact";
import { rightToLeft, shownText } from "./shown-text.ts";

/** Elements that can't hold other elements, or whose text is not shown as it is. */
const untouched = new Set(["textarea", "option", "style", "title", "text", "tspan"]);

function shownChild(child: ComponentChildren): ComponentChildren {
  if (Array.isArray(child)) return child.map(shownChild);
  if (typeof child !== "string") return child;
  const text = shownText(child);
  return rightToLeft.test(text) ? h("bdi", null, text) : text;
}

/** Call it before anything is rendered. Every text of every element then goes through here. */
export function guardTexts(): void {
  const before = options.vnode?.bind(options);
  options.vnode = (node: VNode) => {
    const { type, props } = node;
    if (typeof type === "string" && type !== "bdi" && !untouched.has(type)) {
      const { children } = props;
      if (children !== undefined) props.children = shownChild(children);
      const named = props as { title?: unknown; "aria-label"?: unknown };
      if (typeof named.title === "string") named.title = shownText(named.title);
      if (typeof named["aria-label"] === "string") named["aria-label"] = shownText(named["aria-label"]);
    }
    before?.(node);
  };
}
