/**
 * The warm-up (DESIGN §3, §11).
 *
 * A peer that has just started, that was paused longer than the suspect time, or whose clock was set, starts no runs until it
 * knows what the others decided meanwhile and how far its clock is from theirs. It waits for table, records and a measured
 * offset from every member that answers, for at most 5 s, or longer on an overloaded host. A peer that knows no other is done
 * at once.
 */
import type { PeerId } from "../../schema/ids.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { warmUpLimitMs } from "../limits.ts";
import { awaitsOffsets } from "../members/clocks.ts";
import { stretch } from "../members/members-state.ts";
import { heartbeatAtOnce } from "../members/members.ts";
import { note, type State } from "../state.ts";

export function beginWarmUp(state: State, awaiting: Iterable<PeerId>, unresolved: number): void {
  state.upkeep.warmUp = { sinceMono: state.now.mono, awaiting: new Set(awaiting), unresolved };
}

/** Ends the warm-up when no peer is awaited any more, or at the limit. Returns whether it has ended now. */
export function tryEndWarmUp(state: State): boolean {
  const { warmUp } = state.upkeep;
  if (warmUp === undefined) return false;
  const waited = state.now.mono - warmUp.sinceMono;
  const complete = warmUp.awaiting.size === 0 && warmUp.unresolved === 0 && !awaitsOffsets(state);
  // On an overloaded host the others' answers may have arrived and not been handled yet.
  const limitMs = warmUpLimitMs * stretch(state);
  const skipped = isPlanted(state, "warm-up-skipped");
  if (!complete && waited < limitMs && !skipped) return false;
  if (!complete) mark(state, "warm-up-at-the-limit");
  // A slow peer may still answer. Ticks that came due before the end of the warm-up wait for it, at most as long again.
  if (!skipped) for (const peer of warmUp.awaiting) state.upkeep.awaitingSync.set(peer, state.now.mono);
  state.upkeep.warmUp = undefined;
  state.upkeep.warmedUpAt = skipped ? 0 : state.now.wall;
  heartbeatAtOnce(state);
  note(state, "debug", "warmed up", { afterMs: Math.round(waited), unanswered: warmUp.awaiting.size });
  return true;
}

/** The table and the records of that peer are here. */
export function synced(state: State, peer: PeerId): void {
  state.upkeep.awaitingSync.delete(peer);
  const { warmUp } = state.upkeep;
  if (warmUp === undefined) return;
  if (!warmUp.awaiting.delete(peer) && warmUp.unresolved > 0) warmUp.unresolved--;
}

/** The warm-up stops waiting for that peer, which can't answer now: its link is down, or it refuses one. */
export function awaitLess(state: State, peer: PeerId): void {
  state.upkeep.warmUp?.awaiting.delete(peer);
}

/** Nothing is awaited from a forgotten peer. */
export function awaitNothingOf(state: State, peer: PeerId): void {
  awaitLess(state, peer);
  state.upkeep.awaitingSync.delete(peer);
}

/** A peer that was away is back: no tick is caught up until its records are here, or until the limit. */
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
