/**
 * What a peer remembers about orders: the order book with its indexes, the open questions about orders, and the runs that it
 * has started. Only the files of this folder change it.
 */
import type { JobId, OrderKey, RunId, TickId } from "../../schema/ids.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";
import type { ChainVerdict } from "../job/chain.ts";
import { IndexedHeap } from "../job/heap.ts";
import { CapacityQueue } from "./capacity-queue.ts";
import { PoolQueues } from "./pool-queues.ts";
import type { Ask, ClaimIndexes, ForeignInquiry, Order, OwnRun } from "./order.ts";

/** One tick of a job that runs after others. */
export interface ChainTick {
  /** by parent: the record that tells the story of its tick, which is over */
  readonly ends: Map<JobId, TickEnd>;
  /** whether the disk, which may know more, has been read about the tick */
  disk: "unneeded" | "unread" | "reading" | "read";
  /** undefined = some parents' ends are awaited */
  verdict: TickVerdict | undefined;
}

/**
 * The record that tells the story of a tick. `hasRun`: another slot of the tick has run, although this one was skipped or
 * missed.
 */
export type TickEnd = RunRecord & { readonly hasRun?: true };

/** `endedAt`: when the last parent ended, ms; `due` is later if the job has a jitter. */
export type TickVerdict = ChainVerdict & { readonly endedAt: number };

/** A range of ticks (ms, both ends included) that is to be reported as skipped. */
export interface PendingRange {
  /** whose ticks were not run */
  readonly parent: JobId;
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly reason: string;
  readonly sinceMono: number;
}

/** What is known of a past tick that people have asked for again. */
export interface BackfillRequests {
  /** one for each request, except those that were forced */
  readonly requested: Set<TickId>;
  readonly forced: Set<TickId>;
  /** the one that has begun */
  begun: TickId | undefined;
}

export interface BookState extends ClaimIndexes {
  readonly orders: Map<OrderKey, Order>;
  readonly byJob: Map<JobId, Set<Order>>;
  /** how many of the orders were requested by people */
  requestedCount: number;
  /** what people asked for of jobs that may be repeated, by job and tick, until the tick is over */
  readonly requests: Map<string, RequestedOrder>;
  /** what people asked for of jobs that aren't in the table yet, by job and tick */
  readonly awaitingJob: Map<string, RequestedOrder>;
  /** ticks that people have asked for again, by job, then by the tick (ms) that is made up for */
  readonly backfills: Map<JobId, Map<number, BackfillRequests>>;
  /** orders that repeat an attempt, by job: their ticks are in progress */
  readonly retries: Map<JobId, Set<Order>>;
  /** orders of ticks that have several slots, by job, then by tick */
  readonly slotted: Map<JobId, Map<TickId, Set<Order>>>;
  /** ticks of jobs that run after others, by job, from the first parent's end until they are over */
  readonly chains: Map<JobId, Map<TickId, ChainTick>>;
  /** how many these are */
  chainTicks: number;
  /** how large the outputs are that they hold; bytes, roughly */
  chainOutputBytes: number;
  /** … and ranges of such ticks that no peer has reported yet: a parent's ticks in them were not run */
  readonly chainRanges: Map<JobId, readonly PendingRange[]>;
  /** orders by when they are to be reconciled next; wall clock, ms */
  readonly reconcileQueue: IndexedHeap<Order>;
  /** orders whose circumstances have changed in this step */
  readonly touched: Set<Order>;
  /** orders that this step will ask the others about */
  readonly toAsk: { order: Order; rank: number }[];
  readonly asks: Map<number, Ask>;
  readonly foreignInquiries: Map<OrderKey, ForeignInquiry>;
  /** records by which a tick of a job that is paused after failures has just failed */
  readonly failed: RunRecord[];
  readonly runs: Map<RunId, OwnRun>;
  /** how much of this peer's capacity they take together */
  runningWeight: number;
  /** when the whole book was checked (book-check.ts), monotonic, ms */
  checkedAtMono: number;
}

export function createBook(): BookState {
  return {
    orders: new Map(),
    byJob: new Map(),
    requestedCount: 0,
    requests: new Map(),
    awaitingJob: new Map(),
    backfills: new Map(),
    retries: new Map(),
    slotted: new Map(),
    chains: new Map(),
    chainTicks: 0,
    chainOutputBytes: 0,
    chainRanges: new Map(),
    reconcileQueue: new IndexedHeap((a, b) => a.key < b.key),
    touched: new Set(),
    holders: new Map(),
    claims: new Set(),
    claimedWeight: 0,
    holdersByJob: new Map(),
    capacityQueue: new CapacityQueue(),
    overlapQueue: new Set(),
    poolQueues: new PoolQueues(),
    toAsk: [],
    asks: new Map(),
    foreignInquiries: new Map(),
    failed: [],
    runs: new Map(),
    runningWeight: 0,
    checkedAtMono: -Infinity,
  };
}
