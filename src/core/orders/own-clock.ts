/**
 * This peer's own clock, which is judged before it is acted on (DESIGN §11).
 *
 * Every step begins with a look at both clocks. When the wall clock has moved differently from the monotonic one, it was set,
 * and nobody knows whether it is right now: the peer warms up again, from that very step on, until its offsets to the others
 * are measured anew. When the process or its host slept, others may have stepped in, and the peer warms up as well. A peer
 * whose clock is then doubted plans nothing; once it is right again, what was left out meanwhile is looked for, and what was
 * planned by a clock that was ahead is planned anew.
 */
import type { Now } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { dropAsks } from "../claims/asking.ts";
import { withdraw } from "../claims/claims.ts";
import { touchAll } from "../claims/order-book.ts";
import { noStage, transition } from "../claims/order.ts";
import { pauseMs } from "../limits.ts";
import { beginNewClock, isDoubted, judgeClocks, noteSetBefore, ownClockOffset } from "../members/clocks.ts";
import { announceAtOnce } from "../members/members.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { emit, note, type State } from "../state.ts";
import { restoreBeginnings } from "./plan-anew.ts";
import { beginWarmUp } from "./warm-up.ts";

/**
 * The clock was set when it moved by this much (ms) more or less than the monotonic one between two steps. Less takes the
 * small corrections of a time server for jumps. More misses jumps that bring clocks which agreed within the 0.5 s of the
 * first warning further apart than the 1.6 s at which one of them is doubted.
 */
const jumpMs = 1_000;

/** Called first in every step. `before` is the time of the last one. */
export function noticeTime(state: State, before: Now): void {
  if (!state.alive) return;
  const { now } = state;
  const awayMs = now.mono - before.mono + ((now.suspendedMs ?? 0) - (before.suspendedMs ?? 0));
  const byMs = now.wall - before.wall - awayMs;
  const wasSet = Math.abs(byMs) > jumpMs && !isPlanted(state, "jump-unseen");
  const wasAway = awayMs > pauseMs && !isPlanted(state, "no-recheck");
  if (wasSet) noteSet(state, byMs, before);
  if (wasAway) notePause(state, awayMs);
  if (!wasSet && !wasAway) return;
  takeBackClaims(state, wasAway ? "paused-peer" : "clock");
  const { warmUp } = state.upkeep;
  // A member that had left or was out of reach before the pause may be back by now, so all are awaited.
  const awaited: Iterable<PeerId> = wasAway ? state.members.byId.keys() : (warmUp?.awaiting ?? []);
  beginWarmUp(state, awaited, warmUp?.unresolved ?? 0);
}

function noteSet(state: State, byMs: number, before: Now): void {
  mark(state, "clock-set");
  note(state, "warn", "this peer's clock was set", { byMs: Math.round(byMs) });
  emit(state, { kind: "count", name: "clock_set" });
  beginNewClock(state, byMs);
  judgeClocks(state);
  if (byMs < 0) state.upkeep.wentBack = true;
  else restoreBeginnings(state);
  state.upkeep.scanFrom = Math.min(state.upkeep.scanFrom, before.wall, state.now.wall);
  announceAtOnce(state);
}

/** When an earlier life was last known to be on (wall clock, ms). If that is still to come, the clock was set back since. */
export function noteLastAlive(state: State, lastAlive: number): void {
  if (lastAlive <= state.now.wall + jumpMs) return;
  mark(state, "clock-set");
  noteSetBefore(state);
  state.upkeep.wentBack = true;
}

/** On this peer's disk is what only a clock that was ahead can have written. */
export function noteAhead(state: State): void {
  state.upkeep.wentBack = true;
}

function notePause(state: State, awayMs: number): void {
  mark(state, "paused");
  note(state, "warn", "this peer was paused", { forMs: Math.round(awayMs) });
  state.upkeep.scanFrom = Math.min(state.upkeep.scanFrom, state.now.wall - awayMs);
}

/** Others may have stepped in. A claim that voters have chosen is nobody else's; whether it is still wanted shows later. */
function takeBackClaims(state: State, reason: string): void {
  for (const order of [...state.book.claims, ...state.book.capacityQueue]) {
    if (order.local.stage === "claimed" && order.local.claim.epoch === undefined)
      withdraw(state, order, reason);
  }
  for (const order of state.book.orders.values())
    if (order.local.stage === "asking") transition(state.book, order, noStage);
  dropAsks(state);
}

/** To be called in every step: what follows when the others' clocks, or this peer's, have been judged anew. */
export function followJudgement(state: State): void {
  const isOff = isDoubted(state);
  if (!state.alive || isOff === state.upkeep.isDoubted) return;
  state.upkeep.isDoubted = isOff;
  const fields = { aheadMs: Math.round(ownClockOffset(state) ?? 0) };
  if (isOff) {
    mark(state, "clock-doubted");
    emit(state, { kind: "count", name: "clock_doubted" });
    note(state, "warn", "this peer's clock is doubted: it takes no ticks", fields);
  } else {
    note(state, "info", "this peer's clock is no longer doubted", fields);
    // Words were taken by the time of clocks that may have been ahead.
    state.upkeep.wentBack = true;
    if (state.upkeep.warmUp === undefined) beginWarmUp(state, [], 0);
  }
  touchAll(state);
}
