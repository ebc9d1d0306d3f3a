/**
 * The order book: which orders enter it, and which leave (touched.ts says when they are reconciled).
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
import { isOver, isWholeOver } from "../records/history.ts";
import { endsOrder, openOf, recordsOf } from "../records/ledger.ts";
import type { State } from "../state.ts";
import { noteBackfill } from "./backfill-index.ts";
import { isOfEarlierJob, type Order } from "./order.ts";
import { dueOfSlot } from "./rolling-turns.ts";
import { slotsOfTick } from "./slots.ts";
import { touch } from "./touched.ts";
import { acceptedUntil } from "../members/clocks.ts";
import { writerAheadMaxMs } from "../limits.ts";

/** Adds the orders of a scheduled tick that are neither in the book nor over. */
export function admitTick(state: State, plan: Plan, instant: number): void {
  const due = dueOf(plan, instant);
  addSlots(state, { job: plan.id, tick: tickAt(instant), due, trigger: "schedule" }, plan);
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
export const requestedMax = 10_000;
/** How far ahead of the right clocks an order may be asked for: as far as a peer may be ahead and still take requests. */
export const requestedAheadMs = writerAheadMaxMs;

/** Adds an order that a person asked for, unless it is in the book or over. False when it can't be accepted. */
export function admitRequested(state: State, requested: RequestedOrder): boolean {
  const { job, tick, requestedAt, trigger } = requested;
  noteBackfill(state, job, tick);
  if (isWholeOver(state.ledger.history, job, tick)) return true;
  const latest = Math.max(requestedAt, instantOf(tick));
  if (state.book.requestedCount >= requestedMax || latest > acceptedUntil(state) + requestedAheadMs)
    return false;
  const plan = state.jobs.plans.get(job);
  if (plan === undefined) return awaitJob(state, requested);
  if (isOfEarlierJob(requested, plan)) return true;
  if (plan.retry.attempts > 0) state.book.requests.set(tickKey(requested), requested);
  addSlots(state, { job, tick, due: requestedAt, trigger, requested }, plan);
  return true;
}

/** How many orders wait for their jobs. Each may hold 128 KiB of environment; more lets a faulty member fill this peer's memory. */
const awaitingJobMax = 1_000;
/** How long an order waits for its job, ms: the edit that made it comes with the next sync at the latest, after a split too. */
const awaitingJobMs = 600_000;

/** An order may arrive before the edit that made its job. */
function awaitJob({ book, now }: State, requested: RequestedOrder): boolean {
  if (instantOf(requested.tick) < now.wall - awaitingJobMs) return true;
  if (book.awaitingJob.size >= awaitingJobMax) return false;
  book.awaitingJob.set(tickKey(requested), requested);
  return true;
}

/** The job is in the table now: adds the orders that came before it. */
export function admitAwaiting(state: State, { id }: Plan): void {
  for (const [key, requested] of state.book.awaitingJob) {
    if (requested.job !== id) continue;
    state.book.awaitingJob.delete(key);
    admitRequested(state, requested);
  }
}

/** Adds an order again that was to be started here and was not. */
export function admitAgain(state: State, order: Order): void {
  const { job, tick, slot, of, due, requested } = order;
  if (isOver(state.ledger.history, job, tick, slot)) return;
  add(state, { job, tick, due, trigger: requested?.trigger ?? "schedule", requested }, slot, of);
}

/** Adds the orders of a tick that its job's parents have decided about, or corrects those that no peer has claimed. */
export function admitChained(state: State, plan: Plan, tick: TickId, due: number): void {
  for (const slot of slotsOfTick(state, plan.id, tick, plan)) {
    const known = state.book.orders.get(orderKey(plan.id, tick, 1, slot));
    if (known === undefined) continue;
    if (known.due !== due && known.local.stage === "none") removeOrder(state, known);
    else touch(state, known);
  }
  addSlots(state, { job: plan.id, tick, due, trigger: "chain" }, plan);
}

/** Removes the tick's orders, except those that this peer is about to start. */
export function dropOrders(state: State, job: JobId, tick: TickId): void {
  for (const order of state.book.byJob.get(job) ?? []) {
    if (order.tick !== tick) continue;
    if (order.local.stage === "none") removeOrder(state, order);
    else touch(state, order);
  }
}

/** Whether a person asked for the record's run, as far as this peer knows. */
export function isRequested({ book }: State, record: RunRecord): boolean {
  return book.requests.has(tickKey(record));
}

/** Whether a run of the tick was started or decided. */
export function isBegunOrDecided(state: State, plan: Plan, tick: TickId): boolean {
  const slots = slotsOfTick(state, plan.id, tick, plan);
  return slots.some((slot) => isBegun(state, orderKey(plan.id, tick, 1, slot)));
}

function tickKey({ job, tick }: { readonly job: JobId; readonly tick: TickId }): string {
  return `${job}@${tick}`;
}

/** Adds the order of the attempt that follows the one of the record, unless the tick is over. */
export function admitRetry(state: State, record: RunRecord): void {
  const { book, ledger } = state;
  const { job, tick, slot, of = 1, attempt, retryAt } = record;
  if (retryAt === undefined || isOver(ledger.history, job, tick, slot)) return;
  if (record.peer !== state.settings.self && isPlanted(state, "retry-dropped")) return;
  const next = book.orders.get(orderKey(job, tick, attempt + 1, slot));
  // The runner's own record of when it ended outranks those of the peers that took it for dead.
  const retryDue = dueOfRetry(state.jobs.plans.get(job), tick, retryAt);
  if (next !== undefined && next.due !== retryDue && next.local.stage === "none") removeOrder(state, next);
  // The record proves that the attempts before it have ended, whether or not this peer has their records.
  for (let before = 1; before <= attempt; before++) {
    const earlier = book.orders.get(orderKey(job, tick, before, slot));
    if (earlier?.local.stage === "none") removeOrder(state, earlier);
  }
  const requested = book.requests.get(tickKey(record));
  const isChained = book.chains.get(job)?.has(tick) === true;
  if (isManual(tick) && requested === undefined && !isChained) return;
  const due = requested?.requestedAt ?? instantOf(tick);
  add(state, { job, tick, due, trigger: record.trigger, requested }, slot, of, attempt);
}

/** If a clock that was ahead began the tick, it goes on when that is due by the right clocks: nobody accepts an earlier start. */
function dueOfRetry(plan: Plan | undefined, tick: TickId, retryAt: number): number {
  if (isManual(tick)) return retryAt;
  const instant = instantOf(tick);
  return Math.max(retryAt, plan === undefined ? instant : dueOf(plan, instant));
}

/** An order of the tick is over. If all are, nothing of it is repeated. */
export function forgetRequest(state: State, record: RunRecord): void {
  if (record.of !== undefined && !isWholeOver(state.ledger.history, record.job, record.tick)) return;
  state.book.requests.delete(tickKey(record));
}

/** Forgets requests before the instant (ms), no attempt of which is due any more, and orders whose jobs have not come in time. */
export function forgetRequestsBefore(state: State, instant: number): void {
  for (const [key, { job, tick }] of state.book.requests) {
    const isPast = instantOf(tick) < instant && !state.book.retries.has(job);
    if (isPast || isWholeOver(state.ledger.history, job, tick)) state.book.requests.delete(key);
  }
  for (const [key, { tick }] of state.book.awaitingJob)
    if (instantOf(tick) < state.now.wall - awaitingJobMs) state.book.awaitingJob.delete(key);
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
 * an available job simply stays in the book when its claim is withdrawn.) If they had chosen it by clocks that were ahead, the
 * order enters the book when its tick comes.
 */
export function admitNextRound(state: State, record: RunRecord, requested: RequestedOrder | undefined): void {
  const { job, tick, slot, of = 1, trigger } = record;
  const before = state.book.orders.get(orderKey(job, tick, record.attempt, slot));
  if (before !== undefined) removeOrder(state, before);
  if (isOver(state.ledger.history, job, tick, slot)) return;
  const request = requested ?? before?.requested;
  if (request === undefined && instantOf(tick) > acceptedUntil(state)) return;
  add(state, { job, tick, due: request?.requestedAt ?? record.due, trigger, requested: request }, slot, of);
}

/** Removes the order from the book. If it has left already, a later round of it that has the same key stays. */
export function removeOrder(state: State, order: Order): void {
  const { book } = state;
  const wasInBook = book.orders.get(order.key) === order && book.orders.delete(order.key);
  const wasInIndex = removeFromIndex(book.byJob, order, order.job);
  assert(wasInBook === wasInIndex, `${order.key}: in its job's index if and only if it is in the book`);
  if (wasInBook && order.requested !== undefined) book.requestedCount--;
  removeFromIndex(book.retries, order, order.job);
  const ticks = book.slotted.get(order.job);
  if (ticks !== undefined) removeFromIndex(ticks, order, order.tick);
  if (ticks?.size === 0) book.slotted.delete(order.job);
  assert(book.requestedCount >= 0, `${order.key}: more requested orders have left the book than entered it`);
  book.reconcileQueue.remove(order);
}

export interface NewOrder {
  readonly job: JobId;
  readonly tick: TickId;
  readonly due: number;
  readonly trigger: Trigger;
  readonly requested?: RequestedOrder | undefined;
}

/** Adds the orders of the tick's slots that are neither in the book nor over. */
export function addSlots(state: State, order: NewOrder, plan: Plan): void {
  const { job, tick } = order;
  const slots = slotsOfTick(state, job, tick, plan, order.requested);
  for (const slot of slots)
    if (!isOver(state.ledger.history, job, tick, slot)) add(state, order, slot, slots.length);
}

/** `attempts`: how many of them the slot has had at least. */
function add(
  state: State,
  { job, tick, due, trigger, requested }: NewOrder,
  slot: string,
  of: number,
  attempts = 1,
): void {
  const plan = state.jobs.plans.get(job);
  const isChained = requested === undefined && plan?.after !== undefined;
  const chainedDue = isChained ? state.book.chains.get(job)?.get(tick)?.verdict?.due : undefined;
  const last = lastRepeated(state, job, tick, slot, attempts);
  const attempt = (last?.attempt ?? 0) + 1;
  const key = orderKey(job, tick, attempt, slot);
  // An order that is with the launcher has left the book, and its record does not say yet that it is running.
  const launched = state.book.runs.has(runId({ job, tick, attempt, slot, of, peer: state.settings.self }));
  if (state.book.orders.has(key) || launched || isBegun(state, key)) return;
  // A verdict about a tick of which no parent is known names no instant.
  const given = [chainedDue, due].find(Number.isFinite) ?? instantOf(tick);
  const order: Order = {
    key,
    job,
    tick,
    // The instant decides which epoch votes on the order, so it comes from the tick's name, which is the same on all peers.
    instant: instantOf(tick),
    isChained,
    attempt,
    retriedFrom: last?.peer,
    slot,
    of,
    round: roundOf(state, key),
    due:
      last?.retryAt === undefined
        ? dueOfSlot(state, plan, { job, tick, slot, due: given })
        : dueOfRetry(plan, tick, last.retryAt),
    weight: plan?.weight ?? 1,
    trigger: last !== undefined ? "retry" : isChained ? "chain" : trigger,
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
  if (last !== undefined) addToIndex(state.book.retries, job, order);
  addToIndex(state.book.byJob, order.job, order);
  if (of > 1) {
    const ticks = state.book.slotted.get(job) ?? new Map<TickId, Set<Order>>();
    state.book.slotted.set(job, ticks);
    addToIndex(ticks, tick, order);
  }
  touch(state, order);
}

function addToIndex<Key>(index: Map<Key, Set<Order>>, key: Key, order: Order): void {
  const orders = index.get(key);
  if (orders === undefined) index.set(key, new Set([order]));
  else orders.add(order);
}

/** False if the order was not in the index. */
function removeFromIndex<Key>(index: Map<Key, Set<Order>>, order: Order, key: Key): boolean {
  const orders = index.get(key);
  const wasThere = orders?.delete(order) ?? false;
  if (orders?.size === 0) index.delete(key);
  return wasThere;
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

/**
 * The slot's last attempt that is to be repeated, by all its known records. It had `attempts` of them at least, though the
 * first ones may have left memory.
 */
function lastRepeated(
  state: State,
  job: JobId,
  tick: TickId,
  slot: string,
  attempts: number,
): RunRecord | undefined {
  let last: RunRecord | undefined;
  for (let attempt = attempts; attempt <= retryAttemptsMax; attempt++) {
    let latest: RunRecord | undefined;
    for (const record of recordsOf(state.ledger, orderKey(job, tick, attempt, slot))) {
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

/** Whether the record says that the runner whom the voters had chosen did not start the order. */
export function isGivenBack(record: RunRecord): boolean {
  return record.state === "withdrawn" && record.epoch !== undefined;
}
