/**
 * Past ticks (DESIGN §7): which of them still have to be run or reported. watermarks.ts says how far the watermarks move up.
 *
 * A scan looks at the ticks above a job's watermark about which nothing is known. Those that may still run enter the order
 * book; all others are reported as ranges, one record for each range. Where records may be on the disk and not in memory, the
 * disk is read first. The ticks of a job that runs after others are those of its parents, and follow from their records.
 * Every minute the watermarks move up to now, past everything except undecided orders; they are stored a minute later, after the
 * records that justify them.
 */
import { instantOf, isManual, tickAt, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import type { RunRecord, Span, Watermark } from "../../schema/run.ts";
import { forgetOverChains, reviewChains } from "../claims/chain-ticks.ts";
import { admitTick } from "../claims/order-book.ts";
import { touchOver } from "../claims/touched.ts";
import {
  divideGap,
  intervalsBetween,
  withoutKnown,
  type Gap,
  type Interval,
  type TickRange,
} from "../job/gap.ts";
import { isTickOf, nextTickOf, startWindowMs, type Plan } from "../job/plan.ts";
import { soonestTick } from "../job/timetable.ts";
import { claimAheadMs, forgetAfterMs, reportEveryMs, requestedKeptMs } from "../limits.ts";
import { lacking } from "../members/capabilities.ts";
import { mark as reach } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { clockRefusedMs } from "../members/suspicion.ts";
import {
  beginWatermark,
  endUnsure,
  forgetBefore,
  forgetHistory,
  forgetRequested,
  hearWatermark,
  isOver,
  isQuiet,
  jobsRemembered,
  overAbove,
  overCount,
  partlyOver,
  unsureUntilOf,
  watermarkOf,
  settleRange,
} from "../records/history.ts";
import { reopen } from "../records/reopen.ts";
import { forgetGivenBack, openOf } from "../records/ledger.ts";
import { noteTooLateSpan } from "../records/too-late.ts";
import { emit, workOn, type State } from "../state.ts";
import { lowestOf, readHistory } from "./history-read.ts";
import { reporterPlace } from "./reporter.ts";
import { scanChain } from "./chain-scan.ts";
import { isPlanning } from "./planning.ts";
import { reportRange } from "./range-report.ts";
import { beginHistory, moveUp, planStore, storeWatermarks, undecidedMs } from "./watermarks.ts";

/** Begins with the stored watermarks. Records of ticks from `loadedSince` (ms) on are in memory. */
export function openHistory(
  state: State,
  watermarks: readonly Watermark[],
  prunedAhead: readonly { job: JobId; starts: readonly Span[] }[],
  loadedSince: number,
  scanFrom: number,
): void {
  state.upkeep.loadedSince = loadedSince;
  state.upkeep.scanFrom = scanFrom;
  const { ledger } = state;
  const { wall: now, mono } = state.now;
  for (const { job, since, at, open } of watermarks) {
    // If a clock that was ahead wrote it, only the disk knows which ticks after now are over, and what was taken for too late.
    const unsureUntil = at > now ? at : loadedSince - 1;
    if (at > now) noteTooLateSpan(ledger, job, { from: now + 1, to: at }, mono);
    // Nothing is known of ticks before now if the watermark was begun by that clock: it is begun anew.
    if (since > now) continue;
    const past = {
      since,
      at: Math.min(at, now),
      open: open.filter((tick) => tick <= now),
    };
    beginWatermark(ledger.history, job, past, Math.max(unsureUntil, loadedSince - 1));
  }
  // Starts before now are found when the disk is read.
  for (const { job, starts } of prunedAhead) settleStarts(state, job, starts, state.now.wall + 1);
}

/** Pruned ticks of these spans, from the instant (ms) on, are over, because they had started. */
export function settleStarts(state: State, job: JobId, starts: readonly Span[], from: number): void {
  for (const span of starts)
    if (span.to >= from) settleRange(state.ledger.history, job, Math.max(from, span.from), span.to);
}

/** When the next tick is to be admitted, by the wall clock, ms; Infinity while this peer may not plan. */
export function nextTickInSightAt(state: State): number {
  return isPlanning(state) ? (soonestTick(state.jobs) ?? Infinity) - claimAheadMs : Infinity;
}

export function scanAll(state: State): void {
  for (const plan of state.jobs.plans.values()) workOn(state, plan.id, () => scanJob(state, plan));
  state.upkeep.scanFrom = state.now.wall;
  reviewChains(state);
}

/** Admits or reports every tick of the job up to now about which nothing is known. */
export function scanJob(state: State, plan: Plan): void {
  const { history } = state.ledger;
  const { upkeep, now } = state;
  if (upkeep.lookups.has(plan.id)) return;
  if (plan.after !== undefined) return scanChain(state, plan, plan.after);
  const watermark = watermarkOf(history, plan.id) ?? beginHistory(state, plan);
  const lowest = lowestOf(watermark);
  const unsureUntil = unsureUntilOf(history, plan.id);
  const first = nextTickOf(plan, lowest);
  if (first !== undefined && first <= Math.min(unsureUntil, now.wall)) {
    reach(state, "history-looked-up");
    return readHistory(state, plan.id, lowest + 1, unsureUntil + 1);
  }
  endUnsure(history, plan.id);
  for (const tick of watermark.open) if (isTickOf(plan, tick)) admitTick(state, plan, tick);
  admitBegun(state, plan);
  const hasTick = first !== undefined && first <= now.wall;
  const { admit, ranges } = hasTick
    ? divideGap(plan, unknownIntervals(state, plan, watermark.at), now.wall, bookTicks(state, plan).length)
    : noGap;
  for (const tick of admit) admitTick(state, plan, tick);
  if (ranges.length === 0) upkeep.gaps.delete(plan.id);
  else upkeep.gaps.set(plan.id, { ranges, sinceMono: now.mono });
}

/** A tick in progress goes on, whatever the schedule is now. One that is claimed may start however long it waits for its turn. */
function admitBegun(state: State, plan: Plan): void {
  const { wall } = state.now;
  for (const tick of partlyOver(state.ledger.history, plan.id))
    if (!isManual(tick) && instantOf(tick) <= wall) admitTick(state, plan, instantOf(tick));
  for (const tick of openTicks(state, plan))
    if (tick <= wall && isTickOf(plan, tick)) admitTick(state, plan, tick);
}

/** Most jobs of a large table have had no tick since their watermark. */
const noGap: Gap = { admit: [], ranges: [] };

/** The time from the watermark to now, without the ticks that are over, in progress or in the book; oldest first. */
function unknownIntervals(state: State, plan: Plan, watermark: number): Interval[] {
  return intervalsBetween(knownAbove(state, plan, watermark), watermark + 1, state.now.wall + 1);
}

function knownAbove(state: State, plan: Plan, watermark: number): Interval[] {
  if (isPlanted(state, "range-over-runs")) return [];
  const pending = [...openTicks(state, plan), ...bookTicks(state, plan)];
  return [
    ...overAbove(state.ledger.history, plan.id, watermark),
    ...pending.map((tick) => ({ from: tick, to: tick })),
  ];
}

/** Ticks of the schedule (ms) that are claimed or running. */
function openTicks({ ledger }: State, { id }: Plan): number[] {
  return scheduled(openOf(ledger, id));
}

/** Ticks of the schedule (ms) in the order book, where the sweep decides about them when they are overdue. */
function bookTicks({ book }: State, { id }: Plan): number[] {
  return scheduled(book.byJob.get(id) ?? []);
}

function scheduled(of: Iterable<{ readonly tick: TickId }>): number[] {
  const ticks = new Set<number>();
  for (const { tick } of of) if (!isManual(tick)) ticks.add(instantOf(tick));
  return [...ticks];
}

/** The ranges without what has become known since they were computed: another peer's report, or runs. */
function stillUnknown(state: State, plan: Plan, ranges: readonly TickRange[]): TickRange[] {
  const lowest = Math.min(...ranges.map(({ from }) => from));
  return withoutKnown(plan, ranges, knownAbove(state, plan, lowest - 1));
}

/** Takes in watermarks of a peer whose records are all here: up to them, this peer needn't look at the jobs' ticks again. */
export function hearWatermarks(state: State, from: PeerId, watermarks: readonly Watermark[]): void {
  const { history } = state.ledger;
  for (const heard of watermarks) {
    const plan = state.jobs.plans.get(heard.job);
    // A peer that doesn't understand the job may not know of all its orders.
    if (plan !== undefined && lacking(state, plan, from).length > 0) continue;
    // The writer's clock is ahead, or this peer's is far behind. In the second case the watermark will be heard again.
    if (plan === undefined || heard.at > state.now.wall + clockRefusedMs) continue;
    if (watermarkOf(history, heard.job) === undefined) beginHistory(state, plan);
    if (!hearWatermark(history, heard.job, heard, state.now.wall)) continue;
    reach(state, "watermark-heard");
    planStore(state, heard.job);
    touchOver(state, heard.job);
    if (isPlanning(state)) scanJob(state, plan);
  }
}

/** Reports the gaps that are this peer's to report now. */
export function reportGaps(state: State): void {
  for (const [job, { ranges, sinceMono }] of state.upkeep.gaps) {
    const plan = state.jobs.plans.get(job);
    if (plan === undefined) {
      state.upkeep.gaps.delete(job);
      continue;
    }
    const place = placeToReport(state, job, ranges);
    if (place === undefined || state.now.mono - sinceMono < place * reportEveryMs) continue;
    state.upkeep.gaps.delete(job);
    admitBegun(state, plan);
    for (const range of stillUnknown(state, plan, ranges)) reportRange(state, plan, range);
    moveUp(state, plan);
  }
}

function placeToReport(state: State, job: JobId, ranges: readonly TickRange[]): number | undefined {
  const last = ranges.at(-1);
  return last === undefined ? undefined : reporterPlace(state, job, tickAt(last.to));
}

/**
 * Whether a gap waits for this peer's turn to report it, and not for other peers or for this peer's clock to be right again.
 */
export function isToReport(state: State): boolean {
  for (const [job, { ranges }] of state.upkeep.gaps)
    if (placeToReport(state, job, ranges) !== undefined) return true;
  return false;
}

/** Takes in another peer's range: the ticks in it need no report by this peer. */
export function hearRange(state: State, { job, range }: RunRecord): void {
  const gap = state.upkeep.gaps.get(job);
  const plan = state.jobs.plans.get(job);
  if (range === undefined || gap === undefined || plan === undefined) return;
  const ranges = stillUnknown(state, plan, gap.ranges);
  if (ranges.length > 0) state.upkeep.gaps.set(job, { ...gap, ranges });
  else {
    state.upkeep.gaps.delete(job);
    moveUp(state, plan);
  }
}

/**
 * Other peers have withdrawn decisions that counted here, because their clocks had been ahead. Their ticks are undecided again,
 * unless other records on the disk end them. A range that is too old for its ticks to run is reported again by its writer.
 */
export function reopenWithdrawn(state: State, withdrawn: readonly RunRecord[]): void {
  const { wall } = state.now;
  for (const record of withdrawn) {
    const plan = state.jobs.plans.get(record.job);
    if (plan === undefined) continue;
    const keptMs = record.range === undefined ? forgetAfterMs : undecidedMs(plan);
    if (instantOf(record.tick) < wall - keptMs) continue;
    if (!isRecordOver(state, record)) continue;
    reach(state, "decision-reopened");
    reopen(state.ledger.history, record, wall);
    state.upkeep.gaps.delete(plan.id);
    if (isPlanning(state)) scanJob(state, plan);
  }
}

function isRecordOver({ ledger }: State, { job, tick, slot, range }: RunRecord): boolean {
  return isOver(ledger.history, job, range === undefined ? tick : tickAt(range.from), slot);
}

/** Stores the watermarks of the last round, moves watermarks up, and forgets what can't come back. */
export function tendHistory(state: State, at: number): void {
  const { upkeep, ledger } = state;
  if (state.diskFailures === 0 && !upkeep.diskFailed) storeWatermarks(state);
  upkeep.diskFailed = false;
  forgetOverChains(state);
  for (const job of jobsRemembered(ledger.history)) {
    const plan = state.jobs.plans.get(job);
    if (plan === undefined) forgetJob(state, job, at);
    else if (!isQuiet(ledger.history, job)) {
      forgetRequested(ledger.history, job, at - startWindowMs(plan, true) - requestedKeptMs);
      moveUp(state, plan);
    }
  }
  forgetGivenBack(ledger, ({ job, tick, slot }) => {
    return isOver(ledger.history, job, tick, slot) || instantOf(tick) < at - forgetAfterMs;
  });
}

/** Forgets a job that is not in the table, but only after some time: it may be a job that can't be read now and comes back. */
function forgetJob(state: State, job: JobId, at: number): void {
  const { history } = state.ledger;
  forgetBefore(history, job, at - requestedKeptMs);
  const watermark = watermarkOf(history, job);
  if (watermark === undefined && overCount(history, job) === 0) forgetHistory(history, job);
  if (watermark === undefined || watermark.at > at - forgetAfterMs) return;
  forgetHistory(history, job);
  emit(state, { kind: "store", writes: [{ kind: "drop-watermark", job }] });
}
