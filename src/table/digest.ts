/**
 * A digest of a Yjs document that is kept up to date one transaction at a time: equal documents, equal digests.
 *
 * Two documents are equal when they have taken in the same ids of every client and have deleted the same of them.
 * The first is the state vector, which is short. The second may be long, so it is kept as a sum over the deleted ids
 * in which the order plays no part. Encoding the whole document for each heartbeat would cost a second for 100,000
 * jobs. The sum is no defence against a forger; members of a mesh are trusted with far more than that.
 */
import { hash } from "node:crypto";
import * as Y from "yjs";

export class DocumentDigest {
  /** Two lanes of 32 bits over all deleted ids. */
  #low = 0;
  #high = 0;
  #cached: string | undefined;

  /** To be called for each transaction before Yjs throws away what it deleted (`afterTransaction`). */
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

  /** Structs that were collected garbage at their sender's already are deleted, and in no delete set. */
  #addArrivedDead(client: number, before: number, structs: (Y.Item | Y.GC)[]): void {
    for (let index = structs.length - 1; index >= 0; index--) {
      const struct = structs[index];
      if (struct === undefined || struct.id.clock < before) return;
      if (struct instanceof Y.GC) this.#addRange(client, struct.id.clock, struct.length);
    }
  }

  #addRange(client: number, clock: number, length: number): void {
    for (let id = clock; id < clock + length; id++) {
      this.#low = (this.#low + scatter(client, id, 0x9e3779b1)) | 0;
      this.#high = (this.#high + scatter(client, id, 0x85ebca77)) | 0;
    }
  }
}

/** A well spread 32-bit number of an id (the finish is MurmurHash3's). */
function scatter(client: number, clock: number, salt: number): number {
  let mix = Math.imul(client ^ salt, 0xcc9e2d51) ^ Math.imul((clock % 2 ** 32) + salt, 0x1b873593);
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}
