/**
 * What is known to be over for one job: its entry in the history (history.ts), and how an entry answers for a tick.
 *
 * A table has up to 100,000 jobs, and most of them have nothing but a watermark, so entries share what they can.
 */
import { instantOf, isManual, type JobId, type TickId } from "../../schema/ids.ts";
import type { HistoryState, JobHistory, OverSlots } from "./ledger-state.ts";

/** Most ticks have one order, in slot 0. They share this entry, which is never changed. */
export const onlySlot: OverSlots = { slots: new Map([["0", undefined]]), of: 1, isSkipped: false };

/** The watermarks of most jobs name no open tick. They share this set. */
const noTicks: ReadonlySet<number> = new Set();

/** How many undecided ticks a watermark names at most. */
export const openTicksMax = 256;

/** Most jobs have no range either. */
const noRanges: JobHistory["ranges"] = [];

/** The set of open ticks (ms) as a watermark keeps it. */
export function ticksOf(ticks: readonly number[]): ReadonlySet<number> {
  return ticks.length === 0 ? noTicks : new Set(ticks);
}

/** How an entry names the tick: by its instant (ms), or a requested one by itself. */
export function keyOf(tick: TickId): number | TickId {
  return isManual(tick) ? tick : instantOf(tick);
}

/** The job's entry, which is begun if there is none. */
export function entryOf(history: HistoryState, job: JobId): JobHistory {
  let ofJob = history.jobs.get(job);
  if (ofJob === undefined) {
    ofJob = {
      watermark: undefined,
      unsureUntil: -Infinity,
      over: undefined,
      sets: undefined,
      ranges: noRanges,
    };
    history.jobs.set(job, ofJob);
  }
  return ofJob;
}

/** Whether all slots of the tick are over one by one; the watermark and ranges aren't asked. */
export function isWhole({ over, sets }: JobHistory, key: number | TickId): boolean {
  const ofTick = over?.get(key);
  if (ofTick === undefined) return false;
  const set = sets?.get(key);
  if (set !== undefined) return set.slots.every((slot) => ofTick.slots.has(slot));
  return ofTick.slots.size >= ofTick.of;
}

/** Whether the watermark or a range says that the tick is over in all its slots. */
export function isCovered({ watermark, ranges }: JobHistory, tick: number): boolean {
  return covers(watermark, tick) || isIn(ranges, tick);
}

function isIn(ranges: readonly { from: number; to: number }[], tick: number): boolean {
  return ranges.some(({ from, to }) => from <= tick && tick <= to);
}

/** Whether the watermark says that the tick (ms) is over. */
export function covers(watermark: JobHistory["watermark"], tick: number): boolean {
  return (
    watermark !== undefined && watermark.since < tick && tick <= watermark.at && !watermark.open.has(tick)
  );
}

/** Drops the entries that the watermark covers. */
export function dropCovered(ofJob: JobHistory): void {
  const { watermark, over, sets } = ofJob;
  // An open tick is never in a range, because the ticks of a range were reported as not run.
  const ranges = ofJob.ranges.filter(({ to }) => watermark === undefined || to > watermark.at);
  ofJob.ranges = ranges.length === 0 ? noRanges : ranges;
  for (const tick of over?.keys() ?? []) {
    if (typeof tick !== "number" || !covers(watermark, tick)) continue;
    over?.delete(tick);
  }
  if (over?.size === 0) ofJob.over = undefined;
  for (const tick of sets?.keys() ?? [])
    if (typeof tick === "number" && covers(watermark, tick)) sets?.delete(tick);
  if (sets?.size === 0) ofJob.sets = undefined;
}
