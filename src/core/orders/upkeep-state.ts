/**
 * What a peer remembers about its own upkeep: whether it has caught up with the others, and how far it has looked for ticks
 * and for memory to free. Only the files of this folder change it.
 */
import type { JobId, OrderKey, PeerId, TickId } from "../../schema/ids.ts";
import type { RunRecord, Span, Watermark } from "../../schema/run.ts";
import type { TickRange } from "../job/gap.ts";
import { ClockProof } from "../time/clock-proof.ts";

/** A warm-up under way (warm-up.ts). */
export interface WarmUp {
  readonly sinceMono: number;
  /** peers whose table and records are still to come */
  readonly awaiting: Set<PeerId>;
  /** how many addresses were given whose peer isn't known yet */
  unresolved: number;
}

/** Ranges of ticks that wait for the peer that will report them. */
export interface PendingGap {
  readonly ranges: readonly TickRange[];
  readonly sinceMono: number;
}

/** An open record of this peer that this life did not write (earlier-life.ts). */
export interface EarlierRecord {
  readonly record: RunRecord;
  /** monotonic, ms */
  readonly sinceMono: number;
}

export interface UpkeepState {
  warmUp: WarmUp | undefined;
  /** this peer's clock was doubted at the last step that acted on it */
  isDoubted: boolean;
  /** this peer's cluster key was superseded at the last step that acted on it */
  isSuperseded: boolean;
  /** this peer's clock was set back, and its earlier plans and decisions still have to be revised (replan.ts) */
  wentBack: boolean;
  /** when the last warm-up ended; wall clock, ms */
  warmedUpAt: number;
  /** peers that came back, and since when their records are awaited before anything is caught up (monotonic, ms) */
  readonly awaitingSync: Map<PeerId, number>;
  /** the instant (ms) from which on ticks of jobs without a watermark are looked for */
  scanFrom: number;
  /** records of ticks before this instant are on the disk and were not loaded; ms */
  loadedSince: number;
  /** jobs whose ticks that are over are being read from the disk: the spans (ms, without their ends) of the open questions, oldest first */
  readonly lookups: Map<JobId, readonly Span[]>;
  /** for each job the time ahead (ms) of which the disk holds decisions: it is asked again when that time comes */
  readonly decidedAhead: Map<JobId, Span>;
  /** by writer: the earliest instant (ms) of its records that were refused because they lie ahead (refused-ahead.ts) */
  readonly refusedAhead: Map<PeerId, number>;
  /** ticks that will not run and that no peer has reported yet */
  readonly gaps: Map<JobId, PendingGap>;
  /** jobs in a long pause or maintenance, and the first tick (ms) of it that is still to be reported in a range */
  readonly heldBack: Map<JobId, number>;
  /** the last failed tick of jobs that may have to be paused because of it, and since when this peer knows of it */
  readonly failedTicks: Map<JobId, { readonly tick: TickId; readonly sinceMono: number }>;
  /** watermarks of the last round; they are stored in the next one if no write has failed in between */
  readonly toStore: Map<JobId, Watermark>;
  /** open records of this peer that this life did not write */
  readonly earlierRecords: Map<OrderKey, EarlierRecord>;
  /** a write has failed since the last round */
  diskFailed: boolean;
  /** when old memory is next gone through; monotonic, ms */
  forgetAtMono: number;
  /** by what time (wall clock, ms) it was gone through last; a clock that has leapt ahead doesn't count until it has proved itself */
  forgettingAt: number;
  forgetProof: ClockProof;
  /** roughly how many records of jobs that are not in the table are in memory */
  recordsOfNoJob: number;
}

export function createUpkeep(): UpkeepState {
  return {
    warmUp: undefined,
    isDoubted: false,
    isSuperseded: false,
    wentBack: false,
    warmedUpAt: -Infinity,
    awaitingSync: new Map(),
    scanFrom: 0,
    loadedSince: -Infinity,
    lookups: new Map(),
    decidedAhead: new Map(),
    refusedAhead: new Map(),
    gaps: new Map(),
    heldBack: new Map(),
    failedTicks: new Map(),
    toStore: new Map(),
    earlierRecords: new Map(),
    diskFailed: false,
    forgetAtMono: 0,
    forgettingAt: -Infinity,
    forgetProof: new ClockProof(undefined, undefined),
    recordsOfNoJob: 0,
  };
}
