/**
 * This peer's claims that wait for a slot of a pool, first come first. Only the first is looked at when a slot may be free; when
 * it has got its slot, or stopped waiting, the next one is. So a slot that becomes free costs no walk over all that wait.
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
    waiting.set(order, lineStartsAt(claim));
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

/** The same for the line of its pool: what first waited for other runs of its job has its place from when it joined the line. */
export function lineStartsAt(record: RunRecord): number {
  return Math.max(record.due, (record.linedUpAt ?? claimedAt(record)) + claimWaitMs);
}
