/**
 * What this peer knows of the roster, has said as a voter, and has under way as a proposer. Only the files of this
 * folder change it.
 */
import type { PeerId } from "../../schema/ids.ts";
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
  /** monotonic, ms: when this life began */
  openedMono: number;
}

/** What this peer has bound itself to as a voter (acceptor.ts), and whether it remembers all of it (memory.ts). */
export interface VoterState {
  /** by decision; durable before they are told */
  readonly votes: Map<string, StoredVote>;
  /** no votes on ticks in these spans: they may have been forgotten */
  forgotten: readonly Span[];
  /** the ticks that this voter has ever voted on, and perhaps some between them */
  voted: readonly Span[];
  /** this peer was forgotten when that was the last epoch that it knew: it votes in later ones only; -1 = it never was */
  barredThrough: number;
  /** an epoch that this voter has accepted and that is not in the chain yet */
  successor: { epoch: Omit<Epoch, "signatures">; value: string; sinceMono: number } | undefined;
  /** votes ever stored */
  voteCount: number;
  /** of these, as many as are surely on the disk: only so many are told */
  votesStored: number;
  memory: "unsure" | "sure" | "lost" | "regaining";
  /** the last epoch that this peer knew when its memory was lost; -1 = it never was */
  lostIn: number;
  /** who has confirmed `voteCount` in this life */
  readonly confirmedBy: Set<PeerId>;
  /** the highest count heard of each voter */
  readonly seenVotes: Map<PeerId, number>;
}

/** One decision that this peer has proposed a value for. */
export interface Election {
  readonly decision: string;
  readonly epoch: Epoch;
  /** of the order's tick, ms; of an epoch, 0 */
  readonly instant: number;
  readonly order: Order | undefined;
  readonly proposal: Proposal<string>;
  readonly untilMono: number;
  /** by voter, over the epoch that is being chosen */
  readonly signatures: Record<string, string>;
}

/** What this peer proposes (proposer.ts). */
export interface ProposerState {
  /** by decision */
  readonly elections: Map<string, Election>;
  /** of the highest ballot that this life has used or been outbid by */
  round: number;
  /** ballots of this step, by voter */
  readonly ballots: Map<PeerId, BallotItem[]>;
  /** this peer's own answers as a voter, which its proposer takes in the same step */
  readonly ownReplies: ReplyItem[];
  /** epochs that this peer's proposals have had chosen in this step */
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
    },
    proposer: { elections: new Map(), round: 0, ballots: new Map(), ownReplies: [], chosenEpochs: [] },
  };
}
