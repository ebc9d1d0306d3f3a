/**
 * The voter in a peer (DESIGN §6): answers proposers' ballots by the rules of paxos.ts, after its vote is durable, or answers
 * `barred` with a reason where it may not vote.
 *
 * It may not vote on an order in another epoch than the one in force at the order's tick; on an order that falls to a
 * successor epoch that it has accepted; on a tick so old that its own vote on it may be forgotten; and, after a start, until
 * enough others confirm that it remembers all its votes (memory.ts). Malformed decisions are refused: a chosen value is
 * permanent.
 */
import { instantOf, isInstant, parseOrderDecision, type PeerId } from "../../schema/ids.ts";
import { inParts } from "../../schema/message.ts";
import { giveBacksMax, type Span } from "../../schema/run.ts";
import {
  areSpans,
  spansMost,
  type BallotItem,
  type Epoch,
  type ReplyItem,
  type StoredVote,
} from "../../schema/vote.ts";
import { storedKeys } from "../events.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { isDoubted } from "../members/clocks.ts";
import { mark } from "../probes/marks.ts";
import { voteUntilMs } from "../limits.ts";
import { isPlanted } from "../probes/planted.ts";
import { raiseVoteCount, raiseVotesStored } from "./memory.ts";
import { accept, assertBinds, promise, type Vote } from "./paxos.ts";
import { addToSpans, isInSpans, writeSpans } from "../time/spans.ts";
import { areVoters, epochAt, epochBytes, hashOfEpoch, isBound } from "./roster.ts";
import { readRunner } from "../../schema/vote.ts";
import { emit, type Pending, type State, expectStored } from "../state.ts";
import type { Write } from "../../ports/disk.ts";

/** How long after a tick the votes on it are remembered, ms: for an hour longer than it may be voted on. */
export const rememberVotesMs = 25 * 3_600_000;

/**
 * Ticks further ahead than this are not voted on: claims run 2 s ahead, and peers with clocks so far off are skipped in rank.
 */
const voteAheadMs = 60_000;
/** How far ahead a successor may begin at most: proposals are made for `epochLeadMs` from now. */
export const epochAheadMs = 3_600_000;
/**
 * With this many votes in memory, only orders of jobs in the table get further votes. A new job's first tick can be voted on
 * before the job itself arrives; in honest use there are far fewer such votes. Less would delay such ticks by a second.
 */
const votesOnUnknownJobs = 100_000;

const rosterPrefix = "roster/";

/**
 * The name of the decision on what follows the chain. A forced epoch changes the name, so that votes on a successor that it
 * has overruled don't count for the next one.
 */
export function rosterDecision(chain: readonly Epoch[]): string {
  const forced = chain.findLast((epoch) => epoch.forced !== undefined);
  const branch = forced === undefined ? "" : `/${hashOfEpoch(forced).slice(0, 16)}`;
  return `${rosterPrefix}${chain.length}${branch}`;
}

export function isOnRoster(decision: string): boolean {
  return decision.startsWith(rosterPrefix);
}

/** The epoch that a roster decision's value describes; undefined when it describes none. */
export function epochOf(last: Epoch, value: string): Omit<Epoch, "signatures"> | undefined {
  try {
    const { voters, from, except } = JSON.parse(value) as Partial<
      Record<"voters" | "from" | "except", unknown>
    >;
    if (!Array.isArray(voters) || !isInstant(from)) return undefined;
    if (!voters.every((voter) => typeof voter === "string")) return undefined;
    const epoch = { number: last.number + 1, voters: voters as PeerId[], from, previous: hashOfEpoch(last) };
    if (except === undefined) return epoch;
    return areSpans(except) && except.every((span) => span.from > from) ? { ...epoch, except } : undefined;
  } catch {
    return undefined;
  }
}

/** Why this peer may not vote on the ballot now; undefined = it may. */
function barred(state: State, item: BallotItem): string | undefined {
  const { roster, voter } = state.voting;
  const last = roster.chain.at(-1);
  if (last === undefined) return "no-roster";
  if (state.operator.selfForgotten !== undefined || item.epoch <= voter.barredThrough) return "forgotten";
  if (hasSupersededKey(state)) return "superseded";
  if (state.members.duplicateIdentity) return "duplicate";
  if (isDoubted(state)) return "clock";
  if (voter.memory !== "sure") return `memory-${voter.memory}`;
  if (isOnRoster(item.decision)) {
    if (item.epoch !== last.number || item.decision !== rosterDecision(roster.chain)) return "other-epoch";
    if (!last.voters.includes(state.settings.self)) return "no-voter";
    const proposer = item.ballot.peer;
    if (proposer !== state.settings.self && !state.members.byId.has(proposer)) return "stranger";
    return item.value === undefined ? undefined : epochBarred(state, last, item.value);
  }
  const mistaken = whyNoOrder(state, item);
  if (mistaken !== undefined) return mistaken;
  const inForce = epochAt(roster.chain, item.instant);
  if (inForce === undefined || inForce.number !== item.epoch) return "other-epoch";
  if (!inForce.voters.includes(state.settings.self)) return "no-voter";
  if (item.instant < state.now.wall - voteUntilMs || isInSpans(voter.forgotten, item.instant))
    return "too-old";
  const { successor } = voter;
  if (
    successor !== undefined &&
    successor.epoch.number > inForce.number &&
    isBound(successor.epoch, item.instant) &&
    !isPlanted(state, "successor-without-bar")
  ) {
    return "successor";
  }
  return undefined;
}

function markBarred(state: State, why: string): void {
  if (why === "other-epoch" || why === "successor" || why === "duplicate" || why === "from-too-early") {
    mark(state, `barred-${why}`);
  } else if (why.startsWith("memory")) mark(state, "barred-memory");
}

function epochBarred(state: State, last: Epoch, value: string): string | undefined {
  const epoch = epochOf(last, value);
  if (epoch === undefined || !areVoters(epoch.voters)) return "no-epoch";
  if (epoch.from > state.now.wall + epochAheadMs) return "from-too-late";
  const { roster, voter } = state.voting;
  const tooEarly = epoch.from <= last.from || !leavesVoted([...roster.chain, epoch], epoch.from, voter.voted);
  return tooEarly && !isPlanted(state, "successor-without-bar") ? "from-too-early" : undefined;
}

/** Whether all ticks from that instant (ms) on that were voted on are left to the epoch before by some epoch of the chain. */
function leavesVoted(
  chain: readonly Pick<Epoch, "except">[],
  instant: number,
  voted: readonly Span[],
): boolean {
  const left = chain.flatMap(({ except }) => except ?? []);
  return voted
    .filter(({ to }) => to >= instant)
    .every(({ from, to }) => left.some((span) => span.from <= Math.max(from, instant) && to <= span.to));
}

/** Why the ballot is not about an order with its right instant and, if it proposes one, a runner; undefined = it is. */
function whyNoOrder(state: State, { decision, instant, value }: BallotItem): string | undefined {
  const named = parseOrderDecision(decision);
  if (named === undefined || named.round >= giveBacksMax) return "no-order";
  if (instantOf(named.tick) !== instant) return "other-instant";
  if (instant > state.now.wall + voteAheadMs) return "too-early";
  if (value !== undefined && readRunner(value) === undefined) return "no-runner";
  const full = state.voting.voter.votes.size >= votesOnUnknownJobs;
  return full && !state.jobs.plans.has(named.job) ? "unknown-job" : undefined;
}

/** Answers a proposer's ballots. This voter's votes are stored in one write, and the answers are sent afterwards. */
export function hearBallots(state: State, from: PeerId, ballots: readonly BallotItem[]): void {
  const replies: ReplyItem[] = [];
  const writes: Write[] = [];
  for (const item of ballots) {
    const why = item.ballot.peer === from ? barred(state, item) : "not-its-ballot";
    if (why !== undefined) {
      markBarred(state, why);
      replies.push({ decision: item.decision, answer: "barred", ballot: item.ballot, why });
      emit(state, { kind: "count", name: `vote_barred_${why.replaceAll("-", "_")}` });
      continue;
    }
    const { stored, reply } = vote(state, item);
    replies.push(reply);
    emit(state, { kind: "count", name: `votes_${reply.answer}` });
    if (stored !== undefined) writes.push({ kind: "vote", vote: stored });
  }
  if (writes.length === 0) return sendReplies(state, from, replies);
  const count = raiseVoteCount(state.voting.voter, writes.length);
  writes.push({ kind: "meta", key: storedKeys.voteCount, value: String(count) });
  if (isPlanted(state, "vote-before-fsync")) {
    emit(state, { kind: "store", writes });
    return sendReplies(state, from, replies);
  }
  const pending = { kind: "votes", to: from, replies, count } as const;
  emit(state, { kind: "store", writes, token: expectStored(state, pending) });
}

function vote(state: State, item: BallotItem): { stored: StoredVote | undefined; reply: ReplyItem } {
  const { voter } = state.voting;
  const known = voter.votes.get(item.decision)?.vote;
  const before: Vote<string> | undefined =
    known === undefined ? undefined : { promised: known.promised, accepted: known.accepted };
  const answered =
    item.value === undefined ? promise(before, item.ballot) : accept(before, item.ballot, item.value);
  const reply = answered.reply;
  const common = { decision: item.decision, ballot: item.ballot };
  if (reply.kind === "refused") {
    return { stored: undefined, reply: { ...common, answer: "refused", promised: reply.promised } };
  }
  assertBinds(before, answered.vote);
  const { promised, accepted } = answered.vote;
  const stored: StoredVote = {
    decision: item.decision,
    instant: item.instant,
    vote: { promised, ...(accepted === undefined ? {} : { accepted }) },
  };
  voter.votes.set(item.decision, stored);
  if (!isOnRoster(item.decision)) {
    const last = voter.voted.at(-1);
    const isNews = last === undefined || item.instant > last.to || item.instant < last.from;
    if (isNews) voter.voted = addToSpans(voter.voted, [item.instant], spansMost);
  }
  if (reply.kind === "promised") {
    const earlier = reply.accepted;
    return {
      stored,
      reply: { ...common, answer: "promised", ...(earlier === undefined ? {} : { accepted: earlier }) },
    };
  }
  const signature = noteSuccessor(state, item.decision, item.value ?? "");
  return {
    stored,
    reply: { ...common, answer: "accepted", ...(signature === undefined ? {} : { signature }) },
  };
}

/** This voter has accepted an epoch: it no longer votes on orders that fall to that epoch, and signs the epoch. */
function noteSuccessor(state: State, decision: string, value: string): string | undefined {
  const last = state.voting.roster.chain.at(-1);
  if (!isOnRoster(decision) || last === undefined) return undefined;
  const epoch = epochOf(last, value);
  if (epoch === undefined) return undefined;
  state.voting.voter.successor = { epoch, value, sinceMono: state.now.mono };
  return state.settings.signText(epochBytes(epoch));
}

/** After a start: restores the successor that this voter accepted in an earlier life, if it hasn't been adopted since. */
export function recallSuccessor(state: State): void {
  const last = state.voting.roster.chain.at(-1);
  if (last === undefined) return;
  const kept = state.voting.voter.votes.get(rosterDecision(state.voting.roster.chain))?.vote.accepted;
  const epoch = kept === undefined ? undefined : epochOf(last, kept.value);
  if (epoch === undefined || kept === undefined) {
    state.voting.voter.successor = undefined;
    return;
  }
  mark(state, "successor-recalled");
  state.voting.voter.successor = { epoch, value: kept.value, sinceMono: state.now.mono };
}

/** The votes are durable, so the answers can be sent. */
export function votesStored(state: State, votes: Extract<Pending, { kind: "votes" }>, failed: boolean): void {
  if (failed) return mark(state, "vote-not-stored");
  raiseVotesStored(state.voting.voter, votes.count);
  sendReplies(state, votes.to, votes.replies);
}

function sendReplies(state: State, to: PeerId, replies: readonly ReplyItem[]): void {
  if (to === state.settings.self) {
    state.voting.proposer.ownReplies.push(...replies);
    return;
  }
  for (const some of inParts(replies)) {
    emit(state, { kind: "send", to, protocol: "vote", message: { kind: "replies", replies: some } });
  }
}

/**
 * Forgets votes on ticks too old to vote on. The instants of these ticks are kept as spans, so that none of them is voted on
 * again after a clock is set back. A single upper bound instead would bar every tick up to those that a clock far ahead has
 * voted on.
 */
export function forgetVotes(state: State): void {
  const before = state.now.wall - rememberVotesMs;
  const old = [...state.voting.voter.votes.values()].filter(
    ({ decision, instant }) => instant < before && !isOnRoster(decision),
  );
  if (old.length === 0) return;
  for (const { decision } of old) state.voting.voter.votes.delete(decision);
  const { voter } = state.voting;
  voter.forgotten = addToSpans(
    voter.forgotten,
    old.map(({ instant }) => instant),
    spansMost,
  );
  emit(state, {
    kind: "store",
    writes: [
      { kind: "meta", key: storedKeys.forgottenVotes, value: writeSpans(voter.forgotten) },
      { kind: "drop-votes", before },
    ],
  });
}
