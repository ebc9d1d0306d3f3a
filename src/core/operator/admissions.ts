/**
 * Joins and confirmations. A member that sees a new peer records its join in the table, where every peer reads it. So each
 * peer can log it, and the list of peers says when and by which invitation a peer joined. People confirm the peers that belong
 * to the mesh (members/admission.ts says whose confirmation counts).
 *
 * One member records joins: the one with the lowest id among those whose own join is known. In a split, one on each side does,
 * and the first record stays. A peer that joins by an invitation confirms the peer that issued it, because a person gave it
 * that invitation. In a mesh that an earlier version made, a join is dated to when it was first recorded.
 */
import type { Answer, Command } from "../../ports/command.ts";
import { CicadaError } from "../../errors.ts";
import type { Admissions } from "../events.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { TableEdit } from "../../schema/job.ts";
import { confirmationBytes, holdAdmissions, reviewConfirmations } from "../members/admission.ts";
import { tooFarAheadToWrite } from "../members/clocks.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { emit, expectStored, nextToken, note, type State } from "../state.ts";
import { memberNamed } from "./roster-requests.ts";

/** Between two tries to write an entry, doubled each time. More leaves an entry out for longer after a disk error. */
const firstPauseMs = 10_000;
const longestPauseMs = 3_600_000;
/** More entries are tried than this only if identities come and go; then their pauses begin anew. */
const triesMax = 1_000;
/** How long a new peer is alive before its join is recorded, so that the recording member has the others' records by then. */
const recordAfterMs = 5_000;

/**
 * Takes in what the table says. Joins that are new to this peer are announced, unless it is so new itself that all of them
 * are.
 */
export function takeAdmissions(state: State, admissions: Admissions): void {
  const { joins } = admissions;
  const known = state.members.admissions.joins;
  const { self } = state.settings;
  const announces = state.alive && (known.has(self) || isFounder(state, self));
  for (const join of announces ? joins : []) {
    if (known.has(join.peer) || join.peer === self) continue;
    const { peer, name, invitation, by } = join;
    const how = invitation === undefined ? {} : { invitation };
    note(state, "info", "a new peer has joined the mesh", { peer, name, ...how, recordedBy: by });
    emit(state, { kind: "notify", event: { kind: "joined", join } });
  }
  holdAdmissions(state, admissions);
}

/** Called about once a second: records joins that are this peer's to record, and confirms the peer that invited it. */
export function recordAdmissions(state: State): void {
  reviewConfirmations(state);
  if (!mayRecord(state)) return;
  confirmInviter(state);
  if (!isRecorder(state)) return;
  for (const { id, state: how, stateSinceMono, heartbeat } of state.members.byId.values()) {
    const isSteady = how === "alive" && state.now.mono - stateSinceMono >= recordAfterMs;
    if (!isSteady || heartbeat === undefined || isKnown(state, id)) continue;
    if (state.members.admissions.unreadableJoins.has(id) || !mayTry(state, `join ${id}`)) continue;
    const { name, invitation } = heartbeat;
    const { self } = state.settings;
    const value = { at: state.now.wall, by: self, name, ...(invitation === undefined ? {} : { invitation }) };
    write(state, { kind: "set", root: "joins", id, value, by: self });
  }
}

/** Whether this peer may write into the table what no person has asked for. */
export function mayRecord(state: State): boolean {
  const { upkeep, operator, members } = state;
  if (upkeep.warmUp !== undefined || operator.selfForgotten !== undefined || operator.draining) return false;
  if (members.duplicateIdentity || hasSupersededKey(state)) return false;
  return tooFarAheadToWrite(state) === undefined;
}

function isKnown(state: State, peer: PeerId): boolean {
  return state.members.admissions.joins.has(peer) || isFounder(state, peer);
}

/** Whether the peer made the mesh, so that it never joined. */
function isFounder({ voting }: State, peer: PeerId): boolean {
  return voting.roster.chain[0]?.voters.includes(peer) ?? false;
}

/** Whether this peer is the one member of its side of the mesh that writes such things. */
export function isRecorder(state: State): boolean {
  const { self } = state.settings;
  const living = [...state.members.byId.values()].filter((member) => member.state === "alive");
  const ids = [self, ...living.map(({ id }) => id)];
  const known = ids.filter((id) => isKnown(state, id));
  return (known.length === 0 ? ids : known).every((id) => id >= self);
}

/** Confirms the peer that issued this peer's invitation, because a person gave this peer that invitation. */
function confirmInviter(state: State): void {
  const { invitation, self } = state.settings;
  if (invitation === undefined || invitation.by === self || !state.members.byId.has(invitation.by)) return;
  const { confirmed, isUnreviewed } = state.members.admissions;
  if (confirmed.has(invitation.by) || isUnreviewed || !mayTry(state, "inviter")) return;
  write(state, confirmation(state, invitation.by, `invitation ${invitation.id}`));
}

/** Whether that entry may be written now: each further try comes after a longer pause, because a member may undo it each time. */
function mayTry({ operator, now }: State, entry: string): boolean {
  const { untilMono = -Infinity, pauseMs = firstPauseMs } = operator.tries.get(entry) ?? {};
  if (now.mono < untilMono) return false;
  if (operator.tries.size >= triesMax) operator.tries.clear();
  operator.tries.set(entry, {
    untilMono: now.mono + pauseMs,
    pauseMs: Math.min(2 * pauseMs, longestPauseMs),
  });
  return true;
}

/** Edits the table without waiting for the result: if the entry isn't in the table later, it is written again. */
function write(state: State, edit: TableEdit): void {
  emit(state, { kind: "edit", edits: [edit], token: nextToken(state) });
}

function confirmation(state: State, peer: PeerId, by: string): TableEdit {
  const { settings, now } = state;
  const { self } = settings;
  const at = now.wall;
  const signature = settings.signText(confirmationBytes({ peer, signer: self, at, by }));
  return { kind: "set", root: "confirmations", id: `${peer}/${self}`, value: { at, by, signature }, by };
}

/** Undefined when the answer comes later, once the confirmation is durable. */
export function confirm(
  state: State,
  { peer: named, by }: Extract<Command, { kind: "confirm-peer" }>,
  command: number,
): Answer | undefined {
  const peer = memberNamed(state, named);
  if (typeof peer !== "string") return peer;
  if (peer === state.settings.self) {
    const detail = `${named} is the peer that was asked, and other peers don't accept its confirmation of itself: ask another peer`;
    return { kind: "refused", error: new CicadaError("UNPROCESSABLE", detail) };
  }
  const token = expectStored(state, { kind: "answer", command, answer: { kind: "done" } });
  emit(state, { kind: "edit", edits: [confirmation(state, peer, by)], token, command });
  return undefined;
}
