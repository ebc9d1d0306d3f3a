/**
 * What a peer remembers between events so that nothing is left undone: whether it has caught up with the others, and how
 * far it has looked for ticks and for what can be forgotten. Only the files of this folder change it.
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { Watermark } from "../../schema/run.ts";
import type { TickRange } from "../job/gap.ts";

/** A peer that has just started, or was paused, takes no ticks until the others have told it what they know. */
export interface WarmUp {
  readonly sinceMono: number;
  /** whose table and records are still to come */
  readonly awaiting: Set<PeerId>;
  /** how many addresses are named whose peer isn't known yet */
  unresolved: number;
}

/** Ranges of ticks that wait for the peer that will report them. */
export interface PendingGap {
  readonly ranges: readonly TickRange[];
  readonly sinceMono: number;
}

export interface UpkeepState {
  warmUp: WarmUp | undefined;
  /** this peer's clock is doubted, as far as what follows from that is done */
  isDoubted: boolean;
  /** this peer's cluster key is a replaced one, as far as what follows from that is done */
  isSuperseded: boolean;
  /** this peer's clock was set back, and what was planned and decided by it is still to be gone through */
  wentBack: boolean;
  /** wall clock, ms, of the end of the last warm-up */
  warmedUpAt: number;
  /** peers that came back, and since when their records are awaited before anything is caught up (monotonic, ms) */
  readonly awaitingSync: Map<PeerId, number>;
  /** of jobs without a watermark, ticks from here on are looked for; ms */
  scanFrom: number;
  /** records of ticks before this instant are on the disk and were not loaded; ms */
  loadedSince: number;
  /** jobs of which the disk has been asked what is over */
  readonly lookups: Set<JobId>;
  /** ticks that will not run and that nobody has reported yet */
  readonly gaps: Map<JobId, PendingGap>;
  /** watermarks of the last round; they are stored in the next, if no write has failed in between */
  readonly toStore: Map<JobId, Watermark>;
  /** a write has failed since the last round */
  diskFailed: boolean;
  /** monotonic, ms: when old memory is next looked through */
  forgetAtMono: number;
  /** about how many records of jobs that are not in the table the ledger holds */
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
    lookups: new Set(),
    gaps: new Map(),
    toStore: new Map(),
    diskFailed: false,
    forgetAtMono: 0,
    recordsOfNoJob: 0,
  };
}
