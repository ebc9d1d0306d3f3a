/**
 * Claims that wait for a place on this peer. Jobs are served in turn, and the orders of a job by when they were due, so that
 * one job's backlog never starves another. All operations are O(log n), but for jobs whose claims are not yet on the disk or not
 * yet due: those wait up to two seconds ahead of their time, and are passed over.
 */
import type { JobId, OrderKey } from "../../schema/ids.ts";
import { IndexedHeap } from "../job/heap.ts";

/** An order, as far as the queue looks at it. */
interface Waiting {
  readonly key: OrderKey;
  readonly job: JobId;
  readonly due: number;
  readonly local: { readonly stage: string; readonly mayStartAt?: number };
}

export class CapacityQueue<Order extends Waiting> {
  /** In the order of their turns. */
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

  /** The order whose turn it is, of those whose claim is on the disk and that may start by the wall clock, ms. */
  first(wall: number): Order | undefined {
    for (const ofJob of this.#jobs.values()) {
      const order = ofJob.peek()?.key;
      if (order?.local.stage !== "claimed") continue;
      if (wall >= Math.max(order.due, order.local.mayStartAt ?? 0)) return order;
    }
    return undefined;
  }

  /** An order of the job has got its place: the other jobs come first now. */
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
