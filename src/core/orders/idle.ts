/**
 * Until when, by its own clock, a peer has nothing to do except heartbeats and sync. Only the simulator asks, to leap over
 * such times (sim/world/leaps.ts). Work that this function overlooks is done late after a leap, but it is done.
 */
import { overdueMs, sweepEveryMs } from "../limits.ts";
import type { State } from "../state.ts";
import { isAboutToEndEarlierLife } from "./earlier-life.ts";
import { nextRefusedAt } from "./refused-ahead.ts";
import { isToReport, nextTickInSightAt } from "./scan.ts";

/** An order that is overdue by more than this has been seen by the sweep, and waits for an event or the end of its window. */
const youngMs = overdueMs + 2 * sweepEveryMs;

/** Wall clock, ms; undefined while something is under way. */
export function idleUntil(state: State): number | undefined {
  const { book, voting, upkeep, now } = state;
  const underWay =
    state.pending.size +
    upkeep.awaitingSync.size +
    upkeep.lookups.size +
    book.runs.size +
    book.asks.size +
    book.claims.size;
  if (!state.alive || upkeep.warmUp !== undefined || underWay > 0 || isToReport(state)) return undefined;
  if (isAboutToEndEarlierLife(state)) return undefined;
  if (voting.proposer.chosenEpochs.length > 0 || voting.voter.successor !== undefined) return undefined;
  let until = Math.min(nextTickInSightAt(state), nextRefusedAt(state));
  for (const order of book.orders.values()) {
    if (now.wall - order.due < youngMs) until = Math.min(until, book.reconcileQueue.at(order), order.due);
  }
  return until;
}
