/**
 * The order book: which orders enter it, and which leave.
 */
import {
  instantOf,
  isManual,
  orderKey,
  parseRunReference,
  runId,
  tickAt,
  type JobId,
  type OrderKey,
  type PeerId,
  type TickId,
} from "../../schema/ids.ts";
import { giveBacksMax, type RequestedOrder, type RunRecord, type Trigger } from "../../schema/run.ts";
import { isTickOf, type Plan } from "../job/plan.ts";
import { assert } from "../../errors.ts";
import { isOver } from "../records/history.ts";
import { recordsOf } from "../records/ledger.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";
import { acceptedUntil, writerAheadMaxMs } from "../members/clocks.ts";

/** Enters the order of a scheduled tick, unless it is in the book or over. */
export function admitTick(state: State, plan: Plan, instant: number): void {
  const tick = tickAt(instant);
  if (!isOver(state.ledger.history, plan.id, tick, "0")) add(state, plan.id, tick, instant, "schedule");
}

/**
 * The order of a tick that another peer has mentioned. That peer may see a tick coming sooner, because of its clock or because
 * this peer is busy. The order then enters the book here, too; otherwise what was said about it would be lost.
 */
export function admitMentioned(state: State, key: string): Order | undefined {
  const known = state.book.orders.get(key as OrderKey);
  const named = known === undefined ? parseRunReference(key) : undefined;
  const plan = named === undefined ? undefined : state.jobs.plans.get(named.job);
  if (named === undefined || plan === undefined || isManual(named.tick)) return known;
  const instant = instantOf(named.tick);
  if (instant < state.now.wall || instant > acceptedUntil(state) || !isTickOf(plan, instant))
    return undefined;
  admitTick(state, plan, instant);
  return state.book.orders.get(key as OrderKey);
}

/**
 * Requested orders in the book at most. People and scripts ask for a few, and each may hold 128 KiB of environment. More lets
 * a faulty member fill this peer's memory.
 */
const requestedMax = 10_000;
/** How far ahead of the right clocks an order may be asked for: as far as a peer may be ahead and still take requests. */
export const requestedAheadMs = writerAheadMaxMs;

/** Enters an order that a person asked for, unless it is in the book or over. False when it can't be accepted. */
export function admitRequested(state: State, asked: RequestedOrder): boolean {
  if (isOver(state.ledger.history, asked.job, asked.tick, "0")) return true;
  const latest = Math.max(asked.requestedAt, instantOf(asked.tick));
  if (state.book.requestedCount >= requestedMax || latest > acceptedUntil(state) + requestedAheadMs)
    return false;
  add(state, asked.job, asked.tick, asked.requestedAt, asked.trigger, asked);
  return true;
}

/**
 * True if the record says that a chosen runner has given its order back: it gives it back itself, or it is of a later round
 * than the order in the book. An order that this peer has claimed stays in its round.
 */
export function isNextRound(record: RunRecord, inBook: Order | undefined): boolean {
  if (isGivenBack(record)) return true;
  const isLocal = inBook?.local.stage === "claiming" || inBook?.local.stage === "claimed";
  return inBook !== undefined && !isLocal && roundAfter(record) > inBook.round;
}

/**
 * A runner that the voters chose has given the order back, and will not start it: the voters may decide in another round.
 * (Where nobody votes, the order simply stays in the book when a claim is withdrawn.)
 */
export function admitNextRound(
  state: State,
  record: RunRecord,
  asked: RequestedOrder | undefined,
  instant: number,
): void {
  const before = state.book.orders.get(orderKey(record.job, record.tick, record.attempt, record.slot));
  if (before !== undefined) removeOrder(state, before);
  if (isOver(state.ledger.history, record.job, record.tick, record.slot)) return;
  const order = asked ?? before?.requested;
  add(state, record.job, record.tick, order?.requestedAt ?? instant, record.trigger, order);
}

/** Does nothing to an order that has left the book already, even if its next round is there under its key. */
export function removeOrder(state: State, order: Order): void {
  const { book } = state;
  const ofJob = book.byJob.get(order.job);
  const wasInBook = book.orders.get(order.key) === order && book.orders.delete(order.key);
  const wasInIndex = ofJob?.delete(order) ?? false;
  assert(wasInBook === wasInIndex, `${order.key}: in its job's index if and only if it is in the book`);
  if (ofJob?.size === 0) book.byJob.delete(order.job);
  if (wasInBook && order.requested !== undefined) book.requestedCount--;
  assert(book.requestedCount >= 0, `${order.key}: more requested orders have left the book than entered it`);
  book.reconcileQueue.remove(order);
}

/**
 * Goes through the whole book: every order of it is in its job's index and nothing else is, the requested ones are counted,
 * and none is over. In the simulator only, after each step.
 */
export function assertBook({ book, ledger }: State): void {
  let indexed = 0;
  for (const ofJob of book.byJob.values()) indexed += ofJob.size;
  assert(indexed === book.orders.size, "the jobs' indexes hold as many orders as the book");
  let requested = 0;
  for (const order of book.orders.values()) {
    const { key, job, tick, slot } = order;
    assert(book.byJob.get(job)?.has(order) === true, `${key}: in the book, but not in its job's index`);
    assert(!isOver(ledger.history, job, tick, slot), `${key}: over, but still in the book`);
    if (order.requested !== undefined) requested++;
  }
  assert(requested === book.requestedCount, "the requested orders of the book are counted");
}

/** Every order is of this attempt: nothing is repeated. Records of a later version may be of others. */
const attempt = 1;

function add(
  state: State,
  job: JobId,
  tick: TickId,
  due: number,
  trigger: Trigger,
  requested?: RequestedOrder,
): void {
  const key = orderKey(job, tick, attempt, "0");
  // An order that was handed to the launcher has left the book and is not yet on record as running.
  const launched = state.book.runs.has(runId({ job, tick, attempt, slot: "0", peer: state.settings.self }));
  if (state.book.orders.has(key) || launched) return;
  const order: Order = {
    key,
    job,
    tick,
    // It decides which epoch votes on the order, so it is read from the name that all peers know the order by.
    instant: requested === undefined ? due : instantOf(tick),
    attempt,
    slot: "0",
    round: roundOf(state, key),
    due,
    trigger,
    requested,
    declined: new Set(),
    ranks: [],
    memberHashes: undefined,
    local: { stage: "none" },
    chosen: undefined,
    tries: 0,
  };
  state.book.orders.set(key, order);
  if (requested !== undefined) state.book.requestedCount++;
  const ofJob = state.book.byJob.get(job);
  if (ofJob === undefined) state.book.byJob.set(job, new Set([order]));
  else ofJob.add(order);
  touch(state, order);
}

/** Reconciles the order at the instant (wall clock, ms), once; nothing is planned for an order that has left the book. */
export function reconcileAt(state: State, order: Order, at: number): void {
  if (at === Infinity || state.book.orders.get(order.key) !== order) state.book.reconcileQueue.remove(order);
  else state.book.reconcileQueue.set(order, at);
}

/** The order's circumstances have changed: it is reconciled before this step ends. */
export function touch(state: State, order: Order): void {
  state.book.touched.add(order);
}

export function touchJob(state: State, job: JobId): void {
  for (const order of state.book.byJob.get(job) ?? []) touch(state, order);
}

/** The record's tick is over, in whatever attempt. */
export function touchOrderOf(state: State, { job, tick, slot }: RunRecord): void {
  const order = state.book.orders.get(orderKey(job, tick, attempt, slot));
  if (order !== undefined) touch(state, order);
}

/** Ticks of the job have turned out to be over, though no record of this step says so: their orders leave the book. */
export function touchOver(state: State, job: JobId): void {
  for (const order of state.book.byJob.get(job) ?? []) {
    if (isOver(state.ledger.history, job, order.tick, order.slot)) touch(state, order);
  }
}

export function touchAll(state: State): void {
  for (const order of state.book.orders.values()) touch(state, order);
}

/** Touches the orders that wanted to be reconciled by now. */
export function touchDue(state: State): void {
  const { reconcileQueue } = state.book;
  for (let top = reconcileQueue.peek(); top !== undefined && top.at <= state.now.wall;) {
    reconcileQueue.remove(top.key);
    touch(state, top.key);
    top = reconcileQueue.peek();
  }
}

/** The touched orders, each once, and then those that are touched on the way. */
export function* takeTouched(state: State): Generator<Order> {
  for (const order of state.book.touched) {
    state.book.touched.delete(order);
    yield order;
  }
}

/** Another peer says that it is at capacity and will not run these orders. */
export function hearDeclined(state: State, from: PeerId, keys: readonly string[]): void {
  if (!state.members.byId.has(from)) return;
  for (const key of keys) {
    const order = admitMentioned(state, key);
    if (order === undefined) continue;
    order.declined.add(from);
    touch(state, order);
  }
}

/** The round that the order has reached, by all that is known of it. A record of one round vouches for those before it. */
function roundOf(state: State, key: OrderKey): number {
  let round = 0;
  for (const record of recordsOf(state.ledger, key)) round = Math.max(round, roundAfter(record));
  return Math.min(round, giveBacksMax);
}

function roundAfter(record: RunRecord): number {
  return (record.giveBacks ?? 0) + (isGivenBack(record) ? 1 : 0);
}

function isGivenBack(record: RunRecord): boolean {
  return record.state === "withdrawn" && record.epoch !== undefined;
}
