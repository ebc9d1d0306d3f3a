/**
 * WarmUp, and looking for ticks that nobody kept (DESIGN §3, §7).
 *
 * A peer that starts, or that slept longer than the suspect time, starts nothing until it has heard what the others
 * decided meanwhile: table and records from everyone it knows who answers, at most 5 s. One that knows nobody settles
 * at once. Then it looks back over the time in which it may have missed something.
 */
import type { PeerId } from "../../schema/ids.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { withdraw } from "../claims/claims.ts";
import { noStage, transition } from "../claims/order.ts";
import { pauseMs, warmUpLimitMs } from "../limits.ts";
import { touchAll } from "../claims/order-book.ts";
import { dropAsks } from "../claims/asking.ts";
import { announceAtOnce, stretch } from "../members/members.ts";
import { note, type State } from "../state.ts";
import { scanAll } from "./scan.ts";

export function beginWarmUp(state: State, awaiting: Iterable<PeerId>, unresolved: number): void {
  state.upkeep.warmUp = { sinceMono: state.now.mono, awaiting: new Set(awaiting), unresolved };
}

/** Ends the warm-up when nobody is awaited any more, or at the limit. */
export function tryEndWarmUp(state: State): void {
  const { warmUp } = state.upkeep;
  if (warmUp === undefined) return;
  const waited = state.now.mono - warmUp.sinceMono;
  const complete = warmUp.awaiting.size === 0 && warmUp.unresolved === 0;
  // On a host that is overloaded the others' answers wait for this peer, not this peer for them.
  const limitMs = warmUpLimitMs * stretch(state);
  const skipped = isPlanted(state, "warm-up-skipped");
  if (!complete && waited < limitMs && !skipped) return;
  if (!complete) mark(state, "warm-up-at-the-limit");
  // Whoever is slow to answer may still do so. What came due before I settled can wait as long again for it.
  if (!skipped) for (const peer of warmUp.awaiting) state.upkeep.awaitingSync.set(peer, state.now.mono);
  state.upkeep.warmUp = undefined;
  state.upkeep.warmedUpAt = skipped ? 0 : state.now.wall;
  announceAtOnce(state);
  note(state, "debug", "warmed up", { afterMs: Math.round(waited), unanswered: warmUp.awaiting.size });
  scanAll(state);
  touchAll(state);
}

/** Table and records of that peer are here. */
export function synced(state: State, peer: PeerId): void {
  state.upkeep.awaitingSync.delete(peer);
  const { warmUp } = state.upkeep;
  if (warmUp === undefined) return;
  if (!warmUp.awaiting.delete(peer) && warmUp.unresolved > 0) warmUp.unresolved--;
  tryEndWarmUp(state);
}

/** That peer can't answer now: its link was closed in order, or it refuses one. The warm-up doesn't wait for it. */
export function awaitLess(state: State, peer: PeerId): void {
  state.upkeep.warmUp?.awaiting.delete(peer);
}

/** A forgotten peer has nothing to say. */
export function awaitNothingOf(state: State, peer: PeerId): void {
  awaitLess(state, peer);
  state.upkeep.awaitingSync.delete(peer);
}

/** A peer that was away is back: nothing is caught up until its records are here, or the limit has passed. */
export function awaitSync(state: State, peer: PeerId): void {
  if (state.upkeep.warmUp !== undefined) return;
  mark(state, "awaiting-sync");
  state.upkeep.awaitingSync.set(peer, state.now.mono);
}

export function forgetAwaitedSyncs(state: State): void {
  for (const [peer, sinceMono] of state.upkeep.awaitingSync) {
    if (state.now.mono - sinceMono >= warmUpLimitMs * stretch(state)) state.upkeep.awaitingSync.delete(peer);
  }
}

/**
 * Called first in every step: a gap since the last one that is longer than the suspect time means that this process
 * was paused. Others may have stepped in, so its claims are taken back and it settles anew.
 */
export function noticePause(state: State): void {
  const gapMs = state.now.mono - state.lastStepMono;
  if (!state.alive || gapMs <= pauseMs || isPlanted(state, "no-recheck")) return;
  mark(state, "paused");
  note(state, "warn", "this peer was paused", { forMs: Math.round(gapMs) });
  for (const order of [...state.book.claims, ...state.book.capacityQueue]) {
    // A claim that voters have chosen is nobody else's; whether it is still wanted shows after the warm-up.
    if (order.local.stage === "claimed" && order.local.claim.epoch === undefined) {
      withdraw(state, order, "paused-peer");
    }
  }
  for (const order of state.book.orders.values())
    if (order.local.stage === "asking") transition(state.book, order, noStage);
  dropAsks(state);
  // A member that had left or was out of reach before the pause may be back by now, so all are awaited.
  beginWarmUp(state, state.members.byId.keys(), 0);
  state.upkeep.scanFrom = Math.min(state.upkeep.scanFrom, state.now.wall - gapMs);
}
