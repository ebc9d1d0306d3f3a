/**
 * The part of I5 that is about jobs that are paused after a number of failed ticks in a row.
 *
 * If that many ticks in a row surely failed, nothing was disturbed and no client asked anything of the job meanwhile, no tick of
 * it starts any more soon after. Conversely such a job has to run like any other until that many ticks may have failed in a row:
 * only then it is no longer surely in force (requests.ts), until a client resumes it.
 */
import { slotsOf, type JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { jobsOf, undisputed } from "./requests.ts";
import { dueOf, isScheduled } from "./ticks.ts";

/** How soon after the last of its failed ticks has ended a job is paused on every peer, ms. */
const pausedWithinMs = 15_000;
/** How long a disturbance has effects, ms. */
const lingersMs = 60_000;

export function checkFailurePauses(evidence: Evidence): Breach[] {
  return jobsOf(evidence).flatMap((job) => {
    const runs = evidence.runs.filter((run) => run.job === job);
    return undisputed(evidence, job).flatMap(({ rules, from, to }) => {
      const limit = limitOf(rules);
      if (limit === 0) return [];
      const inside = runs.filter((run) => dueOf(evidence, run) > from && run.start < to);
      const pausedAt = surelyPausedAt(evidence, inside, rules, limit);
      return inside
        .filter((run) => isScheduled(run) && run.attempt === 1 && run.start > pausedAt && run.start < to)
        .map((run) => ({
          rule: "I5" as const,
          at: run.start,
          what: `${job}@${run.tick} started on ${run.peer} although ${limit} ticks in a row had failed`,
        }));
    });
  });
}

function limitOf({ pauseAfterFailures = 0, skips }: JobRules): number {
  return skips === true ? 0 : pauseAfterFailures;
}

/** From when on every peer holds the job paused, because that many ticks in a row have failed; Infinity = it may not be so. */
function surelyPausedAt(evidence: Evidence, runs: readonly Run[], rules: JobRules, limit: number): number {
  const ticks = [...Map.groupBy(runs, ({ tick }) => tick).values()].toSorted(
    (a, b) => dueIn(evidence, a) - dueIn(evidence, b),
  );
  for (const place of ticks.keys()) {
    const row = ticks.slice(Math.max(0, place + 1 - limit), place + 1);
    if (row.length < limit || !row.every((ofTick) => hasSurelyFailed(ofTick, rules))) continue;
    const ended = Math.max(...row.flat().map(({ end = Infinity }) => end));
    const began = Math.min(...row.flat().map(({ start }) => start));
    // A later tick may have succeeded before.
    const isNewest = ticks.slice(place + 1).every((ofTick) => ofTick.every(({ start }) => start >= ended));
    if (isNewest && isCalm(evidence, began, ended + pausedWithinMs)) return ended + pausedWithinMs;
  }
  return Infinity;
}

function dueIn(evidence: Evidence, [run]: readonly Run[]): number {
  return run === undefined ? Infinity : dueOf(evidence, run);
}

/** Whether the tick has surely failed: all of its runs have, in each slot up to the last attempt. */
function hasSurelyFailed(ofTick: readonly Run[], rules: JobRules): boolean {
  // Other peers of the tick may still have their turn.
  if (rules.onAll !== undefined) return false;
  const areLast = slotsOf(rules).every((slot) =>
    ofTick.some((run) => (run.slot ?? "0") === slot && run.attempt > (rules.retry?.attempts ?? 0)),
  );
  return areLast && ofTick.every(({ outcome, end }) => outcome === "failed" && end !== undefined);
}

function isCalm({ outages, cuts, faultWindows }: Evidence, from: number, to: number): boolean {
  return ![...outages, ...cuts, ...faultWindows].some(
    (span) => span.from <= to && span.to >= from - lingersMs,
  );
}
