/**
 * Cuts bytes where a UTF-8 character ends, so that a character whose bytes come in two pieces is not shown as two
 * broken ones. Bytes that are no UTF-8 at all become U+FFFD.
 */

/** As much of the bytes as is whole characters, and how many bytes that is; with `last`, all of it. */
export function wholeText(bytes: Uint8Array, last: boolean): { text: string; bytes: number } {
  const whole = last ? bytes.length : bytes.length - openBytes(bytes);
  return {
    text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, whole)),
    bytes: whole,
  };
}

/** How many bytes at the end begin a character without ending it: 0 to 3. */
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
