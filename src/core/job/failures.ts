/**
 * How many of a job's last ticks have failed in a row (INTERFACE, `pauseAfterFailures`). A pure rule.
 *
 * What counts is how a tick ended, and not each of its attempts. A tick that was skipped, missed or cancelled counts neither as
 * a failure nor as a success, because it doesn't tell whether the job works.
 */
import type { RunState } from "../../schema/run-states.ts";

const failures: ReadonlySet<RunState> = new Set(["failed", "timeout", "lost"]);

export function isFailure(state: RunState): boolean {
  return failures.has(state);
}

/** The failed ticks after the last that succeeded, newest first. `ticks` are over; in any order. */
export function failedInARow<Tick extends { readonly instant: number; readonly state: RunState }>(
  ticks: readonly Tick[],
): Tick[] {
  const failed: Tick[] = [];
  for (const tick of ticks.toSorted((a, b) => b.instant - a.instant)) {
    if (tick.state === "succeeded") break;
    if (isFailure(tick.state)) failed.push(tick);
  }
  return failed;
}
