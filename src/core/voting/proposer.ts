/**
 * The candidate in a peer (DESIGN §6): has the voters of an order's epoch choose its runner, and those of the last
 * epoch a successor. Ballots of one step to one voter share a message.
 *
 * A candidate stands only while it hears a majority of the voters, and again with a higher ballot when a try has
 * led nowhere within a second. What is chosen may be another's name: then that peer is told.
 */
import { reconcileAt, touch } from "../claims/order-book.ts";
import type { PeerId } from "../../schema/ids.ts";
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
import { hearBallots, rosterDecision } from "./acceptor.ts";

/** A first try that has led nowhere by then is given up; each next one is given twice as long, to the longest. */
const tryMs = 1_000;
const longestTryMs = 4_000;
/**
 * Between tries, growing with the rank, so that two candidates don't outbid each other for ever, and doubled each time,
 * for every vain try is a write on each voter's disk.
 */
const againMs = 300;
const longestPauseMs = 15_000;
const ballotsPerMessage = 512;
/**
 * A candidate follows one that outbids it, but not to the end of the numbers: a nonsensical round costs it that one
 * decision and not all later ones. Rounds grow by one a try, so no honest one ever leaps so far.
 */
const longestLeap = 2 ** 40;

/** True when this peer hears more than half of the epoch's voters, itself counted. */
export function hearsMajority(state: State, epoch: Epoch): boolean {
  return votersHeard(state, epoch).length >= majorityOf(epoch.voters.length);
}

/** The epoch's voters that this peer hears, itself counted. */
export function votersHeard(state: State, epoch: Epoch): PeerId[] {
  return epoch.voters.filter((voter) => voter === state.settings.self || inSight(state, voter));
}

function propose(
  state: State,
  election: Omit<Election, "proposal" | "untilMono" | "signatures">,
  value: string,
  patienceMs: number,
): void {
  const life = isPlanted(state, "ballots-reused") ? 0 : state.settings.incarnation;
  const ballot = { round: ++state.voting.proposer.round, peer: state.settings.self, life };
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

/** Sends what this step has collected. The own voter gets its ballots like the others. */
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

/** An order that is no longer in the book needs no runner: its election is over. */
function electionOf(state: State, decision: string): Election | undefined {
  const election = state.voting.proposer.elections.get(decision);
  if (election === undefined || isWanted(state, election)) return election;
  state.voting.proposer.elections.delete(decision);
  return undefined;
}

function isWanted(state: State, { order }: Election): boolean {
  return order === undefined || state.book.orders.get(order.key) === order;
}

/** Every few seconds: elections of orders that have left the book are forgotten. */
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
    // A signature under an earlier ballot is one of another value, perhaps.
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

/** The floor is won: the value that was accepted before, or else the own one, is put to the vote. */
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
  const isMe = order.chosen?.peer === state.settings.self;
  mark(state, isMe ? "chosen-me" : "chosen-other");
  emit(state, { kind: "count", name: "orders_chosen" });
  if (order.local.stage === "electing") transition(state.book, order, noStage);
  touch(state, order);
  if (!isMe) informChosen(state, order, epoch);
}

/** Tells the chosen runner that it is: the candidate that stood for it may have died before it could. */
function informChosen(state: State, order: Order, epoch: Epoch): void {
  if (order.chosen === undefined) return;
  const chosen = [{ decision: order.key, epoch: epoch.number, value: writeRunner(order.chosen) }];
  emit(state, { kind: "send", to: order.chosen.peer, protocol: "vote", message: { kind: "chosen", chosen } });
}

/** An order of a majority job whose turn is mine: stands for it, or waits until eligibility makes sense. */
export function reconcileVoters(state: State, order: Order): void {
  const epoch = epochAt(state.voting.roster.chain, order.instant);
  if (epoch === undefined || !hearsMajority(state, epoch)) {
    return reconcileAt(state, order, state.now.wall + tryMs);
  }
  transition(state.book, order, { stage: "electing" });
  const patienceMs = Math.min(tryMs * 2 ** order.tries++, longestTryMs);
  const decision = { decision: order.key, epoch, instant: order.instant, order };
  const own = writeRunner({ peer: state.settings.self, life: state.settings.incarnation });
  propose(state, decision, own, patienceMs);
  reconcileAt(state, order, state.now.wall + patienceMs);
}

/** A try is under way: gives it up when its time is over, and tries again a little later. */
export function reconcileElecting(state: State, order: Order, rank: number): void {
  const election = electionOf(state, order.key);
  if (election !== undefined && state.now.mono < election.untilMono) {
    return reconcileAt(state, order, state.now.wall + Math.ceil(election.untilMono - state.now.mono));
  }
  state.voting.proposer.elections.delete(order.key);
  transition(state.book, order, noStage);
  mark(state, "stood-in-vain");
  emit(state, { kind: "count", name: "votes_without_result" });
  const pauseMs = againMs * (rank + 1) * 2 ** (order.tries - 1);
  reconcileAt(state, order, state.now.wall + Math.min(pauseMs, longestPauseMs));
}

/** The voters have chosen: me, and I claim; or another, who is told until it claims or is gone. */
export function reconcileChosen(
  state: State,
  plan: Plan,
  order: Order,
  failover: { rank: number; passed: Parameters<typeof claim>[3]["passed"] },
): "claimed" | "waits" {
  const epoch = epochAt(state.voting.roster.chain, order.instant);
  if (epoch === undefined) return "waits";
  if (order.chosen?.peer === state.settings.self) {
    const waiting = isFull(state) ? ({ waiting: "capacity" } as const) : {};
    // Made late it waits a moment like any other: not for rivals, of whom there are none, but for the job's other ticks.
    claim(state, plan, order, failover, { epoch: epoch.number, ...waiting });
    return "claimed";
  }
  informChosen(state, order, epoch);
  reconcileAt(state, order, state.now.wall + tryMs);
  return "waits";
}

/** Another candidate says who was chosen. */
export function hearChosen(state: State, decision: string, value: string): void {
  const order = state.book.orders.get(decision as Order["key"]);
  const chosen = readRunner(value);
  if (order === undefined || order.chosen !== undefined || chosen === undefined) return;
  order.chosen = chosen;
  state.voting.proposer.elections.delete(decision);
  if (order.local.stage === "electing") transition(state.book, order, noStage);
  touch(state, order);
}

/**
 * Proposes the voters of the next epoch, one try at a time. Any member may: the voters of the last epoch decide, and
 * a ballot is a ballot.
 */
export function proposeEpoch(state: State, voters: readonly PeerId[], from?: number): void {
  const last = state.voting.roster.chain.at(-1);
  if (last === undefined || !hearsMajority(state, last)) return;
  const decision = rosterDecision(state.voting.roster.chain);
  const known = state.voting.proposer.elections.get(decision);
  if (known !== undefined && state.now.mono < known.untilMono) return;
  const beginning = from ?? nextBeginning(state, last);
  note(state, "debug", "voters are proposed", { epoch: last.number + 1, voters: voters.length });
  const value = JSON.stringify({ voters, from: beginning });
  propose(state, { decision, epoch: last, instant: 0, order: undefined }, value, longestTryMs);
}

/** From when an epoch after `last` may be in force: votes run ahead of their ticks, and none may have two epochs. */
export function nextBeginning({ now, voting }: State, last: Epoch): number {
  return Math.max(now.wall + epochLeadMs, voting.voter.highestInstant + epochLeadMs, last.from + 1);
}
