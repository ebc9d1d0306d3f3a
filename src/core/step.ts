/**
 * One peer's decisions: events in, effects out (DESIGN §2). The same state and event give the same effects in the same order;
 * nothing outside `state` is read or changed. Only this file branches on events, and hear.ts on messages. It passes an event to
 * the folder that handles it, then reconciles the orders that have come due or were touched, then says when it wants to be woken.
 */
import { announceTicks } from "./orders/announce.ts";
import { never } from "../errors.ts";
import { isPlanted } from "./probes/planted.ts";
import { flushAsks } from "./claims/asking.ts";
import { flushBallots } from "./voting/proposer.ts";
import { chainTickLookedUp } from "./claims/chain-ticks.ts";
import { claimStored } from "./claims/claims.ts";
import { commandStored, obey, refuseFull } from "./operator/commands.ts";
import { forgetHeardSkips, giveUpSkips } from "./operator/skips.ts";
import { giveUpCancels } from "./operator/cancel.ts";
import { adoptChosen } from "./voting/epochs.ts";
import type { Effect, Event } from "./events.ts";
import { drain, drainStored, giveUpDrains } from "./operator/drain.ts";
import { recordAdmissions, takeAdmissions } from "./operator/admissions.ts";
import { isForgotten } from "./operator/forgotten.ts";
import {
  hearRefusal,
  repeatStatements,
  reviewMembership,
  takeStatement,
  takeStatements,
} from "./operator/membership.ts";
import { acceptedBy } from "./operator/readmission.ts";
import { sweepEveryMs } from "./limits.ts";
import {
  heartbeatAtOnce,
  assessAll,
  linkDown,
  nextHeartbeatMono,
  noteAcks,
  noteLag,
  redialRefused,
  takeHeartbeatDue,
} from "./members/members.ts";
import { signLife } from "./members/lives.ts";
import { setCyclic } from "./job/timetable.ts";
import { isAwaitedAlone } from "./members/eligibility.ts";
import { readEnds, reviewFailures } from "./orders/failures.ts";
import { tryEndHostFault } from "./members/host-fault.ts";
import { reconcile } from "./orders/apply.ts";
import { recountAllPeers } from "./claims/peer-sets.ts";
import { takeTouched, touchDue, touchAll } from "./claims/touched.ts";
import { closePruned } from "./orders/pruned-elsewhere.ts";
import { childEnded, childStarted, childStuck, takeRecords } from "./orders/runs.ts";
import { endEarlierLife } from "./orders/earlier-life.ts";
import { awaitLess, synced, tryEndWarmUp } from "./orders/warm-up.ts";
import { followKey } from "./orders/own-key.ts";
import { forgetSuperseded, noteSuperseded, reviewSuperseded } from "./members/superseded-key.ts";
import { followJudgement, noticeTime } from "./orders/own-clock.ts";
import { fetchRefused } from "./orders/refused-ahead.ts";
import { replan } from "./orders/replan.ts";
import { pursueRosterRequests } from "./operator/roster-requests.ts";
import { openLife } from "./open-life.ts";
import { emit, workOn, type State } from "./state.ts";
import { lookedUp, lookUpDecidedAhead } from "./orders/looked-up.ts";
import { hearWatermarks, nextTickInSightAt, scanAll } from "./orders/scan.ts";
import { takeChange, takeOrders, takeSettings, takeTicks } from "./orders/admission.ts";
import { forgetOn, sweep } from "./orders/sweep.ts";
import { isPlanning } from "./orders/planning.ts";
import { noteFailedWrite } from "./orders/watermarks.ts";
import { assertBook } from "./claims/book-check.ts";
import { noteEquipment } from "./members/equipment.ts";
import { noteSecrets } from "./members/secrets.ts";
import { outlive } from "./members/duplicate-identity.ts";
import { votesStored } from "./voting/acceptor.ts";
import type { JobId } from "../schema/ids.ts";
import { hear, isOfForgotten, membersChanged, sendHeartbeats, upWith } from "./hear.ts";

export function step(state: State, event: Event): Effect[] {
  state.effects = [];
  const before = state.now;
  state.now = event.now;
  noticeTime(state, before);
  workOn(state, jobOf(state, event), () => take(state, event));
  followJudgement(state);
  followKey(state);
  if (state.alive) {
    everySecond(state);
    workThrough(state);
    planWake(state);
    if (state.settings.checksBook === true) assertBook(state);
  }
  return state.effects;
}

/** The simulator has moved the wall clock forward by this many ms. That is no jump of the clock: nothing happened meanwhile. */
export function leapOver(state: State, ms: number): void {
  state.now = { ...state.now, wall: state.now.wall + ms };
  forgetOn(state, ms);
}

function jobOf({ book }: State, event: Event): JobId | undefined {
  if ("job" in event) return event.job;
  return "run" in event ? book.runs.get(event.run)?.record.job : undefined;
}

function take(state: State, event: Event): void {
  if (isOfForgotten(state, event)) return emit(state, { kind: "count", name: "refused_forgotten" });
  switch (event.kind) {
    case "loaded":
      return openLife(state, event);
    case "woke":
      return noteLag(state, event.now.mono - state.plannedWakeMono);
    case "heard":
      return hear(state, event.from, event.message);
    case "learned":
      takeRecords(state, event.records);
      return takeOrders(state, event.orders);
    case "synced":
      synced(state, event.peer);
      return acceptedBy(state, event.peer);
    case "lookedUp":
      return lookedUp(state, event.job, event.records, event.pruned);
    case "endsRead":
      return readEnds(state, event.job, event.records);
    case "tickLookedUp":
      return chainTickLookedUp(
        state,
        event.job,
        event.tick,
        event.records,
        event.pruned?.before ?? -Infinity,
      );
    case "prunedElsewhere":
      return closePruned(state, event.job, event.before);
    case "watermarks":
      return hearWatermarks(state, event.peer, event.watermarks);
    case "tableChanged":
      state.tableDigest = event.tableDigest;
      setCyclic(state.jobs, event.cyclic ?? new Map());
      event.changes.forEach((change) => takeChange(state, change));
      return event.changes.forEach(({ id, job }) => {
        forgetHeardSkips(state, id);
        const isThere = job !== undefined || event.unreadable?.has(id) === true;
        emit(state, { kind: "notify", event: { kind: "job", id, change: isThere ? "written" : "deleted" } });
      });
    case "settingsChanged":
      return takeSettings(state, event.setting, event.values);
    case "membership":
      if (takeStatements(state, event.statements)) membersChanged(state);
      return;
    case "admissions":
      return takeAdmissions(state, event);
    case "turnedAway":
      return hearRefusal(state, event.by, event.statement);
    case "keySuperseded":
      if (!isForgotten(state, event.by)) noteSuperseded(state, event.by, event.key);
      return;
    case "keyChanged":
      return forgetSuperseded(state);
    case "linkUp":
      return upWith(state, event.peer);
    case "linkDown":
      // A link that broke off says nothing about whether that peer will answer: after a pause all links have.
      if (event.why === "closed") awaitLess(state, event.peer);
      if (linkDown(state, event.peer, event.why)) membersChanged(state);
      return;
    case "redialRefused":
      awaitLess(state, event.peer);
      if (redialRefused(state, event.peer, event.times)) membersChanged(state);
      return;
    case "equipment":
      if (noteEquipment(state, event.lacks, event.has)) membersChanged(state);
      return;
    case "secrets":
      if (noteSecrets(state, event.held)) membersChanged(state);
      return;
    case "childStarted":
      return childStarted(state, event.run, event.at);
    case "childStuck":
      return childStuck(state, event.run, event.reason);
    case "childEnded":
      return childEnded(state, event.run, event.outcome, event.at);
    case "command": {
      const answer = obey(state, event);
      if (answer !== undefined) emit(state, { kind: "answer", token: event.token, answer });
      return;
    }
    case "stored":
      return stored(state, event.token, event.failed ?? false);
    case "tableFull":
      return tableFull(state, event.token, event.detail);
    case "drain":
      return drain(state);
    default:
      return never(event);
  }
}

function stored(state: State, token: number, failed: boolean): void {
  const pending = state.pending.get(token);
  state.pending.delete(token);
  state.diskFailures = failed ? state.diskFailures + 1 : 0;
  if (failed) noteFailedWrite(state);
  if (pending === undefined) return;
  if (pending.kind === "claim") claimStored(state, pending.order, failed);
  else if (pending.kind === "votes") votesStored(state, pending, failed);
  else if (pending.kind === "drain") drainStored(state, pending, failed);
  else {
    // What a person has said here is in force before it is answered: the next command may build on it.
    const statement = pending.kind === "answer" && !failed ? pending.statement : undefined;
    if (statement !== undefined && takeStatement(state, statement)) membersChanged(state);
    commandStored(state, pending, failed);
  }
}

/** The disk is all right; only a person who waits for the edit has to know. */
function tableFull(state: State, token: number, detail: string): void {
  const pending = state.pending.get(token);
  state.pending.delete(token);
  if (pending !== undefined && "command" in pending) refuseFull(state, pending.command, detail);
}

/**
 * The warm-up is over. While this peer's clock is doubted it plans nothing, and looks for the ticks that it left out later.
 */
function resume(state: State): void {
  if (isPlanning(state)) {
    if (state.upkeep.wentBack && !isPlanted(state, "future-kept")) replan(state);
    // Decisions about ticks that were ahead until now come first, and then the ticks that nobody knows of.
    lookUpDecidedAhead(state);
    scanAll(state);
  }
  recountAllPeers(state);
  touchAll(state);
}

function everySecond(state: State): void {
  fetchRefused(state);
  if (tryEndWarmUp(state)) resume(state);
  endEarlierLife(state);
  if (tryEndHostFault(state, () => isAwaitedAlone(state))) touchAll(state);
  if (outlive(state)) {
    heartbeatAtOnce(state);
    touchAll(state);
  }
  reviewSuperseded(state);
  pursueRosterRequests(state);
  giveUpDrains(state);
  giveUpCancels(state);
  giveUpSkips(state);
  const { mono } = state.now;
  if (takeHeartbeatDue(state)) {
    noteAcks(state);
    if (assessAll(state)) membersChanged(state);
    recordAdmissions(state);
    if (reviewMembership(state)) membersChanged(state);
    repeatStatements(state);
    announceTicks(state);
    signLife(state);
    sendHeartbeats(
      state,
      [...state.members.byId.values()].filter(({ linked }) => linked),
    );
  }
  if (mono >= state.sweepAtMono + sweepEveryMs) {
    state.sweepAtMono = mono;
    sweep(state);
  }
}

/** Reconciles orders whose time has come, admits ticks that are coming due, and continues until no order is touched. */
function workThrough(state: State): void {
  touchDue(state);
  if (isPlanning(state)) takeTicks(state);
  while (hasWork(state)) {
    for (const order of takeTouched(state)) workOn(state, order.job, () => reconcile(state, order));
    flushAsks(state);
    flushBallots(state);
    adoptChosen(state);
    pursueRosterRequests(state);
  }
  if (state.book.failed.length > 0) reviewFailures(state, "new");
}

function hasWork({ book, voting }: State): boolean {
  const { ballots, ownReplies, chosenEpochs } = voting.proposer;
  return book.touched.size + book.toAsk.length + ballots.size + ownReplies.length + chosenEpochs.length > 0;
}

function planWake(state: State): void {
  const { wall, mono } = state.now;
  const orderAt = state.book.reconcileQueue.peek()?.at ?? Infinity;
  const inMs = Math.max(0, Math.min(nextTickInSightAt(state), orderAt) - wall);
  // A heartbeat that is to be sent at once is due now. An earlier time would pass for a wake-up that came late (noteLag).
  state.plannedWakeMono = Math.max(mono, Math.min(mono + inMs, nextHeartbeatMono(state)));
  emit(state, { kind: "wakeAt", mono: state.plannedWakeMono });
}
