/**
 * Single-decree Paxos (Leslie Lamport, "Paxos Made Simple", 2001): a group of voters chooses at most one value, even if
 * messages are lost, late or repeated, and voters die. cicada uses it for two things: the runner of an order of a `majority`
 * job, and the successor of an epoch of the roster.
 *
 * Imagine a council that decides by letter. A proposer first asks for the floor with a numbered ballot. A voter that
 * grants it promises to ignore lower numbers, and reports what it has accepted so far. With the floor from more than
 * half of the voters, the proposer puts a value to the vote: the accepted value with the highest number that was
 * reported, or its own if there was none. A value that more than half have accepted is chosen for ever, because every
 * later majority shares at least one voter with this one, and that voter reports it.
 *
 * Pure: the caller has to make a voter's state durable before it sends the answer.
 */
import type { PeerId } from "../../schema/ids.ts";
import { assert } from "../../errors.ts";

/**
 * Totally ordered by (round, peer, incarnation). No two proposers ever use the same ballot, and no proposer uses one again
 * after a restart, because its incarnation grows with every start.
 */
export interface Ballot {
  readonly round: number;
  readonly peer: PeerId;
  readonly incarnation: number;
}

export interface Accepted<Value> {
  readonly ballot: Ballot;
  readonly value: Value;
}

/** What one voter is bound to in one decision. It is durable before any answer says so. */
export interface Vote<Value> {
  readonly promised: Ballot;
  readonly accepted: Accepted<Value> | undefined;
}

export type Reply<Value> =
  | { readonly kind: "promised"; readonly ballot: Ballot; readonly accepted: Accepted<Value> | undefined }
  | { readonly kind: "accepted"; readonly ballot: Ballot }
  /** bound to a higher ballot */
  | { readonly kind: "refused"; readonly ballot: Ballot; readonly promised: Ballot };

export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.round !== b.round) return a.round - b.round;
  if (a.peer !== b.peer) return a.peer < b.peer ? -1 : 1;
  return a.incarnation - b.incarnation;
}

/** A voter's answer to "may I have the floor?", and what it is bound to from then on. */
export function promise<Value>(
  vote: Vote<Value> | undefined,
  ballot: Ballot,
): { vote: Vote<Value>; reply: Reply<Value> } {
  if (vote !== undefined && compareBallots(ballot, vote.promised) < 0) {
    return { vote, reply: { kind: "refused", ballot, promised: vote.promised } };
  }
  const accepted = vote?.accepted;
  return { vote: { promised: ballot, accepted }, reply: { kind: "promised", ballot, accepted } };
}

/** A voter's answer to "accept this value", and what it is bound to from then on. */
export function accept<Value>(
  vote: Vote<Value> | undefined,
  ballot: Ballot,
  value: Value,
): { vote: Vote<Value>; reply: Reply<Value> } {
  if (vote !== undefined && compareBallots(ballot, vote.promised) < 0) {
    return { vote, reply: { kind: "refused", ballot, promised: vote.promised } };
  }
  return { vote: { promised: ballot, accepted: { ballot, value } }, reply: { kind: "accepted", ballot } };
}

/**
 * What a voter is bound to only grows. A lower promise, or an accepted ballot above the promise, could undo a choice.
 */
export function assertBinds<Value>(before: Vote<Value> | undefined, after: Vote<Value>): void {
  const { promised, accepted } = after;
  assert(before === undefined || compareBallots(promised, before.promised) >= 0, "a promise never goes down");
  assert(
    accepted === undefined || compareBallots(accepted.ballot, promised) <= 0,
    "no ballot above the promise is accepted",
  );
  const dropped = before?.accepted !== undefined && accepted === undefined;
  assert(!dropped, "what was accepted is not forgotten while its decision is remembered");
}

/** One proposer's attempt with one ballot. */
export interface Proposal<Value> {
  readonly voters: ReadonlySet<PeerId>;
  readonly ballot: Ballot;
  readonly own: Value;
  readonly promises: Map<PeerId, Accepted<Value> | undefined>;
  readonly acceptances: Set<PeerId>;
  /** fixed when the floor is won: the value that this ballot proposes */
  value: Value | undefined;
  /** the highest ballot that a voter named when it refused */
  outbid: Ballot | undefined;
}

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

export function newProposal<Value>(voters: Iterable<PeerId>, ballot: Ballot, own: Value): Proposal<Value> {
  return {
    voters: new Set(voters),
    ballot,
    own,
    promises: new Map(),
    acceptances: new Set(),
    value: undefined,
    outbid: undefined,
  };
}

export type Outcome<Value> =
  /** the floor is won: the value is to be put to the vote */
  { kind: "propose"; value: Value } | { kind: "chosen"; value: Value } | { kind: "waiting" };

/** Takes in a voter's reply. Replies from peers that don't vote, to other ballots, and repeated replies change nothing. */
export function hearReply<Value>(
  proposal: Proposal<Value>,
  from: PeerId,
  reply: Reply<Value>,
): Outcome<Value> {
  const waiting = { kind: "waiting" } as const;
  if (!proposal.voters.has(from) || compareBallots(reply.ballot, proposal.ballot) !== 0) return waiting;
  const needed = majorityOf(proposal.voters.size);
  switch (reply.kind) {
    case "refused":
      if (proposal.outbid === undefined || compareBallots(reply.promised, proposal.outbid) > 0) {
        proposal.outbid = reply.promised;
      }
      return waiting;
    case "promised": {
      if (proposal.promises.has(from)) return waiting;
      proposal.promises.set(from, reply.accepted);
      if (proposal.promises.size !== needed) return waiting;
      proposal.value = valueToPropose(proposal);
      return { kind: "propose", value: proposal.value };
    }
    case "accepted": {
      if (proposal.value === undefined || proposal.acceptances.has(from)) return waiting;
      proposal.acceptances.add(from);
      return proposal.acceptances.size === needed ? { kind: "chosen", value: proposal.value } : waiting;
    }
  }
}

function valueToPropose<Value>(proposal: Proposal<Value>): Value {
  let highest: Accepted<Value> | undefined;
  for (const accepted of proposal.promises.values()) {
    if (accepted === undefined) continue;
    if (highest === undefined || compareBallots(accepted.ballot, highest.ballot) > 0) highest = accepted;
  }
  return highest === undefined ? proposal.own : highest.value;
}
