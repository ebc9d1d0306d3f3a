/**
 * What a decision about an order (decide.ts) depends on, and what it can be. facts.ts gathers the facts, apply.ts carries it
 * out.
 */
import type { RunRecord } from "../../schema/run.ts";
import type { TickVerdict } from "../claims/book-state.ts";
import type { Absence } from "../job/offline.ts";
import type { OverlapVerdict } from "../job/overlap.ts";
import type { Plan } from "../job/plan.ts";
import type { Turn } from "../job/rolling.ts";
import type { Stop, StopReason } from "../job/stops.ts";
import type { Eligibility, Failover } from "../members/failover.ts";
import type { Mark } from "../probes/marks.ts";

/** What is known about one order and its circumstances. Instants in ms: `wall` by the wall clock, `mono` monotonic. */
export interface Facts {
  readonly wall: number;
  readonly mono: number;
  /** undefined: the job is not in the table, or can't be read */
  readonly plan: Plan | undefined;
  /** a peer has started or decided it */
  readonly isOver: boolean;
  /** the instant is a tick of the job's current schedule */
  readonly isTick: boolean;
  /**
   * of a job that runs after others: what its parents' ends mean for the tick; undefined = the parents no longer have
   * this tick
   */
  readonly chain: TickVerdict | undefined;
  /** … and: the disk has not yet answered about the parents */
  readonly awaitsParents: boolean;
  /** this peer reports the order if no peer runs it */
  readonly isReporter: boolean;
  /** … or could, if those before it in rank were away */
  readonly mayReport: boolean;
  /** the mesh has forgotten this peer */
  readonly isForgotten: boolean;
  /** the mesh has replaced the cluster key that this peer has */
  readonly isSuperseded: boolean;
  readonly isWarmingUp: boolean;
  readonly warmedUpAt: number;
  /** peers have come back whose records are not here yet */
  readonly awaitsSync: boolean;
  /** a calendar is missing, so nobody can tell whether its job leaves the tick out */
  readonly lacksCalendar: boolean;
  /** it is a tick that a person has asked for again */
  readonly isBackfill: boolean;
  /** … and another request runs that tick, or has run it */
  readonly isBackfilledBefore: boolean;
  /** a person has asked for its tick to be skipped, and it has not begun, or began after the answer */
  readonly isToBeSkipped: boolean;
  /** … and from when that is sure, ms */
  readonly skipStandsAt: number;
  /** why its tick is skipped: the job was stopped when it was due */
  readonly skippedBy: StopReason | undefined;
  /** what stops the job now or, before it is due, at its due time */
  readonly stop: Stop | undefined;
  /** a living peer has claimed it and waits for other runs or for a place */
  readonly isQueued: boolean;
  readonly eligibility: Eligibility;
  /** this peer's place among the peers that may run it, and when its turn comes; undefined = it has none */
  readonly failover: Failover | undefined;
  /** … and this peer is first in every peer's view, regardless of who has claimed other slots of the tick */
  readonly isFirstForAll: boolean;
  /** its place among all peers that the job admits, for claims that don't depend on whose turn it is */
  readonly admittedRank: number;
  /** the strongest claim of another peer that keeps this peer from claiming, and until when */
  readonly rival: { readonly claim: RunRecord; readonly until: number } | undefined;
  /** another peer has claimed it, whether its claim lease still holds or not */
  readonly hasForeignClaim: boolean;
  /** of an attempt that is repeated: some living peer may run it, now or later */
  readonly canBeRepeated: boolean;
  /** of a tick that runs on all peers: whether the slot's peer is away, and whether the tick waits for it */
  readonly absence: Absence;
  /** … and: its slots are fixed, so the catch-up window alone doesn't decide whether it starts */
  readonly isFixed: boolean;
  /** … and: whether it is its turn, if the tick goes from peer to peer */
  readonly turn: Turn;
  /** its tick has begun: it repeats an attempt, or another slot of the tick was started */
  readonly isInProgress: boolean;
  /** … and: when a newer tick of the job replaces it, ms; Infinity = none is known */
  readonly replacedAt: number;
  /** there is no place for another claim */
  readonly isFull: boolean;
  /** there is no place for another run */
  readonly hasNoPlace: boolean;
  /** all peers that could run it are at capacity, and this peer is the first of them in rank */
  readonly isFirstWhenAllFull: boolean;
  /** for a majority job: whether its voters have chosen a runner, and whether that runner is gone */
  readonly choice: "none" | "stands" | "gone";
  /** what the job's other orders, at any peer, allow this one to do */
  readonly overlap: OverlapVerdict;
  /** all slots of the job's pool are taken, or others come first */
  readonly hasNoSlot: boolean;
  /** it has waited for something else, and only now needs a slot of its pool */
  readonly joinsPool: boolean;
  /**
   * of a job in a pool, or a rolling one: a living member that may hold a slot has not answered the question about this
   * order
   */
  readonly lacksAnswers: boolean;
  /** when the last open question about an order of the job ends; Infinity = none is open */
  readonly questionsEnd: number;
  /** planted bugs, in the simulator only */
  readonly skipsAsking: boolean;
  readonly skipsRecheck: boolean;
}

export type Decision = OrderDecision | JobDecision;

/** Decisions that don't need the job, which may no longer be in the table. */
type OrderDecision =
  | { readonly kind: "nothing" }
  /** until the instant (wall clock, ms), or until something touches the order */
  | { readonly kind: "wait"; readonly until: number }
  /** the claim is kept and held back */
  | {
      readonly kind: "hold";
      readonly why: "overlap" | "capacity" | "pool";
      readonly until: number;
      readonly replace?: true;
    }
  /** this peer is at capacity, so the next in rank gets its turn */
  | { readonly kind: "decline" }
  /** the other members are asked before a claim */
  | { readonly kind: "ask"; readonly failover: Failover }
  /** this peer asks the voters to choose it */
  | { readonly kind: "elect" }
  /** this peer is being elected: continues, or gives up when the time is over */
  | { readonly kind: "follow-election"; readonly rank: number }
  /** ends this peer's claim, with the reason, or its question or election; then carries out `next` */
  | { readonly kind: "let-go"; readonly reason: string; readonly next: Decision }
  /** decides about the order again */
  | { readonly kind: "again" }
  /** the order leaves the book; with `as`, its outcome is recorded */
  | { readonly kind: "close"; readonly reason: string; readonly as?: "skipped" | "missed" | "cancelled" };

/** Decisions that need the job. */
export type JobDecision =
  | {
      readonly kind: "claim";
      readonly failover: Failover;
      readonly waiting?: "capacity";
      /** the others have been asked, and know of no claim */
      readonly hasAsked?: true;
    }
  /** the voters have chosen: claims if they chose this peer, and otherwise tells the peer that they chose */
  | { readonly kind: "follow-choice"; readonly failover: Failover }
  /** the runner that the voters chose is gone, and has recorded nothing */
  | { readonly kind: "close-lost" }
  | { readonly kind: "start" };

/** The decision, and the rare branches that led to it. */
export interface Decided {
  readonly decision: Decision;
  readonly marks: readonly Mark[];
}
