/**
 * Removes from the table the requests to skip ticks that are over, so that they don't pile up. They are kept for a week, because
 * a peer may hear of the request later than of the tick, and a clock that is set back brings the tick again: it must still be
 * skipped. Of a job with more than `skipsMax` of them, the oldest go earlier.
 */
import { tickAt } from "../../schema/ids.ts";
import { skipsMax } from "../../schema/job.ts";
import { isTickOf, type Plan } from "../job/plan.ts";
import { forgetAfterMs } from "../limits.ts";
import { isOver } from "../records/history.ts";
import { emit, nextToken, type State } from "../state.ts";
import { isReporter } from "./reporter.ts";
import { isPlanning } from "./planning.ts";

/** How long each is kept at least, ms. */
const keptMs = 3_600_000;

/** `at`: the time (wall clock, ms) by which requests are judged to be old. */
export function removeOldSkips(state: State, at: number): void {
  if (!isPlanning(state)) return;
  for (const plan of state.jobs.plans.values()) {
    if (plan.skips.size === 0) continue;
    const ticks = oldSkips(state, plan, at);
    const [first] = ticks;
    if (first === undefined || !isReporter(state, plan.id, tickAt(first))) continue;
    emit(state, {
      kind: "edit",
      edits: [{ kind: "unskip", id: plan.id, ticks }],
      token: nextToken(state),
    });
  }
}

function oldSkips(state: State, plan: Plan, at: number): number[] {
  const old = [...plan.skips.keys()].filter((tick) => tick <= at - keptMs);
  const tooMany = old.length - skipsMax;
  return old.filter(
    (tick, index) => (index < tooMany || tick <= at - forgetAfterMs) && isDone(state, plan, tick),
  );
}

/** An edit of the schedule may have taken the tick away, so that it is never over. */
function isDone(state: State, plan: Plan, tick: number): boolean {
  return isOver(state.ledger.history, plan.id, tickAt(tick), "0") || !isTickOf(plan, tick);
}
