/**
 * Jobs that run on each of their peers. tick-slots.ts says which runs are required of them; I1, I6 and I9 judge it.
 *
 * - I4: each peer runs its own slot alone. The peers of a tick are fixed when it comes: one that joined after a run of it had
 *   begun, and could talk to that run's peer since, runs nothing of it.
 * - I10, rolling: a run begins only if fewer runs of its tick than the rules allow are in progress, or have ended so shortly
 *   before that the pause after them isn't over, on peers of which its peer could know. After as many failures as the rules say
 *   none begins.
 * - I1, rolling: if all runs of a tick so far have succeeded and nothing is disturbed, the next one begins within a minute, until
 *   each peer that all others know has had its turn.
 */
import type { PeerId, JobId } from "../../schema/ids.ts";
import { jobOf, type JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { couldKnow } from "./overlap.ts";
import { jobsOf, perhapsInForce, surelyInForce } from "./requests.ts";
import { convergesMs, together } from "./surroundings.ts";
import { joinedAt, slotsAt } from "./tick-slots.ts";
import { clockErrorMs, dueOf, firstAttempts, groupRuns, isScheduled } from "./ticks.ts";

/** A run that its launcher had received before another one failed may still start within this time, ms. */
const launchMs = 3_500;
/** Two peers that can talk have told each other of a tick after this time, ms. */
const heardWithinMs = 10_000;
/** How long a disturbance has effects, ms. */
const lingersMs = 60_000;
/** A launcher notices that its peer is gone, and its clock rounds, ms. */
const roundingMs = 100;

/** The rules of the job, if it surely ran on all peers as long as some peer held it. */
function rulesOf(evidence: Evidence, job: JobId): readonly JobRules[] {
  const rules = perhapsInForce(evidence, job).map((span) => span.rules);
  return rules.every(({ onAll }) => onAll !== undefined) ? rules : [];
}

export function checkAllPeers(evidence: Evidence): Breach[] {
  return jobsOf(evidence).flatMap((job) => {
    const rules = rulesOf(evidence, job);
    if (rules.length === 0) return [];
    const ticks = groupRuns(
      { ...evidence, runs: evidence.runs.filter((run) => run.job === job) },
      (run) => run.tick,
    );
    return [...ticks.values()].flatMap((runs) => [
      ...wrongPeers(evidence, runs),
      ...wrongTurns(evidence, runs, rules),
      ...unfinished(evidence, runs),
    ]);
  });
}

function wrongPeers(evidence: Evidence, runs: readonly Run[]): Breach[] {
  const [first] = runs.toSorted((a, b) => a.start - b.start);
  return firstAttempts(runs).flatMap((run) => {
    const breach = (what: string): Breach[] => [
      { rule: "I4", at: run.start, what: `${run.job}@${run.tick} on ${run.peer}: ${what}` },
    ];
    if (run.slot !== run.peer) return breach(`it ran the part of ${run.slot}`);
    if (first === undefined || run.peer === first.peer) return [];
    const joined = joinedAt(evidence, run.peer);
    const isLater = joined > first.start && run.start > joined + heardWithinMs;
    return isLater && together(evidence, run.peer, first.peer, joined, run.start)
      ? breach(`it joined after the tick had begun on ${first.peer}`)
      : [];
  });
}

function wrongTurns(evidence: Evidence, runs: readonly Run[], rules: readonly JobRules[]): Breach[] {
  const rolling = rules.map(({ onAll }) => onAll?.rolling);
  const [rule] = rolling;
  if (rule === undefined || rolling.includes(undefined)) return [];
  const inOrder = runs.toSorted((a, b) => a.start - b.start);
  return inOrder.flatMap((run, index) => {
    // A further attempt is allowed whatever the other runs of the tick do.
    if (run.attempt > 1) return [];
    const known = inOrder
      .slice(0, index)
      .filter((earlier) => earlier.peer !== run.peer && couldKnow(evidence, earlier, run));
    const errorOf = (peer: PeerId): number => clockErrorMs(evidence, run.start, run.start, peer);
    const beside = known.filter(({ peer, end = Infinity, outcome }) => {
      // The end is dated by one clock, and the start by another.
      const errorMs = errorOf(peer) + errorOf(run.peer) + roundingMs;
      const pauseMs = outcome === "killed" ? 0 : rule.pauseMs - errorMs;
      return end + Math.max(0, pauseMs) > run.start;
    });
    const breach = (what: string): Breach[] => [
      { rule: "I10", at: run.start, what: `${run.job}@${run.tick} started on ${run.peer} ${what}` },
    ];
    // All attempts of a peer's slot are in one place.
    const holders = new Set(beside.map(({ peer }) => peer));
    if (holders.size >= placesIn(evidence, rule.max))
      return breach(`beside ${[...holders].join(", ")}, with ${rule.max} places`);
    const failed = known.filter((earlier) => hasFailedBefore(evidence, earlier, run, rules));
    const isStopped = rule.stopAfter > 0 && new Set(failed.map(({ peer }) => peer)).size >= rule.stopAfter;
    return isStopped ? breach(`although ${failed.map(({ peer }) => peer).join(", ")} had failed`) : [];
  });
}

function unfinished(evidence: Evidence, runs: readonly Run[]): Breach[] {
  const [any] = runs;
  if (any === undefined || !isScheduled(any) || evidence.crowded === true) return [];
  const due = dueOf(evidence, any);
  const lastEnd = Math.max(...runs.map(({ end = Infinity }) => end));
  const span = surelyInForce(evidence, any.job).find(({ from, to }) => from <= due - lingersMs && due <= to);
  const rule = span?.rules.onAll?.rolling;
  if (span === undefined || rule === undefined || span.rules.pool !== undefined) return [];
  const until = lastEnd + rule.pauseMs + lingersMs;
  const touches = ({ from, to }: { from: number; to: number }) => from <= until && to >= due - lingersMs;
  const isCalm = ![...evidence.outages, ...evidence.cuts, ...evidence.faultWindows].some(touches);
  // A cancel, a drain or an edit may end it.
  const isAsked = evidence.operations.some(
    ({ request, askedAt }) =>
      askedAt >= due - 2 * lingersMs &&
      askedAt <= until &&
      (jobOf(request) === undefined || jobOf(request) === any.job),
  );
  const isWell = runs.every(({ outcome }) => outcome === "succeeded");
  if (!isWell || !isCalm || isAsked || until > Math.min(span.to, evidence.to)) return [];
  if (span.rules.overlap === "replace" || evidence.gossipIsLost === true) return [];
  const left = slotsAt(evidence, span.rules, due).filter(
    ({ slot }) => !runs.some((run) => run.slot === slot),
  );
  const what = `${any.job}@${any.tick} did not go on to ${left.map(({ slot }) => slot).join(", ")}`;
  return left.length === 0 ? [] : [{ rule: "I1", at: lastEnd, what }];
}

/** No fewer than the tick's own peers allow. */
function placesIn(evidence: Evidence, max: number | `${number}%`): number {
  if (typeof max === "number") return max;
  const share = Number.parseInt(max, 10) / 100;
  return Math.max(1, Math.floor(evidence.peers.length * share));
}

/** The child failed in its last attempt, and the run's peer had heard of it. */
function hasFailedBefore(
  evidence: Evidence,
  { attempt, outcome, end = Infinity, peer }: Run,
  run: Run,
  rules: readonly JobRules[],
): boolean {
  const isLast = rules.every(({ retry, skips }) => skips !== true && attempt > (retry?.attempts ?? 0));
  if (outcome !== "failed" || !isLast || end + launchMs > run.start) return false;
  const hasHeard = evidence.gossipIsLost !== true || end + convergesMs < run.start;
  return hasHeard && together(evidence, peer, run.peer, end - launchMs, run.start);
}
