/**
 * Claims that wait for a place on this peer. Jobs are served in turn, and each job's orders by when they were due, so that one
 * job's backlog never starves another. Places that become free are kept for the first order until it fits (`isFull` and
 * `hasNoPlace` in claims.ts), so that light orders never starve a heavy one. Operations are O(log n), except that `first` skips
 * jobs whose first claim is not yet on the disk or not yet due, at most two seconds ahead of its time.
 */
import type { JobId, OrderKey } from "../../schema/ids.ts";
import { IndexedHeap } from "../job/heap.ts";

/** The fields of an order that the queue uses. */
interface Waiting {
  readonly key: OrderKey;
  readonly job: JobId;
  readonly due: number;
  readonly local: { readonly stage: string; readonly mayStartAt?: number };
}

export class CapacityQueue<Order extends Waiting> {
  /** in the order of their turns */
  readonly #jobs = new Map<JobId, IndexedHeap<Order>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(order: Order): void {
    let ofJob = this.#jobs.get(order.job);
    if (ofJob === undefined) {
      ofJob = new IndexedHeap((a, b) => a.key < b.key);
      this.#jobs.set(order.job, ofJob);
    }
    if (!ofJob.has(order)) this.#size++;
    ofJob.set(order, order.due);
  }

  delete(order: Order): void {
    const ofJob = this.#jobs.get(order.job);
    if (ofJob === undefined || !ofJob.has(order)) return;
    ofJob.remove(order);
    this.#size--;
    if (ofJob.size === 0) this.#jobs.delete(order.job);
  }

  has(order: Order): boolean {
    return this.#jobs.get(order.job)?.has(order) ?? false;
  }

  /** The order whose turn it is, among those whose claim is on the disk and that may start at `wall` (ms). */
  first(wall: number): Order | undefined {
    for (const ofJob of this.#jobs.values()) {
      const order = ofJob.peek()?.key;
      if (order?.local.stage !== "claimed") continue;
      if (wall >= Math.max(order.due, order.local.mayStartAt ?? 0)) return order;
    }
    return undefined;
  }

  /** An order of the job has got its place, so the other jobs come first now. */
  served(job: JobId): void {
    const ofJob = this.#jobs.get(job);
    if (ofJob === undefined) return;
    this.#jobs.delete(job);
    this.#jobs.set(job, ofJob);
  }

  *[Symbol.iterator](): Generator<Order> {
    for (const ofJob of this.#jobs.values()) yield* ofJob.keys();
  }
}
