/**
 * A peer that was away while the mesh's key was rotated is refused by the members when it returns (DESIGN §3). A refusal alone
 * changes nothing: the address may be wrong, or it may belong to another mesh. But a member can prove that the key was
 * replaced (real/mesh/succession.ts). From then on this peer knows that the others run the timetable without it. It starts,
 * claims, votes and reports nothing, after restarts too, and says why, until it rejoins with the current key.
 *
 * A linked member that has no such proof still counts on this peer, so the peer carries on: the key may have leaked, and a
 * member's trust counts more than a stranger's proof. Peers that were away together are linked with each other; each says in
 * its heartbeats that it has the proof, so that they don't rely on one another. A peer forgets the proof when for a minute no
 * peer has repeated it and this peer has been accepted, or the peer that gave it has been forgotten by people.
 */
import type { Attribution } from "../../schema/attribution.ts";
import type { PeerId } from "../../schema/ids.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { storedKeys } from "../events.ts";
import { emit, note, type State } from "../state.ts";
import { heartbeatAtOnce } from "./members.ts";

/** Members repeat the proof every few seconds. Less forgets a valid proof; more follows a stranger's proof for longer. */
const repeatedWithinMs = 60_000;

/** A peer has proved that this peer's current key, which has the fingerprint `key`, was replaced. */
export function noteSuperseded(state: State, by: PeerId, key: string): void {
  const { members, now } = state;
  const known = members.supersededKey;
  if (known !== undefined && !isForgotten(state, known.by)) {
    known.standsMono = now.mono;
    return;
  }
  mark(state, "key-superseded");
  note(state, "warn", "this peer's cluster key was replaced by a later one", { by });
  members.supersededKey = { by, at: now.wall, standsMono: now.mono };
  keep(state, JSON.stringify({ by, at: now.wall, key }));
  heartbeatAtOnce(state);
}

/** After a start with the same key: restores what was proved to an earlier life. */
export function restoreSuperseded(state: State, stored: Attribution | undefined): void {
  if (stored !== undefined) state.members.supersededKey = { ...stored, standsMono: state.now.mono };
}

/** This peer has a new key, or is accepted with its old one. */
export function forgetSuperseded(state: State): void {
  if (state.members.supersededKey === undefined) return;
  state.members.supersededKey = undefined;
  keep(state, "");
  heartbeatAtOnce(state);
}

/** Whether the others don't count on this peer, because its key was replaced. */
export function hasSupersededKey(state: State): boolean {
  const isProved = state.members.supersededKey !== undefined && !isPlanted(state, "superseded-carries-on");
  return isProved && !isAccepted(state);
}

/** Called about once a second: forgets a proof that no peer repeats while this peer is accepted, or its prover is forgotten. */
export function reviewSuperseded(state: State): void {
  const proved = state.members.supersededKey;
  if (proved === undefined) return;
  if (!isAccepted(state) && !isForgotten(state, proved.by)) proved.standsMono = state.now.mono;
  else if (state.now.mono - proved.standsMono >= repeatedWithinMs) forgetSuperseded(state);
}

/** Whether no member is linked. */
export function isAlone({ members }: Readonly<State>): boolean {
  return members.byId.values().every(({ linked }) => !linked);
}

function isForgotten({ operator }: State, peer: string): boolean {
  return operator.forgotten.has(peer as PeerId);
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
