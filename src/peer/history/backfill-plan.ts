/** Decides which past ticks of a job a backfill runs: those that have not run, by this peer's history and by what it has pruned. */
import { isInSpans } from "../../core/time/spans.ts";
import { hasStarted } from "../../core/records/records.ts";
import type { BackfillPlan, BackfillTicks, LeftOut } from "../../ports/control.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import { instantOf, isManual, tickAt } from "../../schema/ids.ts";
import type { RunRecord, Span } from "../../schema/run.ts";

/** `records`: of the job, from the first tick on. `pruned`: ticks that had started and whose records are gone. */
export function planBackfill(
  { ticks, pending, backfilled }: BackfillTicks,
  records: readonly RunRecord[],
  pruned: readonly Span[],
  force: boolean,
): BackfillPlan {
  const runs = new Map<number, RunRecord>();
  const before = new Set(backfilled);
  // Newest first, so that the last run of a tick stands.
  for (const record of records) {
    const again = backfilledInstant(record.tick);
    if (again === undefined && isManual(record.tick)) continue;
    if (again !== undefined && record.state === "claimed") before.add(again);
    const tick = again ?? instantOf(record.tick);
    if ((hasStarted(record) || record.state === "running") && !runs.has(tick)) runs.set(tick, record);
  }
  const live = new Set(pending);
  const plan: BackfillPlan = { ticks: [], leftOut: [] };
  for (const tick of ticks) {
    const run = runs.get(tick);
    let why: LeftOut["why"] | undefined;
    if (live.has(tick)) why = "pending";
    else if (force) why = undefined;
    else if (run !== undefined || isInSpans(pruned, tick)) why = "has-run";
    else if (before.has(tick)) why = "asked-before";
    if (why === undefined) plan.ticks.push(tickAt(tick));
    else plan.leftOut.push({ tick: tickAt(tick), why, run });
  }
  return plan;
}
