/**
 * Past ticks that people ask for again (backfill), as a job with several parents sees them. Each request has ticks with names of
 * their own (schema/backfill.ts), so the parents of one past tick end under different names, and some of them have run it
 * by their schedule. Pure rules.
 */
import { isManual, type TickId } from "../../schema/ids.ts";
import type { RunState } from "../../schema/run-states.ts";
import { isEndOfRun } from "./chain.ts";

/** One end of a parent's past tick: by its schedule, or by one of the requests. */
export interface PastEnd {
  readonly tick: TickId;
  readonly state: RunState;
  /** when it ended, ms */
  readonly at: number;
}

/** Which of two ends of one parent counts: a run wins over a tick that was skipped or missed; otherwise the later end counts. */
export function endThatCounts<End extends PastEnd>(a: End, b: End): End {
  const [isRun, otherIsRun] = [isEndOfRun(a.state), isEndOfRun(b.state)];
  if (isRun !== otherIsRun) return isRun ? a : b;
  if (a.at !== b.at) return a.at > b.at ? a : b;
  return a.tick > b.tick ? a : b;
}

/**
 * The tick that the job itself gets, of the ticks of its parents' ends: that of the latest request. All peers that know the same
 * ends give it the same name, so it runs once, whichever parent ends last. Undefined = no request is among them.
 */
export function tickThatFollows(ends: Iterable<TickId>): TickId | undefined {
  let latest: TickId | undefined;
  for (const tick of ends) if (isManual(tick) && (latest === undefined || tick > latest)) latest = tick;
  return latest;
}
