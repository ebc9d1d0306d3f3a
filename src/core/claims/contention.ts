/**
 * Which other orders of a job contend with an order: claims whose lease holds, runs in progress, and open questions that may
 * become claims. It is read from the records, heartbeats and questions that are known now.
 */
import { backfilledInstant } from "../../schema/backfill.ts";
import { parseRunReference, runId, type JobId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { claimLeaseMs } from "../limits.ts";
import { claimedAt, openOf, overBy } from "../records/ledger.ts";
import { inSight } from "../members/members.ts";
import type { Contender } from "../job/overlap.ts";
import { orderKeyOf } from "../records/records.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";
import { startsAt } from "./pool-queues.ts";
import { isInProgress, pendingInProgress } from "./slots.ts";

/** Whether a claim keeps other peers from claiming its order. */
export function holdsLease(state: State, record: RunRecord): boolean {
  if (record.peer !== state.settings.self && !inSight(state, record.peer)) return false;
  if (isPlanted(state, "lease-ignored")) return false;
  return record.waiting !== undefined || state.now.wall < leaseEnd(state, record);
}

/** When the claim's lease ends (wall clock, ms). A claim that was made after due has its lease from when it was made. */
export function leaseEnd(state: State, record: RunRecord): number {
  if (isPlanted(state, "lease-from-due")) return record.due + claimLeaseMs;
  return Math.max(record.due, claimedAt(record)) + claimLeaseMs;
}

/** One contender that keeps this order waiting, or none. */
export function anyBefore(contenders: Iterable<Contender>): Contender[] {
  for (const contender of contenders) {
    if (contender.running || contender.earlier) return [{ ...contender, waiting: false }];
  }
  return [];
}

/** Whether another claim goes before the order of this peer's claim `own`, when they start at these instants. */
export function comesBefore(order: Order, ownStartsAt: number, other: RunRecord, at: number): boolean {
  return isBefore(order, ownStartsAt, at, other.due, orderKeyOf(other));
}

function isBefore(order: Order, ownStartsAt: number, at: number, due: number, key: string): boolean {
  if (at !== ownStartsAt) return at < ownStartsAt;
  return due < order.due || (due === order.due && key < order.key);
}

/** The contenders of this peer's claim `own`, for `overlapVerdict`. */
export function* contendersOf(state: State, order: Order, own: RunRecord): Generator<Contender> {
  const ownStartsAt = startsAt(own);
  const goesOn = isInProgress(state, order);
  const aheadMs = isBackfill(order.tick) ? aheadOfLiveMs : 0;
  for (const { tick, instant } of pendingInProgress(state, order.job)) {
    // A tick in progress goes before other ticks of its job. Of two ticks in progress, the older one goes first.
    if (tick !== order.tick && (!goesOn || instant < order.instant))
      yield { running: true, waiting: false, earlier: true, isDue: true, isBackfill: isBackfill(tick) };
  }
  for (const record of openOf(state.ledger, order.job)) {
    const key = orderKeyOf(record);
    if (key === order.key || isAnotherSlot(order, record.tick, record.slot)) continue;
    if (record.peer !== state.settings.self && isPlanted(state, "overlap-here-only")) continue;
    const running = record.state === "running" || state.book.runs.has(runId(record));
    // If a run may be repeated, only its record says whether its tick goes on.
    const isOver = running && record.retriesLeft === undefined && isOverByHeartbeat(state, record);
    if (isOver || (!running && !holdsLease(state, record))) continue;
    // Other ticks wait for one that goes on. But a peer that took this peer for absent may be about to start one of them.
    if (goesOn && !running && (record.waiting !== undefined || record.due > state.now.wall)) continue;
    const isDue = record.due <= state.now.wall + aheadMs;
    const isOfBackfill = isBackfill(record.tick);
    const waiting = record.waiting === "overlap" && record.pool === undefined;
    // Held claims of a backfill go in the order of their ticks, and none goes before one whose turn it is.
    const areBackfills = isOfBackfill && isBackfill(order.tick);
    const isAhead = own.waiting === "overlap" && record.tick < order.tick;
    const earlier =
      areBackfills && waiting ? isAhead : goesOn || comesBefore(order, ownStartsAt, record, startsAt(record));
    const isHeld = record.waiting === "capacity" || record.pool !== undefined;
    const awaitsPlace = isHeld && !running && !isInProgress(state, { ...record, of: record.of ?? 1 });
    yield { running, waiting, awaitsPlace, earlier, isDue, isBackfill: isOfBackfill };
  }
  if (goesOn) return;
  const ownTick = `${order.job}@${order.tick}~`;
  for (const [key, { job, due, untilMono }] of state.book.foreignInquiries) {
    if (job !== order.job || untilMono < state.now.mono) continue;
    const tick = (parseRunReference(key)?.tick ?? key) as TickId;
    const isOfBackfill = isBackfill(tick);
    const areBackfills = isOfBackfill && isBackfill(order.tick);
    const isEarlier = areBackfills ? tick < order.tick : isBefore(order, ownStartsAt, due, due, key);
    if (key === order.key || (order.of > 1 && key.startsWith(ownTick)) || !isEarlier) continue;
    yield {
      running: false,
      waiting: false,
      earlier: true,
      isDue: due <= state.now.wall,
      isBackfill: isOfBackfill,
    };
  }
}

/**
 * A tick of a backfill doesn't start within this time before a live tick, because the news of its start may take that long. Unit:
 * ms.
 */
const aheadOfLiveMs = 500;

function isBackfill(tick: TickId): boolean {
  return backfilledInstant(tick) !== undefined;
}

/** A tick's slots run side by side. */
function isAnotherSlot(order: Order, tick: string, slot: string): boolean {
  return tick === order.tick && slot !== order.slot;
}

/**
 * The runner's heartbeat says that the run is over, although the record of its end has not come yet. All instants here are by
 * the runner's clock. A heartbeat of another life of the runner says nothing about this run.
 */
export function isOverByHeartbeat(state: State, record: RunRecord): boolean {
  const heartbeat = state.members.byId.get(record.peer)?.heartbeat;
  if (heartbeat === undefined || record.startedAt === undefined) return false;
  if (heartbeat.incarnation > record.startedAt || heartbeat.sentAt <= record.startedAt) return false;
  if (!overBy(state.ledger, record.peer, heartbeat.open).has(record)) return false;
  mark(state, "over-by-heartbeat");
  return true;
}

/**
 * When the last open question of another peer about the job ends (wall clock, ms): no event reports it. Infinity = none is
 * open.
 */
export function questionsEnd(state: State, job: JobId): number {
  let endMono = -Infinity;
  for (const ask of state.book.foreignInquiries.values())
    if (ask.job === job) endMono = Math.max(endMono, ask.untilMono);
  return endMono < state.now.mono ? Infinity : state.now.wall + (endMono - state.now.mono) + 1;
}
