/**
 * What this peer knows about the roster, what it is bound to as a voter, and what it is proposing. Only the files of this
 * folder change it.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { SignedVoteCount } from "../../schema/heartbeat.ts";
import type { Span } from "../../schema/run.ts";
import type { BallotItem, Epoch, ReplyItem, StoredVote } from "../../schema/vote.ts";
import type { Order } from "../claims/order.ts";
import type { Proposal } from "./paxos.ts";

/** The chain of epochs (epochs.ts). */
export interface RosterState {
  chain: readonly Epoch[];
  /** the beginning of the last epoch's hash, for heartbeats; empty without an epoch */
  digest: string;
  /** peers whose chain contradicts this one, so that each is reported only once */
  readonly contradictedBy: Set<PeerId>;
  /** when this life began; monotonic, ms */
  openedMono: number;
}

/** What this peer is bound to as a voter (acceptor.ts), and whether it remembers all its votes (memory.ts). */
export interface VoterState {
  /** by decision; durable before any answer is sent */
  readonly votes: Map<string, StoredVote>;
  /** it doesn't vote on ticks in these spans, because it may have forgotten votes on them */
  forgotten: readonly Span[];
  /** the ticks that this voter has ever voted on, and possibly some between them */
  voted: readonly Span[];
  /** the last epoch that this peer knew when it was forgotten: it votes in later ones only; -1 = it never was forgotten */
  barredThrough: number;
  /** an epoch that this voter has accepted and that is not in the chain yet */
  successor: { epoch: Omit<Epoch, "signatures">; value: string; sinceMono: number } | undefined;
  /** votes ever stored */
  voteCount: number;
  /** how many of these are surely on the disk: heartbeats name only these */
  votesStored: number;
  memory: "unsure" | "sure" | "lost" | "regaining";
  /** the last epoch that this peer knew when it lost its memory; -1 = it never did */
  lostIn: number;
  /** the peers that have confirmed `voteCount` in this life */
  readonly confirmedBy: Set<PeerId>;
  /** the highest count heard from each voter */
  readonly seenVotes: Map<PeerId, number>;
  /** … and its signed statement about it */
  readonly signedVoteCounts: Map<PeerId, SignedVoteCount>;
  /** this peer's signed statement about `votesStored` */
  ownVoteCount: SignedVoteCount | undefined;
}

/** A decision for which this peer has proposed a value. */
export interface Election {
  readonly decision: string;
  readonly epoch: Epoch;
  /** the instant of the order's tick, ms; 0 for an epoch */
  readonly instant: number;
  readonly order: Order | undefined;
  readonly proposal: Proposal<string>;
  readonly untilMono: number;
  /** the voters' signatures over the epoch that is being chosen */
  readonly signatures: Record<string, string>;
}

/** What this peer proposes (proposer.ts). */
export interface ProposerState {
  /** by decision */
  readonly elections: Map<string, Election>;
  /** the highest round that this life has used or been outbid by */
  round: number;
  /** ballots of this step, by voter */
  readonly ballots: Map<PeerId, BallotItem[]>;
  /** this peer's own answers as a voter, which its proposer takes in at the end of the step */
  readonly ownReplies: ReplyItem[];
  /** epochs that were chosen by this peer's proposals in this step */
  readonly chosenEpochs: { last: Epoch; value: string; signatures: Record<string, string> }[];
}

export interface VotingState {
  readonly roster: RosterState;
  readonly voter: VoterState;
  readonly proposer: ProposerState;
}

export function lastEpoch({ voting }: { readonly voting: VotingState }): Epoch | undefined {
  return voting.roster.chain.at(-1);
}

export function createVoting(): VotingState {
  return {
    roster: { chain: [], digest: "", contradictedBy: new Set(), openedMono: 0 },
    voter: {
      votes: new Map(),
      forgotten: [],
      voted: [],
      barredThrough: -1,
      successor: undefined,
      voteCount: 0,
      votesStored: 0,
      memory: "unsure",
      lostIn: -1,
      confirmedBy: new Set(),
      seenVotes: new Map(),
      signedVoteCounts: new Map(),
      ownVoteCount: undefined,
    },
    proposer: { elections: new Map(), round: 0, ballots: new Map(), ownReplies: [], chosenEpochs: [] },
  };
}
