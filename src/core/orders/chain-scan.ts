/**
 * Past ticks of jobs that run after others: the ends of their parents that are on the disk and not in memory, and the ranges of
 * their parents' ticks that were not run.
 */
import { instantOf, isManual, tickAt } from "../../schema/ids.ts";
import { reviewAll } from "../claims/chain-ticks.ts";
import { admitTick } from "../claims/order-book.ts";
import type { After } from "../job/chain.ts";
import type { Plan } from "../job/plan.ts";
import { recentMs, reportEveryMs } from "../limits.ts";
import { clockRefusedMs } from "../members/suspicion.ts";
import { endUnsure, partlyOver, unsureUntilOf, watermarkOf } from "../records/history.ts";
import type { State } from "../state.ts";
import { lowestOf, readHistory } from "./history-read.ts";
import { reporterPlace } from "./reporter.ts";
import { reportRange } from "./range-report.ts";
import { beginHistory } from "./watermarks.ts";

/**
 * Looks for parents' ends that are on the disk and not in memory, and decides about ticks that wait. If the job is new here,
 * parents may have ended after it was made and before this peer knew it.
 */
export function scanChain(state: State, plan: Plan, after: After): void {
  const { history } = state.ledger;
  const { now } = state;
  const known = watermarkOf(history, plan.id);
  const lowest = lowestOf(known ?? beginHistory(state, plan));
  const isUnsure = lowest < Math.min(unsureUntilOf(history, plan.id), now.wall);
  if (known === undefined || isUnsure) {
    const from = known === undefined ? lowest - recentMs : lowest + 1;
    return readHistory(state, plan.id, from, now.wall + 1, after.jobs);
  }
  endUnsure(history, plan.id);
  // A tick in progress goes on, whatever its parents are now.
  for (const tick of partlyOver(history, plan.id))
    if (!isManual(tick) && instantOf(tick) <= now.wall) admitTick(state, plan, instantOf(tick));
  reviewAll(state, plan.id);
}

/**
 * Reports ranges of ticks that are skipped because of their parents, as far as they are this peer's to report now. A range that
 * reaches into the future is due to a parent's record by a clock that was ahead, whose writer may still withdraw it.
 */
export function reportChainRanges(state: State): void {
  for (const [job, ranges] of state.book.chainRanges) {
    const plan = state.jobs.plans.get(job);
    if (plan === undefined) continue;
    for (const range of ranges) {
      if (range.to > state.now.wall + clockRefusedMs) continue;
      const place = reporterPlace(state, job, tickAt(range.to));
      if (place === undefined || state.now.mono - range.sinceMono < place * reportEveryMs) continue;
      reportRange(state, plan, range);
    }
  }
}
