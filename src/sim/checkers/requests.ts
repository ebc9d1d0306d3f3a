/**
 * What the checkers conclude from clients' requests: in which spans of time a job was surely in force everywhere, and
 * in which it may have been in force somewhere.
 */
import { instantOf, type JobId, type TickId } from "../../schema/ids.ts";
import { jobOf, type ClientRequest, type JobRules, type Operation } from "../world/requests.ts";
import type { Evidence, Run } from "../world/truth.ts";
import { convergesMs, knownToAll } from "./surroundings.ts";

export interface InForce {
  rules: JobRules;
  from: number;
  to: number;
}

/** Requests that leave the job as it is. */
const ofOneTick: ReadonlySet<ClientRequest["kind"]> = new Set([
  "run",
  "backfill",
  "cancel",
  "skip",
  "unskip",
]);

/** All requests that change one job and were not refused, in the order of asking. */
function changesOf(evidence: Evidence, job: JobId): Operation[] {
  return evidence.operations
    .filter(({ request }) => jobOf(request) === job && !ofOneTick.has(request.kind))
    .filter(({ accepted, answeredAt }) => accepted || answeredAt === undefined)
    .toSorted((a, b) => a.askedAt - b.askedAt);
}

export function jobsOf(evidence: Evidence): JobId[] {
  return [...new Set(evidence.operations.flatMap(({ request }) => jobOf(request) ?? []))];
}

/**
 * When all peers must have known the change; Infinity if it was never answered, because it may still take effect later.
 */
export function convergedAt(evidence: Evidence, { answeredAt, knownAt }: Operation): number {
  return knownAt ?? (answeredAt === undefined ? Infinity : knownToAll(evidence, answeredAt));
}

/**
 * The index of the first change that was asked for before an earlier one was known to all. From there on an observer
 * can't know the result, because a deletion wins over changes that it did not see.
 */
function firstUnclear(evidence: Evidence, changes: readonly Operation[]): number {
  let converged = -Infinity;
  for (const [index, change] of changes.entries()) {
    if (change.askedAt < converged) return index;
    converged = Math.max(converged, convergedAt(evidence, change));
  }
  return Infinity;
}

/** Spans in which the job was surely in force on every peer, enabled and not paused, and not in a maintenance. */
export function surelyInForce(evidence: Evidence, job: JobId): InForce[] {
  const paused = perhapsPausedByFailures(evidence, job);
  return without(perhapsMaintained(evidence), undisputed(evidence, job)).flatMap((span) => {
    if (paused.some(({ from, to }) => from <= span.from && span.from < to)) return [];
    const next = Math.min(...paused.flatMap(({ from }) => (from > span.from ? from : [])), span.to);
    return [{ ...span, to: next }];
  });
}

function without(holes: readonly { from: number; to: number }[], spans: readonly InForce[]): InForce[] {
  return holes.reduce<readonly InForce[]>(
    (left, hole) =>
      left.flatMap((span) =>
        [
          { ...span, to: Math.min(span.to, hole.from) },
          { ...span, from: Math.max(span.from, hole.to) },
        ].filter(({ from, to }) => from < to),
      ),
    spans,
  ) as InForce[];
}

/** How much longer than a maintenance its effects may last, ms: what waited meanwhile starts, and jobs catch up. */
const maintainedAroundMs = 60_000;

/** Spans in which some peer may take a maintenance to be in force. */
function perhapsMaintained(evidence: Evidence): { from: number; to: number }[] {
  const steps = evidence.faultWindows.map(({ steppedMs = 0 }) => Math.abs(steppedMs));
  const errorMs = Math.max(0, ...evidence.clockErrorMs.values(), ...steps) + maintainedAroundMs;
  return evidence.operations.flatMap(({ request, accepted, answeredAt }) =>
    request.kind === "maintain" && (accepted || answeredAt === undefined)
      ? [{ from: request.from - errorMs, to: request.to + errorMs }]
      : [],
  );
}

/** Spans in which every peer knows that a maintenance is in force. None if a clock was set. */
export function surelyMaintained(evidence: Evidence): { from: number; to: number }[] {
  if (evidence.faultWindows.some(({ kind }) => kind === "clock step")) return [];
  const errorMs = Math.max(0, ...evidence.clockErrorMs.values()) + 1;
  return evidence.operations.flatMap((operation) => {
    const { request, accepted } = operation;
    if (request.kind !== "maintain" || !accepted) return [];
    const from = Math.max(request.from, convergedAt(evidence, operation)) + errorMs;
    const to = request.to - errorMs;
    return from < to ? [{ from, to }] : [];
  });
}

/**
 * Spans in which some peer may hold the job paused because of failed ticks: from when enough ticks may have failed in a row,
 * until a client resumes it. A run that was disturbed may have been lost for some peers, whatever became of it. Where it isn't sure
 * that the job was paused, a resume may have had no effect, so what failed before it still counts.
 */
function perhapsPausedByFailures(evidence: Evidence, job: JobId): { from: number; to: number }[] {
  const changes = changesOf(evidence, job);
  const limits = changes.flatMap(({ request }) =>
    request.kind === "put" ? (request.rules.pauseAfterFailures ?? []) : [],
  );
  if (limits.length === 0) return [];
  const limit = Math.min(...limits);
  const runs = evidence.runs.filter((run) => run.job === job).toSorted((a, b) => a.start - b.start);
  const spans: { from: number; to: number }[] = [];
  let failed: TickId[] = [];
  const doubtful = runs.filter((run) => !hasSurelySucceeded(evidence, run));
  // A tick with several slots succeeds when all of them do.
  const doubtfulTicks = new Set(doubtful.map(({ tick }) => tick));
  for (const { tick, start, end = Infinity } of doubtful) {
    const successes = runs.filter(
      (run) => !doubtfulTicks.has(run.tick) && knownToAll(evidence, run.end ?? Infinity) <= start,
    );
    const newest = Math.max(...successes.map((run) => instantOf(run.tick)));
    failed = [...failed, tick].filter((one) => instantOf(one) > newest);
    if (new Set(failed).size < limit) continue;
    // A resume before the run's end is known, or at a peer that doesn't know of the pause yet, has no effect.
    const known = knownToAll(evidence, end);
    const resume = changes.find(
      ({ request, askedAt }) => (request.kind === "resume" || request.kind === "delete") && askedAt > known,
    );
    spans.push({ from: start, to: resume === undefined ? Infinity : convergedAt(evidence, resume) });
  }
  return spans;
}

function hasSurelySucceeded(evidence: Evidence, { start, end = Infinity, outcome }: Run): boolean {
  const isCalm = knownToAll(evidence, start) === start + convergesMs;
  return outcome === "succeeded" && isCalm && knownToAll(evidence, end) === end + convergesMs;
}

/** Spans in which the job was surely in force as far as clients' requests say. */
export function undisputed(evidence: Evidence, job: JobId): InForce[] {
  const changes = changesOf(evidence, job);
  const spans: InForce[] = [];
  const unclear = firstUnclear(evidence, changes);
  let rules: JobRules | undefined;
  for (const [index, change] of changes.entries()) {
    if (index >= unclear) break;
    if (change.request.kind === "put") rules = change.request.rules;
    else if (change.request.kind === "delete") rules = undefined;
    if (rules === undefined || rules.enabled === false || isPausedAfter(changes.slice(0, index + 1)))
      continue;
    // Until every earlier change has converged too, some peer may see the changes in another order.
    const from = Math.max(...changes.slice(0, index + 1).map((earlier) => convergedAt(evidence, earlier)));
    const to = changes[index + 1]?.askedAt ?? Infinity;
    if (from < to) spans.push({ rules, from, to });
  }
  return spans;
}

/** A pause outlives edits; only a resume or a delete ends it. */
function isPausedAfter(changes: readonly Operation[]): boolean {
  const last = changes.findLast(({ request }) => request.kind !== "put");
  return last?.request.kind === "pause";
}

/** Whether some peer may hold the job paused at the end, or have held it so until that long before (ms). */
export function mayBePausedAtEnd(evidence: Evidence, job: JobId, agoMs: number): boolean {
  const changes = changesOf(evidence, job);
  const byFailures = perhapsPausedByFailures(evidence, job).some(({ to }) => to > evidence.to - agoMs);
  return (
    byFailures ||
    changes.some((_, index) => {
      const next = changes.slice(index + 1).find(({ request }) => request.kind !== "put");
      const isPause = isPausedAfter(changes.slice(0, index + 1));
      return isPause && (next === undefined || convergedAt(evidence, next) > evidence.to - agoMs);
    })
  );
}

/** Spans in which some peer may have held the job with these rules, enabled and not paused. */
export function perhapsInForce(evidence: Evidence, job: JobId): InForce[] {
  const changes = changesOf(evidence, job);
  const unclear = firstUnclear(evidence, changes);
  const spans: InForce[] = [];
  for (const [index, change] of changes.entries()) {
    if (change.request.kind !== "put" || change.request.rules.enabled === false) continue;
    const end = changes.findIndex(
      ({ request }, later) => later > index && (request.kind === "put" || request.kind === "delete"),
    );
    const next = end < unclear ? changes[end] : undefined;
    spans.push({
      rules: change.request.rules,
      from: change.askedAt,
      to: next === undefined ? Infinity : convergedAt(evidence, next),
    });
  }
  return spans;
}

/** Says why a request stops the job's starts, and which requests may resume them. */
function revokedBy(
  request: ClientRequest,
): { why: string; until: ClientRequest["kind"][]; forMs?: number } | undefined {
  if (request.kind === "delete") return { why: "deleted", until: ["put"] };
  if (request.kind === "pause")
    return {
      why: "paused",
      until: ["resume", "delete"],
      ...(request.forMs === undefined ? {} : { forMs: request.forMs }),
    };
  const isDisabled = request.kind === "put" && request.rules.enabled === false;
  return isDisabled ? { why: "disabled", until: ["put", "delete"] } : undefined;
}

/** Spans in which no peer may start the job: it had been deleted or paused, and all peers knew. */
export function surelyRevoked(evidence: Evidence, job: JobId): { from: number; to: number; why: string }[] {
  const changes = changesOf(evidence, job);
  const unclear = firstUnclear(evidence, changes);
  const spans: { from: number; to: number; why: string }[] = [];
  // A peer whose clock was set forward ends a pause with an end before the others do.
  const isSet = evidence.faultWindows.some(({ kind }) => kind === "clock step");
  const errorMs = isSet ? Infinity : Math.max(0, ...evidence.clockErrorMs.values());
  for (const [index, { request, askedAt }] of changes.entries()) {
    if (index >= unclear) break;
    const ends = revokedBy(request);
    if (ends === undefined) continue;
    const from = Math.max(...changes.slice(0, index + 1).map((earlier) => convergedAt(evidence, earlier)));
    const next = changes.slice(index + 1).find(({ request: later }) => ends.until.includes(later.kind));
    const ended = ends.forMs === undefined ? Infinity : askedAt + ends.forMs - errorMs;
    const to = Math.min(next?.askedAt ?? Infinity, ended);
    if (from < to) spans.push({ from, to, why: ends.why });
  }
  return spans;
}

/** Whether the job must be there or gone after the last request about it, if that is clear. */
export function stateAtEnd(evidence: Evidence, job: JobId): "there" | "gone" | "unclear" {
  const changes = changesOf(evidence, job);
  const last = changes.at(-1);
  if (last === undefined || changes.some(({ answeredAt }) => answeredAt === undefined)) return "unclear";
  for (const [index, change] of changes.entries()) {
    const next = changes[index + 1];
    if (next !== undefined && next.askedAt < convergedAt(evidence, change)) return "unclear";
  }
  if (convergedAt(evidence, last) > evidence.to) return "unclear";
  const made = changes.findLast(({ request }) => request.kind === "put" || request.kind === "delete");
  if (made === undefined) return "unclear";
  return made.request.kind === "put" ? "there" : "gone";
}
