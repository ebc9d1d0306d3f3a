/**
 * The ticks of a long pause or maintenance: the first few are skipped one by one, the others are reported in one range when the
 * stop ends, or once a day (DESIGN §7). Until then they are in no order book, and the watermark stays below them.
 */
import { tickAt, type JobId } from "../../schema/ids.ts";
import { divideGap, isStop } from "../job/gap.ts";
import { stopOfTick } from "../job/stops.ts";
import { overdueMs } from "../limits.ts";
import { mark } from "../probes/marks.ts";
import type { State } from "../state.ts";
import { reporterPlace } from "./reporter.ts";
import { isPlanning } from "./planning.ts";
import { reportRange } from "./range-report.ts";
import { scanJob } from "./scan.ts";

/** With a longer time, a stop's ticks are unknown to people for longer; with a shorter one there are more records. */
const reportEveryMs = 24 * 3_600_000;

export function holdBack({ upkeep }: State, job: JobId, tick: number): void {
  if (!upkeep.heldBack.has(job)) upkeep.heldBack.set(job, tick);
}

/** Has the ticks of stops that have ended reported. */
export function reviewHeldBack(state: State): void {
  const { upkeep, jobs, now } = state;
  if (!isPlanning(state)) return;
  for (const [job, from] of upkeep.heldBack) {
    const plan = jobs.plans.get(job);
    const goesOn = plan !== undefined && stopOfTick(plan, now.wall) !== undefined;
    if (goesOn && now.wall - from < reportEveryMs) continue;
    upkeep.heldBack.delete(job);
    // The scan finds the ticks, and the first living peer in rank reports them.
    if (plan !== undefined) scanJob(state, plan);
  }
}

/** The job is about to change, and with it perhaps which ticks it had: its reporter reports what was held back. */
export function reportHeldBack(state: State, job: JobId): void {
  const { upkeep, jobs, now } = state;
  const from = upkeep.heldBack.get(job);
  const plan = jobs.plans.get(job);
  upkeep.heldBack.delete(job);
  if (from === undefined || plan === undefined || !isPlanning(state)) return;
  if (reporterPlace(state, job, tickAt(from)) !== 0) return;
  const { ranges } = divideGap(plan, [{ from, to: now.wall + 1 }], now.wall + overdueMs + 1);
  for (const range of ranges) if (isStop(range.reason)) reportRange(state, plan, range);
  mark(state, "held-back-reported");
}
