/** What is too long for one message is sent in pieces of base64, each one when the receiver asks for it. */

/**
 * Raw bytes in one piece: in base64, with its envelope, well under 256 KiB. Less makes more round trips (a table of 30 MB takes
 * 230); more delays the heartbeats behind it.
 */
export const pieceBytes = 131_072;

export function inPieces(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return pieces;
}

export function encodeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
