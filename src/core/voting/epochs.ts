/**
 * The roster's housekeeping: adopting epochs, promoting and replacing voters while the mesh is well, and the voter's
 * memory after a start (DESIGN §6).
 *
 * Memory: every peer tells in its heartbeat how many votes it has ever stored, and the highest such number that it
 * has heard of the others. A voter that starts votes only when so many others that they make a majority with it have
 * confirmed that its number is not below what they heard. One whose disk is older than its word never votes again
 * under that identity. Not seen: a rollback that nobody alive remembers.
 */
import { touchAll } from "../claims/order-book.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/message.ts";
import type { Epoch, StoredVote } from "../../schema/vote.ts";
import { storedKeys } from "../events.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { countLostVotes } from "../members/members.ts";
import { forgetElections, proposeEpoch } from "./proposer.ts";
import { inParts } from "../records/parts.ts";
import { majorityOf } from "./paxos.ts";
import { adoptChain, desiredVoters, firstEpoch, hashOfEpoch } from "./roster.ts";
import { emit, note, type State } from "../state.ts";
import type { Member } from "../members/members-state.ts";
import { epochOf, forgetVotes, recallSuccessor } from "./acceptor.ts";

/** A member counts as steady when it has been alive so long. */
const steadyMs = 15_000;
/** A voter that has been dead so long is replaced, while a majority lives. */
const replaceAfterMs = 3_600_000;
/** A successor that was accepted and not adopted by then: whoever stood for it is gone, so it is stood for again. */
const finishAfterMs = 5_000;
/** Said so often in a row by one peer it is believed that votes were lost; until then its word only confirms none. */
const believedTimes = 2;

export function lastEpoch(state: State): Epoch | undefined {
  return state.voting.roster.chain.at(-1);
}

/** After a start: what was stored, or the first epoch, whose voter is the founder. */
export function openRoster(
  state: State,
  stored: {
    votes: readonly StoredVote[];
    voteCount: number;
    voteFloor: number;
    votesLost?: boolean;
    chain: readonly Epoch[];
  },
): void {
  const { settings } = state;
  const { roster, voter } = state.voting;
  roster.openedMono = state.now.mono;
  if (!isPlanted(state, "votes-forgotten")) {
    for (const vote of stored.votes) voter.votes.set(vote.decision, vote);
  }
  if (stored.votesLost === true) voter.memory = "lost";
  if (isPlanted(state, "memory-trusted")) voter.memory = "sure";
  voter.voteCount = stored.voteCount;
  voter.votesStored = stored.voteCount;
  voter.floor = stored.voteFloor;
  voter.highestInstant = stored.votes.reduce((highest, { instant }) => Math.max(highest, instant), 0);
  const founded = settings.founder === undefined ? [] : [firstEpoch(settings.founder)];
  adopt(state, founded.length === 0 ? stored.chain : founded);
  adopt(state, stored.chain);
}

/** Takes in a chain from the disk, a proposal or another peer; a rightful one that says more is stored and told. */
export function adopt(state: State, heard: readonly Epoch[], from?: PeerId): void {
  const { roster, voter } = state.voting;
  const known = roster.chain;
  const { chain, fork } = adoptChain(roster.chain, heard, (peer, bytes, signature) =>
    state.settings.verifyText(peer, bytes, signature),
  );
  if (fork) return contradicted(state, from);
  const news = chain.filter((epoch) => known[epoch.number] !== epoch);
  if (news.length === 0) return;
  if (chain.length > 1) mark(state, "epoch-adopted");
  roster.chain = chain;
  const last = chain.at(-1);
  roster.digest = last === undefined ? "" : hashOfEpoch(last).slice(0, 16);
  for (const epoch of news) describeForced(state, epoch, known[epoch.number]);
  recallSuccessor(state);
  // Who becomes a voter, or learns that it long is one, must be confirmed anew.
  if (voter.memory === "sure" && !isPlanted(state, "memory-trusted")) voter.memory = "unsure";
  judgeMemory(state);
  emit(state, {
    kind: "store",
    writes: [{ kind: "meta", key: storedKeys.roster, value: JSON.stringify(chain) }],
  });
  note(state, "info", "the roster has a new epoch", {
    epoch: chain.length - 1,
    voters: last?.voters.length ?? 0,
  });
  touchAll(state);
  for (const member of state.members.byId.values()) if (member.linked) tellRoster(state, member.id);
}

/** What was not voted for is said aloud, on every peer and after every start. */
function describeForced(state: State, { number, forced, voters }: Epoch, before: Epoch | undefined): void {
  if (before !== undefined) mark(state, "roster-overruled");
  if (forced === undefined) return;
  emit(state, { kind: "count", name: "rosters_forced" });
  note(
    state,
    "warn",
    "the roster was forced, not voted for: if its old voters live on, a tick may run twice",
    {
      epoch: number,
      by: forced.by,
      voters: voters.length,
    },
  );
}

/** Another chain that can't be taken: whoever holds it is told this one, which may overrule it. */
function contradicted(state: State, from: PeerId | undefined): void {
  mark(state, "roster-contradicted");
  emit(state, { kind: "count", name: "roster_forks" });
  if (from === undefined || state.voting.roster.contradictedBy.has(from)) return;
  state.voting.roster.contradictedBy.add(from);
  note(state, "warn", "a roster that contradicts this one's was refused", { from });
  tellRoster(state, from);
}

function tellRoster(state: State, to: PeerId): void {
  for (const epochs of inParts(state.voting.roster.chain)) {
    emit(state, { kind: "send", to, protocol: "vote", message: { kind: "roster", epochs } });
  }
}

/** Epochs that this peer's candidacies have brought about. */
export function adoptChosen(state: State): void {
  for (const { last, value, signatures } of state.voting.proposer.chosenEpochs.splice(0)) {
    const epoch = epochOf(last, value);
    if (epoch !== undefined && hashOfEpoch(last) === epoch.previous) adopt(state, [{ ...epoch, signatures }]);
  }
}

/** What a heartbeat says of votes and epochs. */
export function hearVoteCounts(state: State, from: PeerId, heartbeat: Heartbeat): void {
  const { roster, voter } = state.voting;
  const mine = roster.chain.length - 1;
  const other = heartbeat.epoch === mine && (heartbeat.roster ?? roster.digest) !== roster.digest;
  if ((heartbeat.epoch ?? -1) < mine || other) {
    mark(state, "roster-told");
    tellRoster(state, from);
  }
  if (heartbeat.epoch === mine && !other) roster.contradictedBy.delete(from);
  if (heartbeat.votes !== undefined) {
    voter.seenVotes.set(from, Math.max(heartbeat.votes, voter.seenVotes.get(from) ?? 0));
  }
  // Only a word said in the knowledge of this life counts.
  if (heartbeat.echo?.incarnation !== state.settings.incarnation) return;
  const seen = heartbeat.seenVotes?.[state.settings.self] ?? 0;
  const member = state.members.byId.get(from);
  if (member === undefined) return;
  const timesInARow = countLostVotes(member, seen > voter.voteCount);
  if (seen > voter.voteCount) {
    if (isPlanted(state, "memory-trusted")) return;
    if (timesInARow < believedTimes) return;
    if (voter.memory !== "lost") {
      mark(state, "memory-lost");
      note(state, "warn", "this voter's memory is older than its votes: it votes no more", {
        stored: voter.voteCount,
        told: seen,
      });
    }
    loseMemory(state, String(seen));
    return;
  }
  voter.confirmedBy.add(from);
  judgeMemory(state);
}

/**
 * This peer votes no more, in this life and in later ones: those who told it may have forgotten by the next start, its
 * disk has not. `why` is kept beside.
 */
export function loseMemory(state: State, why: string): void {
  const { voter } = state.voting;
  if (voter.memory === "lost") return;
  voter.memory = "lost";
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.votesLost, value: why }] });
}

/** Sure as soon as those that confirm make a majority of the voters together with this one. */
export function judgeMemory(state: State): void {
  const { voter } = state.voting;
  const last = lastEpoch(state);
  if (last === undefined || voter.memory !== "unsure" || isInDoubt(state)) return;
  const confirmed = last.voters.filter((peer) => peer === state.settings.self || voter.confirmedBy.has(peer));
  if (!last.voters.includes(state.settings.self) || confirmed.length >= majorityOf(last.voters.length)) {
    voter.memory = "sure";
  }
}

/** Somebody has just told of votes that aren't here: whether that was a slip shows with its next word. */
function isInDoubt(state: State): boolean {
  for (const { state: how, tellsOfLostVotes } of state.members.byId.values()) {
    if (tellsOfLostVotes > 0 && how !== "dead" && how !== "left") return true;
  }
  return false;
}

/** What this peer says of votes in its heartbeats. */
export function voteCounts(state: State): Pick<Heartbeat, "epoch" | "votes" | "seenVotes" | "roster"> {
  const last = lastEpoch(state);
  if (last === undefined) return {};
  const seenVotes: Record<string, number> = {};
  for (const voter of last.voters) {
    const count = state.voting.voter.seenVotes.get(voter);
    if (count !== undefined) seenVotes[voter] = count;
  }
  return {
    epoch: last.number,
    votes: state.voting.voter.votesStored,
    seenVotes,
    roster: state.voting.roster.digest,
  };
}

function since(member: Member, how: Member["state"], mono: number): number {
  return member.state === how ? mono - member.stateSinceMono : 0;
}

/** Every few seconds: finishes what was begun, and proposes better voters when the mesh is well. */
export function tendRoster(state: State): void {
  forgetVotes(state);
  forgetElections(state);
  const last = lastEpoch(state);
  if (last === undefined || state.warmUp !== undefined || state.operator.draining) return;
  if (state.operator.selfForgotten !== undefined) return;
  const { successor } = state.voting.voter;
  const { mono } = state.now;
  if (successor !== undefined) {
    if (mono - successor.sinceMono > finishAfterMs)
      proposeEpoch(state, successor.epoch.voters, successor.epoch.from);
    return;
  }
  const members = [...state.members.byId.values()];
  const steady = members.filter(
    (member) => since(member, "alive", mono) >= steadyMs && member.heartbeat?.settling === false,
  );
  const living = new Set([state.settings.self, ...steady.map(({ id }) => id)]);
  // One of them proposes: the first voter that is there.
  const [proposer] = last.voters.filter((voter) => living.has(voter)).toSorted();
  if (proposer !== state.settings.self || mono - state.voting.roster.openedMono < steadyMs) return;
  const longDead = members.filter((member) => since(member, "dead", mono) >= replaceAfterMs);
  const wanted = desiredVoters(last.voters, living, new Set(longDead.map(({ id }) => id)));
  if (wanted !== undefined) proposeEpoch(state, wanted);
}
