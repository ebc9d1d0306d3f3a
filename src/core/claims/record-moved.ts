/**
 * The one path of run records. Every record that moves up, this peer's own or another's, goes through `recordMoved`: it
 * notifies listeners, reconciles the orders that depend on the record, and puts an order that was given back unstarted into
 * the book again. Anything else that follows from a record belongs there too.
 */
import { backfilledInstant } from "../../schema/backfill.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { assert } from "../../errors.ts";
import { isFailure } from "../job/failures.ts";
import { withRetry } from "../job/retry.ts";
import { endsOrder, givesBackOneOfSeveral, recordsOf, settles, takeRecord } from "../records/ledger.ts";
import { queueAnnouncement } from "../records/announcements.ts";
import { endsRetries, orderKeyOf } from "../records/records.ts";
import { noteTooLate } from "../records/too-late.ts";
import { mark } from "../probes/marks.ts";
import { emit, type State } from "../state.ts";
import { noteBackfilled } from "./backfill-index.ts";
import { followChains } from "./chain-ticks.ts";
import { followSet } from "./peer-sets.ts";
import { admitNextRound, admitRetry, forgetRequest, isNextRound } from "./order-book.ts";
import { touch, touchInProgress, touchOrdersOf, touchOver, wakePool } from "./touched.ts";
import { precedes, type Order } from "./order.ts";
import { isInProgress } from "./slots.ts";

/** Signs a record that this peer writes, takes it in, stores it and gossips it. Returns the signed record. */
export function commit(state: State, unsigned: RunRecord, order?: Order): RunRecord {
  const record = state.settings.sign(unsigned);
  const { moved, before } = takeRecord(state.ledger, record, state.now.mono, true);
  assert(isNewer(before, record), `${orderKeyOf(record)}: version ${record.version} is written again`);
  emit(state, { kind: "store", writes: [{ kind: "record", record }] });
  emit(state, { kind: "gossip", record });
  noteTooLate(state.ledger, record, state.now.mono);
  if (moved) recordMoved(state, before, record, order);
  return record;
}

/** Ends a record by the job's present rules: what is lost may be repeated. */
export function commitEnd(state: State, before: RunRecord, ended: RunRecord): void {
  const { retriesLeft: _, ...record } = ended;
  const plan = state.jobs.plans.get(record.job);
  commit(state, plan === undefined ? record : withRetry(plan.retry, before, record));
}

/** A writer's versions only grow. A `lost` by another peer continues from the version that it overrules. */
function isNewer(before: RunRecord | undefined, record: RunRecord): boolean {
  const isAnothers = before === undefined || (before.by ?? before.peer) !== (record.by ?? record.peer);
  return isAnothers || record.version > before.version;
}

/** `before`: the record that was known until now. `order`: the record's order, if it has just left the book. */
export function recordMoved(
  state: State,
  before: RunRecord | undefined,
  record: RunRecord,
  order?: Order,
): void {
  emit(state, { kind: "notify", event: { kind: "run", record } });
  const own = state.book.orders.get(orderKeyOf(record));
  if (own !== undefined) touch(state, own);
  if (settles(record)) {
    touchOrdersOf(state, record);
    forgetRequest(state, record);
  }
  if (settles(record) || givesBackOneOfSeveral(record)) noteFailure(state, record);
  // The ticks of a range need no order any more, whichever peer has reported it.
  if (record.range !== undefined) touchOver(state, record.job);
  if (before?.state !== "claimed" && own !== undefined) contest(state, own, record);
  noteBackfilled(state, record);
  followSet(state, record);
  followChains(state, record);
  admitRetry(state, record);
  noteAnnouncement(state, before, record);
  if (!isNewClaim(state, before, record)) wakeWaiting(state, before, record);
  if (record.of !== undefined && endsOrder(record)) touchOwnOfTick(state, record);
  if (isNextRound(record, own)) {
    admitNextRound(state, record, (order ?? own)?.requested);
  }
}

/**
 * Sends this peer's claim of the order straight to another peer whose claim has to give way to it. Gossip may lose either of
 * two claims that are made at the same moment, and if it loses this one, both peers would start the run.
 */
export function contest(state: State, order: Order, rival: RunRecord): void {
  const { local } = order;
  if (local.stage !== "claimed" || local.claim.epoch !== undefined) return;
  if (rival.state !== "claimed" || rival.peer === state.settings.self || !precedes(local.claim, rival))
    return;
  mark(state, "claim-contested");
  emit(state, {
    kind: "send",
    to: rival.peer,
    protocol: "ask",
    message: { kind: "answer", id: 0, records: [local.claim], goesFirst: [], settled: [] },
  });
}

/**
 * Closes a record whose end was known before but didn't count while its peer was alive. The record itself doesn't move up, but a
 * tick with several slots may be over only now.
 */
export function recordClosed(state: State, before: RunRecord, ended: RunRecord): void {
  if (ended.of !== undefined) {
    noteFailure(state, ended);
    followChains(state, ended);
  }
  wakeWaiting(state, before, ended);
}

/** What waits for other runs of the record's job, or for a slot of its pool, may go on now. */
function wakeWaiting(state: State, before: RunRecord | undefined, record: RunRecord): void {
  touchWaiting(state, record);
  if (record.waiting !== undefined && before?.waiting === undefined) touchGoingOn(state, record);
  // A run has ended, or a claim has let others go first.
  const mayFreeSlot = isFinal(record.state) || record.waiting !== undefined;
  const pool = mayFreeSlot ? (before?.inPool ?? state.jobs.plans.get(record.job)?.pool) : undefined;
  if (pool !== undefined) wakePool(state, pool);
}

/** The failed ticks since the last call. */
export function takeFailed({ book }: State): RunRecord[] {
  return book.failed.splice(0);
}

/** Notes a record that may be a failure of its tick. orders/failures.ts decides whether the job is paused because of it. */
function noteFailure({ jobs, book }: State, record: RunRecord): void {
  if ((jobs.plans.get(record.job)?.pauseAfterFailures ?? 0) === 0) return;
  // The last of several slots ends the tick, and the failure may be another slot's. An attempt that is not made ends the tick,
  // too.
  const mayEndTick = (record.of !== undefined || endsRetries(record)) && isFinal(record.state);
  if (isFailure(record.state) || mayEndTick) book.failed.push(record);
}

/** People may want to be told what became of the tick. */
export function noteAnnouncement(state: State, before: RunRecord | undefined, record: RunRecord): void {
  if ((state.jobs.plans.get(record.job)?.notify.length ?? 0) === 0) return;
  const { ledger, now, settings } = state;
  const facts = { before, record, others: recordsOf(ledger, orderKeyOf(record)), self: settings.self };
  const dropped = queueAnnouncement(ledger.announcements, facts, now.mono);
  if (dropped > 0) emit(state, { kind: "count", name: "notices_dropped", by: dropped });
}

/**
 * Touches the job's other orders that hold a claim, if its runs may not overlap: waiting ones continue when a record becomes
 * final, and under `replace` a newer claim already changes what an older one does.
 */
function touchWaiting(state: State, record: RunRecord): void {
  const overlap = state.jobs.plans.get(record.job)?.overlap;
  const isBackfill = backfilledInstant(record.tick) !== undefined;
  if (
    (overlap === "allow" && !isBackfill) ||
    (overlap !== "replace" && !isFinal(record.state) && !isBackfill)
  )
    return;
  for (const order of state.book.holdersByJob.get(record.job) ?? []) touch(state, order);
  if (overlap === "replace") touchInProgress(state, record.job);
}

/** Touches orders of ticks in progress: they have waited until this claim of another tick either started or let them go first. */
function touchGoingOn(state: State, { job, tick }: RunRecord): void {
  if (state.jobs.plans.get(job)?.overlap === "allow") return;
  for (const order of state.book.holdersByJob.get(job) ?? [])
    if (order.tick !== tick && isInProgress(state, order)) touch(state, order);
}

/** The tick has begun, and the claims of its other slots no longer wait behind those of other ticks. */
function touchOwnOfTick(state: State, { job, tick }: RunRecord): void {
  for (const order of state.book.holdersByJob.get(job) ?? []) if (order.tick === tick) touch(state, order);
}

/** This peer's own new claim concerns the other orders of its job only once it is due. */
function isNewClaim(state: State, before: RunRecord | undefined, record: RunRecord): boolean {
  if (record.peer !== state.settings.self || record.state !== "claimed") return false;
  return before?.state !== "claimed" || record.claimedAt !== before.claimedAt;
}
