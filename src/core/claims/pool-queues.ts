/**
 * This peer's claims that wait for a slot of a pool, in order of arrival. When a slot may be free, only the first claim is
 * reconciled; the next one follows when the first has got its slot or has stopped waiting. So a free slot doesn't cost a walk
 * over all waiting claims.
 */
import type { OrderKey } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { IndexedHeap } from "../job/heap.ts";
import { claimWaitMs } from "../limits.ts";
import { claimedAt } from "../records/ledger.ts";

/** The fields of an order that the queues use. */
interface Waiting {
  readonly key: OrderKey;
  readonly due: number;
}

export class PoolQueues<Order extends Waiting> {
  readonly #byPool = new Map<string, IndexedHeap<Order>>();

  add(order: Order, claim: RunRecord): void {
    const { pool } = claim;
    if (pool === undefined) return;
    let waiting = this.#byPool.get(pool);
    if (waiting === undefined) {
      waiting = new IndexedHeap((a, b) => a.due < b.due || (a.due === b.due && a.key < b.key));
      this.#byPool.set(pool, waiting);
    }
    waiting.set(order, queueStartsAt(claim));
  }

  delete(order: Order, { pool }: RunRecord): void {
    if (pool === undefined) return;
    const waiting = this.#byPool.get(pool);
    waiting?.remove(order);
    if (waiting?.size === 0) this.#byPool.delete(pool);
  }

  first(pool: string): Order | undefined {
    return this.#byPool.get(pool)?.peek()?.key;
  }
}

/**
 * The instant (wall clock, ms) by which the claims of one job are put in order. A claim that was made late first waits
 * for conflicting ones (`claimWaitMs`); a claim that became due meanwhile may already be with a launcher.
 */
export function startsAt(record: RunRecord): number {
  return Math.max(record.due, claimedAt(record) + claimWaitMs);
}

/** The same for the queue of its pool: a claim that first waited for other runs of its job has its place from when it joined. */
export function queueStartsAt(record: RunRecord): number {
  return Math.max(record.due, (record.linedUpAt ?? claimedAt(record)) + claimWaitMs);
}
