/**
 * The roster's chain of epochs in this peer: adopts epochs that were chosen or that other peers send, and proposes better
 * voters while the mesh is well (DESIGN §6). roster.ts says which epochs are valid.
 */
import { touchAll } from "../claims/touched.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/heartbeat.ts";
import { inParts } from "../../schema/message.ts";
import type { Span } from "../../schema/run.ts";
import { spansMost, type Epoch, type StoredVote } from "../../schema/vote.ts";
import { storedKeys } from "../events.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { isDoubted } from "../members/clocks.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { forgetElections, proposeEpoch } from "./proposer.ts";
import { adoptChain, assertFollows, desiredVoters, firstEpoch, hashOfEpoch } from "./roster.ts";
import { emit, note, type State } from "../state.ts";
import type { Member } from "../members/members-state.ts";
import { judgeMemory, regainMemory } from "./memory.ts";
import { lastEpoch } from "./voting-state.ts";
import { addToSpans } from "../time/spans.ts";
import { epochOf, forgetVotes, isOnRoster, recallSuccessor } from "./acceptor.ts";

/** A member counts as steady when it has been alive for this long. */
const steadyMs = 15_000;
/** A voter that has been dead for this long is replaced, while a majority of the voters lives. */
const replaceAfterMs = 3_600_000;
/** An accepted successor that is not adopted after this time is proposed again: its proposer may be gone. */
const finishAfterMs = 5_000;

/** After a start: restores what was stored, and begins the chain with the founder's epoch if the founder is known. */
export function openRoster(
  state: State,
  stored: {
    votes: readonly StoredVote[];
    voteCount: number;
    forgottenVotes: readonly Span[];
    votesLost?: boolean;
    votesLostIn?: number | undefined;
    barredThrough?: number | undefined;
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
  voter.forgotten = stored.forgottenVotes;
  const instants = stored.votes.flatMap(({ decision, instant }) => (isOnRoster(decision) ? [] : [instant]));
  voter.voted = addToSpans(stored.forgottenVotes, instants, spansMost);
  voter.barredThrough = stored.barredThrough ?? -1;
  voter.lostIn = stored.votesLostIn ?? -1;
  const founded = settings.founder === undefined ? [] : [firstEpoch(settings.founder)];
  adopt(state, founded.length === 0 ? stored.chain : founded);
  adopt(state, stored.chain);
}

/** Takes in a chain from the disk, a proposal or another peer. What is valid and new is stored, and sent to linked members. */
export function adopt(state: State, heard: readonly Epoch[], from?: PeerId): void {
  const { roster, voter } = state.voting;
  const known = roster.chain;
  const believed = from === undefined ? heard : heard.slice(0, believedLength(state, heard));
  const { chain, fork } = adoptChain(roster.chain, believed, (peer, bytes, signature) =>
    state.settings.verifyText(peer, bytes, signature),
  );
  if (fork) return contradicted(state, from);
  const news = chain.filter((epoch) => known[epoch.number] !== epoch);
  if (news.length === 0) return;
  if (chain.length > 1) mark(state, "epoch-adopted");
  for (const epoch of news) assertFollows(chain[epoch.number - 1], epoch);
  roster.chain = chain;
  const last = chain.at(-1);
  roster.digest = last === undefined ? "" : hashOfEpoch(last).slice(0, 16);
  for (const epoch of news) describeForced(state, epoch, known[epoch.number]);
  recallSuccessor(state);
  // Becoming a voter, or learning that one is a voter, requires fresh confirmation.
  if (voter.memory === "sure" && !isPlanted(state, "memory-trusted")) voter.memory = "unsure";
  regainMemory(state);
  judgeMemory(state);
  emit(state, {
    kind: "store",
    writes: [{ kind: "meta", key: storedKeys.roster, value: JSON.stringify(chain) }],
  });
  // The first roster that this life knows is no news for people.
  note(state, known.length === 0 ? "debug" : "info", "the voters of majority jobs have changed", {
    epoch: chain.length - 1,
    voters: last?.voters.length ?? 0,
  });
  touchAll(state);
  for (const member of state.members.byId.values()) if (member.linked) sendRoster(state, member.id);
}

/**
 * How many of the epochs from another peer come before one that was forced by a peer without a say: one that was forgotten, or
 * that was never a member. A peer that knows no roster yet takes what the members have, because those who forced it may have
 * been forgotten since.
 */
function believedLength(state: State, heard: readonly Epoch[]): number {
  const { chain } = state.voting.roster;
  if (chain.length <= 1) return heard.length;
  const end = heard.findIndex((epoch) => {
    const known = chain[epoch.number];
    if (epoch.forced === undefined || (known !== undefined && hashOfEpoch(known) === hashOfEpoch(epoch)))
      return false;
    return !maySpeak(state, epoch.forced.by);
  });
  if (end === -1) return heard.length;
  mark(state, "forced-without-say");
  emit(state, { kind: "count", name: "rosters_forced_refused" });
  return end;
}

function maySpeak({ operator, members, settings, voting }: State, peer: PeerId): boolean {
  if (operator.forgotten.has(peer)) return false;
  const isVoter = voting.roster.chain.some(({ voters }) => voters.includes(peer));
  return peer === settings.self || members.byId.has(peer) || isVoter || members.admissions.joins.has(peer);
}

/** Reports an epoch that was not voted for, on every peer and after every start. */
function describeForced(state: State, { number, forced, voters }: Epoch, before: Epoch | undefined): void {
  if (before !== undefined) mark(state, "roster-overruled");
  if (forced === undefined) return;
  emit(state, { kind: "count", name: "rosters_forced" });
  note(
    state,
    "warn",
    "the roster was forced, not voted for: if its old voters are still running, a tick may run twice",
    {
      epoch: number,
      by: forced.by,
      voters: voters.length,
    },
  );
}

/** Another peer's chain can't be adopted. That peer is sent this one, which may overrule its own. */
function contradicted(state: State, from: PeerId | undefined): void {
  mark(state, "roster-contradicted");
  emit(state, { kind: "count", name: "roster_forks" });
  if (from === undefined || state.voting.roster.contradictedBy.has(from)) return;
  state.voting.roster.contradictedBy.add(from);
  note(state, "warn", "a roster that contradicts this peer's was refused", { from });
  sendRoster(state, from);
}

function sendRoster(state: State, to: PeerId): void {
  for (const epochs of inParts(state.voting.roster.chain)) {
    emit(state, { kind: "send", to, protocol: "vote", message: { kind: "roster", epochs } });
  }
}

/**
 * A heartbeat says which epoch its sender knows. If the sender knows fewer epochs, or another last one, it is sent this
 * roster.
 */
export function hearRosterDigest(state: State, from: PeerId, heartbeat: Heartbeat): void {
  const { roster } = state.voting;
  const ownEpoch = roster.chain.length - 1;
  const other = heartbeat.epoch === ownEpoch && (heartbeat.roster ?? roster.digest) !== roster.digest;
  if ((heartbeat.epoch ?? -1) < ownEpoch || other) {
    mark(state, "roster-told");
    sendRoster(state, from);
  }
  if (heartbeat.epoch === ownEpoch && !other) roster.contradictedBy.delete(from);
}

/** Adopts the epochs that were chosen by this peer's proposals. */
export function adoptChosen(state: State): void {
  for (const { last, value, signatures } of state.voting.proposer.chosenEpochs.splice(0)) {
    const epoch = epochOf(last, value);
    if (epoch !== undefined && hashOfEpoch(last) === epoch.previous) adopt(state, [{ ...epoch, signatures }]);
  }
}

function since(member: Member, how: Member["state"], mono: number): number {
  return member.state === how ? mono - member.stateSinceMono : 0;
}

/** Every few seconds: finishes an unfinished successor, or proposes better voters while the mesh is well. */
export function tendRoster(state: State): void {
  forgetVotes(state);
  forgetElections(state);
  const last = lastEpoch(state);
  if (last === undefined || state.upkeep.warmUp !== undefined || state.operator.draining) return;
  if (state.operator.selfForgotten !== undefined || isDoubted(state) || hasSupersededKey(state)) return;
  const { successor } = state.voting.voter;
  const { mono } = state.now;
  if (successor !== undefined) {
    if (mono - successor.sinceMono <= finishAfterMs) return;
    mark(state, "successor-finished");
    return proposeEpoch(state, successor.epoch.voters, successor.epoch);
  }
  const members = [...state.members.byId.values()];
  const steady = members.filter(
    (member) => since(member, "alive", mono) >= steadyMs && member.heartbeat?.warmingUp === false,
  );
  const living = new Set([state.settings.self, ...steady.map(({ id }) => id)]);
  // The first living voter proposes.
  const [proposer] = last.voters.filter((voter) => living.has(voter)).toSorted();
  if (proposer !== state.settings.self || mono - state.voting.roster.openedMono < steadyMs) return;
  const longDead = members.filter((member) => since(member, "dead", mono) >= replaceAfterMs);
  const wanted = desiredVoters(last.voters, living, new Set(longDead.map(({ id }) => id)));
  if (wanted !== undefined) proposeEpoch(state, wanted);
}
