/**
 * Reads text that arrives as bytes, and says which of its characters no screen may get as they are. Bytes that are not UTF-8 are found and their place is named, so that the door can
 * refuse them. If they were silently replaced, a command would run that nobody has written.
 */

export type ReadText = { ok: true; text: string } | { ok: false; line: number; column: number };

/** Control characters, and those that change the direction of text. On a screen, they hide or forge text. */
// eslint-disable-next-line no-control-regex -- this searches for control characters
export const unseenCharacters = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** The text of the bytes, or where they stop being UTF-8: line and column (in bytes), both from 1. */
export function readUtf8(bytes: Uint8Array): ReadText {
  try {
    return { ok: true, text: strict.decode(bytes) };
  } catch {
    return { ok: false, ...firstBadByte(bytes) };
  }
}

function firstBadByte(bytes: Uint8Array): { line: number; column: number } {
  // Bytes that are not UTF-8 have become U+FFFD, so the first byte that differs is (within one character) the first bad one.
  const decodedAgain = new TextEncoder().encode(lenient.decode(bytes));
  let at = 0;
  let line = 1;
  let lineStart = 0;
  for (; bytes[at] === decodedAgain[at]; at++) {
    if (bytes[at] !== 0x0a) continue;
    line++;
    lineStart = at + 1;
  }
  return { line, column: at - lineStart + 1 };
}
