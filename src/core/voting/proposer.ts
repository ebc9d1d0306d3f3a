/**
 * The proposer in a peer (DESIGN §6): asks the voters of an order's epoch to choose the order's runner, and the voters of the
 * last epoch to choose the next epoch. All ballots of one step to one voter share a message.
 *
 * It proposes only while it hears a majority of the voters, and tries again with a higher ballot when an attempt has had no
 * result in time. If the voters have chosen another peer, it tells that peer.
 */
import { reconcileAt, touch } from "../claims/touched.ts";
import { orderDecision, parseOrderDecision, type PeerId } from "../../schema/ids.ts";
import type { Span } from "../../schema/run.ts";
import type { BallotItem, Epoch, ReplyItem } from "../../schema/vote.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { claim, isFull } from "../claims/claims.ts";
import { inSight } from "../members/members.ts";
import { compareBallots, hearReply, majorityOf, newProposal, type Reply } from "./paxos.ts";
import type { Plan } from "../job/plan.ts";
import { epochAt, epochLeadMs } from "./roster.ts";
import { readRunner, writeRunner } from "../../schema/vote.ts";
import { emit, note, type State } from "../state.ts";
import { noStage, transition, type Order } from "../claims/order.ts";
import type { Election } from "./voting-state.ts";
import { epochAheadMs, hearBallots, rosterDecision } from "./acceptor.ts";

/** How long the first attempt may take. Each further one may take twice as long, up to the longest. */
const tryMs = 1_000;
const longestTryMs = 4_000;
/** How much earlier or later than this voter, by clocks that were ahead, the other voters may have voted. */
const votedMoreMs = 1_800_000;
/**
 * The pause after the first attempt. It grows with the rank, so that two proposers don't outbid each other for ever, and
 * doubles each time, because every attempt is a write on each voter's disk.
 */
const pauseMs = 300;
const longestPauseMs = 15_000;
const ballotsPerMessage = 512;
/**
 * A proposer that is outbid continues above the other's round, but only if that isn't this far above its own: then a
 * nonsensical round costs it one decision and not all later ones. Rounds grow by one per attempt, so honest proposers never
 * leap so far.
 */
const longestLeap = 2 ** 40;

/** Whether this peer hears more than half of the epoch's voters, itself included. */
export function hearsMajority(state: State, epoch: Epoch): boolean {
  return votersHeard(state, epoch).length >= majorityOf(epoch.voters.length);
}

/** The epoch's voters that this peer hears, itself included. */
export function votersHeard(state: State, epoch: Epoch): PeerId[] {
  return epoch.voters.filter((voter) => voter === state.settings.self || inSight(state, voter));
}

function propose(
  state: State,
  election: Omit<Election, "proposal" | "untilMono" | "signatures">,
  value: string,
  patienceMs: number,
): void {
  const incarnation = isPlanted(state, "ballots-reused") ? 0 : state.members.incarnation;
  const ballot = { round: ++state.voting.proposer.round, peer: state.settings.self, incarnation };
  const proposal = newProposal(election.epoch.voters, ballot, value);
  state.voting.proposer.elections.set(election.decision, {
    ...election,
    proposal,
    untilMono: state.now.mono + patienceMs,
    signatures: {},
  });
  ballotToAll(state, election.decision, undefined);
}

function ballotToAll(state: State, decision: string, value: string | undefined): void {
  const election = state.voting.proposer.elections.get(decision);
  if (election === undefined) return;
  const { epoch, instant, proposal } = election;
  const item: BallotItem = {
    decision,
    epoch: epoch.number,
    instant,
    ballot: proposal.ballot,
    ...(value === undefined ? {} : { value }),
  };
  for (const voter of epoch.voters) {
    const queued = state.voting.proposer.ballots.get(voter);
    if (queued === undefined) state.voting.proposer.ballots.set(voter, [item]);
    else queued.push(item);
  }
}

/** Sends the ballots of this step. The voter in this peer gets them like the others. */
export function flushBallots(state: State): void {
  for (const [voter, ballots] of state.voting.proposer.ballots) {
    state.voting.proposer.ballots.delete(voter);
    for (let i = 0; i < ballots.length; i += ballotsPerMessage) {
      const some = ballots.slice(i, i + ballotsPerMessage);
      if (voter === state.settings.self) hearBallots(state, voter, some);
      else
        emit(state, {
          kind: "send",
          to: voter,
          protocol: "vote",
          message: { kind: "ballots", ballots: some },
        });
    }
  }
  const own = state.voting.proposer.ownReplies.splice(0);
  if (own.length > 0) hearReplies(state, state.settings.self, own);
}

function decisionOn(order: Order): string {
  return orderDecision(order.key, order.round);
}

/** The election of a decision. If its order has left the book, the election is dropped. */
function electionOf(state: State, decision: string): Election | undefined {
  const election = state.voting.proposer.elections.get(decision);
  if (election === undefined || isWanted(state, election)) return election;
  state.voting.proposer.elections.delete(decision);
  return undefined;
}

function isWanted(state: State, { order }: Election): boolean {
  return order === undefined || state.book.orders.get(order.key) === order;
}

/** Every few seconds: drops elections whose order has left the book. */
export function forgetElections(state: State): void {
  const { elections } = state.voting.proposer;
  for (const [decision, election] of elections) {
    if (!isWanted(state, election)) elections.delete(decision);
  }
}

export function hearReplies(state: State, from: PeerId, replies: readonly ReplyItem[]): void {
  for (const item of replies) {
    const election = electionOf(state, item.decision);
    const reply = replyOf(item);
    if (election === undefined || reply === undefined) continue;
    const { ballot, voters } = election.proposal;
    // A signature given under an earlier ballot may belong to another value.
    const signs = item.answer === "accepted" && voters.has(from) && compareBallots(item.ballot, ballot) === 0;
    if (signs && item.signature !== undefined) election.signatures[from] = item.signature;
    const outcome = hearReply(election.proposal, from, reply);
    const { outbid } = election.proposal;
    if (outbid !== undefined) mark(state, "outbid");
    if (outbid !== undefined && outbid.round < state.voting.proposer.round + longestLeap) {
      state.voting.proposer.round = Math.max(state.voting.proposer.round, outbid.round);
    }
    if (outcome.kind === "propose") requestAcceptance(state, election, outcome.value);
    if (outcome.kind === "chosen") decided(state, election, outcome.value);
  }
}

/** This proposer has the floor: it puts the value that was accepted before to the vote, or else its own. */
function requestAcceptance(state: State, { decision, proposal }: Election, value: string): void {
  if (value !== proposal.own) mark(state, "value-inherited");
  ballotToAll(state, decision, isPlanted(state, "own-value") ? proposal.own : value);
}

function replyOf({ answer, ballot, accepted, promised }: ReplyItem): Reply<string> | undefined {
  switch (answer) {
    case "promised":
      return { kind: "promised", ballot, accepted };
    case "accepted":
      return { kind: "accepted", ballot };
    case "refused":
      return promised === undefined ? undefined : { kind: "refused", ballot, promised };
    case "barred":
      return undefined;
  }
}

function decided(state: State, election: Election, value: string): void {
  state.voting.proposer.elections.delete(election.decision);
  const { order, epoch } = election;
  if (order === undefined) {
    state.voting.proposer.chosenEpochs.push({ last: epoch, value, signatures: election.signatures });
    return;
  }
  order.chosen = readRunner(value);
  const isSelf = order.chosen?.peer === state.settings.self;
  mark(state, isSelf ? "chosen-me" : "chosen-other");
  emit(state, { kind: "count", name: "orders_chosen" });
  if (order.local.stage === "electing") transition(state.book, order, noStage);
  touch(state, order);
  if (!isSelf) informChosen(state, order, epoch);
}

/** Tells the runner that it was chosen: the proposer that first learned so may have died before it could. */
function informChosen(state: State, order: Order, epoch: Epoch): void {
  if (order.chosen === undefined) return;
  const chosen = [{ decision: decisionOn(order), epoch: epoch.number, value: writeRunner(order.chosen) }];
  emit(state, { kind: "send", to: order.chosen.peer, protocol: "vote", message: { kind: "chosen", chosen } });
}

/** Called when it is this peer's turn to run an order of a majority job: proposes this peer, or waits until it hears a majority. */
export function reconcileVoters(state: State, order: Order): void {
  const epoch = epochAt(state.voting.roster.chain, order.instant);
  if (epoch === undefined || !hearsMajority(state, epoch)) {
    return reconcileAt(state, order, state.now.wall + tryMs);
  }
  transition(state.book, order, { stage: "electing" });
  const patienceMs = Math.min(tryMs * 2 ** order.tries++, longestTryMs);
  const decision = { decision: decisionOn(order), epoch, instant: order.instant, order };
  const own = writeRunner({ peer: state.settings.self, incarnation: state.members.incarnation });
  propose(state, decision, own, patienceMs);
  reconcileAt(state, order, state.now.wall + patienceMs);
}

/** An attempt is under way: gives it up when its time is over, and tries again later. */
export function reconcileElecting(state: State, order: Order, rank: number): void {
  const decision = decisionOn(order);
  const election = electionOf(state, decision);
  if (election !== undefined && state.now.mono < election.untilMono) {
    return reconcileAt(state, order, state.now.wall + Math.ceil(election.untilMono - state.now.mono));
  }
  state.voting.proposer.elections.delete(decision);
  transition(state.book, order, noStage);
  mark(state, "election-failed");
  emit(state, { kind: "count", name: "votes_without_result" });
  const waitMs = pauseMs * (rank + 1) * 2 ** (order.tries - 1);
  reconcileAt(state, order, state.now.wall + Math.min(waitMs, longestPauseMs));
}

/**
 * The voters have chosen a runner. If it is this peer, it claims; otherwise it tells the runner until that claims or is gone.
 */
export function reconcileChosen(
  state: State,
  plan: Plan,
  order: Order,
  failover: Parameters<typeof claim>[3],
): "claimed" | "waits" {
  const epoch = epochAt(state.voting.roster.chain, order.instant);
  if (epoch === undefined) return "waits";
  if (order.chosen?.peer === state.settings.self) {
    const waiting = isFull(state, order) ? ({ waiting: "capacity" } as const) : {};
    // A late claim waits 250 ms like any other: it has no rivals, but other ticks of the job may be starting.
    claim(state, plan, order, failover, { epoch: epoch.number, ...waiting });
    return "claimed";
  }
  informChosen(state, order, epoch);
  reconcileAt(state, order, state.now.wall + tryMs);
  return "waits";
}

/** Another proposer says which runner was chosen. */
export function hearChosen(state: State, decision: string, value: string): void {
  const named = parseOrderDecision(decision);
  const order = named === undefined ? undefined : state.book.orders.get(named.key);
  const chosen = readRunner(value);
  if (order === undefined || order.round !== named?.round) return;
  if (order.chosen !== undefined || chosen === undefined) return;
  order.chosen = chosen;
  state.voting.proposer.elections.delete(decision);
  if (order.local.stage === "electing") transition(state.book, order, noStage);
  touch(state, order);
}

/**
 * Proposes the voters of the next epoch, one attempt at a time. Any member may propose; the voters of the last epoch decide.
 */
export function proposeEpoch(state: State, voters: readonly PeerId[], when?: Beginning): void {
  const last = state.voting.roster.chain.at(-1);
  if (last === undefined || !hearsMajority(state, last)) return;
  const decision = rosterDecision(state.voting.roster.chain);
  const known = state.voting.proposer.elections.get(decision);
  if (known !== undefined && state.now.mono < known.untilMono) return;
  const { from, except } = when ?? nextBeginning(state, last);
  note(state, "debug", "voters are proposed", { epoch: last.number + 1, voters: voters.length });
  const value = JSON.stringify({ voters, from, except });
  propose(state, { decision, epoch: last, instant: 0, order: undefined }, value, longestTryMs);
}

type Beginning = Pick<Epoch, "from" | "except">;

/**
 * From when an epoch after `last` may be in force: votes run ahead of their ticks, and no tick may belong to two epochs. Ticks
 * that were voted on by clocks far ahead stay with the epoch before, with a margin for what the other voters may have voted
 * on.
 */
export function nextBeginning({ now, voting }: State, last: Epoch): Beginning {
  const isFar = (span: Span): boolean => span.from > now.wall + epochAheadMs;
  const near = voting.voter.voted.findLast((span) => !isFar(span))?.to ?? 0;
  const from = Math.max(now.wall + epochLeadMs, near + epochLeadMs, last.from + 1);
  const except = voting.voter.voted
    .filter(isFar)
    .map((span) => ({ from: Math.max(from + 1, span.from - votedMoreMs), to: span.to + votedMoreMs }));
  return except.length === 0 ? { from } : { from, except };
}
