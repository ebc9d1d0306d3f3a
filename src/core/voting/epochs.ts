/**
 * The roster's chain of epochs in this peer: adopting what was chosen or is told, and proposing better voters while the
 * mesh is well (DESIGN §6). What makes an epoch a rightful one is in roster.ts.
 */
import { touchAll } from "../claims/order-book.ts";
import type { PeerId } from "../../schema/ids.ts";
import { inParts, type Heartbeat } from "../../schema/message.ts";
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

/** A member counts as steady when it has been alive for so long. */
const steadyMs = 15_000;
/** A voter that has been dead for so long is replaced, while a majority lives. */
const replaceAfterMs = 3_600_000;
/** A successor that was accepted and is not adopted by then is proposed again: its proposer is gone. */
const finishAfterMs = 5_000;

/** After a start: what was stored, or the first epoch, whose voter is the founder. */
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

/** Takes in a chain from the disk, a proposal or another peer. A rightful one that says more is stored and told. */
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
  // A roster that was just learnt, or is the first, is no news.
  note(state, known.length === 0 ? "debug" : "info", "the voters of majority jobs have changed", {
    epoch: chain.length - 1,
    voters: last?.voters.length ?? 0,
  });
  touchAll(state);
  for (const member of state.members.byId.values()) if (member.linked) tellRoster(state, member.id);
}

/** An epoch that was not voted for is reported on every peer and after every start. */
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

/** Another chain that can't be adopted: its holder is told this one, which may overrule it. */
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

/** A heartbeat says which epoch its sender knows; one that knows less, or another, is told. */
export function hearRosterDigest(state: State, from: PeerId, heartbeat: Heartbeat): void {
  const { roster } = state.voting;
  const ownEpoch = roster.chain.length - 1;
  const other = heartbeat.epoch === ownEpoch && (heartbeat.roster ?? roster.digest) !== roster.digest;
  if ((heartbeat.epoch ?? -1) < ownEpoch || other) {
    mark(state, "roster-told");
    tellRoster(state, from);
  }
  if (heartbeat.epoch === ownEpoch && !other) roster.contradictedBy.delete(from);
}

/** Adopts the epochs that this peer's proposals have had chosen. */
export function adoptChosen(state: State): void {
  for (const { last, value, signatures } of state.voting.proposer.chosenEpochs.splice(0)) {
    const epoch = epochOf(last, value);
    if (epoch !== undefined && hashOfEpoch(last) === epoch.previous) adopt(state, [{ ...epoch, signatures }]);
  }
}

function since(member: Member, how: Member["state"], mono: number): number {
  return member.state === how ? mono - member.stateSinceMono : 0;
}

/** Every few seconds: finishes the successor that is under way, or proposes better voters when the mesh is well. */
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
  // The first voter that is there proposes.
  const [proposer] = last.voters.filter((voter) => living.has(voter)).toSorted();
  if (proposer !== state.settings.self || mono - state.voting.roster.openedMono < steadyMs) return;
  const longDead = members.filter((member) => since(member, "dead", mono) >= replaceAfterMs);
  const wanted = desiredVoters(last.voters, living, new Set(longDead.map(({ id }) => id)));
  if (wanted !== undefined) proposeEpoch(state, wanted);
}
