/**
 * Parts of a text that is sent as bytes: which part a `Range` header asks for, and where the text may be cut.
 */

/**
 * The bytes that `Range: bytes=…` (RFC 9110 §14) asks for: from ≤ byte < to; undefined = all of them. Several ranges at
 * once, other units and unreadable headers are ignored, as the RFC allows.
 */
export function readRange(
  header: string | undefined,
  size: number,
): { from: number; to: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { from: size - length, to: size };
  }
  const from = Number(first);
  if (last !== "" && Number(last) < from) return undefined;
  if (from >= size) return "unsatisfiable";
  return { from, to: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/**
 * The longest beginning of the bytes that consists of whole UTF-8 characters, and its length in bytes; with `last`, all bytes. So
 * a character whose bytes arrive in two pieces isn't shown as two broken characters. Bytes that aren't UTF-8 become U+FFFD.
 */
export function wholeText(bytes: Uint8Array, last: boolean): { text: string; bytes: number } {
  const whole = last ? bytes.length : bytes.length - openBytes(bytes);
  return {
    text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, whole)),
    bytes: whole,
  };
}

/** How many bytes at the end belong to a character that isn't complete: 0 to 3. */
function openBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes[bytes.length - back];
    if (byte === undefined) return 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    return lengthOf(byte) > back ? back : 0;
  }
  return 0;
}

function lengthOf(firstByte: number): number {
  if (firstByte >= 0b1111_0000) return 4;
  if (firstByte >= 0b1110_0000) return 3;
  return firstByte >= 0b1100_0000 ? 2 : 1;
}
