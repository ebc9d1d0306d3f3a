/**
 * Which orders are reconciled, and when: those that are touched, before the step ends; the others at an instant of their own.
 */
import { orderKey, type JobId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isOver } from "../records/history.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";

/** Reconciles the order once at the instant (wall clock, ms); Infinity = not before it is touched. */
export function reconcileAt(state: State, order: Order, at: number): void {
  if (at === Infinity || state.book.orders.get(order.key) !== order) state.book.reconcileQueue.remove(order);
  else state.book.reconcileQueue.set(order, at);
}

/** The order's circumstances have changed: it is reconciled before this step ends. */
export function touch(state: State, order: Order): void {
  state.book.touched.add(order);
}

/** A slot of the pool may be free: the first of this peer's orders that wait for one is reconciled. */
export function wakePool(state: State, pool: string): void {
  const first = state.book.poolQueues.first(pool);
  if (first !== undefined) touch(state, first);
}

export function touchJob(state: State, job: JobId): void {
  for (const order of state.book.byJob.get(job) ?? []) touch(state, order);
}

/** Touches the first attempts of the tick. */
export function touchTick(state: State, job: JobId, tick: TickId): void {
  const first = state.book.orders.get(orderKey(job, tick, 1, "0"));
  if (first !== undefined) touch(state, first);
  for (const order of state.book.slotted.get(job)?.get(tick) ?? []) touch(state, order);
}

/** Touches the orders of the record's tick, which is over. They may be of other attempts than the record. */
export function touchOrdersOf(state: State, { job, tick, slot }: RunRecord): void {
  const first = state.book.orders.get(orderKey(job, tick, 1, slot));
  if (first !== undefined) touch(state, first);
  for (const retry of state.book.retries.get(job) ?? [])
    if (retry.tick === tick && retry.slot === slot) touch(state, retry);
}

/** Touches the orders that may belong to ticks in progress. */
export function touchInProgress(state: State, job: JobId): void {
  for (const order of state.book.retries.get(job) ?? []) touch(state, order);
  for (const orders of state.book.slotted.get(job)?.values() ?? [])
    for (const order of orders) touch(state, order);
}

/** Touches the job's orders that this peer has claimed and holds back until others are over. */
export function touchHeld(state: State, job: JobId): void {
  for (const order of state.book.holdersByJob.get(job) ?? []) {
    if (order.local.stage === "claimed" && order.local.claim.waiting !== undefined) touch(state, order);
  }
}

/** Touches orders of the job that have turned out to be over without a record in this step, so that they leave the book. */
export function touchOver(state: State, job: JobId): void {
  for (const order of state.book.byJob.get(job) ?? []) {
    if (isOver(state.ledger.history, job, order.tick, order.slot)) touch(state, order);
  }
}

export function touchAll(state: State): void {
  for (const order of state.book.orders.values()) touch(state, order);
}

/** Touches the orders whose time to be reconciled has come. */
export function touchDue(state: State): void {
  const { reconcileQueue } = state.book;
  for (let top = reconcileQueue.peek(); top !== undefined && top.at <= state.now.wall;) {
    reconcileQueue.remove(top.key);
    touch(state, top.key);
    top = reconcileQueue.peek();
  }
}

/** Takes out the touched orders, including those that are touched while the caller goes through them. */
export function* takeTouched(state: State): Generator<Order> {
  for (const order of state.book.touched) {
    state.book.touched.delete(order);
    yield order;
  }
}
