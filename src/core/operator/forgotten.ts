/**
 * Forgotten peers: identities that the mesh refuses because a person said so (DESIGN §3, §6), until a person takes them in
 * again (readmission.ts).
 *
 * A forgotten peer is no longer a member: it has no rank, it is neither asked nor awaited, and its messages are ignored. The
 * mesh door keeps it out (Mesh.refuse), and the table tells every peer (membership.ts). A peer that learns that it has been
 * forgotten itself stops taking ticks and voting, now and after every restart: on its own it would run every job a second time.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Forgotten, Attribution } from "../../schema/attribution.ts";
import { giveClaimsBack } from "../claims/claims.ts";
import { storedKeys } from "../events.ts";
import { awaitNoAnswer } from "../claims/asking.ts";
import { awaitNothingOf } from "../orders/warm-up.ts";
import { barThroughLast } from "../voting/memory.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { forgetMembers } from "../members/members.ts";
import { emit, note, type State } from "../state.ts";

export function isForgotten(state: State, peer: PeerId): boolean {
  return state.operator.forgotten.has(peer);
}

/** Takes in the peers that are forgotten. Returns whether any of them is news and not this peer. */
export function takeForgotten(state: State, forgotten: readonly Forgotten[]): boolean {
  const members: PeerId[] = [];
  for (const one of forgotten) {
    if (state.operator.forgotten.has(one.peer)) continue;
    if (one.peer === state.settings.self) {
      state.operator.readmittedAt = undefined;
      noteSelfForgotten(state, { by: one.by, at: one.at });
      continue;
    }
    // The name in the statement is whatever its signer wrote: people look for the one that they know.
    const name = state.members.byId.get(one.peer)?.heartbeat?.name ?? one.name;
    const { peer, at, by } = one;
    state.operator.forgotten.set(peer, { peer, at, by, name });
    mark(state, "peer-forgotten");
    const level = state.members.byId.has(peer) ? "warn" : "debug";
    note(state, level, "a peer has been forgotten: it is refused from now on", {
      peer,
      name,
      by,
    });
    members.push(peer);
    awaitNothingOf(state, peer);
    awaitNoAnswer(state, peer);
  }
  if (members.length > 0) forgetMembers(state, members);
  return members.length > 0;
}

/** After a start: restores whether this peer was forgotten in its earlier life. */
export function restoreSelfForgotten(state: State, selfForgotten: Attribution | undefined): void {
  state.operator.selfForgotten = selfForgotten;
  if (selfForgotten !== undefined) warnOfSelfForgotten(state, selfForgotten);
}

function warnOfSelfForgotten(state: State, { by }: Attribution): void {
  note(state, "warn", "this peer has been forgotten by its mesh: it takes no ticks and doesn't vote", {
    by,
  });
}

/** This peer has been forgotten, according to the table or to a member that turned it away with a proof. */
export function noteSelfForgotten(state: State, selfForgotten: Attribution): void {
  if (state.operator.selfForgotten !== undefined || isPlanted(state, "forgotten-carries-on")) return;
  state.operator.selfForgotten = selfForgotten;
  mark(state, "self-forgotten");
  warnOfSelfForgotten(state, selfForgotten);
  emit(state, {
    kind: "store",
    writes: [{ kind: "meta", key: storedKeys.selfForgotten, value: JSON.stringify(selfForgotten) }],
  });
  barThroughLast(state);
  giveClaimsBack(state);
}
