/**
 * People's requests to change the roster: to make a peer a voter, or to forget a peer (DESIGN §6).
 *
 * A request is for a list of voters that differs from the last epoch's by one peer. The member that was asked proposes it
 * until an epoch of the chain grants it or 8 s have passed, because other proposals may be chosen first. A peer to be
 * forgotten leaves the roster first and then the mesh, so that no majority ever includes a peer that no other hears. With
 * `force` the roster changes without its voters, by this peer's signature alone. That is for voters that are gone for good,
 * and every peer reports it.
 */
import type { Answer, Command } from "../../ports/command.ts";
import type { PeerId } from "../../schema/ids.ts";
import {
  describeAmbiguous,
  describeMissing,
  findPeer,
  isAmong,
  type NamedPeer,
} from "../../schema/find-peer.ts";
import { entryOf } from "../../schema/membership.ts";
import type { TableEdit } from "../../schema/job.ts";
import type { Epoch } from "../../schema/vote.ts";
import { hearsMajority, nextBeginning, proposeEpoch } from "../voting/proposer.ts";
import { adopt } from "../voting/epochs.ts";
import { lastEpoch } from "../voting/voting-state.ts";
import { storedKeys } from "../events.ts";
import { mark } from "../probes/marks.ts";
import { epochBytes, hashOfEpoch, votersMax } from "../voting/roster.ts";
import { emit, note, type State, expectStored } from "../state.ts";
import { signedStatement } from "./own-statements.ts";
import type { RosterRequest } from "./operator-state.ts";
import { refuse } from "./refuse.ts";

/** The longest that a person waits for the voters. */
const requestLimitMs = 8_000;

/** The peer that a person has named; a refusal when there is none, or more than one. */
export function memberNamed(state: State, text: string): PeerId | Answer {
  const known = knownPeers(state);
  const found = findPeer(known, text);
  switch (found.kind) {
    case "one":
      return found.peer.id;
    case "none":
      return refuse("PEER_NOT_FOUND", describeMissing(text, known));
    case "ambiguous":
      return refuse("UNPROCESSABLE", describeAmbiguous(text, found.candidates));
  }
}

/** This peer, the others, and voters that only the roster remembers: those can still be forgotten. */
function knownPeers(state: State): NamedPeer[] {
  const { self, name } = state.settings;
  const peers: NamedPeer[] = [{ id: self, name }];
  for (const { id, heartbeat } of state.members.byId.values()) peers.push({ id, name: heartbeat?.name });
  for (const id of lastEpoch(state)?.voters ?? []) {
    if (!peers.some((peer) => peer.id === id)) peers.push({ id, name: undefined });
  }
  return peers;
}

/** The peer that can be made a voter; an answer if there is none. Changes nothing. */
export function promotable(
  state: State,
  command: Extract<Command, { kind: "promote-peer" }>,
): PeerId | Answer {
  const peer = memberNamed(state, command.peer);
  if (typeof peer !== "string") return peer;
  const last = lastEpoch(state);
  if (last === undefined) return noRoster();
  const member = state.members.byId.get(peer);
  if (member?.state === "dead" || member?.state === "left") {
    return refuse(
      "PEER_UNREACHABLE",
      `${command.peer} ${member.state === "dead" ? "is dead" : "has left"} and could not vote`,
    );
  }
  if (!last.voters.includes(peer) && last.voters.length >= votersMax) {
    return refuse("UNPROCESSABLE", `there are already ${votersMax} voters, which is the maximum`);
  }
  return peer;
}

export function promote(
  state: State,
  command: Extract<Command, { kind: "promote-peer" }>,
  token: number,
): Answer | undefined {
  const peer = promotable(state, command);
  if (typeof peer !== "string") return peer;
  request(state, { kind: "promote", peer, command: token, force: false, by: command.by });
  return undefined;
}

/** The peer that can be forgotten; an answer if there is none. Changes nothing. */
export function forgettable(
  state: State,
  command: Extract<Command, { kind: "forget-peer" }>,
): PeerId | Answer {
  const peer = memberNamed(state, command.peer);
  if (typeof peer !== "string") return isForgottenAs(state, command.peer) ? { kind: "done" } : peer;
  if (peer === state.settings.self) {
    return refuse("NOT_ITSELF", `${command.peer} is the peer that was asked`);
  }
  return peer;
}

export function forget(
  state: State,
  command: Extract<Command, { kind: "forget-peer" }>,
  token: number,
): Answer | undefined {
  const peer = forgettable(state, command);
  if (typeof peer !== "string") return peer;
  request(state, { kind: "forget", peer, command: token, force: command.force ?? false, by: command.by });
  return undefined;
}

function isForgottenAs(state: State, named: string): boolean {
  return [...state.operator.forgotten.values()].some(({ peer: id, name }) => isAmong([named], { id, name }));
}

function noRoster(): Answer {
  return refuse("NO_QUORUM", "this mesh has no voters: no peer knows who made its cluster key");
}

function request(state: State, one: Omit<RosterRequest, "untilMono">): void {
  state.operator.rosterRequests.push({ ...one, untilMono: state.now.mono + requestLimitMs });
}

/** The voters that the request asks for; undefined when it is already granted. */
function wantedVoters(state: State, { kind, peer }: RosterRequest, { voters }: Epoch): PeerId[] | undefined {
  if (kind === "promote") return voters.includes(peer) ? undefined : [...voters, peer].toSorted();
  if (!voters.includes(peer)) return undefined;
  const rest = voters.filter((voter) => voter !== peer);
  return rest.length > 0 ? rest : [state.settings.self];
}

/** Called in every step: answers the requests that are granted, proposes the others, and refuses them at their limit. */
export function pursueRosterRequests(state: State): void {
  if (state.operator.rosterRequests.length === 0) return;
  for (const one of state.operator.rosterRequests.splice(0)) {
    const last = lastEpoch(state);
    const wanted = last === undefined ? undefined : wantedVoters(state, one, last);
    if (last === undefined || wanted === undefined) grant(state, one);
    else if (one.force && (!hearsMajority(state, last) || state.now.mono >= one.untilMono)) {
      force(state, one, last, wanted);
      grant(state, one);
    } else if (state.now.mono >= one.untilMono) {
      mark(state, "request-refused");
      const { voters } = last;
      const detail = `no majority of the ${voters.length} voters has agreed within ${requestLimitMs / 1_000} s`;
      emit(state, { kind: "answer", token: one.command, answer: refuse("NO_QUORUM", detail) });
    } else {
      proposeEpoch(state, wanted);
      state.operator.rosterRequests.push(one);
    }
  }
}

/** The epoch is in the chain, which is being stored. The answer follows once that is durable. */
function grant(state: State, { kind, peer, command, by }: RosterRequest): void {
  mark(state, "request-granted");
  const answer = { kind: "done" } as const;
  if (kind === "promote") {
    const token = expectStored(state, { kind: "answer", command, answer });
    const value = JSON.stringify(state.voting.roster.chain);
    return emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.roster, value }], token });
  }
  const name = state.members.byId.get(peer)?.heartbeat?.name ?? peer.slice(-8);
  const statement = signedStatement(state, { peer, forgotten: true, by, name });
  const token = expectStored(state, { kind: "answer", command, answer, statement });
  const value = entryOf(statement);
  const edits: TableEdit[] = [
    // Members of earlier versions know only this root, in which nothing is ever taken back.
    { kind: "set", root: "peers", id: peer, value, by },
    { kind: "set", root: "membership", id: peer, value, by },
  ];
  emit(state, { kind: "edit", edits, token });
}

function force(state: State, { by, peer }: RosterRequest, last: Epoch, voters: PeerId[]): void {
  const { self } = state.settings;
  mark(state, "roster-forced");
  note(state, "warn", "the roster is forced without a majority of its voters", { by, without: peer });
  const unsigned = {
    number: last.number + 1,
    voters,
    ...nextBeginning(state, last),
    previous: hashOfEpoch(last),
    forced: { by: self, signature: "" },
  };
  const signature = state.settings.signText(epochBytes(unsigned));
  adopt(state, [{ ...unsigned, signatures: {}, forced: { by: self, signature } }]);
}
