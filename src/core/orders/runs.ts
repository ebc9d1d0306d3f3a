/**
 * This peer's own runs, from the launcher's word that a child has started to the record of its end; and the word
 * `lost` over runs whose peer is gone (DESIGN §5.7, §8).
 */
import type { OwnRun } from "../claims/order.ts";
import type { ChildOutcome } from "../../ports.ts";
import { instantOf, isManual, runId, type JobId, type RunId } from "../../schema/ids.ts";
import { isFinal, type RunRecord } from "../../schema/run.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { wakeCapacityQueue, endRun, isOwnGivenBack } from "../claims/claims.ts";
import { commit, recordMoved } from "../claims/record-moved.ts";
import { isOver } from "../records/history.ts";
import {
  closeIfEnded,
  dropRecord,
  openCount,
  openOf,
  openRecords,
  recordsInMemory,
  remembers,
  settleIn,
  takeRecord,
} from "../records/ledger.ts";
import { isDecidedAhead, orderKeyOf } from "../records/records.ts";
import { claimAheadMs } from "../limits.ts";
import { noteHostFault, noteStart } from "../members/host-fault.ts";
import { inSight } from "../members/members.ts";
import { reporterPlace } from "./facts.ts";
import { hearRange, reportEveryMs } from "./scan.ts";
import { acceptedUntil, noteWroteAhead } from "../members/clocks.ts";
import { admitRequested, admitTick, requestedAheadMs, touchAll, touchJob } from "../claims/order-book.ts";
import { emit, note, type State } from "../state.ts";

export function childStarted(state: State, run: RunId, at: number): void {
  const own = state.book.runs.get(run);
  if (own === undefined) return;
  const { waiting: _, ...claim } = own.record;
  noteStart(state);
  own.record = commit(state, { ...claim, state: "running", startedAt: at, version: claim.version + 1 });
}

/** Its processes live on, so it stays open: no other run of its job may start beside it. */
export function childStuck(state: State, run: RunId, reason: string): void {
  const own = state.book.runs.get(run);
  if (own === undefined) return;
  own.stuck = reason;
  note(state, "warn", "a run can't be ended", { run, why: reason });
}

export function childEnded(state: State, run: RunId, ended: ChildOutcome, at: number): void {
  const own = endRun(state, run);
  if (own === undefined) return;
  const isByHost = ended.kind === "not-started" && ended.why === "host";
  const isBlamed = isByHost && isPlanted(state, "host-fault-blamed");
  const outcome = isBlamed ? ({ ...ended, why: "error" } as const) : ended;
  const record = commit(state, endOf(own, outcome, at));
  wakeCapacityQueue(state);
  if (outcome.kind !== "not-started") return emit(state, { kind: "ended", record });
  note(state, "warn", "a run did not start", { run, why: outcome.reason });
  if (outcome.why === "error") return;
  if (outcome.why === "late") mark(state, "launched-too-late");
  else {
    mark(state, "start-failed-by-host");
    noteHostFault(state, outcome.reason);
    touchAll(state);
  }
  giveBack(state, own);
}

/** It never started, so the peer whose turn it is now may run it. */
function giveBack(state: State, own: OwnRun): void {
  if (own.order.requested !== undefined) admitRequested(state, own.order.requested);
  else admitTick(state, own.plan, own.order.instant);
}

function endOf(own: OwnRun, outcome: ChildOutcome, at: number): RunRecord {
  const { waiting: _, ...record } = own.record;
  const ended = { ...record, finishedAt: at, version: record.version + 1 };
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
  const log = { logBytes: outcome.logBytes, logTruncated: outcome.logTruncated };
  if (own.cancelled !== undefined || outcome.kind === "cancelled") {
    const { by, reason } = own.cancelled ?? { by: "cicada", reason: "the peer was stopped" };
    const said = reason === "" ? `by ${by}` : `by ${by}: ${reason}`;
    return { ...ended, ...log, state: "cancelled", reason: said.slice(0, 256) };
  }
  switch (outcome.kind) {
    case "timeout":
      return { ...ended, ...log, state: "timeout" };
    case "signalled":
      return { ...ended, ...log, state: "failed", signal: outcome.signal };
    case "exited":
      return {
        ...ended,
        ...log,
        state: outcome.exitCode === 0 ? "succeeded" : "failed",
        exitCode: outcome.exitCode,
      };
  }
}

/** After a restart: an own run or claim of an earlier life is ended, for nobody else can (DESIGN §5.7). */
export function endEarlierLife(state: State, record: RunRecord, started: ReadonlySet<RunId>): void {
  // Others may have declared it lost meanwhile, but they still wait for this peer's own record.
  const { waiting: _waiting, by: _by, ...rest } = record;
  // A claim of a majority job may have been started, even if no log says so: the log may have been lost.
  const ran = record.state !== "claimed" || record.epoch !== undefined || started.has(runId(record));
  mark(state, ran ? "earlier-life-lost" : "earlier-life-withdrawn");
  commit(state, {
    ...rest,
    state: ran ? "lost" : "withdrawn",
    reason: "restarted",
    version: record.version + 1,
    finishedAt: state.now.wall,
  });
}

/**
 * What members that are dead, have left or were forgotten have open is ended by the first living member in rank, or by the
 * next when that one doesn't. A run that had started, or whose runner the voters had chosen, is lost. A claim that never
 * started binds nobody: it is withdrawn once nobody will decide its order any more. Its peer may be back long after that, or
 * never.
 */
export function declareLost(state: State): void {
  for (const record of openRecords(state.ledger)) {
    if (record.peer === state.settings.self) continue;
    const how = state.members.byId.get(record.peer)?.state ?? "dead";
    if (how !== "dead" && how !== "left") continue;
    if (closeIfEnded(state.ledger, record)) continue;
    const bindsNobody = record.state === "claimed" && record.epoch === undefined;
    if (bindsNobody && !isMoot(state, record)) continue;
    if (!isOwnToReport(state, record)) continue;
    if (bindsNobody) mark(state, "claim-of-the-dead-withdrawn");
    else {
      mark(state, "lost-declared");
      emit(state, { kind: "count", name: "runs_lost" });
      note(state, "warn", "a run is lost", { run: runId(record), peer: record.peer });
    }
    const isForgotten = state.operator.forgotten.has(record.peer);
    commit(state, {
      ...record,
      state: bindsNobody ? "withdrawn" : "lost",
      by: state.settings.self,
      reason: isForgotten ? "its peer was forgotten" : how === "left" ? "its peer left" : "its peer died",
      version: record.version + 1,
      finishedAt: state.now.wall,
    });
  }
}

/** True when it falls to this peer to end the record of a member that is gone: each rank waits for those before it. */
function isOwnToReport(state: State, { job, tick, peer }: RunRecord): boolean {
  const place = reporterPlace(state, job, tick);
  const goneSince = state.members.byId.get(peer)?.stateSinceMono;
  return (
    place === 0 ||
    (place !== undefined && goneSince !== undefined && state.now.mono - goneSince >= place * reportEveryMs)
  );
}

/** A tick without an order in the book, this long (ms) after it was due, is one that its job no longer has. */
const mootAfterMs = 60_000;

/** True of a claim whose order has been decided, or has left the book because its job was edited, disabled or deleted. */
function isMoot(state: State, { job, tick, slot, due }: RunRecord): boolean {
  if (isOver(state.ledger.history, job, tick, slot)) return true;
  if (state.now.wall < due + mootAfterMs) return false;
  for (const order of state.book.byJob.get(job) ?? []) if (order.tick === tick) return false;
  return true;
}

/** Takes in records from elsewhere. Own records come back only as echoes. Records that move up are stored. */
export function takeRecords(state: State, records: readonly RunRecord[]): void {
  const moved: RunRecord[] = [];
  const until = acceptedUntil(state);
  for (const record of records) {
    const isOfThisPeer = record.peer === state.settings.self;
    const own = isOfThisPeer && (record.by ?? record.peer) === state.settings.self;
    const alive = isOfThisPeer && state.book.runs.has(runId(record));
    const isHeld = isOfThisPeer && state.book.holders.has(orderKeyOf(record));
    // An echo of what this life has claimed or started says no more. One of an earlier life is memory that comes back.
    if (own && (alive || isHeld)) continue;
    // Others took this peer for dead. It holds the claim, so its own next word about it stands above theirs.
    if (isHeld && record.state === "withdrawn") continue;
    // Others may have declared a run lost that is still on here. Their record is kept until the run's own end overrules it.
    if (alive) {
      moved.push(record);
      continue;
    }
    // How it ends is news all the same where its beginning is remembered: else it would be on for ever.
    const isAhead = isBeyond(record, until) && !remembers(state.ledger, record);
    if (isAhead && record.state === "withdrawn") {
      // For the disk alone: what it takes back may be there.
      moved.push(record);
      continue;
    }
    if (isAhead || isDecidedAhead(record, until - claimAheadMs)) {
      refuseBeyond(state, record);
      continue;
    }
    if (isOneTooMany(state, record)) {
      emit(state, { kind: "count", name: "records_not_remembered" });
      moved.push(record);
      continue;
    }
    const recent =
      isOwnGivenBack(state, record) ||
      (state.now.wall - record.due < recentMs && recordsInMemory(state.ledger) < rememberedMax);
    // On the other side of a split its peer looked dead. Here it is alive, so its run counts until it reports the end itself.
    const saidByAnother = record.by !== undefined && record.by !== record.peer;
    const lives = saidByAnother && inSight(state, record.peer);
    if (lives && record.state === "lost") mark(state, "lost-refuted");
    const taken = takeRecord(state.ledger, record, state.now.mono, recent, lives);
    if (!taken.moved) continue;
    moved.push(record);
    recordMoved(state, taken.before, record);
    hearRange(state, record);
    if (own && (record.state === "claimed" || record.state === "running")) {
      endEarlierLife(state, record, nothingStarted);
    }
  }
  if (moved.length > 0) {
    emit(state, { kind: "store", writes: moved.map((record) => ({ kind: "record", record })) });
  }
}

/** Of a tick that is still to come nobody can say more than that it has a claim, and that only just before it is due. */
function isBeyond({ tick }: RunRecord, until: number): boolean {
  return instantOf(tick) > until + (isManual(tick) ? requestedAheadMs : 0);
}

/** Whoever wrote it was ahead of the right clocks. It may be taken in later, when the time has come. */
function refuseBeyond(state: State, record: RunRecord): void {
  mark(state, "future-refused");
  emit(state, { kind: "count", name: "records_refused_ahead" });
  const writer = state.members.byId.get(record.by ?? record.peer);
  if (writer !== undefined) noteWroteAhead(state, writer);
}

/**
 * Some records of a faulty member are stored but not remembered: those of jobs that nobody knows, beyond the few that arrive
 * before their job does, and open runs beyond what any peer could have.
 */
function isOneTooMany(state: State, record: RunRecord): boolean {
  const beyondOpen = !isFinal(record.state) && openCount(state.ledger, record.peer) >= openMax;
  const ofNoJob = !state.jobs.plans.has(record.job);
  if ((!beyondOpen && !ofNoJob) || remembers(state.ledger, record)) return false;
  return beyondOpen || ++state.upkeep.recordsOfNoJob > recordsOfNoJobMax;
}

/**
 * True of an open record whose order is over, or that is this peer's own, when no earlier version of it is in memory. Usually
 * a peer that was away passes on what it last knew, and this disk knows the end of that run. The disk is asked first
 * (peer/stale-records.ts), or the run would count as on for ever.
 */
export function isPossiblyStale(state: State, record: RunRecord): boolean {
  if (isFinal(record.state) || remembers(state.ledger, record)) return false;
  const isOwn = record.peer === state.settings.self && !state.book.holders.has(orderKeyOf(record));
  if (!isOwn && !isOver(state.ledger.history, record.job, record.tick, record.slot)) return false;
  mark(state, "possibly-stale-record");
  return true;
}

/** Of an ended run that was due longer ago (ms) and is news here, only the mark is kept (ledger.ts). */
export const recentMs = 120_000;
/** Records in memory from which on of an ended run only the mark is kept; the disk answers for the rest. */
const rememberedMax = 200_000;
/** Open records of one peer: far above its capacity and any line behind it. Each takes 1 KiB. */
const openMax = 16_384;
/** Of jobs that are not in the table, counted anew at every sweep. */
const recordsOfNoJobMax = 20_000;
const nothingStarted: ReadonlySet<RunId> = new Set();

/**
 * Other peers have pruned the job's history up to the instant (ms), which they do only with what is over. What this peer still
 * takes for open there is over too, however it ended; its own runs it knows itself.
 */
export function closePruned(state: State, job: JobId, before: number): void {
  const over = [...openOf(state.ledger, job)].filter(
    ({ tick, peer }) => instantOf(tick) < before && peer !== state.settings.self,
  );
  if (over.length === 0) return;
  for (const record of over) {
    dropRecord(state.ledger, record);
    settleIn(state.ledger.history, record);
  }
  touchJob(state, job);
}
