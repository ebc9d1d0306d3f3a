/**
 * The life of a run: this peer's own runs, from the report that a child has started to the record of its end; records that
 * come from other peers; and runs declared lost because their peer is gone (DESIGN §5, §8).
 */
import type { OwnRun } from "../claims/order.ts";
import type { ChildOutcome, RunSpec } from "../../ports.ts";
import {
  instantOf,
  isManual,
  orderKey,
  parseRunReference,
  runId,
  type PeerId,
  type RunId,
  type TickId,
} from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { wakeCapacityQueue, isOwnGivenBack, unqueued } from "../claims/claims.ts";
import { endRun, launchAfterPrecheck } from "../claims/launch.ts";
import { commit, commitEnd, recordClosed, recordMoved } from "../claims/record-moved.ts";
import { retriesAfter, withRetry, type RetryRule } from "../job/retry.ts";
import { isOver } from "../records/history.ts";
import {
  closeIfEnded,
  countOf,
  openCount,
  openRecords,
  recordsInMemory,
  recordsOf,
  remembers,
  takeRecord,
} from "../records/ledger.ts";
import { awaitsOwnEnd, beginsRound, isDecidedAhead, isDecision, orderKeyOf } from "../records/records.ts";
import { claimAheadMs, longestBackoffMs, recentMs, reportEveryMs } from "../limits.ts";
import { readOutputs } from "../job/outputs.ts";
import { judgePrecheck } from "../checks/precheck.ts";
import { whyNotAfterPrecheck } from "./precheck.ts";
import { judgeAnswer, judgeEnd } from "../job/success.ts";
import { noteHostFault, noteStart } from "../members/host-fault.ts";
import { hasJustLeft, inSight, stateOfPeer } from "../members/members.ts";
import { noteEarlierRecord } from "./earlier-life.ts";
import { isDecidedTooEarly } from "../records/too-late.ts";
import { noteRefused } from "./refused-ahead.ts";
import { reporterPlace } from "./reporter.ts";
import { hearRange, reopenWithdrawn } from "./scan.ts";
import { acceptedUntil, noteWroteAhead } from "../members/clocks.ts";
import { followChains } from "../claims/chain-ticks.ts";
import { admitAgain, isGivenBack, requestedAheadMs, retryCount } from "../claims/order-book.ts";
import { touchAll } from "../claims/touched.ts";
import { emit, note, type State } from "../state.ts";

const noLog = { logBytes: 0, logTruncated: false };

export function childStarted(state: State, run: RunId, at: number): void {
  const own = state.book.runs.get(run);
  if (own === undefined) return;
  const { phase: _phase, ...claim } = unqueued(own.record);
  const { pool } = own.plan;
  noteStart(state);
  const retriesLeft = retriesAfter(ruleOf(state, own), claim.attempt);
  own.record = commit(state, {
    ...claim,
    state: "running",
    startedAt: at,
    version: claim.version + 1,
    ...(pool === undefined ? {} : { inPool: pool }),
    ...(own.afterPrecheck === undefined ? {} : { phase: "precheck" }),
    ...(retriesLeft === 0 ? {} : { retriesLeft }),
  });
}

/** The job's rule as it stands now; if the job is gone, as it was when the run began. */
function ruleOf(state: State, { plan }: OwnRun): RetryRule {
  return (state.jobs.plans.get(plan.id) ?? plan).retry;
}

/** The run's processes live on, so its record stays open and no other run of its job may start beside it. */
export function childStuck(state: State, run: RunId, reason: string): void {
  const own = state.book.runs.get(run);
  if (own === undefined) return;
  own.stuck = reason;
  note(state, "warn", "a run can't be ended", { run, why: reason });
}

export function childEnded(state: State, run: RunId, reported: ChildOutcome, at: number): void {
  const begun = state.book.runs.get(run);
  if (begun !== undefined && isPassed(begun, reported) && whyNotAfterPrecheck(state, begun) === undefined) {
    return launchAfterPrecheck(state, begun, begun.afterPrecheck);
  }
  const own = endRun(state, run);
  if (own === undefined) return;
  const isByHost = reported.kind === "not-started" && reported.why === "host";
  const isBlamed = isByHost && isPlanted(state, "host-fault-blamed");
  const outcome = isBlamed ? ({ ...reported, why: "error" } as const) : reported;
  const ended = endOf(state, own, outcome, at);
  // What did not start can be repeated without doing the work twice.
  const asState = outcome.kind === "not-started" && ended.state === "lost" ? "failed" : ended.state;
  const record = commit(state, withRetry(ruleOf(state, own), own.record, ended, asState));
  wakeCapacityQueue(state);
  if (outcome.kind !== "not-started") {
    if ("hostFault" in outcome && outcome.hostFault !== undefined)
      noteHostFault(state, outcome.hostFault, "finish a run");
    return emit(state, { kind: "ended", record });
  }
  note(state, "warn", "a run did not start", { run, why: outcome.reason });
  if (outcome.why === "error") return;
  if (record.state !== "withdrawn")
    return outcome.why === "host" ? noteHostFault(state, outcome.reason) : undefined;
  if (outcome.why === "late") mark(state, "launched-too-late");
  else {
    mark(state, "start-failed-by-host");
    noteHostFault(state, outcome.reason);
    touchAll(state);
  }
  // The run never started: the peer whose turn it is may run it.
  admitAgain(state, own.order);
}

/** The precheck says that the job may start, and no one has cancelled the run meanwhile. */
function isPassed(own: OwnRun, outcome: ChildOutcome): own is OwnRun & { afterPrecheck: RunSpec } {
  const { afterPrecheck, cancelled, plan } = own;
  if (afterPrecheck === undefined || cancelled !== undefined) return false;
  return judgePrecheck(outcome, plan.precheck?.timeoutMs ?? 0) === undefined;
}

/** The end of a run whose precheck was its last child. */
function endOfPrecheck(state: State, own: OwnRun, outcome: ChildOutcome): Partial<RunRecord> {
  const { logBytes, logTruncated } = outcome.kind === "not-started" ? noLog : outcome;
  const judged = judgePrecheck(outcome, own.plan.precheck?.timeoutMs ?? 0) ?? whyNotAfterPrecheck(state, own);
  return { logBytes, logTruncated, ...judged };
}

function endOf(state: State, own: OwnRun, outcome: ChildOutcome, at: number): RunRecord {
  const { phase: _phase, inPool: _inPool, ...record } = unqueued(own.record);
  const ended = { ...record, finishedAt: at, version: record.version + 1 };
  const isCancelled = own.cancelled !== undefined || outcome.kind === "cancelled";
  const isOfPrecheck = own.afterPrecheck !== undefined && !isCancelled;
  if (isOfPrecheck && (outcome.kind !== "not-started" || outcome.why === "error")) {
    return { ...ended, ...endOfPrecheck(state, own, outcome) };
  }
  // A run that counts as started because of its precheck is not given back. It failed only if that is its job's fault.
  if (outcome.kind === "not-started" && record.state === "running") {
    const how = outcome.why === "error" ? "failed" : "lost";
    return { ...ended, state: how, reason: `not started: ${outcome.reason}`.slice(0, 256) };
  }
  if (outcome.kind === "not-started") {
    switch (outcome.why) {
      case "late":
        return { ...ended, state: "withdrawn", reason: "late" };
      case "host":
        return { ...ended, state: "withdrawn", reason: `not started: ${outcome.reason}`.slice(0, 256) };
      case "error":
        return { ...ended, state: "failed", reason: `not started: ${outcome.reason}`.slice(0, 256) };
    }
  }
  const log = {
    logBytes: outcome.logBytes,
    logTruncated: outcome.logTruncated,
    ...withNotes(readOutputs("written" in outcome ? outcome.written : undefined), outcome),
  };
  if (own.cancelled !== undefined || outcome.kind === "cancelled") {
    const { by, reason } = own.cancelled ?? { by: "cicada", reason: "the peer was stopped" };
    const said = reason === "" ? `by ${by}` : `by ${by}: ${reason}`;
    return { ...ended, ...log, state: "cancelled", reason: said.slice(0, 256) };
  }
  const { hostFault } = { hostFault: undefined, ...outcome };
  if (hostFault !== undefined) return { ...ended, ...log, state: "lost", reason: hostFault.slice(0, 256) };
  if (outcome.kind === "answered") return { ...ended, ...log, ...judgeAnswer(outcome.failure) };
  const { kind, logBytes: _bytes, logTruncated: _truncated, written: _written, ...more } = outcome;
  const { leftRunning: _left, ...end } = { leftRunning: 0, ...more };
  return { ...ended, ...log, ...judgeEnd(own.plan.success, { isTimeout: kind === "timeout", ...end }) };
}

/** Adds a note if the program left processes running: they are ended with it, which people who come from cron don't expect. */
function withNotes<Read extends Pick<RunRecord, "notes">>(read: Read, outcome: ChildOutcome): Read {
  const left = "leftRunning" in outcome ? (outcome.leftRunning ?? 0) : 0;
  if (left === 0) return read;
  const what = left === 1 ? "a process was" : `${left} processes were`;
  const sentence = `${what} still running when its program ended, and cicada ended what was left; \`background: leave\` lets it run on`;
  return { ...read, notes: [...(read.notes ?? []), sentence] };
}

/**
 * Ends open records of members that are dead, have left or were forgotten. The first living member in rank does it, or the
 * next one if the first doesn't. A run that had started, or whose runner the voters had chosen, is lost. A claim that never
 * started binds no one: it is withdrawn once no peer will decide its order any more, because its peer may come back late or
 * never.
 */
export function declareLost(state: State): void {
  for (const record of openRecords(state.ledger)) {
    if (record.peer === state.settings.self) continue;
    const how = stateOfPeer(state, record.peer);
    if (how !== "dead" && how !== "left") continue;
    if (hasJustLeft(state, record.peer)) continue;
    const ended = closeIfEnded(state.ledger, record);
    if (ended !== undefined) {
      recordClosed(state, record, ended);
      continue;
    }
    const isUnbinding = record.state === "claimed" && record.epoch === undefined;
    if (isUnbinding && !isMoot(state, record)) continue;
    if (!isOwnToReport(state, record)) continue;
    if (isUnbinding) mark(state, "claim-of-the-dead-withdrawn");
    else {
      mark(state, "lost-declared");
      emit(state, { kind: "count", name: "runs_lost" });
      note(state, "warn", "a run is lost", { run: runId(record), peer: record.peer });
    }
    const isForgotten = state.operator.forgotten.has(record.peer);
    commitEnd(state, record, {
      ...record,
      state: isUnbinding ? "withdrawn" : "lost",
      by: state.settings.self,
      reason: isForgotten ? "its peer was forgotten" : how === "left" ? "its peer left" : "its peer died",
      version: record.version + 1,
      finishedAt: state.now.wall,
    });
  }
}

/** Whether it is this peer's turn to end the record of a member that is gone: each rank waits for the ranks before it. */
function isOwnToReport(state: State, { job, tick, peer }: RunRecord): boolean {
  const place = reporterPlace(state, job, tick);
  const goneSince = state.members.byId.get(peer)?.stateSinceMono;
  return (
    place === 0 ||
    (place !== undefined && goneSince !== undefined && state.now.mono - goneSince >= place * reportEveryMs)
  );
}

/** If a tick has no order in the book this long (ms) after it was due, its job no longer has that tick. */
const mootAfterMs = 60_000;

/** Whether the claim's order has been decided, or has left the book because its job was edited, disabled or deleted. */
function isMoot(state: State, { job, tick, slot, due }: RunRecord): boolean {
  if (isOver(state.ledger.history, job, tick, slot)) return true;
  if (state.now.wall < due + mootAfterMs) return false;
  for (const order of state.book.byJob.get(job) ?? [])
    if (order.tick === tick && order.slot === slot) return false;
  return true;
}

/** Takes in records from other peers, and this peer's own as they come back. Records that move up are stored. */
export function takeRecords(state: State, records: readonly RunRecord[]): void {
  const moved: RunRecord[] = [];
  const withdrawn: RunRecord[] = [];
  const until = acceptedUntil(state);
  for (const record of records) {
    const isOfThisPeer = record.peer === state.settings.self;
    const own = isOfThisPeer && (record.by ?? record.peer) === state.settings.self;
    const alive = isOfThisPeer && state.book.runs.has(runId(record));
    const isHeld = isOfThisPeer && state.book.holders.has(orderKeyOf(record));
    // An echo of what this life has claimed or started says nothing new. A record of an earlier life does.
    if (own && (alive || isHeld)) continue;
    // Others took this peer for dead. It still holds the claim, so its own next record outranks theirs.
    if (isHeld && record.state === "withdrawn") continue;
    // Others may have declared lost a run that still runs here. Their record is stored until the run's own end overrules it.
    if (alive) {
      const run = state.book.runs.get(runId(record));
      if (run !== undefined && record.state === "lost") run.isDeclaredLost = true;
      moved.push(record);
      continue;
    }
    // If its open record is remembered, its end must be taken in, or it would stay open for ever.
    const isAhead = isBeyond(record, until) && !remembers(state.ledger, record);
    if (isAhead && record.state === "withdrawn") {
      // Stored, because the record that it withdraws may be on the disk. When the tick comes, the voters are in their next round.
      moved.push(record);
      const isBounded = recordsInMemory(state.ledger) < rememberedMax && !isBeyondLimits(state, record);
      if (isGivenBack(record) && isBounded) takeRecord(state.ledger, record, state.now.mono, true);
      if (record.range !== undefined) followChains(state, record);
      if (beginsRound(undefined, record)) withdrawn.push(record);
      continue;
    }
    const isTooEarly = !isOfThisPeer && isDecidedTooEarly(record, until);
    if (isAhead || isTooEarly || isDecidedAhead(record, until - claimAheadMs)) {
      refuseBeyond(state, record);
      continue;
    }
    const isRetryTooMany = record.retryAt !== undefined && retryCount(state) >= retriesMax;
    if (isRetryTooMany || isBeyondLimits(state, record)) {
      emit(state, { kind: "count", name: "records_not_remembered" });
      moved.push(record);
      continue;
    }
    const recent =
      isOwnGivenBack(state, record) ||
      (state.now.wall - record.due < recentMs && recordsInMemory(state.ledger) < rememberedMax);
    // On the other side of a split the run's peer looked dead. Here it is alive, so the run goes on until its peer reports the
    // end.
    const saidByAnother = record.by !== undefined && record.by !== record.peer;
    const lives = saidByAnother && inSight(state, record.peer);
    if (lives && record.state === "lost") mark(state, "lost-refuted");
    const taken = takeRecord(state.ledger, record, state.now.mono, recent, lives);
    if (!taken.moved) continue;
    if (isOfThisPeer && !awaitsOwnEnd(record)) state.upkeep.earlierRecords.delete(orderKeyOf(record));
    moved.push(record);
    recordMoved(state, taken.before, record);
    hearRange(state, record);
    if (beginsRound(taken.before, record)) withdrawn.push(record);
    if (own && !isFinal(record.state)) noteEarlierRecord(state, record);
  }
  if (moved.length > 0) {
    emit(state, { kind: "store", writes: moved.map((record) => ({ kind: "record", record })) });
  }
  reopenWithdrawn(state, withdrawn);
}

/**
 * The record's tick lies too far ahead: before a tick is due there can only be a claim, and only shortly before. Or its next
 * attempt is due later than any rule can ask for.
 */
function isBeyond(
  { tick, retryAt = -Infinity }: Pick<RunRecord, "tick" | "retryAt">,
  until: number,
): boolean {
  if (retryAt > until + longestBackoffMs) return true;
  return instantOf(tick) > until + (isManual(tick) ? requestedAheadMs : 0);
}

/** Whether the tick lies so far ahead that there can be no record about it yet. */
export function isTickAhead(state: State, tick: TickId): boolean {
  return isBeyond({ tick }, acceptedUntil(state));
}

/** The record's writer was ahead of the right clocks. The record is fetched later, when its time has come. */
function refuseBeyond(state: State, record: RunRecord): void {
  mark(state, "future-refused");
  emit(state, { kind: "count", name: "records_refused_ahead" });
  const by = record.by ?? record.peer;
  const writer = state.members.byId.get(by);
  if (writer !== undefined) noteWroteAhead(state, writer);
  const { tick, retryAt = -Infinity } = record;
  const tickUntil = instantOf(tick) + (isDecision(record) ? claimAheadMs : 0);
  const decidedAt = isDecision(record) ? (record.finishedAt ?? -Infinity) : -Infinity;
  noteRefused(state, by, Math.max(tickUntil, decidedAt, retryAt - longestBackoffMs));
}

/**
 * Records beyond what honest members write are stored but not remembered: records of unknown jobs, beyond the few that arrive
 * before their job does; open runs beyond what any peer could have; and records of peers that aren't members, beyond the few
 * that had the same order. Anybody with the cluster key can sign as any number of peers that don't exist.
 */
function isBeyondLimits(state: State, record: RunRecord): boolean {
  const beyondOpen = !isFinal(record.state) && openCount(state.ledger, record.peer) >= openMax;
  const beyondOrder =
    !isKnown(state, record.peer) &&
    (countOf(state.ledger, orderKeyOf(record)) >= ofOrderMax ||
      recordsInMemory(state.ledger) >= rememberedMax);
  const ofNoJob = !state.jobs.plans.has(record.job);
  if ((!beyondOpen && !beyondOrder && !ofNoJob) || remembers(state.ledger, record)) return false;
  return beyondOpen || beyondOrder || ++state.upkeep.recordsOfNoJob > recordsOfNoJobMax;
}

/** Whether the peer is this one, or is or was a member. */
function isKnown({ settings, members, operator }: State, peer: PeerId): boolean {
  return peer === settings.self || members.byId.has(peer) || operator.forgotten.has(peer);
}

/** Whether a record of that peer's run is in this peer's memory. */
export function remembersRun({ ledger }: Readonly<State>, run: RunId, peer: PeerId): boolean {
  const { job, tick, attempt, slot = "0" } = parseRunReference(run) ?? {};
  if (job === undefined || tick === undefined || attempt === undefined) return false;
  for (const record of recordsOf(ledger, orderKey(job, tick, attempt, slot))) {
    if (record.peer === peer && runId(record) === run) return true;
  }
  return false;
}

/**
 * True for an open or withdrawn record that is not in memory if its order is over or if it is this peer's own. Usually a peer
 * that was away passes on what it last knew, and this peer's disk knows how that run ended. So the disk is read first
 * (peer/history/stale-records.ts); otherwise the run would count as running for ever, or its tick would run again.
 */
export function isPossiblyStale(state: State, record: RunRecord): boolean {
  const isEnd = isFinal(record.state) && record.state !== "withdrawn";
  if (isEnd || remembers(state.ledger, record)) return false;
  const isOwn = record.peer === state.settings.self && !state.book.holders.has(orderKeyOf(record));
  if (!isOwn && !isOver(state.ledger.history, record.job, record.tick, record.slot)) return false;
  mark(state, "possibly-stale-record");
  return true;
}

/** With this many records in memory, only the disk keeps a run that is news and has ended, even a recent one (`recentMs`). */
const rememberedMax = 200_000;
/** Open records of one peer: far above its capacity and any queue behind it. Each takes 1 KiB. */
const openMax = 16_384;
/**
 * Records of one order, if further ones come from peers that aren't members. Honest ones are of members that are gone for good,
 * a few per order. More lets one member slow down each further record of the order, and fill this peer's memory.
 */
const ofOrderMax = 64;
/** Attempts that wait to be repeated: far above what honest jobs have. Each is kept in memory until its tick is over. */
const retriesMax = 10_000;
/** Records of jobs that are not in the table, counted again whenever old memory is gone through. */
const recordsOfNoJobMax = 20_000;
