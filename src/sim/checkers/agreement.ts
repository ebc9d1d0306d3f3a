/**
 * I6, accounted; I7, durable; I8, convergence. Compares what the peers know with each other and with the truth.
 *
 * I8: the peers are compared 30 s after the heal, and again some time later. A difference counts only if the same two
 * peers differ in the same way both times; otherwise it may have been on its way. No peer may hold an update that waits
 * for another one. Records of future ticks, or that seem to be written in the future, come from a clock that was ahead and are
 * not compared: no other peer accepts them before that time. Nor are withdrawn records of ticks that are too old to be exchanged. A peer whose host could
 * start nothing may stop taking ticks, and say so, for up to 5 minutes after its host has recovered.
 *
 * I6: at the end, for every tick older than 2 minutes, all peers hold the same records, except those written in the
 * last 35 s. No record is open unless its run really still goes on. Each real start has its record, and each required
 * tick without a start has a record that gives the reason, unless all clocks were behind until its job was changed:
 * then nobody could know of the tick. If the job was changed while clocks were ahead, a range that was reported by them
 * and withdrawn when they were set right is enough: the tick is not looked for again, because a scan begins at the edit
 * (DESIGN §7). Not judged are records that may have been pruned (retained.ts), records that may
 * be lost with a disk that was restored, and starts of a peer beside its copy or of one that was forgotten. A claim may
 * stay open while another run of its job goes on. A tick of a majority job, or one whose peers are all away or have wrong
 * clocks that most others' clocks show to be wrong, may be unreported until its window has passed.
 *
 * I7: if the last request about a job was answered, and the earlier ones had converged before it, the job is there (or
 * gone) on every peer.
 */
import { exchangeWindowMs } from "../../peer/sync/sync-records.ts";
import { instantOf, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { peersFor, type JobRules } from "../world/requests.ts";
import {
  orderName,
  type Breach,
  type Evidence,
  type Knowledge,
  type RecordSeen,
  type Run,
} from "../world/truth.ts";
import { retainedTicks } from "./retained.ts";
import {
  convergesMs,
  hadDuplicateIdentity,
  orphanMs,
  wasTurnedAway,
  wasWell,
  workers,
} from "./surroundings.ts";
import { requiredTicks, sameClockMs, wasNeverDue, type RequiredTick } from "./ticks.ts";
import { runsOfPool } from "./pools.ts";
import { pauseMs } from "./retries.ts";
import { jobsOf, mayBePausedAtEnd, perhapsInForce, stateAtEnd } from "./requests.ts";

const quietMs = 120_000;
/** In this time a tick that goes from peer to peer has reached all of them, ms. */
const rollsWithinMs = 900_000;
/** The longest pause of a peer after its starts have failed because of its host (DESIGN §5.7), ms. */
const hostPauseMs = 300_000;

export function checkConvergence(evidence: Evidence): Breach[] {
  const isRetained = retainedTicks(evidence);
  const isCompared: TickFilter = (job, tick) =>
    instantOf(tick) <= evidence.healedAt + convergesMs && isRetained(job, tick);
  const rounds = evidence.convergedViews.map((views) => {
    const known = withoutFresh(withoutUnsent(evidence, views), evidence.healedAt + convergesMs);
    return differences(
      ofTicks(
        known.map((view) => withoutHostPause(evidence, view)),
        isCompared,
      ),
    );
  });
  const [first, second] = rounds;
  if (first === undefined || second === undefined) return [];
  return [...second]
    .filter((difference) => first.has(difference))
    .map((what) => ({ rule: "I8", at: evidence.healedAt, what }) as const);
}

function withoutHostPause({ faultWindows, healedAt }: Evidence, view: Knowledge): Knowledge {
  const mayPause = faultWindows.some(
    ({ kind, peer, to }) => kind === "starved host" && peer === view.peer && healedAt < to + hostPauseMs,
  );
  return view.complaint === "host" && mayPause ? { ...view, complaint: undefined } : view;
}

/** One sentence for each difference between two peers. */
function differences(knowledge: readonly Knowledge[]): Set<string> {
  const found = new Set<string>();
  for (const { peer, complaint } of knowledge)
    if (complaint !== undefined) found.add(`${peer}: ${complaint}`);
  const [reference, ...others] = knowledge;
  if (reference === undefined) return found;
  for (const other of others) {
    for (const job of new Set([...reference.jobs.keys(), ...other.jobs.keys()])) {
      const [one, two] = [reference.jobs.get(job), other.jobs.get(job)];
      if (one !== two) found.add(`job ${job}: ${reference.peer} has ${one}, ${other.peer} has ${two}`);
    }
    const compare = (key: string, one: RecordSeen | undefined, two: RecordSeen | undefined): void => {
      if (one?.writing === two?.writing) return;
      found.add(`record ${key}: ${reference.peer} has ${one?.state}, ${other.peer} has ${two?.state}`);
    };
    for (const [key, one] of reference.records) compare(key, one, other.records.get(key));
    for (const [key, two] of other.records) if (!reference.records.has(key)) compare(key, undefined, two);
  }
  return found;
}

export function checkAccounts(evidence: Evidence): Breach[] {
  const before = evidence.to - quietMs;
  const isRetained = retainedTicks(evidence);
  const old = ofTicks(evidence.final, (job, tick) => instantOf(tick) < before && isRetained(job, tick));
  const different = differences(withoutFresh(withoutUnsent(evidence, old), evidence.to - convergesMs));
  const breaches: Breach[] = [...different].map((what) => ({ rule: "I6", at: evidence.to, what }));
  const [reference] = old;
  if (reference === undefined) return breaches;
  return [
    ...breaches,
    ...checkTruth(evidence, reference, before, isRetained),
    ...checkSilence(evidence, reference, before, isRetained),
  ];
}

type TickFilter = (job: JobId, tick: TickId) => boolean;

/** Keeps only records of ticks that pass the filter. */
function ofTicks(views: readonly Knowledge[], passes: TickFilter): Knowledge[] {
  return views.map((view) => ({
    ...view,
    records: new Map([...view.records].filter(([, { job, tick }]) => passes(job, tick))),
  }));
}

/** Leaves out records written since then: a tick may be reported as missed long after it was due. */
function withoutFresh(known: readonly Knowledge[], since: number): Knowledge[] {
  return without(known, ({ writtenAt = -Infinity }) => writtenAt > since);
}

/**
 * Leaves out records that some peer has withdrawn and whose ticks are so old that peers no longer exchange them: a clock that
 * fell far behind may have withdrawn them while no other peer was in reach.
 */
function withoutUnsent({ healedAt }: Evidence, known: readonly Knowledge[]): Knowledge[] {
  const isUnsent = ({ state, tick }: RecordSeen): boolean =>
    state === "withdrawn" && instantOf(tick) < healedAt - exchangeWindowMs;
  return without(known, isUnsent);
}

/** Leaves out the records of which some peer has such a version. */
function without(known: readonly Knowledge[], isLeftOut: (record: RecordSeen) => boolean): Knowledge[] {
  const keys = new Set(
    known.flatMap(({ records }) =>
      [...records].filter(([, record]) => isLeftOut(record)).map(([key]) => key),
    ),
  );
  return known.map((one) => ({
    ...one,
    records: new Map([...one.records].filter(([key]) => !keys.has(key))),
  }));
}

function name(one: Omit<RecordSeen, "state" | "writing">): string {
  return `${orderName(one)} on ${one.peer}`;
}

/** Each start has its record, and each open record has its run. */
function checkTruth(evidence: Evidence, known: Knowledge, before: number, isRetained: TickFilter): Breach[] {
  const breaches: Breach[] = [];
  const records = Map.groupBy(known.records.values(), name);
  const on = new Set(evidence.runs.filter((run) => (run.end ?? Infinity) > before).map(name));
  for (const run of evidence.runs) {
    if (instantOf(run.tick) >= before || run.start >= before || records.has(name(run))) continue;
    if (!isRetained(run.job, run.tick)) continue;
    if (
      wasUndone(evidence, run) ||
      wasTurnedAway(evidence, run) ||
      hadDuplicateIdentity(evidence, run.peer, run.start - orphanMs, run.start)
    )
      continue;
    breaches.push({ rule: "I6", at: run.start, what: `${name(run)} started, but no record says so` });
  }
  for (const record of known.records.values()) {
    const open = record.state === "claimed" || record.state === "running";
    if (!open || on.has(name(record))) continue;
    const isOn = ({ end = Infinity }: { end?: number | undefined }): boolean => end > before;
    const waits =
      evidence.runs.some((run) => run.job === record.job && isOn(run)) ||
      perhapsInForce(evidence, record.job).some(
        ({ rules }) => runsOfPool(evidence, rules).some(isOn) || mayBeRepeated(evidence, rules, before),
      );
    // What was queued when its job was paused waits until the pause ends.
    const isPaused = mayBePausedAtEnd(evidence, record.job, evidence.to - before);
    if (record.state === "claimed" && (waits || isPaused || evidence.crowded === true)) continue;
    const what = `${name(record)} is still ${record.state}, but no such run goes on`;
    breaches.push({ rule: "I6", at: instantOf(record.tick), what });
  }
  return breaches;
}

/** True if an attempt of the job may be due after the instant: its tick is in progress until then. */
function mayBeRepeated({ runs }: Evidence, { id, retry }: JobRules, instant: number): boolean {
  if (retry === undefined) return false;
  return runs.some(
    ({ job, end, outcome, attempt }) =>
      job === id && outcome !== "succeeded" && (end ?? Infinity) + pauseMs(retry, attempt) > instant,
  );
}

/** True if the peer's disk was restored to a state from before the run. */
function wasUndone(evidence: Evidence, { peer, start }: Run): boolean {
  return (evidence.rollbacks ?? []).some(
    (rollback) =>
      rollback.peer === peer && rollback.copiedAt <= start && start <= rollback.startedAt + orphanMs,
  );
}

/**
 * A tick without a quorum, or of a job that no present peer may run, stays open until its window has passed or the job is
 * changed.
 */
function mayBeOpen(evidence: Evidence, { rules, instant, until }: RequiredTick, before: number): boolean {
  const { onAll } = rules;
  const longestMs = (onAll?.offlineMs ?? 0) + (onAll?.rolling === undefined ? 0 : rollsWithinMs);
  if (instant + rules.catchUp.windowMs + longestMs + quietMs < Math.min(before, until)) return false;
  if (rules.partition === "majority") return true;
  // Nobody else may run a peer's slot. It is decided early only if that peer could run it, or was plainly away.
  if (onAll !== undefined) return longestMs > 0 || !isPlain(evidence, peersFor(rules) ?? [], instant);
  const able = workers(evidence, peersFor(rules), instant);
  const wasIdle = (peer: PeerId) =>
    wasAway(evidence, peer, instant, until) || wasDoubted(evidence, peer, instant, until);
  return able.every(wasIdle);
}

/** True if nothing but that they were down disturbed these peers around the instant. */
function isPlain(evidence: Evidence, peers: readonly PeerId[], instant: number): boolean {
  const [from, to] = [instant - quietMs, instant + quietMs];
  return peers.every((peer) => wasAway(evidence, peer, from, to) || wasWell(evidence, peer, from, to));
}

/** True if the peer's clock was set wrong for the whole span, and most clocks of the peers that were up were right. */
function wasDoubted(evidence: Evidence, peer: PeerId, from: number, to: number): boolean {
  const steps = evidence.faultWindows.filter(
    ({ kind, steppedMs = 0 }) => kind === "clock step" && Math.abs(steppedMs) > sameClockMs,
  );
  const isWrong = steps.some((step) => step.peer === peer && step.from <= from && step.to >= to);
  const touch = (span: { from: number; to: number }) => span.from <= to && span.to >= from;
  const up = evidence.peers.filter(
    (one) => !evidence.outages.some((outage) => outage.peer === one && touch(outage)),
  );
  const right = up.filter((one) => !steps.some((step) => step.peer === one && touch(step)));
  return isWrong && 2 * right.length > up.length;
}

function wasAway({ outages }: Evidence, peer: PeerId, from: number, to: number): boolean {
  return outages.some((outage) => outage.peer === peer && outage.from <= from && outage.to >= to);
}

/**
 * True if the peer that reported why the tick didn't run may have been restored to an older disk before any other peer
 * received the report.
 */
function mayBeUndone(evidence: Evidence, { instant, rules }: RequiredTick): boolean {
  const saidBy = instant + rules.catchUp.windowMs + quietMs;
  return (evidence.rollbacks ?? []).some(
    ({ kind, copiedAt, startedAt }) => kind === "old disk" && copiedAt <= saidBy && startedAt >= instant,
  );
}

/** A range names ticks by their own instants, without their jitter. */
function covers({ tick, rangeFrom = Infinity }: RecordSeen, required: RequiredTick): boolean {
  const instant = instantOf(required.tick);
  return rangeFrom <= instant && instant <= instantOf(tick);
}

/** Each required tick that did not run has a record that gives the reason, unless it was due by no clock. */
function checkSilence(
  evidence: Evidence,
  known: Knowledge,
  before: number,
  isRetained: TickFilter,
): Breach[] {
  const records = [...known.records.values()];
  const recorded = new Set(records.map(({ job, tick, slot = "0" }) => `${job}@${tick}#${slot}`));
  const ranges = Map.groupBy(
    records.filter(({ rangeFrom }) => rangeFrom !== undefined),
    ({ job }) => job,
  );
  const isInRange = (required: RequiredTick) =>
    (ranges.get(required.job) ?? []).some((range) => covers(range, required));
  const isWithdrawn = (required: RequiredTick) =>
    required.until < Infinity &&
    evidence.final.every((one) =>
      [...one.records.values()].some(
        (record) => record.job === required.job && record.state === "withdrawn" && covers(record, required),
      ),
    );
  return requiredTicks(evidence, evidence.from, before, quietMs)
    .filter(({ job, tick }) => isRetained(job, tick))
    .filter((required) => !mayBeOpen(evidence, required, before) && !mayBeUndone(evidence, required))
    .filter((required) => !wasNeverDue(evidence, required, quietMs))
    .filter(
      (required) =>
        !recorded.has(`${required.job}@${required.tick}#${required.slot}`) && !isInRange(required),
    )
    .filter((required) => !isWithdrawn(required))
    .map(({ job, tick, slot, instant }) => ({
      rule: "I6",
      at: instant,
      what: `there is no record of ${job}@${tick}#${slot}`,
    }));
}

export function checkDurability(evidence: Evidence): Breach[] {
  return jobsOf(evidence).flatMap((job) => {
    const required = stateAtEnd(evidence, job);
    if (required === "unclear") return [];
    const wrong = evidence.final.filter(({ jobs }) => jobs.has(job) !== (required === "there"));
    return wrong.map(({ peer }) => ({
      rule: "I7" as const,
      at: evidence.to,
      what: `${job} must be ${required}, but on ${peer} it is not`,
    }));
  });
}
