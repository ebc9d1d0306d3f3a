/**
 * A digest of a Yjs document, updated with each transaction. Equal documents have equal digests.
 *
 * Two documents are equal if they have the same ids of every client and have deleted the same ids. The state vector
 * says which ids a document has, and is short. The list of deleted ids may be long, so the digest keeps only a sum over
 * them that doesn't depend on their order. A change costs in proportion to its ranges, not to their ids: an update of
 * 14 bytes may delete millions. Encoding the whole document for each heartbeat would take a second with 100,000 jobs.
 * The sum can be forged, but members of a mesh are trusted with far more than that.
 */
import { hash } from "node:crypto";
import * as Y from "yjs";

export class DocumentDigest {
  /** Two 32-bit sums over the bounds of all deleted ranges of ids. */
  #low = 0;
  #high = 0;
  #cached: string | undefined;

  /**
   * Must be called for each transaction before Yjs discards the deleted items (in `afterTransaction`). True if the
   * document changed.
   */
  observe(transaction: Y.Transaction): boolean {
    let changed = false;
    for (const [client, ranges] of transaction.deleteSet.clients) {
      for (const { clock, len } of ranges) {
        this.#addRange(client, clock, len);
        changed = true;
      }
    }
    for (const [client, after] of transaction.afterState) {
      const before = transaction.beforeState.get(client) ?? 0;
      if (before === after) continue;
      changed = true;
      this.#addArrivedDead(client, before, transaction.doc.store.clients.get(client) ?? []);
    }
    if (changed) this.#cached = undefined;
    return changed;
  }

  /** 32 hex digits. */
  of(doc: Y.Doc): string {
    if (this.#cached === undefined) {
      const states: string[] = [];
      for (const client of doc.store.clients.keys())
        states.push(`${client}:${Y.getState(doc.store, client)}`);
      const text = `${states.toSorted().join(",")}/${this.#low >>> 0},${this.#high >>> 0}`;
      this.#cached = hash("sha256", text, "hex").slice(0, 32);
    }
    return this.#cached;
  }

  /** Adds structs that their sender had already garbage-collected: they are deleted, but are in no delete set. */
  #addArrivedDead(client: number, before: number, structs: (Y.Item | Y.GC)[]): void {
    for (let index = structs.length - 1; index >= 0; index--) {
      const struct = structs[index];
      if (struct === undefined || struct.id.clock < before) return;
      if (struct instanceof Y.GC) this.#addRange(client, struct.id.clock, struct.length);
    }
  }

  /**
   * A range adds the hash of its end and subtracts the hash of its start. If the next range begins where this one ends,
   * the two hashes cancel out. So the sum doesn't depend on the pieces in which ids were deleted, and a range of any
   * length costs the same.
   */
  #addRange(client: number, clock: number, length: number): void {
    const end = clock + length;
    this.#low = (this.#low + scatter(client, end, lowSalt) - scatter(client, clock, lowSalt)) | 0;
    this.#high = (this.#high + scatter(client, end, highSalt) - scatter(client, clock, highSalt)) | 0;
  }
}

const lowSalt = 0x9e3779b1;
const highSalt = 0x85ebca77;

/** Hashes an id to 32 bits; the last steps are MurmurHash3's. */
function scatter(client: number, clock: number, salt: number): number {
  let mix = Math.imul(client ^ salt, 0xcc9e2d51) ^ Math.imul((clock % 2 ** 32) + salt, 0x1b873593);
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}
