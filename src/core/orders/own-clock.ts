/**
 * This peer's own clock, which is checked before the peer relies on it (DESIGN §11).
 *
 * Every step begins by comparing both clocks. When the wall clock has moved differently from the monotonic one, it was set,
 * and may be wrong now: from that very step on the peer warms up again, until its offsets to the others have been measured
 * again. When the process or its host slept, others may have stepped in, and the peer warms up as well. While its clock is
 * doubted, the peer plans nothing. Once the clock is right again, the peer looks for the ticks that it left out, and plans
 * again what it had planned by a clock that was ahead.
 */
import type { Now } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { dropAsks } from "../claims/asking.ts";
import { withdraw } from "../claims/claims.ts";
import { touchAll } from "../claims/touched.ts";
import { noStage, transition } from "../claims/order.ts";
import { pauseMs } from "../limits.ts";
import { beginNewClock, isDoubted, judgeClocks, noteSetBefore, ownClockOffset } from "../members/clocks.ts";
import { heartbeatAtOnce } from "../members/members.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { emit, note, type State } from "../state.ts";
import { restoreBeginnings } from "./replan.ts";
import { beginWarmUp } from "./warm-up.ts";

/**
 * The clock was set if, between two steps, it moved by this much (ms) more or less than the monotonic clock. Less takes the
 * small corrections of a time server for jumps. More misses jumps between clocks that agreed within 0.5 s (the first warning)
 * and are now more than 1.6 s apart (where one of them is doubted).
 */
const jumpMs = 1_000;

/** Called at the beginning of every step. `before` is the time of the last step. */
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
  withdrawClaims(state, wasAway ? "paused-peer" : "clock");
  const { warmUp } = state.upkeep;
  // A member that had left or was out of reach before the pause may be back by now, so every member is awaited.
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
  heartbeatAtOnce(state);
}

/**
 * `lastAlive`: when an earlier life was last alive (wall clock, ms). If that is in the future, the clock was set back since.
 */
export function noteLastAlive(state: State, lastAlive: number): void {
  if (lastAlive <= state.now.wall + jumpMs) return;
  mark(state, "clock-set");
  noteSetBefore(state);
  state.upkeep.wentBack = true;
}

/** This peer's disk holds something that only a clock that was ahead can have written. */
export function noteAhead(state: State): void {
  state.upkeep.wentBack = true;
}

function notePause(state: State, awayMs: number): void {
  mark(state, "paused");
  note(state, "warn", "this peer was paused", { forMs: Math.round(awayMs) });
  state.upkeep.scanFrom = Math.min(state.upkeep.scanFrom, state.now.wall - awayMs);
}

/**
 * Withdraws this peer's claims, because others may have stepped in. Claims of majority jobs stay: no other peer may start
 * them, and whether they may still start is checked later.
 */
function withdrawClaims(state: State, reason: string): void {
  for (const order of [...state.book.claims, ...state.book.capacityQueue]) {
    if (order.local.stage === "claimed" && order.local.claim.epoch === undefined)
      withdraw(state, order, reason);
  }
  for (const order of state.book.orders.values())
    if (order.local.stage === "asking") transition(state.book, order, noStage);
  dropAsks(state);
}

/** Called in every step: what follows when a new judgement of the clocks has changed whether this peer's clock is doubted. */
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
    // While the clock was doubted, records may have been accepted by the time of clocks that were ahead.
    state.upkeep.wentBack = true;
    if (state.upkeep.warmUp === undefined) beginWarmUp(state, [], 0);
  }
  touchAll(state);
}
