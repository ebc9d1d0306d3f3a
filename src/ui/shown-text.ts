/** Foreign text as it is shown: characters that reorder or hide other text are written as escapes. */

/**
 * Control characters except tab, line break and return, and those that embed, override or isolate a direction. The terminal
 * also escapes the marks U+061C, U+200E and U+200F; here they can stay, because shown.ts sets text from right to left apart.
 */
// eslint-disable-next-line no-control-regex -- this searches for control characters
const unseen = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** Letters and marks of scripts that are written from right to left. */
export const rightToLeft =
  /[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

export function shownText(text: string): string {
  return text.replace(unseen, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
