/**
 * Taking a forgotten peer in again, because a person said so (DESIGN §3: every lasting loss can be undone by a person).
 *
 * Asked of a member, `unforget` has all members accept the peer. Asked of the forgotten peer itself, it lets that one go on,
 * alone if need be; members that still refuse it must be asked as well, and their refusal counts again while no member
 * accepts it. The peer warms up before it takes ticks, because what it left out may have run elsewhere. It votes in no epoch
 * that it knew when it was forgotten: the others may have replaced that epoch without it, so it must be promoted again.
 */
import type { Answer, Command } from "../../ports/control.ts";
import { CicadaError } from "../../errors.ts";
import type { Readmitted } from "../../schema/attribution.ts";
import { describeAmbiguous, findPeer, type NamedPeer } from "../../schema/find-peer.ts";
import type { PeerId } from "../../schema/ids.ts";
import { touchAll } from "../claims/order-book.ts";
import { storedKeys } from "../events.ts";
import { announceAtOnce } from "../members/members.ts";
import { beginWarmUp } from "../orders/warm-up.ts";
import { mark } from "../probes/marks.ts";
import { emit, expectStored, note, type State } from "../state.ts";
import { memberNamed } from "./roster-requests.ts";

/** Undefined: the answer comes once the change is durable. A peer that is not forgotten needs nothing. */
export function unforget(
  state: State,
  { peer: named, by }: Extract<Command, { kind: "unforget-peer" }>,
  command: number,
): Answer | undefined {
  const found = findPeer(forgottenPeers(state), named);
  if (found.kind === "ambiguous") {
    const error = new CicadaError("BAD_REQUEST", describeAmbiguous(named, found.candidates));
    return { kind: "refused", error };
  }
  if (found.kind === "none") {
    const peer = memberNamed(state, named);
    return typeof peer === "string" ? { kind: "done" } : peer;
  }
  const { id, name = id.slice(-8) } = found.peer;
  const value = { forgotten: false, at: state.now.wall, by, name };
  const token = expectStored(state, { kind: "answer", command, answer: { kind: "done" } });
  emit(state, { kind: "edit", edits: [{ kind: "set", root: "membership", id, value, by }], token });
  return undefined;
}

/** True when a forgotten peer is asked to take itself in again: the one change of the table that it makes. */
export function readmitsItself(state: State, command: Command): boolean {
  if (command.kind !== "unforget-peer") return false;
  const found = findPeer(forgottenPeers(state), command.peer);
  return found.kind === "one" && found.peer.id === state.settings.self;
}

function forgottenPeers({ operator, settings }: State): NamedPeer[] {
  const others = Array.from(operator.forgotten.values(), ({ peer: id, name }) => ({ id, name }));
  const own = operator.selfForgotten === undefined ? [] : [{ id: settings.self, name: settings.name }];
  return [...own, ...others];
}

/** What the table said when this life began. */
export function restoreReadmitted(state: State, readmitted: readonly Readmitted[]): void {
  state.operator.readmittedAt = readmitted.find(({ peer }) => peer === state.settings.self)?.at;
}

/** The table names the peers that were forgotten and belong to the mesh again. */
export function takeReadmitted(state: State, readmitted: readonly Readmitted[]): void {
  for (const { peer, by } of readmitted) {
    if (!state.operator.forgotten.delete(peer)) continue;
    mark(state, "peer-readmitted");
    note(state, "info", "a forgotten peer is taken in again", { peer, by });
  }
  const before = state.operator.readmittedAt;
  restoreReadmitted(state, readmitted);
  const { readmittedAt } = state.operator;
  if (readmittedAt !== undefined && readmittedAt !== before) goOn(state);
}

/** Table and records of a member are here, so that one accepts this peer; a refusal before came from one that did not know. */
export function acceptedBy(state: State, peer: PeerId): void {
  const isLinked = state.members.byId.get(peer)?.linked === true;
  if (isLinked && state.operator.readmittedAt !== undefined) goOn(state);
}

/** A peer that is taken in again may still be turned away by a member that does not know, while others accept it. */
export function isRefusalOutdated({ operator, members }: State): boolean {
  return operator.readmittedAt !== undefined && [...members.byId.values()].some(({ linked }) => linked);
}

function goOn(state: State): void {
  const { operator, upkeep, members } = state;
  if (operator.selfForgotten === undefined) return;
  operator.selfForgotten = undefined;
  mark(state, "self-readmitted");
  note(state, "info", "this peer belongs to the mesh again: it takes ticks, and votes when it is promoted");
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.selfForgotten, value: "" }] });
  const linked = [...members.byId.values()].filter((member) => member.linked).map(({ id }) => id);
  if (upkeep.warmUp === undefined) beginWarmUp(state, [...upkeep.awaitingSync.keys(), ...linked], 0);
  announceAtOnce(state);
  touchAll(state);
}
