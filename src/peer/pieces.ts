/** What is too long for one message goes in pieces, each of them as base64; the receiver asks for the next one. */

/**
 * Raw bytes in one piece: as base64, with its envelope, well under 256 KiB. Less makes more round trips (a table of 30 MB
 * takes 230), more holds up the heartbeats behind it.
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
