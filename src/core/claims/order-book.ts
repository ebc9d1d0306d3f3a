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
import { retryAttemptsMax } from "../../schema/job.ts";
import { dueOf } from "../job/jitter.ts";
import { isTickOf, type Plan } from "../job/plan.ts";
import { assert } from "../../errors.ts";
import { isPlanted } from "../probes/planted.ts";
import { isOver } from "../records/history.ts";
import { endsOrder, openOf, recordsOf } from "../records/ledger.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";
import { acceptedUntil, writerAheadMaxMs } from "../members/clocks.ts";

/** Adds the order of a scheduled tick, unless it is in the book or over. */
export function admitTick(state: State, plan: Plan, instant: number): void {
  const tick = tickAt(instant);
  if (!isOver(state.ledger.history, plan.id, tick, "0"))
    add(state, plan.id, tick, dueOf(plan, instant), "schedule");
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
  const plan = state.jobs.plans.get(job);
  if (plan !== undefined && plan.retry.attempts > 0) state.book.requests.set(tickKey(requested), requested);
  add(state, job, tick, requestedAt, trigger, requested);
  return true;
}

function tickKey({ job, tick }: { readonly job: JobId; readonly tick: TickId }): string {
  return `${job}@${tick}`;
}

/** Adds the order of the attempt that follows the one of the record, unless the tick is over. */
export function admitRetry(state: State, record: RunRecord): void {
  const { book, ledger } = state;
  const { job, tick, slot, attempt, retryAt } = record;
  if (retryAt === undefined || isOver(ledger.history, job, tick, slot)) return;
  if (record.peer !== state.settings.self && isPlanted(state, "retry-dropped")) return;
  const next = book.orders.get(orderKey(job, tick, attempt + 1, slot));
  // The runner's own word about when it ended stands above that of the peers which took it for dead.
  if (next !== undefined && next.due !== retryAt && next.local.stage === "none") removeOrder(state, next);
  const requested = book.requests.get(tickKey(record));
  if (isManual(tick) && requested === undefined) return;
  add(state, job, tick, requested?.requestedAt ?? instantOf(tick), record.trigger, requested);
}

/** The tick is over: nothing of it is repeated. */
export function forgetRequest(state: State, record: RunRecord): void {
  state.book.requests.delete(tickKey(record));
}

/** Forgets requests before the instant (ms): no attempt of them is due any more. */
export function forgetRequestsBefore(state: State, instant: number): void {
  for (const [key, { job, tick }] of state.book.requests) {
    const isPast = instantOf(tick) < instant && !state.book.retries.has(job);
    if (isPast || isOver(state.ledger.history, job, tick, "0")) state.book.requests.delete(key);
  }
}

/** Ticks of the job's schedule (ms) that are not over though a run of theirs has begun: another attempt may follow. */
export function ticksInProgress({ book, ledger }: State, job: JobId): number[] {
  const running = [...openOf(ledger, job)].filter(({ retriesLeft }) => retriesLeft !== undefined);
  const pending = book.retries.get(job) ?? [];
  return [...running, ...pending].flatMap(({ tick }) => (isManual(tick) ? [] : [instantOf(tick)]));
}

/** How many orders wait to repeat an attempt. */
export function retryCount({ book }: State): number {
  let count = 0;
  for (const retries of book.retries.values()) count += retries.size;
  return count;
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
export function admitNextRound(state: State, record: RunRecord, requested: RequestedOrder | undefined): void {
  const before = state.book.orders.get(orderKey(record.job, record.tick, record.attempt, record.slot));
  if (before !== undefined) removeOrder(state, before);
  if (isOver(state.ledger.history, record.job, record.tick, record.slot)) return;
  const request = requested ?? before?.requested;
  add(state, record.job, record.tick, request?.requestedAt ?? record.due, record.trigger, request);
}

/** Removes the order from the book. If it has left already, a later round of it that has the same key stays. */
export function removeOrder(state: State, order: Order): void {
  const { book } = state;
  const wasInBook = book.orders.get(order.key) === order && book.orders.delete(order.key);
  const wasInIndex = removeFromIndex(book.byJob, order);
  assert(wasInBook === wasInIndex, `${order.key}: in its job's index if and only if it is in the book`);
  if (wasInBook && order.requested !== undefined) book.requestedCount--;
  removeFromIndex(book.retries, order);
  assert(book.requestedCount >= 0, `${order.key}: more requested orders have left the book than entered it`);
  book.reconcileQueue.remove(order);
}

/**
 * Checks the whole book: the jobs' indexes hold exactly its orders and its retries, the requested ones are counted, the weights
 * are added up, and none is over. In the simulator only, after each step.
 */
export function assertBook({ book, ledger }: State): void {
  let indexed = 0;
  for (const ofJob of book.byJob.values()) indexed += ofJob.size;
  assert(indexed === book.orders.size, "the jobs' indexes hold as many orders as the book");
  for (const retries of book.retries.values())
    for (const order of retries)
      assert(book.orders.get(order.key) === order, `${order.key}: a retry that is not in the book`);
  let requested = 0;
  for (const order of book.orders.values()) {
    const { key, job, tick, slot, attempt } = order;
    assert(book.byJob.get(job)?.has(order) === true, `${key}: in the book, but not in its job's index`);
    const isRetry = book.retries.get(job)?.has(order) === true;
    assert(isRetry === attempt > 1, `${key}: among the retries if and only if it repeats an attempt`);
    assert(!isOver(ledger.history, job, tick, slot), `${key}: over, but still in the book`);
    if (order.requested !== undefined) requested++;
  }
  assert(requested === book.requestedCount, "the requested orders of the book are counted");
  const claimed = [...book.claims].reduce((sum, { weight }) => sum + weight, 0);
  assert(claimed === book.claimedWeight, "the weights of the claims are added up");
  const running = [...book.runs.values()].reduce((sum, { order }) => sum + order.weight, 0);
  assert(running === book.runningWeight, "the weights of the runs are added up");
}

function add(
  state: State,
  job: JobId,
  tick: TickId,
  due: number,
  trigger: Trigger,
  requested?: RequestedOrder,
): void {
  const last = lastRepeated(state, job, tick);
  const attempt = (last?.attempt ?? 0) + 1;
  const key = orderKey(job, tick, attempt, "0");
  // An order that is with the launcher has left the book, and its record does not say yet that it is running.
  const launched = state.book.runs.has(runId({ job, tick, attempt, slot: "0", peer: state.settings.self }));
  if (state.book.orders.has(key) || launched || isBegun(state, key)) return;
  const order: Order = {
    key,
    job,
    tick,
    // The instant decides which epoch votes on the order, so it comes from the tick's name, which is the same on all peers.
    instant: instantOf(tick),
    attempt,
    retriedFrom: last?.peer,
    slot: "0",
    round: roundOf(state, key),
    due: last?.retryAt ?? due,
    weight: state.jobs.plans.get(job)?.weight ?? 1,
    trigger: last === undefined ? trigger : "retry",
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
  if (last !== undefined) addToIndex(state.book.retries, order);
  addToIndex(state.book.byJob, order);
  touch(state, order);
}

function addToIndex(index: Map<JobId, Set<Order>>, order: Order): void {
  const ofJob = index.get(order.job);
  if (ofJob === undefined) index.set(order.job, new Set([order]));
  else ofJob.add(order);
}

/** False if the order was not in the index. */
function removeFromIndex(index: Map<JobId, Set<Order>>, order: Order): boolean {
  const ofJob = index.get(order.job);
  const wasThere = ofJob?.delete(order) ?? false;
  if (ofJob?.size === 0) index.delete(order.job);
  return wasThere;
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

/** Touches the orders of the record's tick, which is over. They may be of other attempts than the record. */
export function touchOrdersOf(state: State, { job, tick, slot }: RunRecord): void {
  const first = state.book.orders.get(orderKey(job, tick, 1, slot));
  if (first !== undefined) touch(state, first);
  for (const retry of state.book.retries.get(job) ?? []) if (retry.tick === tick) touch(state, retry);
}

export function touchRetries(state: State, job: JobId): void {
  for (const order of state.book.retries.get(job) ?? []) touch(state, order);
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

/** The tick's last attempt that is to be repeated, by all its known records. */
function lastRepeated(state: State, job: JobId, tick: TickId): RunRecord | undefined {
  let last: RunRecord | undefined;
  for (let attempt = 1; attempt <= retryAttemptsMax; attempt++) {
    let latest: RunRecord | undefined;
    for (const record of recordsOf(state.ledger, orderKey(job, tick, attempt, "0"))) {
      if (record.retryAt !== undefined && record.retryAt > (latest?.retryAt ?? -Infinity)) latest = record;
    }
    if (latest === undefined) break;
    last = latest;
  }
  return last;
}

/** Whether the order was started or decided. Its tick may not be over, because another attempt may follow. */
export function isBegun(state: State, key: OrderKey): boolean {
  for (const record of recordsOf(state.ledger, key)) if (endsOrder(record)) return true;
  return false;
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
