/**
 * I16, pruned stays pruned: records beyond what a job keeps are gone everywhere and don't come back. This file also
 * tells the other checkers which ticks' records must still be there.
 *
 * A job keeps its newest ticks, by number and by age. Not pruned are ticks younger than its catch-up window (and those of the
 * jobs after which it runs) and an hour, ticks with an open record, and the job's last tick and last success. Each peer prunes about every ten minutes.
 * A peer that was away for more than an hour first waits until it has been up for as long, but at most for a day. The
 * time for which any clock was set wrong counts as such an absence of every peer, and if it was set by more than 40
 * minutes, all wait for a day. Records that reached the peer only later, because it knew no other before, don't count.
 *
 * What a peer has pruned it takes from nobody again. This isn't judged if a clock was set: a horizon of a wrong clock
 * doesn't count.
 */
import { instantOf, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { ticksOf } from "../client/schedules.ts";
import type { JobRules } from "../world/requests.ts";
import type { Breach, Evidence, FaultWindow, Knowledge, RecordSeen } from "../world/truth.ts";
import { jobsOf, perhapsInForce } from "./requests.ts";
import { pauseMs } from "./retries.ts";
import { isScheduled, sameClockMs } from "./ticks.ts";

const hourMs = 3_600_000;
/** How long it may take until a record is pruned: some rounds of pruning, and the rest of a bucket, ms. */
const roundsMs = 2_400_000;
/** A peer that was away for less prunes at once, ms: an hour, less the time since its last rounds of pruning. */
const trustedMs = 40 * 60_000;
/** A peer that was away for longer waits for at most this time, ms, but begins anew after an absence of a week. */
const longestWaitMs = 24 * hourMs;
const anewMs = 7 * 24 * hourMs;
/** A peer that was up for less between two absences may not have noticed the first one, ms. */
const noticedMs = 10_000;
/** A job's last tick and last success always stay; one more may be on its way. */
const keptAnyway = 3;

interface Keeping {
  runs: number;
  ageMs: number;
  /** records this young are never pruned */
  youngMs: number;
}

/** The least and the most that a job keeps, over all revisions that were asked for; undefined = everything. */
function keepingOf(evidence: Evidence, job: JobId): { least: Keeping; most: Keeping } | undefined {
  const rules = rulesOf(evidence, job);
  const keeps = rules.flatMap(({ keep }) => keep ?? []);
  if (keeps.length < rules.length || keeps.length === 0) return undefined;
  const youngMs = longestWindowMs(evidence, job, new Set()) + hourMs + longestProgressMs(evidence);
  const runs = keeps.map((keep) => keep.runs);
  const ages = keeps.map((keep) => keep.ageMs);
  return {
    least: { runs: Math.min(...runs), ageMs: Math.min(...ages), youngMs: hourMs },
    most: { runs: Math.max(...runs), ageMs: Math.max(...ages), youngMs },
  };
}

function rulesOf({ operations }: Evidence, job: JobId): JobRules[] {
  return operations.flatMap(({ request }) =>
    request.kind === "put" && request.rules.id === job ? [request.rules] : [],
  );
}

/** How old a tick may be when it is caught up: a job that runs after others has its window after theirs. */
function longestWindowMs(evidence: Evidence, job: JobId, seen: Set<JobId>): number {
  if (seen.has(job)) return 0;
  seen.add(job);
  const rules = rulesOf(evidence, job);
  const parents = new Set(rules.flatMap(({ after }) => after?.jobs ?? []));
  const ofParents = [...parents].map((parent) => longestWindowMs(evidence, parent, new Set(seen)));
  return Math.max(0, ...rules.map(({ catchUp }) => catchUp.windowMs)) + Math.max(0, ...ofParents);
}

/**
 * How long a tick may be in progress because its attempts are repeated. Then neither it nor what is newer is pruned, nor the
 * jobs that run after it or before it.
 */
function longestProgressMs(evidence: Evidence): number {
  const pauses = evidence.operations.map(({ request }) => {
    const retry = request.kind === "put" ? request.rules.retry : undefined;
    return retry === undefined ? 0 : pauseMs(retry, retry.attempts + 1);
  });
  return Math.max(0, ...pauses);
}

/**
 * Returns a function that says whether the records of a tick must still be on every peer at the end. Call this once per
 * world, because it counts all ticks.
 */
export function retainedTicks(evidence: Evidence): (job: JobId, tick: TickId) => boolean {
  const beginnings = new Map<JobId, number>();
  const latest = latestPruningTime(evidence);
  for (const job of jobsOf(evidence)) {
    const keeping = keepingOf(evidence, job)?.least;
    if (keeping === undefined) continue;
    const future = futureTicks(evidence, job);
    const ancestry = withParents(evidence, job, new Set());
    const instants = [
      ...new Set([
        ...scheduledTicks(evidence, job, latest),
        // By a clock that was set wrong a tick runs at another time than its own, and under another revision.
        ...evidence.runs
          .filter((run) => run.job === job && isScheduled(run))
          .map(({ tick }) => instantOf(tick)),
        ...evidence.operations.flatMap(({ request, askedAt }) =>
          request.kind === "run" && ancestry.has(request.id) ? [askedAt] : [],
        ),
        ...future,
      ]),
    ].toSorted((a, b) => b - a);
    const byNumber = instants[keeping.runs - keptAnyway] ?? -Infinity;
    const now = Math.max(latest, ...future);
    const byAge = now - keeping.ageMs + hourMs;
    beginnings.set(job, Math.min(now - keeping.youngMs, Math.max(byNumber, byAge)));
  }
  return (job, tick) => instantOf(tick) > (beginnings.get(job) ?? -Infinity);
}

/** The job, and those whose runs by hand it may run after. */
function withParents(evidence: Evidence, job: JobId, found: Set<JobId>): ReadonlySet<JobId> {
  if (found.has(job)) return found;
  found.add(job);
  for (const { after } of rulesOf(evidence, job))
    for (const parent of after?.jobs ?? []) withParents(evidence, parent, found);
  return found;
}

/** Every tick that the job may have had by then; of one that runs after others, all of theirs. */
function scheduledTicks(evidence: Evidence, job: JobId, until: number): number[] {
  return perhapsInForce(evidence, job).flatMap(({ rules, from, to }) => {
    if (rules.after !== undefined)
      return rules.after.jobs.flatMap((parent) => scheduledTicks(evidence, parent, until));
    return ticksOf(rules.schedule, from, Math.min(to, until));
  });
}

/**
 * The latest time by which a peer may have pruned: the world's end, or what a clock showed that had been ahead for as
 * long as its peer waits after such a jump.
 */
function latestPruningTime({ faultWindows, to }: Evidence): number {
  const wrong = faultWindows.flatMap(({ kind, from, to: until, steppedMs = 0 }) =>
    kind === "clock step" && until - from >= Math.min(steppedMs, longestWaitMs) ? [until + steppedMs] : [],
  );
  return Math.max(to, ...wrong);
}

/**
 * Ticks after the end of which every peer holds a record: all clocks were ahead, by them these ticks were due, and older
 * ones were pruned.
 */
function futureTicks({ final, to }: Evidence, job: JobId): number[] {
  const [first = new Set<TickId>(), ...others] = final.map(
    ({ records }) =>
      new Set([...records.values()].filter((record) => record.job === job).map(({ tick }) => tick)),
  );
  const heldByAll = [...first].filter((tick) => others.every((ticks) => ticks.has(tick)));
  return heldByAll.map(instantOf).filter((instant) => instant > to);
}

export function checkPruned(evidence: Evidence): Breach[] {
  const kept = jobsOf(evidence).flatMap((job) => {
    const keeping = keepingOf(evidence, job)?.most;
    if (keeping === undefined) return [];
    return evidence.final.flatMap((knowledge) => tooMany(evidence, knowledge, job, keeping));
  });
  return [...kept, ...takenAgain(evidence)];
}

function takenAgain(evidence: Evidence): Breach[] {
  if (evidence.faultWindows.some(({ kind }) => kind === "clock step")) return [];
  return (evidence.takenAgain ?? []).map(({ peer, record }) => ({
    rule: "I16",
    at: evidence.to,
    what: `${peer} has taken ${record} again, which it had pruned`,
  }));
}

/** A time in which a peer did not prune. */
interface Gap {
  from: number;
  to: number;
  /** it was away; false: it had perhaps not been started before, or a clock was set and it may have pruned all the same */
  isSure: boolean;
  /** no process of it was there: a paused one counts the time */
  isDown: boolean;
  /** a clock was set so far wrong that the peer waits for as long as it ever does */
  isFar: boolean;
}

/** Gaps with hardly any time between them are one. */
function gapsOf(evidence: Evidence, peer: PeerId): Gap[] {
  const gaps: Gap[] = [
    ...evidence.outages
      .filter((outage) => outage.peer === peer)
      .map(({ from, to, kind }) => ({
        from,
        to,
        // Before its first start a peer was not away, and then it needn't wait.
        isSure: from > evidence.from,
        isDown: kind === "down",
        isFar: false,
      })),
    // Steps of all clocks count, because they decide together which clock is right.
    ...evidence.faultWindows.filter(isStep).map((step) => ({
      from: step.from,
      to: step.to,
      isSure: false,
      isDown: false,
      isFar: offMs(step) > trustedMs,
    })),
  ].toSorted((one, other) => one.from - other.from);
  const joined: Gap[] = [];
  for (const gap of gaps) {
    const last = joined.at(-1);
    if (last === undefined || gap.from > last.to + noticedMs) {
      joined.push({ ...gap });
      continue;
    }
    last.to = Math.max(last.to, gap.to);
    last.isSure &&= gap.isSure;
    last.isDown &&= gap.isDown;
    last.isFar ||= gap.isFar;
  }
  return joined;
}

/**
 * The latest time at which the peer must have pruned. Each absence makes it wait, by how long it is since its last round, and while
 * it waits, another absence doesn't make it wait for longer, unless that absence is very long. When it last pruned is known
 * only within bounds, and so is how long it still waits: at least `leastMs` and at most `mostMs`.
 */
function prunedBy(evidence: Evidence, peer: PeerId): number {
  let prunedAt = evidence.from;
  let upSince = evidence.from;
  let [leastMs, mostMs] = [0, 0];
  const on = (until: number): void => {
    if (until <= upSince) return;
    const upMs = until - upSince;
    if (upMs >= mostMs) prunedAt = until;
    leastMs = Math.max(0, leastMs - upMs - trustedMs);
    mostMs = Math.max(0, mostMs - upMs);
  };
  for (const gap of gapsOf(evidence, peer)) {
    on(gap.from);
    const to = Math.min(gap.to, evidence.to);
    if (to <= upSince) continue;
    upSince = to;
    if (gap.isFar) {
      mostMs = longestWaitMs;
      continue;
    }
    const skippedMs = to - prunedAt;
    const isAnew = gap.to - gap.from > anewMs;
    if (!gap.isDown) leastMs = Math.max(0, leastMs - (gap.to - gap.from));
    // It waits anew if it doesn't wait already.
    if (leastMs > 0 && !isAnew) continue;
    if (mostMs === 0 || isAnew) {
      const surelyMs = gap.isSure ? Math.min(gap.to - gap.from, longestWaitMs) : 0;
      leastMs = surelyMs > trustedMs ? surelyMs : 0;
    }
    if (skippedMs > trustedMs) mostMs = Math.max(mostMs, Math.min(skippedMs + trustedMs, longestWaitMs));
  }
  on(evidence.to);
  return prunedAt;
}

/** After such a step its peer, or another one, may doubt its own clock and then prunes nothing. */
function isStep(window: FaultWindow): boolean {
  return window.kind === "clock step" && offMs(window) > sameClockMs;
}

function offMs({ steppedMs }: FaultWindow): number {
  return Math.abs(steppedMs ?? Infinity);
}

function tooMany(evidence: Evidence, { peer, records }: Knowledge, job: JobId, keeping: Keeping): Breach[] {
  if (neverKnew(evidence, peer, job)) return [];
  const prunedAt = prunedBy(evidence, peer);
  // Ticks from before the world's beginning come from a clock that was set wrong.
  const wasThere = ({ tick, writtenAt = -Infinity, arrivedAt = -Infinity }: RecordSeen): boolean =>
    instantOf(tick) >= evidence.from && Math.max(instantOf(tick), writtenAt, arrivedAt) <= prunedAt;
  const ofJob = [...records.values()].filter((one) => one.job === job && wasThere(one));
  const ticks = [...Map.groupBy(ofJob, ({ tick }) => tick)]
    .map(([tick, some]) => ({ instant: instantOf(tick), isOver: some.every(isOver) }))
    .toSorted((a, b) => b.instant - a.instant);
  const before = prunedAt - keeping.youngMs - roundsMs;
  const extra = ticks.filter(
    ({ instant, isOver: over }, place) =>
      over &&
      instant < before &&
      (place >= keeping.runs + keptAnyway || instant < before - keeping.ageMs) &&
      place >= keptAnyway,
  );
  // One old tick may stay: the job's last success.
  if (extra.length <= 1) return [];
  const what = `${peer} has ${extra.length} ticks of ${job} that should be pruned, of ${ticks.length} in all`;
  return [{ rule: "I16", at: evidence.to, what }];
}

/**
 * Whether the peer was down whenever the job was there, but for less than it takes to note what the job keeps: it removes that
 * job's history by age alone.
 */
function neverKnew({ operations, outages }: Evidence, of: PeerId, job: JobId): boolean {
  const lives: { from: number; to: number }[] = [];
  for (const { request, askedAt, answeredAt = Infinity } of operations) {
    const last = lives.at(-1);
    const isThere = last?.to === Infinity;
    if (request.kind === "put" && request.rules.id === job && !isThere)
      lives.push({ from: askedAt, to: Infinity });
    if (request.kind === "delete" && request.id === job && last !== undefined && isThere)
      last.to = answeredAt;
  }
  const downs = outages.filter(({ peer, kind }) => peer === of && kind === "down");
  const upMs = (life: { from: number; to: number }): number => {
    const parts = downs.map(({ from, to }) => Math.min(to, life.to) - Math.max(from, life.from));
    return life.to - life.from - parts.reduce((sum, part) => sum + Math.max(0, part), 0);
  };
  return lives.length > 0 && lives.every((life) => life.to < Infinity && upMs(life) < roundsMs);
}

function isOver({ state }: RecordSeen): boolean {
  return state !== "claimed" && state !== "running";
}
