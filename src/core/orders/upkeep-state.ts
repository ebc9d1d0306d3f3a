/**
 * What a peer remembers between events so that nothing is left undone: whether it has caught up with the others, and how
 * far it has looked for ticks and for what can be forgotten. Only the files of this folder change it.
 */
import type { PeerId } from "../../schema/ids.ts";

/** A peer that has just started, or was paused, takes no ticks until the others have told it what they know. */
export interface WarmUp {
  readonly sinceMono: number;
  /** whose table and records are still to come */
  readonly awaiting: Set<PeerId>;
  /** how many addresses are named whose peer isn't known yet */
  unresolved: number;
}

export interface UpkeepState {
  warmUp: WarmUp | undefined;
  /** wall clock, ms, of the end of the last warm-up */
  warmedUpAt: number;
  /** peers that came back, and since when their records are awaited before anything is caught up (monotonic, ms) */
  readonly awaitingSync: Map<PeerId, number>;
  /** ticks before this instant were looked for at the last scan; ms */
  scanFrom: number;
  /** monotonic, ms: when old memory is next looked through */
  forgetAtMono: number;
  /** about how many records of jobs that are not in the table the ledger holds */
  recordsOfNoJob: number;
}

export function createUpkeep(): UpkeepState {
  return {
    warmUp: undefined,
    warmedUpAt: -Infinity,
    awaitingSync: new Map(),
    scanFrom: 0,
    forgetAtMono: 0,
    recordsOfNoJob: 0,
  };
}
