/**
 * The order book: which orders enter it, when they are reconciled, and which leave.
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

/** Adds the order of a scheduled tick, unless it is in the book or over. */
export function admitTick(state: State, plan: Plan, instant: number): void {
  const tick = tickAt(instant);
  if (!isOver(state.ledger.history, plan.id, tick, "0")) add(state, plan.id, tick, instant, "schedule");
}

/**
 * The order of a tick that another peer has mentioned. That peer may admit a tick earlier than this one, because of its clock
 * or because this peer is busy. Then the order enters the book here too: otherwise what the message says about it would be
 * lost.
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
 * The most requested orders in the book. People and scripts ask for a few, and each may hold 128 KiB of environment. More lets
 * a faulty member fill this peer's memory.
 */
const requestedMax = 10_000;
/** How far ahead of the right clocks an order may be asked for: as far as a peer may be ahead and still take requests. */
export const requestedAheadMs = writerAheadMaxMs;

/** Adds an order that a person asked for, unless it is in the book or over. False when it can't be accepted. */
export function admitRequested(state: State, requested: RequestedOrder): boolean {
  const { job, tick, requestedAt, trigger } = requested;
  if (isOver(state.ledger.history, job, tick, "0")) return true;
  const latest = Math.max(requestedAt, instantOf(tick));
  if (state.book.requestedCount >= requestedMax || latest > acceptedUntil(state) + requestedAheadMs)
    return false;
  add(state, job, tick, requestedAt, trigger, requested);
  return true;
}

/**
 * Whether the record shows that a chosen runner has given its order back: it is that runner's withdrawal, or it belongs to a
 * later round than the order in the book. An order that this peer has claimed stays in its round.
 */
export function isNextRound(record: RunRecord, inBook: Order | undefined): boolean {
  if (isGivenBack(record)) return true;
  const isLocal = inBook?.local.stage === "claiming" || inBook?.local.stage === "claimed";
  return inBook !== undefined && !isLocal && roundAfter(record) > inBook.round;
}

/**
 * A runner that the voters chose has given the order back unstarted, so the voters may decide in another round. (The order of
 * an available job simply stays in the book when its claim is withdrawn.)
 */
export function admitNextRound(
  state: State,
  record: RunRecord,
  requested: RequestedOrder | undefined,
  instant: number,
): void {
  const before = state.book.orders.get(orderKey(record.job, record.tick, record.attempt, record.slot));
  if (before !== undefined) removeOrder(state, before);
  if (isOver(state.ledger.history, record.job, record.tick, record.slot)) return;
  const request = requested ?? before?.requested;
  add(state, record.job, record.tick, request?.requestedAt ?? instant, record.trigger, request);
}

/** Removes the order from the book. If it has left already, a later round of it that has the same key stays. */
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
 * Checks the whole book: the jobs' indexes hold exactly its orders, the requested ones are counted, and none is over. In the
 * simulator only, after each step.
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

/** This version repeats no run, so every order is the first attempt. Records of a later version may be of other attempts. */
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
  // An order that is with the launcher has left the book, and its record does not say yet that it is running.
  const launched = state.book.runs.has(runId({ job, tick, attempt, slot: "0", peer: state.settings.self }));
  if (state.book.orders.has(key) || launched) return;
  const order: Order = {
    key,
    job,
    tick,
    // The instant decides which epoch votes on the order, so it comes from the tick's name, which is the same on all peers.
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

/** Reconciles the order once at the instant (wall clock, ms); Infinity = not before it is touched. */
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

/** Touches the order of the record's tick, which is over, whatever the record's attempt. */
export function touchOrderOf(state: State, { job, tick, slot }: RunRecord): void {
  const order = state.book.orders.get(orderKey(job, tick, attempt, slot));
  if (order !== undefined) touch(state, order);
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

/** Another peer is at capacity and declines these orders. */
export function hearDeclined(state: State, from: PeerId, keys: readonly string[]): void {
  if (!state.members.byId.has(from)) return;
  for (const key of keys) {
    const order = admitMentioned(state, key);
    if (order === undefined) continue;
    order.declined.add(from);
    touch(state, order);
  }
}

/** The round that the order has reached, by all its known records. A record of one round proves the rounds before it. */
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
