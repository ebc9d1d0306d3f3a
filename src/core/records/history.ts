/**
 * What is over (DESIGN §7): an order that was started or decided never starts again.
 *
 * Each job has a watermark: a span of time in which every tick of the job is over, except a few that it names as open. Orders
 * above it that are over are kept one by one. The watermark moves up as ticks are decided, so memory is bounded by what is
 * undecided and not by how long the peer has been up.
 *
 * A watermark may lag but never leads: it is stored after the records that justify it, and covers only ticks that are past by
 * a clock that counts as right. If that clock turns out to have been ahead, the watermark goes back (reopen.ts), and the disk is
 * read before a tick above it is admitted (`unsureUntil`).
 *
 * No watermark covers requested orders, which are no ticks of a schedule: they are kept one by one until `forgetRequested`.
 */
import { instantOf, isManual, tickAt, type JobId, type TickId } from "../../schema/ids.ts";
import type { RunRecord, Watermark } from "../../schema/run.ts";
import {
  covers,
  dropCovered,
  entryOf,
  isCovered,
  isWhole,
  keyOf,
  onlySlot,
  ticksOf,
} from "./history-entry.ts";
import { isDecision } from "./records.ts";
import type { HistoryState, OverSlots } from "./ledger-state.ts";

/** A watermark without its job. */
type Reach = Omit<Watermark, "job">;

export function jobsRemembered(history: HistoryState): Iterable<JobId> {
  return history.jobs.keys();
}

/** Whether the tick's order in that slot was started or decided. */
export function isOver(history: HistoryState, job: JobId, tick: TickId, slot: string): boolean {
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined) return false;
  const key = keyOf(tick);
  if (ofJob.over?.get(key)?.slots.has(slot) === true) return true;
  return typeof key === "number" && isCovered(ofJob, key);
}

/** Whether all orders of the tick were started or decided. */
export function isWholeOver(history: HistoryState, job: JobId, tick: TickId): boolean {
  const ofJob = history.jobs.get(job);
  const key = keyOf(tick);
  return ofJob !== undefined && (isWhole(ofJob, key) || (typeof key === "number" && isCovered(ofJob, key)));
}

/** What is over of the tick, if it isn't covered by the watermark. */
export function overSlotsOf(history: HistoryState, job: JobId, tick: TickId): OverSlots | undefined {
  return history.jobs.get(job)?.over?.get(keyOf(tick));
}

/** The job's ticks of which some orders are over and others are not. */
export function partlyOver(history: HistoryState, job: JobId): TickId[] {
  const ticks: TickId[] = [];
  const ofJob = history.jobs.get(job);
  for (const key of ofJob?.over?.keys() ?? []) {
    if (ofJob !== undefined && isWhole(ofJob, key)) continue;
    ticks.push(typeof key === "number" ? tickAt(key) : key);
  }
  return ticks;
}

/** What a record says of an order that was started or decided; another peer may have said no more than that it was. */
export type Settled = Pick<RunRecord, "job" | "tick" | "slot"> &
  Partial<Pick<RunRecord, "state" | "startedAt" | "reason" | "peer">> & { readonly of?: number | undefined };

/** Notes that the order was started or decided. */
export function settle(history: HistoryState, order: Settled): void {
  const { job, tick, slot, of = 1, state } = order;
  const key = keyOf(tick);
  const ofJob = entryOf(history, job);
  if (typeof key === "number" && covers(ofJob.watermark, key)) return;
  ofJob.over ??= new Map();
  const known = ofJob.over.get(key);
  if (of === 1 && slot === "0" && known === undefined) return void ofJob.over.set(key, onlySlot);
  if (known === onlySlot && of === 1 && slot === "0") return;
  const over =
    known === undefined || known === onlySlot
      ? { slots: new Map(known?.slots), of, isSkipped: false }
      : known;
  const runner =
    state === undefined || isDecision({ state, startedAt: order.startedAt }) ? undefined : order.peer;
  over.slots.set(slot, runner ?? over.slots.get(slot));
  over.isSkipped ||= state === "skipped" && order.reason === "overlap";
  // If an edit of the job has changed the number, the larger one counts, so that none of the tick's orders is lost.
  ofJob.over.set(key, over.of < of ? { ...over, of } : over);
}

/** Notes that all ticks of the job from the first instant to the second (ms) were reported: none of them will run. */
export function settleRange(history: HistoryState, job: JobId, from: number, to: number): void {
  const ofJob = entryOf(history, job);
  if (ofJob.watermark !== undefined && to <= ofJob.watermark.at && ofJob.watermark.open.size === 0) return;
  if (ofJob.ranges.some((known) => known.from === from && known.to === to)) return;
  ofJob.ranges = [...ofJob.ranges, { from, to }];
}

/** Begins what is known about the job's ticks, with a stored watermark or a new one. */
export function beginWatermark(
  history: HistoryState,
  job: JobId,
  { since, at, open }: Reach,
  unsureUntil: number,
): void {
  const ofJob = entryOf(history, job);
  const { begun } = history;
  const ticks = ticksOf(open);
  const isAlike = begun?.since === since && begun.at === at && begun.open === ticks;
  history.begun = isAlike ? begun : { since, at, open: ticks };
  ofJob.watermark = history.begun;
  ofJob.unsureUntil = unsureUntil;
  dropCovered(ofJob);
}

export function watermarkOf(history: HistoryState, job: JobId): Watermark | undefined {
  const watermark = history.jobs.get(job)?.watermark;
  return watermark === undefined
    ? undefined
    : { job, since: watermark.since, at: watermark.at, open: [...watermark.open] };
}

/** The instant (ms) at which the watermark begins. Up to it, only the disk knows which ticks are over. */
export function historyBegan(history: HistoryState, job: JobId): number {
  return history.jobs.get(job)?.watermark?.since ?? Infinity;
}

/** The instant (ms) up to which the disk must be read before ticks are admitted; -Infinity = it needn't be read. */
export function unsureUntilOf(history: HistoryState, job: JobId): number {
  return history.jobs.get(job)?.unsureUntil ?? -Infinity;
}

/** Everything that the disk holds about the job has been taken in. */
export function endUnsure(history: HistoryState, job: JobId): void {
  const ofJob = history.jobs.get(job);
  if (ofJob !== undefined) ofJob.unsureUntil = -Infinity;
}

/**
 * All ticks up to `at` are over except the `open` ones. Returns whether that is news. The watermark never goes back here.
 */
export function advanceWatermark(
  history: HistoryState,
  job: JobId,
  at: number,
  open: readonly number[],
): boolean {
  const ofJob = history.jobs.get(job);
  const watermark = ofJob?.watermark;
  if (ofJob === undefined || watermark === undefined || at < watermark.at) return false;
  if (
    at === watermark.at &&
    open.length === watermark.open.size &&
    open.every((tick) => watermark.open.has(tick))
  )
    return false;
  ofJob.watermark = { since: watermark.since, at, open: ticksOf(open) };
  dropCovered(ofJob);
  return true;
}

/**
 * Takes in another peer's watermark, up to `now`. Of the two the higher counts, unless there is a gap between them that
 * neither covers. Ticks that are open there and not known to be over here are open here too. Returns whether that is news.
 */
export function hearWatermark(history: HistoryState, job: JobId, heard: Reach, now: number): boolean {
  const ofJob = entryOf(history, job);
  const { watermark } = ofJob;
  const at = Math.min(heard.at, now);
  if (watermark !== undefined && (heard.since > watermark.at || at <= watermark.at)) return false;
  const isOverHere = (tick: number): boolean => isCovered(ofJob, tick) || isWhole(ofJob, tick);
  const open = heard.open.filter((tick) => tick <= at && !isOverHere(tick));
  for (const tick of watermark?.open ?? []) if (tick <= heard.since) open.push(tick);
  ofJob.watermark = {
    since: Math.min(watermark?.since ?? heard.since, heard.since),
    at,
    open: ticksOf(open),
  };
  dropCovered(ofJob);
  return true;
}

/**
 * Forgets orders before the instant (ms) that no watermark covers: requested ones, which can't start any more, and those of
 * jobs that can't be read here. If such a job comes back, the disk is read.
 */
export function forgetBefore(history: HistoryState, job: JobId, before: number): void {
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined) return;
  for (const tick of ofJob.over?.keys() ?? []) {
    const instant = typeof tick === "number" ? tick : instantOf(tick);
    if (instant >= before) continue;
    if (typeof tick === "number") ofJob.unsureUntil = Math.max(ofJob.unsureUntil, tick);
    ofJob.over?.delete(tick);
  }
  for (const tick of ofJob.sets?.keys() ?? [])
    if ((typeof tick === "number" ? tick : instantOf(tick)) < before) ofJob.sets?.delete(tick);
}

/** Forgets orders that people requested before the instant (ms). */
export function forgetRequested(history: HistoryState, job: JobId, before: number): void {
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined) return;
  for (const tick of ofJob.over?.keys() ?? []) {
    if (typeof tick === "number" || instantOf(tick) >= before) continue;
    ofJob.over?.delete(tick);
  }
  for (const tick of ofJob.sets?.keys() ?? [])
    if (typeof tick !== "number" && instantOf(tick) < before) ofJob.sets?.delete(tick);
}

/**
 * The spans of time above the instant (ms) whose ticks are over, at least in one slot: from ≤ tick ≤ to, in order of `from`.
 */
export function overAbove(
  history: HistoryState,
  job: JobId,
  instant: number,
): { from: number; to: number }[] {
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined) return [];
  const spans = ofJob.ranges.filter(({ to }) => to > instant);
  for (const tick of ofJob.over?.keys() ?? []) {
    if (typeof tick === "number" && tick > instant) spans.push({ from: tick, to: tick });
  }
  return spans.toSorted((a, b) => a.from - b.from || a.to - b.to);
}

/** How many orders of the job are kept one by one. */
export function overCount(history: HistoryState, job: JobId): number {
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined) return 0;
  return (ofJob.over?.size ?? 0) + (ofJob.sets?.size ?? 0) + ofJob.ranges.length;
}

/**
 * Whether the job has no more than a watermark without open ticks, as most jobs of a large table: nothing can move or be
 * forgotten.
 */
export function isQuiet(history: HistoryState, job: JobId): boolean {
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined) return true;
  const { over, sets, ranges, watermark } = ofJob;
  const isAnyOpen = watermark !== undefined && watermark.open.size > 0;
  return !isAnyOpen && (over?.size ?? 0) === 0 && (sets?.size ?? 0) === 0 && ranges.length === 0;
}

/** How many orders of all jobs are kept one by one. */
export function settledCount(history: HistoryState): number {
  let count = 0;
  for (const job of history.jobs.keys()) count += overCount(history, job);
  return count;
}

/** Forgets everything about the job. */
export function forgetHistory(history: HistoryState, job: JobId): void {
  history.jobs.delete(job);
}

/** Whether the watermark doesn't cover the tick. */
export function isPastWatermark(history: HistoryState, job: JobId, tick: TickId): boolean {
  return isManual(tick) || !covers(history.jobs.get(job)?.watermark, instantOf(tick));
}
