/**
 * Whether this voter remembers every vote that was given in its name (DESIGN §6).
 *
 * Every peer's heartbeats carry its signed statement about how many votes it has ever stored. Each other peer shows it the
 * highest such statement that it has heard from it. After a start, a voter votes only when enough others to make a majority
 * together with it have confirmed that its number is not below what they heard. If a voter's own signature proves that its disk
 * lacks votes that it has given, it never votes again under that identity, unless people forget it, take it in again and make it
 * a voter again. A member that names a higher number without that proof only doesn't confirm. Not promised: noticing a rollback
 * that no living peer remembers.
 */
import type { Write } from "../../ports/disk.ts";
import { canonicalText } from "../../schema/canonical.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/heartbeat.ts";
import { spansMost, type Epoch } from "../../schema/vote.ts";
import { joinSpans, writeSpans } from "../time/spans.ts";
import { storedKeys } from "../events.ts";
import { assert } from "../../errors.ts";
import { stateOfPeer } from "../members/members.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { emit, expectStored, note, type State } from "../state.ts";
import { majorityOf } from "./paxos.ts";
import { lastEpoch, type VoterState } from "./voting-state.ts";

/** The bytes of a voter's statement about its number of votes. */
export function voteBytes(peer: PeerId, votes: number): Uint8Array {
  return Buffer.from(canonicalText({ what: "votes", peer, votes }) ?? "");
}

/** This voter has given that many more votes. The count never shrinks in one life. */
export function raiseVoteCount(voter: VoterState, by: number): number {
  assert(by >= 0, "a voter gives back no votes");
  voter.voteCount += by;
  return voter.voteCount;
}

/** That many votes are durable. Heartbeats name only these. */
export function raiseVotesStored(voter: VoterState, to: number): void {
  assert(to <= voter.voteCount, "no more votes are stored than were given");
  voter.votesStored = Math.max(voter.votesStored, to);
}

/** Takes in what a heartbeat says about its sender's votes and about this peer's. */
export function hearVoteCounts(state: State, from: PeerId, heartbeat: Heartbeat): void {
  const { voter } = state.voting;
  const { votes, voteWord, echo } = heartbeat;
  if (votes !== undefined) voter.seenVotes.set(from, Math.max(votes, voter.seenVotes.get(from) ?? 0));
  if (voteWord !== undefined && voteWord.votes >= (voter.signedVoteCounts.get(from)?.votes ?? 0)) {
    voter.signedVoteCounts.set(from, voteWord);
  }
  // A number counts only from a sender that has heard this life of this peer.
  if (echo?.incarnation !== state.members.incarnation || !state.members.byId.has(from)) return;
  const proved = provedVotes(state, heartbeat);
  if (voter.memory === "regaining") {
    // A sender that doesn't know yet that this peer is a voter again names no number.
    if ((heartbeat.epoch ?? 0) < (lastEpoch(state)?.number ?? 0)) return;
    if (proved > voter.voteCount) takeOverCount(state, proved);
  } else if (proved > voter.voteCount) {
    return noteLostVotes(state, proved);
  } else if ((heartbeat.seenVotes?.[state.settings.self] ?? 0) > voter.voteCount) {
    mark(state, "votes-unproved");
    return;
  }
  voter.confirmedBy.add(from);
  judgeMemory(state);
}

/** How many votes this peer has given by its own statement, which the heartbeat shows; 0 if it shows none that holds. */
function provedVotes({ settings, voting }: State, { heardVoteWord: shown }: Heartbeat): number {
  if (shown === undefined || shown.votes <= voting.voter.voteCount) return 0;
  const { self } = settings;
  return settings.verifyText(self, voteBytes(self, shown.votes), shown.signature) ? shown.votes : 0;
}

function noteLostVotes(state: State, proved: number): void {
  const { voter } = state.voting;
  if (isPlanted(state, "memory-trusted")) return;
  if (voter.memory !== "lost") {
    mark(state, "memory-lost");
    note(state, "warn", "this voter's disk lacks votes that it has given: it no longer votes", {
      stored: voter.voteCount,
      told: proved,
    });
  }
  loseMemory(state, String(proved));
}

/**
 * This peer no longer votes, in this life and in later ones. That is stored together with `why`, because the peers that
 * reported the loss may have forgotten it by the next start.
 */
export function loseMemory(state: State, why: string): void {
  const { voter } = state.voting;
  if (voter.memory === "lost") return;
  voter.memory = "lost";
  voter.lostIn = lastEpoch(state)?.number ?? 0;
  emit(state, {
    kind: "store",
    writes: [
      { kind: "meta", key: storedKeys.votesLost, value: why },
      { kind: "meta", key: storedKeys.votesLostIn, value: String(voter.lostIn) },
    ],
  });
}

/**
 * Called when the roster has changed. A peer that has lost its memory may vote again once people have forgotten it, taken it
 * in again and made it a voter. In the epoch that did so it has never voted, whatever was lost. It votes on no tick from
 * before that epoch, because it doesn't know whether it already has.
 */
export function regainMemory(state: State): void {
  const { voter, roster } = state.voting;
  const { self } = state.settings;
  if (voter.memory !== "lost" || voter.barredThrough < Math.max(0, voter.lostIn)) return;
  const made = roster.chain.find(
    ({ number, voters }) =>
      number > voter.barredThrough &&
      voters.includes(self) &&
      roster.chain[number - 1]?.voters.includes(self) === false,
  );
  if (made === undefined) return;
  mark(state, "memory-regained");
  note(
    state,
    "info",
    "this peer was made a voter again: it votes once the others have told it its number of votes",
  );
  voter.memory = "regaining";
  voter.confirmedBy.clear();
  const before = { from: 0, to: made.from - 1 };
  voter.forgotten = joinSpans([...voter.forgotten, before], spansMost);
  const value = writeSpans(voter.forgotten);
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.forgottenVotes, value }] });
}

/** Takes over the count of votes that others remember and this peer has lost, so that no peer reports them as lost again. */
function takeOverCount(state: State, seen: number): void {
  const { voter } = state.voting;
  const count = raiseVoteCount(voter, seen - voter.voteCount);
  const token = expectStored(state, { kind: "votes", to: state.settings.self, replies: [], count });
  const writes: Write[] = [{ kind: "meta", key: storedKeys.voteCount, value: String(count) }];
  emit(state, { kind: "store", writes, token });
}

/** This peer has been forgotten: if it is taken in again, it votes only in epochs later than those that it knows now. */
export function barThroughLast(state: State): void {
  const last = lastEpoch(state);
  if (last === undefined) return;
  state.voting.voter.barredThrough = last.number;
  const value = String(last.number);
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.barredThrough, value }] });
}

/** The voter is sure of its memory once it and the voters that have confirmed make a majority. */
export function judgeMemory(state: State): void {
  const { voter } = state.voting;
  const last = lastEpoch(state);
  if (last === undefined) return;
  if (voter.memory === "regaining") return judgeRegained(state, last);
  if (voter.memory !== "unsure") return;
  const confirmed = last.voters.filter((peer) => peer === state.settings.self || voter.confirmedBy.has(peer));
  if (!last.voters.includes(state.settings.self) || confirmed.length >= majorityOf(last.voters.length)) {
    voter.memory = "sure";
  }
}

/** After regaining, every living voter must have named its number, because each may remember another one. */
function judgeRegained(state: State, { voters }: Epoch): void {
  const { voter } = state.voting;
  const { self } = state.settings;
  if (!voters.includes(self)) return;
  const others = voters.filter((peer) => peer !== self);
  const silent = others.filter((peer) => !voter.confirmedBy.has(peer));
  const isGone = (peer: PeerId) => ["dead", "left"].includes(stateOfPeer(state, peer));
  if (others.length - silent.length + 1 < majorityOf(voters.length) || !silent.every(isGone)) return;
  voter.memory = "sure";
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.votesLost, value: "" }] });
}

/** Signs this peer's number of votes, if that has changed. To be called before heartbeats are sent. */
export function signVotes({ settings, voting: { voter } }: State): void {
  const votes = voter.votesStored;
  if (voter.ownVoteCount?.votes === votes) return;
  voter.ownVoteCount = { votes, signature: settings.signText(voteBytes(settings.self, votes)) };
}

/** What this peer's heartbeats to one member say about votes. */
export function votesFor(state: State, member: PeerId, counts: VoteCounts): VoteCounts {
  const heard = state.voting.voter.signedVoteCounts.get(member);
  return heard === undefined ? counts : { ...counts, heardVoteWord: heard };
}

type VoteCounts = Pick<
  Heartbeat,
  "epoch" | "votes" | "seenVotes" | "roster" | "voteWord" | "heardVoteWord" | "votesLost"
>;

/** What this peer's heartbeats to all say about votes. */
export function voteCounts(state: State): VoteCounts {
  const last = lastEpoch(state);
  if (last === undefined) return {};
  const { voter, roster } = state.voting;
  const seenVotes: Record<string, number> = {};
  for (const peer of last.voters) {
    const count = voter.seenVotes.get(peer);
    if (count !== undefined) seenVotes[peer] = count;
  }
  return {
    epoch: last.number,
    votes: voter.votesStored,
    seenVotes,
    roster: roster.digest,
    ...(voter.ownVoteCount === undefined ? {} : { voteWord: voter.ownVoteCount }),
    ...(voter.memory === "lost" ? { votesLost: true } : {}),
  };
}
