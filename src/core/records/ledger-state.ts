/**
 * What a peer remembers of runs: the records that matter now, and of each job what is over. Only the files of this folder
 * change it.
 */
import type { JobId, OrderKey, PeerId, TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";

/** What a peer has open, as a heartbeat tells it. */
export interface OpenDigest {
  readonly count: number;
  readonly digest: string;
}

/** What is over of one job (history.ts). */
export interface JobHistory {
  /** undefined until the first scan of the job has begun */
  mark: { since: number; at: number; open: Set<number> } | undefined;
  /** records of ticks up to here may be on the disk and not in memory; ms */
  unsureUntil: number;
  /** orders that are over and that the watermark does not cover: by tick, then by slot */
  readonly over: Map<number | TickId, Set<string>>;
  /** … and whole stretches of ticks that were reported in one record; from ≤ tick ≤ to, ms */
  ranges: { from: number; to: number }[];
}

export interface HistoryState {
  readonly jobs: Map<JobId, JobHistory>;
}

export interface LedgerState {
  readonly history: HistoryState;
  /** by order, then by record key */
  readonly orders: Map<OrderKey, Map<string, RunRecord>>;
  /** everybody's claimed and running records, by record key */
  readonly open: Map<string, RunRecord>;
  readonly openByJob: Map<JobId, Map<string, RunRecord>>;
  readonly openByPeer: Map<PeerId, Map<string, RunRecord>>;
  /** of what each peer has open, until that changes: every heartbeat asks for it */
  readonly openDigests: Map<PeerId, string>;
  /** what a peer's word has shown to be over, until that word or what is open changes */
  readonly overByPeer: Map<PeerId, { said: OpenDigest; over: ReadonlySet<RunRecord> }>;
  /** settled orders in the order of their settling, to be let go of */
  readonly fading: { key: OrderKey; atMono: number }[];
}

export function createHistory(): HistoryState {
  return { jobs: new Map() };
}

export function createLedger(): LedgerState {
  return {
    history: createHistory(),
    orders: new Map(),
    open: new Map(),
    openByJob: new Map(),
    openByPeer: new Map(),
    openDigests: new Map(),
    overByPeer: new Map(),
    fading: [],
  };
}
