/**
 * Taking a forgotten peer in again, because a person said so (DESIGN §3: every lasting loss can be undone by a person).
 *
 * When a member is asked, `unforget` makes all members accept the peer. When the forgotten peer itself is asked, that peer
 * carries on, alone if necessary; members that still refuse it must be asked as well, and their refusal counts again while no
 * member accepts it. The peer warms up before it takes ticks, because others may have run the ticks that it left out. It votes
 * in no epoch that it knew when it was forgotten, because the others may have replaced that epoch: it must be promoted again.
 */
import type { Answer, Command } from "../../ports/command.ts";
import { CicadaError } from "../../errors.ts";
import type { Readmitted } from "../../schema/attribution.ts";
import { describeAmbiguous, findPeer, type NamedPeer } from "../../schema/find-peer.ts";
import type { PeerId } from "../../schema/ids.ts";
import { touchAll } from "../claims/touched.ts";
import { storedKeys } from "../events.ts";
import { holdReadmissions } from "../members/admission.ts";
import { heartbeatAtOnce } from "../members/members.ts";
import { beginWarmUp } from "../orders/warm-up.ts";
import { mark } from "../probes/marks.ts";
import { emit, expectStored, note, type State } from "../state.ts";
import { entryOf } from "../../schema/membership.ts";
import { signedStatement } from "./own-statements.ts";
import { memberNamed } from "./roster-requests.ts";

/**
 * Undefined when the answer comes later, once the change is durable. If the peer is not forgotten here, there is nothing to do.
 * That is refused and not answered as done, because the statement that forgets the peer may still be on its way, and would then
 * hold.
 */
export function unforget(
  state: State,
  { peer: named, by }: Extract<Command, { kind: "unforget-peer" }>,
  command: number,
): Answer | undefined {
  const found = findPeer(forgottenPeers(state), named);
  if (found.kind === "ambiguous") {
    const error = new CicadaError("UNPROCESSABLE", describeAmbiguous(named, found.candidates));
    return { kind: "refused", error };
  }
  if (found.kind === "none") {
    const peer = memberNamed(state, named);
    if (typeof peer !== "string") return peer;
    const error = new CicadaError("NOT_FORGOTTEN", `${named} is not forgotten, as far as this peer knows`);
    return { kind: "refused", error };
  }
  const { id, name = id.slice(-8) } = found.peer;
  const statement = signedStatement(state, { peer: id, forgotten: false, by, name });
  const value = entryOf(statement);
  const token = expectStored(state, { kind: "answer", command, answer: { kind: "done" }, statement });
  emit(state, { kind: "edit", edits: [{ kind: "set", root: "membership", id, value, by }], token, command });
  return undefined;
}

/** Whether the command asks a forgotten peer to take itself in again: the only change of the table that it makes. */
export function readmitsItself(state: State, command: Command): boolean {
  if (command.kind !== "unforget-peer") return false;
  const found = findPeer(forgottenPeers(state), command.peer);
  return found.kind === "one" && found.peer.id === state.settings.self;
}

/**
 * Whether a person may say at this peer who belongs to the mesh, although members turn this peer away: its own person has taken
 * it in again, and it may be those members that don't belong there.
 */
export function maySpeak(state: State, { kind }: Command): boolean {
  const isAboutMembers = kind === "forget-peer" || kind === "unforget-peer" || kind === "confirm-peer";
  return isAboutMembers && hasOwnReadmission(state);
}

/** Whether a person's last word about this peer, as far as this peer knows, is that the mesh takes it in again. */
export function hasOwnReadmission({ operator, settings }: State): boolean {
  return operator.membership.kept.get(settings.self)?.forgotten === false;
}

function forgottenPeers({ operator, settings }: State): NamedPeer[] {
  const others = Array.from(operator.forgotten.values(), ({ peer: id, name }) => ({ id, name }));
  const own = operator.selfForgotten === undefined ? [] : [{ id: settings.self, name: settings.name }];
  return [...own, ...others];
}

/** Takes in the peers that were forgotten and are taken in again. */
export function takeReadmitted(state: State, readmitted: readonly Readmitted[]): void {
  for (const { peer, by } of readmitted) {
    if (!state.operator.forgotten.delete(peer)) continue;
    mark(state, "peer-readmitted");
    note(state, "info", "a forgotten peer is taken in again", { peer, by });
  }
  const before = state.operator.readmittedAt;
  holdReadmissions(state, readmitted);
  state.operator.readmittedAt = readmitted.find(({ peer }) => peer === state.settings.self)?.at;
  const { readmittedAt } = state.operator;
  if (readmittedAt !== undefined && readmittedAt !== before) carryOn(state);
}

/**
 * A member's table and records are here, so that member accepts this peer; an earlier refusal came from one that didn't know.
 */
export function acceptedBy(state: State, peer: PeerId): void {
  const isLinked = state.members.byId.get(peer)?.linked === true;
  if (isLinked && state.operator.readmittedAt !== undefined) carryOn(state);
}

/** Whether a refusal is out of date: this peer was taken in again, and the member that turned it away doesn't know so yet. */
export function isRefusalOutdated({ operator, members }: State): boolean {
  return operator.readmittedAt !== undefined && [...members.byId.values()].some(({ linked }) => linked);
}

export function carryOn(state: State): void {
  const { operator, upkeep, members } = state;
  if (operator.selfForgotten === undefined) return;
  operator.selfForgotten = undefined;
  mark(state, "self-readmitted");
  note(state, "info", "this peer belongs to the mesh again: it takes ticks, and votes once it is promoted");
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.selfForgotten, value: "" }] });
  const known = [...members.byId.values()];
  const linked = known.filter((member) => member.linked);
  // Without a link, one of them may be there and still refuse this peer, which it says when it is dialled again.
  const awaited = (linked.length > 0 ? linked : known).map(({ id }) => id);
  if (upkeep.warmUp === undefined) beginWarmUp(state, [...upkeep.awaitingSync.keys(), ...awaited], 0);
  heartbeatAtOnce(state);
  touchAll(state);
}
