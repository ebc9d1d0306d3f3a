/**
 * I17, retries: an attempt after the first is one that the job's rules ask for.
 *
 * - A tick has at most as many attempts as some rules of its job that may have been in force allow.
 * - An attempt follows one before it whose child failed, by its pause, within the clocks' error.
 * - A failed attempt that the rules repeat is followed by another one within a minute after its pause, if from its start
 *   to then no peer was disturbed, cut off or away, and nobody asked for a change of the job.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Breach, Evidence, JobRules, Run } from "../world/truth.ts";
import { perhapsInForce } from "./requests.ts";
import { clockErrorMs, groupRuns } from "./ticks.ts";

/** By how much two peers that are well see a pause end at different times, ms. */
const roundingMs = 1_000;
const startsWithinMs = 60_000;
/** A disturbance has effects for so long, ms. */
const lingersMs = 60_000;

type Retry = NonNullable<JobRules["retry"]>;

export function checkRetries(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [tick, runs] of groupRuns(evidence, (run) => `${run.job}@${run.tick}`)) {
    const [first] = runs;
    if (first === undefined) continue;
    const rules = retriesOf(evidence, first.job);
    const say = (run: Run, what: string) =>
      breaches.push({
        rule: "I17",
        at: run.start,
        what: `${tick} attempt ${run.attempt} on ${run.peer} ${what}`,
      });
    for (const run of runs) {
      if (run.attempt > 1) {
        const wrong = wrongWith(evidence, run, runs, rules);
        if (wrong !== undefined) say(run, wrong);
      }
      if (mustBeRepeated(evidence, run, rules) && !runs.some(({ attempt }) => attempt > run.attempt))
        say(run, "failed and was not repeated");
    }
  }
  return breaches;
}

/** The rules about retries that some peer may have held; 0 attempts where there were none. */
export function retriesOf(evidence: Evidence, job: JobId): Retry[] {
  return perhapsInForce(evidence, job).map(({ rules }) => rules.retry ?? { attempts: 0, backoffMs: 0 });
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
  const errorMs = clockErrorMs(evidence, run.start - lingersMs, run.start) + roundingMs;
  const shortestMs = Math.min(...asking.map((rule) => pauseMs(rule, run.attempt - 1)));
  const before = ofTick.filter(
    ({ attempt, outcome }) => attempt === run.attempt - 1 && outcome !== "succeeded",
  );
  if (before.length === 0) return "follows no attempt that had failed";
  return before.some(({ end }) => end !== undefined && end + shortestMs <= run.start + errorMs)
    ? undefined
    : "came too early";
}

function mustBeRepeated(evidence: Evidence, run: Run, rules: readonly Retry[]): boolean {
  const [rule] = rules;
  if (run.outcome !== "failed" || run.end === undefined || rule === undefined) return false;
  // With a limit on the places of a crowded peer it waits for one of them.
  if (evidence.crowded === true || !rules.every(({ attempts }) => attempts >= run.attempt)) return false;
  const from = run.start - lingersMs;
  const to = run.end + Math.max(...rules.map((one) => pauseMs(one, run.attempt))) + startsWithinMs;
  if (from < evidence.from || to > evidence.to) return false;
  const touches = (span: { from: number; to: number }) => span.from <= to && span.to >= from;
  const isDisturbed = [...evidence.outages, ...evidence.cuts, ...evidence.faultWindows].some(touches);
  const isAsked = evidence.operations.some(({ askedAt }) => askedAt >= from - lingersMs && askedAt <= to);
  const isReplaced = perhapsInForce(evidence, run.job).some(
    ({ rules: { overlap } }) => overlap === "replace",
  );
  return !isDisturbed && !isAsked && !isReplaced && !isPaused(evidence, run.job, to);
}

/** True if the last that anybody asked about the job before then was not to have it run. */
function isPaused({ operations }: Evidence, job: JobId, at: number): boolean {
  const last = operations.findLast(
    ({ request, askedAt }) =>
      askedAt <= at &&
      ((request.kind === "put" && request.rules.id === job) ||
        ("id" in request && request.id === job && request.kind !== "run" && request.kind !== "cancel")),
  );
  return last === undefined || (last.request.kind !== "put" && last.request.kind !== "resume");
}
