/**
 * I4, no phantom, and I5, revocation.
 *
 * I4: each start belongs to an order that a client asked for, or to a tick in the schedule of a revision that a client asked
 * for and that some peer may have held at that tick, and on a peer that such a revision admits. It is early at most by the
 * error of its host's clock. It is late at most by its catch-up window (30 s without one) and 10 s. Not counted as late: the
 * time for which overlap rules may have delayed it, and the time (and 35 s) for which a disturbance may have kept the end of
 * the previous run unknown. A tick is never older than the job, within the clocks' error.
 *
 * I5: once all peers must know a delete or pause (after 35 s of quiet since its answer), nothing starts until a client
 * asks for the job again or the pause ends by itself, and no tick that was due in that time starts ever. The same holds for a
 * maintenance that all peers must know. A tick of a job that runs after others is due when the last of them has ended.
 */
import { slotsOf, type JobRules, type Operation } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import { instantOf, tickAt } from "../../schema/ids.ts";
import { requestsOf } from "./backfills.ts";
import { isTickOf } from "../client/schedules.ts";
import { runsOfPool } from "./pools.ts";
import { convergesMs, hadDuplicateIdentity, knownToAll, together, wasWell } from "./surroundings.ts";
import { clockErrorMs, dueOf, firstAttempts, groupRuns, isScheduled, repeatedBy, wasBusy } from "./ticks.ts";
import {
  convergedAt,
  jobsOf,
  perhapsInForce,
  surelyMaintained,
  surelyRevoked,
  type InForce,
} from "./requests.ts";

const graceMs = 30_000;
/** How long a child may take to end after it was told to, ms. */
const cancelMs = 15_000;
/** After what time two peers that can talk know of each other's runs, ms. */
const knowsRunMs = 5_000;
/** An order that its launcher had already received may still start within this time, ms. */
const launchMs = 3_500;
const slackMs = 10_000;
/** The rounding of an instant by two clocks: those of the peer that made the job and of the one that runs it, ms. */
const roundingMs = 1_001;

export function checkPhantoms(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [job, runs] of groupRuns(evidence, (run) => run.job)) {
    const spans = jobsOf(evidence).includes(job as Run["job"])
      ? perhapsInForce(evidence, job as Run["job"])
      : [];
    const isChained = spans.some(({ rules }) => rules.after !== undefined);
    for (const run of firstAttempts(runs)) {
      // Runs after others are for chains.ts.
      if (isChained && evidence.witnesses?.includes(run.peer) !== true) continue;
      const witness = evidence.witnesses?.includes(run.peer) === true ? "a witness runs nothing" : undefined;
      const wrong =
        witness ??
        (isScheduled(run) ? wrongWithScheduled(run, spans, runs, evidence) : wrongWithAsked(run, evidence));
      if (wrong !== undefined) {
        breaches.push({ rule: "I4", at: run.start, what: `${run.job}@${run.tick} on ${run.peer}: ${wrong}` });
      }
    }
  }
  return breaches;
}

function wrongWithScheduled(
  run: Run,
  spans: readonly InForce[],
  runsOfJob: readonly Run[],
  evidence: Evidence,
): string | undefined {
  const tick = instantOf(run.tick);
  const due = dueOf(evidence, run);
  const earlyMs = clockErrorMs(evidence, run.start, run.start, run.peer);
  const errorMs = clockErrorMs(evidence, due, run.start);
  if (run.start < due - earlyMs - 1) return `started ${Math.round(due - run.start)} ms before it was due`;
  const having = spans.filter(({ rules, from }) => isTickOf(rules.schedule, tick) && run.start >= from);
  // An edit leaves the tick in place if the later revision has it as well.
  const isLeft = having.some(({ to }) => due <= to + earlyMs);
  const held = having.filter(
    ({ from, to }) =>
      isLeft &&
      tick <= to + earlyMs &&
      tick >= from - 2 * clockErrorMs(evidence, from, run.start) - roundingMs,
  );
  if (held.length === 0) return "no revision that any peer held has this tick";
  const isTarget = held.some(({ rules: { peers } }) => peers === undefined || peers.includes(run.peer));
  if (!isTarget) return "the job's target doesn't admit this peer";
  const hasSlot = ({ rules }: InForce) =>
    rules.onAll === undefined ? slotsOf(rules).includes(run.slot ?? "0") : run.slot === run.peer;
  if (!held.some(hasSlot)) return `its ticks have no slot ${run.slot}`;
  const latest = lastStart(tick, due, held, spans) + slackMs + errorMs;
  if (run.start <= latest) return undefined;
  // The time for which a run waits for a place doesn't count towards its window.
  if (evidence.crowded === true) return undefined;
  // The time until its turn doesn't count either.
  if (held.some(({ rules }) => rules.onAll?.rolling !== undefined)) return undefined;
  const pooled = held.find(({ rules }) => rules.pool !== undefined);
  if (pooled !== undefined && wasBusy(runsOfPool(evidence, pooled.rules), (end) => end, "", due, run.start))
    return undefined;
  if (pooled !== undefined && newsWasHeldUp(evidence, due, run.start)) return undefined;
  const mayWait = held.some(({ rules }) => rules.overlap !== "allow");
  if (mayWait && wasBusy(runsOfJob, repeatedBy(evidence, run.job), run.tick, due, run.start))
    return undefined;
  if (mayWait && newsWasHeldUp(evidence, due, run.start)) return undefined;
  return `started ${Math.round(run.start - due)} ms after it was due, beyond its window`;
}

/** A slot of a tick that runs on all peers has the whole window, and the time for which its peer is awaited. */
function windowOf({ rules: { catchUp, onAll } }: InForce): number {
  if (onAll !== undefined) return catchUp.windowMs + onAll.offlineMs;
  return catchUp.policy === "none" ? 0 : catchUp.windowMs;
}

/** The end of the tick's window, by true time. An edit of the window moves the end until then, also while the tick waits for its jitter. */
function lastStart(tick: number, due: number, held: readonly InForce[], spans: readonly InForce[]): number {
  let end = due + Math.max(graceMs, ...held.map(windowOf));
  for (const span of spans) {
    const isEdit = span.from > tick && span.from <= end + slackMs && isTickOf(span.rules.schedule, tick);
    if (isEdit) end = Math.max(end, due + windowOf(span));
  }
  return end;
}

/** True if the end of the previous run may have become known late: gossip lost it, or a full disk did not store it. */
function newsWasHeldUp(evidence: Evidence, due: number, start: number): boolean {
  return evidence.faultWindows.some(
    ({ from, to }) => from <= start && to >= due && start <= to + convergesMs,
  );
}

function wrongWithAsked(run: Run, evidence: Evidence): string | undefined {
  const errorMs = clockErrorMs(evidence, run.start, run.start);
  const again = backfilledInstant(run.tick);
  if (again !== undefined) {
    const asked = requestsOf(evidence, run.job, again);
    if (asked.length === 0) return "no client asked for that past tick";
    const first = Math.min(...asked.map(({ askedAt }) => askedAt));
    return run.start < first - errorMs ? "it started before it was asked for" : undefined;
  }
  const orders = evidence.operations.filter(
    ({ request }) => request.kind === "run" && request.id === run.job,
  );
  const order = orders.find(({ tick, answeredAt, accepted }) =>
    answeredAt === undefined ? true : accepted && tick === run.tick,
  );
  if (order === undefined) return "no client asked for it";
  return run.start < order.askedAt - errorMs ? "it started before it was asked for" : undefined;
}

/** A cancel doesn't rely on gossip: once a confirmed cancel must be known to all, its run has ended or never starts. */
export function checkCancels(evidence: Evidence): Breach[] {
  return evidence.operations.flatMap((operation) => {
    const { request, accepted, answeredAt } = operation;
    if (request.kind !== "cancel" || !accepted || answeredAt === undefined) return [];
    const known = knownToAll(evidence, answeredAt) + cancelMs;
    return evidence.runs
      .filter(({ job, tick }) => job === request.id && tick === request.tick)
      .filter((run) => {
        const end = run.end ?? evidence.to;
        const wentOn =
          end > known || (end > answeredAt + cancelMs && hasConfirmedCancel(evidence, operation, run));
        return run.start > known || (run.start < answeredAt && wentOn);
      })
      .map(({ job, tick, peer, start }) => ({
        rule: "I5" as const,
        at: start,
        what: `${job}@${tick} was cancelled, and ${start > known ? "started" : "went on"} on ${peer}`,
      }));
  });
}

/** The peer that answered knew of the run, so the run's own peer has confirmed that it was told and had nothing to disturb it. */
function hasConfirmedCancel(
  evidence: Evidence,
  { peer, askedAt, answeredAt = askedAt }: Operation,
  run: Run,
): boolean {
  return (
    run.start < askedAt - knowsRunMs &&
    (peer === run.peer ||
      together(evidence, peer, run.peer, run.start - knowsRunMs, run.start + knowsRunMs)) &&
    wasWell(evidence, run.peer, askedAt, answeredAt + cancelMs)
  );
}

/**
 * A tick of which a client was told that it is skipped doesn't start once all peers must know, and not at all if the peer that
 * starts it had claimed it and was in reach. Not judged if the skip was taken back, or if the job was deleted.
 */
export function checkSkips(evidence: Evidence): Breach[] {
  const { operations, runs } = evidence;
  return operations.flatMap((operation) => {
    const { request, accepted } = operation;
    if (request.kind !== "skip" || !accepted) return [];
    const isUndone = operations.some(
      ({ request: other }) =>
        (other.kind === "unskip" && other.id === request.id && other.tick === request.tick) ||
        (other.kind === "delete" && other.id === request.id),
    );
    if (isUndone) return [];
    const known = convergedAt(evidence, operation);
    return runs
      .filter(({ job, tick }) => job === request.id && tick === tickAt(request.tick))
      .filter((run) => run.start > known || hasConfirmedSkip(evidence, operation, run))
      .map(({ job, tick, peer, start }) => ({
        rule: "I5" as const,
        at: start,
        what: `${job}@${tick} started on ${peer} although it was to be skipped`,
      }));
  });
}

/**
 * The peer that answered is the run's own, or it knew of the run's claim, so that the run's peer has confirmed the skip; and
 * nothing disturbed either.
 */
function hasConfirmedSkip(evidence: Evidence, operation: Operation, run: Run): boolean {
  const { peer, askedAt, answeredAt = Infinity } = operation;
  const { rollbacks = [] } = evidence;
  if (rollbacks.some((rollback) => rollback.peer === peer && rollback.startedAt >= answeredAt)) return false;
  const [from, to] = [askedAt - knowsRunMs, run.start];
  // Of two processes with one identity, the other one may have started it.
  if (peer === run.peer)
    return run.start > answeredAt + launchMs && !hadDuplicateIdentity(evidence, peer, from, to);
  return (
    run.start > answeredAt + handedOverMs &&
    run.start < askedAt + claimedBeforeMs &&
    together(evidence, peer, run.peer, from, to) &&
    [peer, run.peer].every((one) => wasWell(evidence, one, from, to))
  );
}

/** A run that starts so soon after a request had been claimed before it, ms. */
const claimedBeforeMs = 1_500;
/** The longest time from when an undisturbed peer's launcher is given a run to its start, ms. */
const handedOverMs = 250;

/** In a maintenance nothing starts, and a tick that was due in it never starts. */
export function checkMaintenance(evidence: Evidence): Breach[] {
  return surelyMaintained(evidence).flatMap(({ from, to }) =>
    evidence.runs
      .filter((run) => (run.start > from + launchMs && run.start < to) || wasDueIn(evidence, run, from, to))
      .map(({ job, tick, peer, start }) => ({
        rule: "I5" as const,
        at: start,
        what: `${job}@${tick} on ${peer} ${start < to ? "started" : "was due"} in a maintenance`,
      })),
  );
}

/** True of a tick that was due in that time by every clock: it must never start, also not later. */
function wasDueIn(evidence: Evidence, run: Run, from: number, to: number): boolean {
  if (!isScheduled(run) || evidence.faultWindows.some(({ kind }) => kind === "clock step")) return false;
  const errorMs = clockErrorMs(evidence, from, run.start);
  const parents = perhapsInForce(evidence, run.job).flatMap(({ rules: { after } }) => after ?? []);
  const due =
    parents.length === 0
      ? { first: instantOf(run.tick), last: instantOf(run.tick) }
      : lastEndOf(evidence, run, parents);
  return due !== undefined && due.first > from + errorMs && due.last < to - errorMs;
}

/**
 * When the last of its parents had ended, for the peer that started it: some time between the two instants. Undefined where that
 * can't be told, because a parent need not have succeeded, and peers may have taken its run for lost at different times.
 */
function lastEndOf(
  evidence: Evidence,
  run: Run,
  parents: readonly NonNullable<JobRules["after"]>[],
): { first: number; last: number } | undefined {
  if (parents.some(({ on }) => on !== "success")) return undefined;
  const ends = [...new Set(parents.flatMap(({ jobs }) => jobs))].map((parent) =>
    evidence.runs
      .filter(({ job, tick, outcome }) => job === parent && tick === run.tick && outcome === "succeeded")
      .flatMap(({ end }) => (end !== undefined && end <= run.start ? [end] : [])),
  );
  if (ends.some((some) => some.length === 0)) return undefined;
  return { first: Math.max(...ends.map((some) => Math.min(...some))), last: Math.max(...ends.flat()) };
}

export function checkRevocation(evidence: Evidence): Breach[] {
  const byJob = groupRuns(evidence, (run) => run.job);
  const breaches: Breach[] = [];
  for (const job of jobsOf(evidence)) {
    for (const { from, to, why } of surelyRevoked(evidence, job)) {
      for (const run of byJob.get(job) ?? []) {
        const isInside = run.start > from && run.start < to;
        if (!isInside && !wasDueIn(evidence, run, from, to)) continue;
        const what = `${job}@${run.tick} ${isInside ? "started" : "was due"} on ${run.peer} although all peers knew that it was ${why}`;
        breaches.push({ rule: "I5", at: run.start, what });
      }
    }
  }
  return breaches;
}
