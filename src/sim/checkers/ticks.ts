/** The ticks that the checkers require, and the runs that answer them. */
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { dueOfTick, ticksOf } from "../client/schedules.ts";
import type { JobRules } from "../world/requests.ts";
import type { Evidence, Run } from "../world/truth.ts";
import { jobsOf, perhapsInForce, surelyInForce } from "./requests.ts";
import { slotsAt } from "./tick-slots.ts";

/** Clocks that differ by less count as equal (DESIGN §11), ms. */
export const sameClockMs = 1_600;

export interface RequiredTick {
  job: JobId;
  tick: TickId;
  /** which of the tick's runs */
  slot: string;
  /** when it is due: the tick's own instant, and its jitter */
  instant: number;
  rules: JobRules;
  /** the job was surely in force with these rules until then */
  until: number;
}

/**
 * Every run of every tick with from ≤ tick < to whose job was surely in force from 5 s before it (a claim comes 2 s ahead) to
 * `marginMs` after it.
 */
export function requiredTicks(
  evidence: Evidence,
  from: number,
  to: number,
  marginMs: number,
): RequiredTick[] {
  const skipped = skippedTicks(evidence);
  const cancelled = cancelledTicks(evidence);
  return jobsOf(evidence).flatMap((job) =>
    surelyInForce(evidence, job).flatMap((span) =>
      ticksOf(span.rules.schedule, Math.max(from, span.from + 5_000), Math.min(to, span.to - marginMs))
        .flatMap((at) =>
          slotsAt(evidence, span.rules, at).map(({ slot, rules }) => ({
            job,
            tick: tickAt(at),
            slot,
            instant: dueOfTick(span.rules, at),
            rules,
            until: span.to,
          })),
        )
        .filter(
          ({ tick, instant }) =>
            !skipped.has(`${job}@${tick}`) &&
            !(hasSlots(span.rules) && cancelled.has(`${job}@${tick}`)) &&
            instant < Math.min(to, span.to - marginMs),
        ),
    ),
  );
}

export function groupRuns(evidence: Evidence, keyOf: (run: Run) => string): Map<string, Run[]> {
  return Map.groupBy(evidence.runs, keyOf);
}

/** Ticks that a client has asked to skip, or may have: whether they run is not required, even if it was taken back. */
function skippedTicks({ operations }: Evidence): ReadonlySet<string> {
  return new Set(
    operations.flatMap(({ request, accepted, answeredAt, refusal }) =>
      request.kind === "skip" && (accepted || answeredAt === undefined || refusal === "SKIP_UNCONFIRMED")
        ? [`${request.id}@${tickAt(request.tick)}`]
        : [],
    ),
  );
}

/** Ticks that a client has asked to cancel: of several runs, those that had not started may never do so. */
function cancelledTicks({ operations }: Evidence): ReadonlySet<string> {
  return new Set(
    operations.flatMap(({ request }) => (request.kind === "cancel" ? [`${request.id}@${request.tick}`] : [])),
  );
}

function hasSlots({ count = 1, onAll }: JobRules): boolean {
  return count > 1 || onAll !== undefined;
}

export function isScheduled(run: Run): boolean {
  return !run.tick.startsWith("manual-");
}

/** When the run's tick was due. */
export function dueOf(evidence: Evidence, { job, tick }: Run): number {
  const at = instantOf(tick);
  const jitterMs = jittersOf(evidence).get(job);
  return jitterMs === undefined ? at : dueOfTick({ id: job, jitterMs }, at);
}

const jitters = new WeakMap<Evidence, Map<JobId, number>>();

/** Jobs with jitter: no edit changes it, so one request is enough to know it. */
function jittersOf(evidence: Evidence): Map<JobId, number> {
  let known = jitters.get(evidence);
  if (known === undefined) {
    known = new Map();
    for (const { request } of evidence.operations)
      if (request.kind === "put" && request.rules.jitterMs !== undefined)
        known.set(request.rules.id, request.rules.jitterMs);
    jitters.set(evidence, known);
  }
  return known;
}

/** The first attempts of each tick: what the schedule asks for. Further ones are for retries.ts. */
export function firstAttempts(runs: readonly Run[]): Run[] {
  return runs.filter(({ attempt }) => attempt === 1);
}

/**
 * True if another tick of the job was in progress in the span, so that overlap rules may have delayed this one. A tick that did
 * not succeed may be in progress for longer, until it is repeated: `untilRepeated` gives the latest instant for that.
 */
export function wasBusy(
  runsOfJob: readonly Run[],
  untilRepeated: (end: number) => number,
  except: string,
  from: number,
  to: number,
): boolean {
  return runsOfJob.some(({ tick, start, end = Infinity, outcome }) => {
    const until = outcome === "succeeded" ? end : untilRepeated(end);
    return tick !== except && start <= to && until >= from;
  });
}

/** How long a paused or disturbed tick may take to be repeated beyond its pause, ms. */
const repeatedLateMs = 600_000;

/** Within this time after an attempt's end the next one has begun; 0 for a job that repeats nothing. */
export function repeatedWithinMs(evidence: Evidence, job: JobId): number {
  const longest = Math.max(
    0,
    ...perhapsInForce(evidence, job).map(({ rules: { retry } }) =>
      retry === undefined ? 0 : retry.backoffMs * 2 ** retry.attempts,
    ),
  );
  return longest === 0 ? 0 : longest + repeatedLateMs;
}

/**
 * When the next attempt has surely begun after one that ended at an instant, or was given up. While the job is stopped it waits, and a
 * job that was stopped for long may not find a runner until its window is over: the voters may have forgotten their votes.
 */
export function repeatedBy(evidence: Evidence, job: JobId): (end: number) => number {
  const laterMs = repeatedWithinMs(evidence, job);
  if (laterMs === 0) return (end) => end;
  const spans = surelyInForce(evidence, job).toSorted((a, b) => a.from - b.from);
  const stops = spans.flatMap(({ to: from }, place) => ({ from, to: spans[place + 1]?.from ?? Infinity }));
  const windowMs = Math.max(0, ...spans.map(({ rules }) => rules.catchUp.windowMs));
  return (end) => {
    let until = end + laterMs;
    let wasStopped = false;
    for (const { from, to } of stops) {
      if (from >= until || to <= end || to - from <= repeatedLateMs) continue;
      until += to - Math.max(from, end);
      wasStopped = true;
    }
    return wasStopped ? until + windowMs : until;
  };
}

/** By how much a fault has set the peer's clock ahead at that instant, ms. */
export function aheadMs({ faultWindows }: Evidence, of: PeerId, at: number): number {
  return faultWindows
    .filter(({ peer, from, to }) => peer === of && from <= at && at < to)
    .reduce((sum, { steppedMs = 0 }) => sum + steppedMs, 0);
}

export function wasRestarted({ outages }: Evidence, of: PeerId, from: number, to: number): boolean {
  return outages.some(
    (outage) => outage.peer === of && outage.kind === "down" && outage.to >= from && outage.to <= to,
  );
}

/** By how much the peer's clock has been set after `from`, as the process that is up at `until` knows, ms. */
export function seenToBeSetMs(evidence: Evidence, peer: PeerId, from: number, until: number): number {
  const isSeen = (at: number) => from < at && at <= until && !wasRestarted(evidence, peer, at, until);
  return evidence.faultWindows
    .filter((window) => window.kind === "clock step" && window.peer === peer)
    .flatMap(({ from: at, to: back, steppedMs = 0 }) => [
      isSeen(at) ? steppedMs : 0,
      isSeen(back) ? -steppedMs : 0,
    ])
    .reduce((sum, ms) => sum + ms, 0);
}

/**
 * True if processes of the first group alone know that their clock was set: since the two groups last agreed or met, and in
 * their present lives.
 */
export function wasSetAlone(
  evidence: Evidence,
  group: readonly PeerId[],
  others: readonly PeerId[],
  at: number,
): boolean {
  const changes = evidence.faultWindows
    .filter(({ kind, from }) => kind === "clock step" && from <= at)
    .flatMap(({ from, to }) => [from, to])
    .filter((change) => change <= at);
  const agreed = changes.filter((change) =>
    group.some((one) =>
      others.some(
        (other) =>
          Math.abs(aheadMs(evidence, one, change - 1) - aheadMs(evidence, other, change - 1)) <= sameClockMs,
      ),
    ),
  );
  const since = Math.max(evidence.from, ...agreed) - 1;
  // A process that has just begun knows of no step before it met the others.
  const met = evidence.outages
    .filter(({ kind, peer, to }) => kind === "down" && [...group, ...others].includes(peer) && to <= at)
    .map(({ to }) => to);
  const wasSet = (peer: PeerId, from: number) =>
    Math.abs(seenToBeSetMs(evidence, peer, from, at)) > sameClockMs;
  const isSet = [since, Math.max(since, ...met)].some((from) => group.some((peer) => wasSet(peer, from)));
  return isSet && !others.some((peer) => wasSet(peer, since));
}

/** True when no clock of the mesh had reached the instant before the job was changed, so that nobody could know of the tick. */
export function wasNeverDue(evidence: Evidence, { instant, until }: RequiredTick, marginMs: number): boolean {
  if (until === Infinity) return false;
  const ends = evidence.faultWindows.map(({ to }) => to).filter((to) => instant < to && to < until);
  return evidence.peers.every((peer) =>
    [until, ...ends].every((at) => at + aheadMs(evidence, peer, at - 1) < instant + marginMs),
  );
}

/** How long the consequences of a wrong clock may last after it was set right, ms. */
const clockLingersMs = 60_000;

/** The largest error of any clock (or of that peer's) in the span, ms. A start may be early or late by this much. */
export function clockErrorMs(evidence: Evidence, from: number, to: number, of?: PeerId): number {
  const errors = [...evidence.clockErrorMs].flatMap(([peer, wanderMs]) => {
    if (of !== undefined && of !== peer) return [];
    const steps = evidence.faultWindows.filter(
      (window) => window.peer === peer && window.from <= to && window.to + clockLingersMs >= from,
    );
    return wanderMs + steps.reduce((sum, { steppedMs = 0 }) => sum + Math.abs(steppedMs), 0);
  });
  return Math.max(0, ...errors);
}
