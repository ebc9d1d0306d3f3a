/**
 * An order: something to be run once, from shortly before it is due until a peer has started or decided it. Its local stage
 * says what this peer is doing about it. The stage changes only through `transition`, which keeps the indexes of orders that
 * hold a claim in step.
 */
import type { RunSpec } from "../../ports.ts";
import type { JobId, OrderKey, PeerId, TickId } from "../../schema/ids.ts";
import type { RequestedOrder, RunRecord, Trigger } from "../../schema/run.ts";
import type { Runner } from "../../schema/vote.ts";
import type { Plan } from "../job/plan.ts";
import type { MemberHashes } from "../job/rank.ts";
import type { CapacityQueue } from "./capacity-queue.ts";
import type { PoolQueues } from "./pool-queues.ts";
import { assert } from "../../errors.ts";
import { writerAheadMaxMs } from "../limits.ts";

/** What this peer is doing about an order. */
export type LocalStage =
  | { readonly stage: "none" }
  | { readonly stage: "asking"; readonly ask: Ask }
  /** the voters of a majority job are being asked to choose its runner */
  | { readonly stage: "electing" }
  /** the claim is being stored; once it is, `waitMs` have to pass before the start */
  | { readonly stage: "claiming"; readonly claim: RunRecord; readonly waitMs: number }
  /** `mayStartAt`: wall clock, ms */
  | { readonly stage: "claimed"; readonly claim: RunRecord; readonly mayStartAt: number };

/** One question to all living members about a batch of orders (asking.ts). */
export interface Ask {
  readonly id: number;
  readonly untilMono: number;
  readonly orders: { order: Order; rank: number }[];
  /** members that have not answered yet */
  readonly waiting: Set<PeerId>;
}

/** Another peer's question about an order, which it may be about to start. */
export interface ForeignInquiry {
  readonly peer: PeerId;
  /** the id of its question */
  readonly ask: number;
  readonly job: JobId;
  readonly rank: number;
  readonly due: number;
  readonly untilMono: number;
}

export interface Order {
  readonly key: OrderKey;
  readonly job: JobId;
  readonly tick: TickId;
  /** the tick's instant; ms */
  readonly instant: number;
  /** its job's parents have decided about the tick (chain-ticks.ts) */
  readonly isChained: boolean;
  readonly attempt: number;
  /** the peer of the attempt before this one */
  readonly retriedFrom: PeerId | undefined;
  readonly slot: string;
  /** how many slots its tick has */
  readonly of: number;
  /** for a majority job: how many chosen runners have given the order back; the voters decide again in each round */
  readonly round: number;
  readonly due: number;
  /** how much of a peer's capacity its run takes: the job's present weight. `setWeight` alone changes it. */
  readonly weight: number;
  trigger: Trigger;
  readonly requested: RequestedOrder | undefined;
  /** peers that said they are at capacity */
  readonly declined: Set<PeerId>;
  /** all members in order of rank, and the hashes from which that was computed */
  ranks: readonly PeerId[];
  memberHashes: MemberHashes | undefined;
  readonly local: LocalStage;
  /** for a majority job: the runner that its voters have chosen, if this peer knows it */
  chosen: Runner | undefined;
  /** how often this peer has proposed itself to the voters */
  tries: number;
}

/** A run that this peer started, until its end is recorded. */
export interface OwnRun {
  record: RunRecord;
  plan: Plan;
  order: Order;
  cancelled: { by: string; reason: string } | undefined;
  /** its precheck is under way, and the job itself is to be started with this; undefined = it has been started */
  afterPrecheck?: RunSpec | undefined;
  /** others have declared it lost */
  isDeclaredLost?: boolean;
  /** why its processes can't be ended, although they should be */
  stuck: string | undefined;
}

/** Orders that hold a claim of this peer. Each is in one of `claims`, `capacityQueue` and `overlapQueue`. */
export interface ClaimIndexes {
  /** all of them, including orders that left the book while their claim was being stored */
  readonly holders: Map<OrderKey, Order>;
  /** all of them by job */
  readonly holdersByJob: Map<JobId, Set<Order>>;
  /** claims that will start when they are due; each takes its weight of this peer's capacity */
  readonly claims: Set<Order>;
  /** the weight of all of them */
  claimedWeight: number;
  /** claims that wait for a place */
  readonly capacityQueue: CapacityQueue<Order>;
  /** claims that wait for other runs of their job */
  readonly overlapQueue: Set<Order>;
  /** those of them that wait for a slot of a pool */
  readonly poolQueues: PoolQueues<Order>;
}

export const noStage: LocalStage = { stage: "none" };

/**
 * Which stages may follow each stage. An order whose claim is being stored is never asked about or put to the vote. An order
 * that is reconciled twice in one step may be in two questions; the later one counts.
 */
const nextStages: Readonly<Record<LocalStage["stage"], readonly LocalStage["stage"][]>> = {
  none: ["none", "asking", "electing", "claiming"],
  asking: ["asking", "none"],
  electing: ["none"],
  claiming: ["claimed", "none"],
  claimed: ["claimed", "none"],
};

/** Changes what this peer is doing about the order. Nothing else changes it. */
export function transition(indexes: ClaimIndexes, order: Order, to: LocalStage): void {
  const from = order.local;
  assert(nextStages[from.stage].includes(to.stage), `${order.key}: ${from.stage} may not become ${to.stage}`);
  const before = indexOf(indexes, from);
  const after = indexOf(indexes, to);
  assert(before === undefined || before.has(order), `${order.key}: its claim is in no index`);
  if (before !== after) {
    before?.delete(order);
    after?.add(order);
    if (before === indexes.claims) indexes.claimedWeight -= order.weight;
    if (after === indexes.claims) indexes.claimedWeight += order.weight;
  }
  if ("claim" in from) indexes.poolQueues.delete(order, from.claim);
  if ("claim" in to) indexes.poolQueues.add(order, to.claim);
  if (after === undefined) leave(indexes, order);
  else enter(indexes, order);
  (order as { local: LocalStage }).local = to; // read-only everywhere else
}

/** The job's weight has been edited. What a run takes that has started already doesn't change. */
export function setWeight(indexes: ClaimIndexes, order: Order, weight: number): void {
  if (indexes.claims.has(order)) indexes.claimedWeight += weight - order.weight;
  (order as { weight: number }).weight = weight; // read-only everywhere else
}

function enter({ holders, holdersByJob }: ClaimIndexes, order: Order): void {
  holders.set(order.key, order);
  const ofJob = holdersByJob.get(order.job);
  if (ofJob === undefined) holdersByJob.set(order.job, new Set([order]));
  else ofJob.add(order);
}

function leave({ holders, holdersByJob }: ClaimIndexes, order: Order): void {
  holders.delete(order.key);
  const ofJob = holdersByJob.get(order.job);
  ofJob?.delete(order);
  if (ofJob?.size === 0) holdersByJob.delete(order.job);
}

function indexOf(indexes: ClaimIndexes, local: LocalStage): Set<Order> | CapacityQueue<Order> | undefined {
  if (local.stage !== "claiming" && local.stage !== "claimed") return undefined;
  switch (local.claim.waiting) {
    case undefined:
      return indexes.claims;
    case "capacity":
      return indexes.capacityQueue;
    case "overlap":
      return indexes.overlapQueue;
  }
}

/** Of two peers that claim or ask about one order, the lower rank goes first; between equal ranks the peer's id decides. */
export function precedes(
  a: { readonly rank: number; readonly peer: PeerId },
  b: { readonly rank: number; readonly peer: PeerId },
): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.peer < b.peer);
}

/**
 * Whether a person asked for the run of an earlier job of that name, which has been deleted since and made again. An order that
 * doesn't tell when its job was made belongs to any job that may have been there then: who made it may have dated it by a clock
 * that was ahead.
 */
export function isOfEarlierJob(
  { requestedAt, jobCreatedAt = requestedAt + writerAheadMaxMs }: RequestedOrder,
  { job: { createdAt } }: Plan,
): boolean {
  // Of two jobs that were made on two sides of a split, either may be the one that stays.
  return jobCreatedAt < createdAt && requestedAt < createdAt;
}
