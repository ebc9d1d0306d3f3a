/**
 * Text that comes in as bytes: what is not UTF-8 is found and its place is named, so that the door can refuse it. Mended
 * silently, a command would run as something that nobody has written.
 */

export type ReadText = { ok: true; text: string } | { ok: false; line: number; column: number };

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
  // What is not UTF-8 has become U+FFFD, so the first byte that differs is (within one character) the first bad one.
  const mended = new TextEncoder().encode(lenient.decode(bytes));
  let at = 0;
  let line = 1;
  let lineStart = 0;
  for (; bytes[at] === mended[at]; at++) {
    if (bytes[at] !== 0x0a) continue;
    line++;
    lineStart = at + 1;
  }
  return { line, column: at - lineStart + 1 };
}
