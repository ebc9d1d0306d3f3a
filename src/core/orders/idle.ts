/**
 * Until when a peer has nothing to do but keep in touch, by its own clock. The simulator leaps over such stretches
 * (sim/world/leaps.ts); nothing else asks. What this misses is done late after a leap, never left out.
 */
import { overdueMs, sweepEveryMs } from "../limits.ts";
import type { State } from "../state.ts";
import { isToReport, nextTickInSightAt } from "./scan.ts";

/** An order that is overdue by more waits for an event or for the end of its window; the sweep has seen it. */
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
  if (voting.proposer.chosenEpochs.length > 0 || voting.voter.successor !== undefined) return undefined;
  let until = nextTickInSightAt(state);
  for (const order of book.orders.values()) {
    if (now.wall - order.due < youngMs) until = Math.min(until, book.reconcileQueue.at(order), order.due);
  }
  return until;
}
