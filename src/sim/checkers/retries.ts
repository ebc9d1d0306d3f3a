/**
 * I17, retries: an attempt after the first is one that the job's rules ask for.
 *
 * - A tick (of several runs a tick: a slot) has at most as many attempts as some rules of its job that may have been in force
 *   allow.
 * - An attempt follows one before it whose child failed, by its pause, within the clocks' error.
 * - A failed attempt that the rules repeat is followed by another one within a minute after its pause, if from its start
 *   to then no peer was disturbed, cut off or away, and nobody asked for a change. The runner itself may go away once the
 *   others have heard of the end: another peer carries on. (Of a majority job the voters may be too few then.)
 */
import type { JobId } from "../../schema/ids.ts";
import { jobOf, peersFor, type JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { perhapsInForce, surelyInForce } from "./requests.ts";
import { workers } from "./surroundings.ts";
import { clockErrorMs, groupRuns } from "./ticks.ts";

/** By how much two peers that are well see a pause end at different times, ms. */
const roundingMs = 1_000;
const startsWithinMs = 60_000;
/** How long a disturbance has effects, ms. */
const lingersMs = 60_000;
/** After what time the others have the record of an attempt's end, ms. */
const heardWithinMs = 10_000;

type Retry = NonNullable<JobRules["retry"]>;

export function checkRetries(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [tick, runs] of groupRuns(evidence, (run) => `${run.job}@${run.tick}#${run.slot ?? "0"}`)) {
    const [first] = runs;
    if (first === undefined) continue;
    const rules = retriesOf(evidence, first.job);
    const complain = (run: Run, what: string) =>
      breaches.push({
        rule: "I17",
        at: run.start,
        what: `${tick} attempt ${run.attempt} on ${run.peer} ${what}`,
      });
    for (const run of runs) {
      if (run.attempt > 1) {
        const wrong = wrongWith(evidence, run, runs, rules);
        if (wrong !== undefined) complain(run, wrong);
      }
      if (mustBeRepeated(evidence, run, rules) && !runs.some(({ attempt }) => attempt > run.attempt))
        complain(run, "failed and was not repeated");
    }
  }
  return breaches;
}

/**
 * The rules about retries that some peer may have held; 0 attempts if the job repeats nothing, or its failing children count as
 * skipped.
 */
export function retriesOf(evidence: Evidence, job: JobId): Retry[] {
  return perhapsInForce(evidence, job).map(({ rules: { retry, skips } }) =>
    retry === undefined || skips === true ? { attempts: 0, backoffMs: 0 } : retry,
  );
}

/** The pause after an attempt, ms (INTERFACE, `retry`; its factor is 2). */
export function pauseMs({ backoffMs }: Retry, attempt: number): number {
  return backoffMs * 2 ** (attempt - 1);
}

function wrongWith(
  evidence: Evidence,
  run: Run,
  ofTick: readonly Run[],
  rules: readonly Retry[],
): string | undefined {
  const asking = rules.filter(({ attempts }) => attempts >= run.attempt - 1);
  if (asking.length === 0) return "is one too many";
  const shortestMs = Math.min(...asking.map((rule) => pauseMs(rule, run.attempt - 1)));
  const before = ofTick.filter(
    ({ attempt, outcome }) => attempt === run.attempt - 1 && outcome !== "succeeded",
  );
  if (before.length === 0) return "follows no attempt that had failed";
  // The pause was computed by the clock that showed the end of the attempt.
  const since = Math.min(run.start, ...before.map(({ end = Infinity }) => end)) - lingersMs;
  const errorMs = clockErrorMs(evidence, since, run.start) + roundingMs;
  return before.some(({ end }) => end !== undefined && end + shortestMs <= run.start + errorMs)
    ? undefined
    : "came too early";
}

function mustBeRepeated(evidence: Evidence, run: Run, rules: readonly Retry[]): boolean {
  if (run.outcome !== "failed" || run.end === undefined) return false;
  // It may have to wait for a slot of its pool, or for a place on a crowded peer.
  const mayWait = perhapsInForce(evidence, run.job).some((one) => one.rules.pool !== undefined);
  if (mayWait || evidence.crowded === true || !rules.every(({ attempts }) => attempts >= run.attempt))
    return false;
  const from = run.start - lingersMs;
  const to = run.end + Math.max(...rules.map((rule) => pauseMs(rule, run.attempt))) + startsWithinMs;
  const span = surelyInForce(evidence, run.job).find((one) => one.from <= from && one.to >= to);
  if (span === undefined || to > evidence.to || span.rules.overlap === "replace") return false;
  const isPersonAsking = evidence.operations.some(
    ({ request, askedAt }) => jobOf(request) === undefined && askedAt >= from - lingersMs && askedAt <= to,
  );
  return !isPersonAsking && isCarriedOn(evidence, span.rules, run, from, to);
}

/** True if nothing was disturbed, or only the runner went away after the others had heard of the attempt's end. */
function isCarriedOn(evidence: Evidence, rules: JobRules, run: Run, from: number, to: number): boolean {
  const touching = [...evidence.outages, ...evidence.cuts, ...evidence.faultWindows].filter(
    (span) => span.from <= to && span.to >= from,
  );
  if (touching.length === 0) return true;
  if (rules.onAll !== undefined) return false;
  const heardBy = (run.end ?? Infinity) + heardWithinMs;
  const isAway = touching.every(
    (span) =>
      evidence.outages.some((outage) => outage === span && outage.peer === run.peer) && span.from >= heardBy,
  );
  const others = workers(evidence, peersFor(rules), run.start).filter((peer) => peer !== run.peer);
  return isAway && rules.partition !== "majority" && others.length > 0;
}
