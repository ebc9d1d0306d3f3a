/**
 * Cutting what is to be said into messages that fit: one that is too large would be refused by every receiver.
 */

/** Of JSON in one message: half of what it may hold, so that the rest of the message fits in any case. */
const partBytes = 131_072;

/** The items in their order, in parts of at most 128 KiB of JSON each; an item that is larger stands alone. */
export function inParts<Item>(items: readonly Item[]): Item[][] {
  const parts: Item[][] = [];
  let part: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (bytes + size > partBytes && part.length > 0) {
      parts.push(part);
      [part, bytes] = [[], 0];
    }
    part.push(item);
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
