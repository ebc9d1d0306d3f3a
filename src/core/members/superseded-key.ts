/**
 * A peer that was away while the mesh's key was rotated is refused by the members when it returns (DESIGN §3). A refusal alone
 * changes nothing: the address may be wrong, or a foreign mesh may be there. But a member can prove that the key was replaced
 * (real/mesh/succession.ts). From then on this peer knows that the others run the timetable without it. It starts, claims,
 * votes and reports nothing, over restarts too, and says why, until it has joined anew with the present key.
 *
 * A member that is linked and has been told nothing of the kind counts on this peer, which therefore carries on: the key may
 * have leaked, and a member's trust is worth more than a stranger's word. Peers that were away together are linked with each
 * other; each says in its heartbeats that it was told, so that they don't rely on one another. When a peer has been accepted
 * for a minute in which nobody repeated the proof, it forgets it.
 */
import type { Attribution } from "../../schema/attribution.ts";
import type { PeerId } from "../../schema/ids.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { storedKeys } from "../events.ts";
import { emit, note, type State } from "../state.ts";
import { announceAtOnce } from "./members.ts";

/** Members repeat the proof every few seconds. Less forgets a proof that still holds; more heeds a stranger's for longer. */
const repeatedWithinMs = 60_000;

/** A peer has proved that this peer's present key, which has this fingerprint, was replaced. */
export function noteSuperseded(state: State, by: PeerId, key: string): void {
  const { members, now } = state;
  if (members.supersededKey !== undefined) {
    members.supersededKey.standsMono = now.mono;
    return;
  }
  mark(state, "key-superseded");
  note(state, "warn", "this peer's cluster key was replaced by a later one", { by });
  members.supersededKey = { by, at: now.wall, standsMono: now.mono };
  keep(state, JSON.stringify({ by, at: now.wall, key }));
  announceAtOnce(state);
}

/** After a start with the same key: as an earlier life was told. */
export function restoreSuperseded(state: State, told: Attribution | undefined): void {
  if (told !== undefined) state.members.supersededKey = { ...told, standsMono: state.now.mono };
}

/** This peer has another key now, or is accepted with the one that it has. */
export function forgetSuperseded(state: State): void {
  if (state.members.supersededKey === undefined) return;
  state.members.supersededKey = undefined;
  keep(state, "");
  announceAtOnce(state);
}

/** True while the others don't count on this peer, because its key was replaced. */
export function hasSupersededKey(state: State): boolean {
  const isTold = state.members.supersededKey !== undefined && !isPlanted(state, "superseded-carries-on");
  return isTold && !isAccepted(state);
}

/** To be called about once a second: forgets a proof that nobody repeats while this peer is accepted. */
export function reviewSuperseded(state: State): void {
  const told = state.members.supersededKey;
  if (told === undefined) return;
  if (!isAccepted(state)) told.standsMono = state.now.mono;
  else if (state.now.mono - told.standsMono >= repeatedWithinMs) forgetSuperseded(state);
}

function isAccepted(state: State): boolean {
  for (const { linked, heartbeat } of state.members.byId.values()) {
    if (linked && heartbeat !== undefined && heartbeat.keySuperseded !== true) return true;
  }
  return false;
}

function keep(state: State, value: string): void {
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.supersededKey, value }] });
}
