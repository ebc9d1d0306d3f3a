/**
 * Removes from the table the requests to skip ticks that are over, so that they don't pile up. They are kept for an hour, for
 * peers that hear of the request later than of the tick.
 */
import { tickAt } from "../../schema/ids.ts";
import { isTickOf, type Plan } from "../job/plan.ts";
import { isOver } from "../records/history.ts";
import { emit, nextToken, type State } from "../state.ts";
import { isReporter } from "./reporter.ts";
import { isPlanning } from "./planning.ts";

const keptMs = 3_600_000;

export function removeOldSkips(state: State): void {
  if (!isPlanning(state)) return;
  for (const plan of state.jobs.plans.values()) {
    if (plan.skips.size === 0) continue;
    const ticks = [...plan.skips.keys()].filter((tick) => isOld(state, plan, tick));
    const [first] = ticks;
    if (first === undefined || !isReporter(state, plan.id, tickAt(first))) continue;
    emit(state, {
      kind: "edit",
      edits: [{ kind: "unskip", id: plan.id, ticks }],
      token: nextToken(state),
    });
  }
}

/** An edit of the schedule may have taken the tick away, so that it is never over. */
function isOld(state: State, plan: Plan, tick: number): boolean {
  if (tick > state.now.wall - keptMs) return false;
  return isOver(state.ledger.history, plan.id, tickAt(tick), "0") || !isTickOf(plan, tick);
}
