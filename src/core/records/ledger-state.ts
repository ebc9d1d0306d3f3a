/**
 * What a peer remembers about runs: the records that matter now, and what is over for each job. Only the files of this folder
 * change it.
 */
import type { JobId, OrderKey, PeerId, TickId } from "../../schema/ids.ts";
import { createAnnouncements, type AnnouncementsState } from "./announcements-state.ts";
import type { RunRecord, Span } from "../../schema/run.ts";
import type { RunState } from "../../schema/run-states.ts";

/** The count and digest of a peer's open records, as in its heartbeats. */
export interface OpenDigest {
  readonly count: number;
  readonly digest: string;
}

/** Which slots of one tick are over. */
export interface OverSlots {
  /** with the peer that started it, if one did */
  readonly slots: Map<string, PeerId | undefined>;
  /** how many slots the tick has */
  readonly of: number;
  /** one of them was skipped because an earlier run of the job was in progress */
  isSkipped: boolean;
}

/** How one slot of a tick ended. */
export interface SlotEnd {
  readonly attempt: number;
  readonly state: RunState;
  /** it was started */
  readonly ran: boolean;
  /** ms */
  readonly at: number;
}

/** The slots of a tick that runs on all peers. */
export interface TickSet {
  readonly slots: readonly string[];
  /** records say so; otherwise this peer would say so now */
  readonly isRecorded: boolean;
  readonly ends: Map<string, SlotEnd>;
}

/** A watermark without its job. */
export interface OwnWatermark {
  readonly since: number;
  readonly at: number;
  readonly open: ReadonlySet<number>;
}

/** What is over for one job (history.ts). */
export interface JobHistory {
  /** undefined until the first scan of the job has begun */
  watermark: OwnWatermark | undefined;
  /** records of ticks up to here may be on the disk and not in memory; ms */
  unsureUntil: number;
  /** orders that are over and that the watermark does not cover, by tick; undefined = none, as of most jobs of a large table */
  over: Map<number | TickId, OverSlots> | undefined;
  /** of ticks that run on all peers and that the watermark does not cover; undefined = none */
  sets: Map<number | TickId, TickSet> | undefined;
  /** ranges of ticks above the watermark that were reported in one record; from ≤ tick ≤ to, ms */
  ranges: readonly { readonly from: number; readonly to: number }[];
}

export interface HistoryState {
  readonly jobs: Map<JobId, JobHistory>;
  /** the last one that was begun: most of a large table begin alike, and share it */
  begun: OwnWatermark | undefined;
}

export interface LedgerState {
  readonly history: HistoryState;
  /** by order, then by record key */
  readonly orders: Map<OrderKey, Map<string, RunRecord>>;
  /** how many records are in `orders` */
  recordCount: number;
  /** the claimed and running records of all peers, by record key */
  readonly open: Map<string, RunRecord>;
  readonly openByJob: Map<JobId, Map<string, RunRecord>>;
  /** by job and tick, as `JOB@TICK` */
  readonly openByTick: Map<string, Map<string, RunRecord>>;
  /** those of runs in progress, by the pool of which they hold a slot */
  readonly openByPool: Map<string, Map<string, RunRecord>>;
  readonly openByPeer: Map<PeerId, Map<string, RunRecord>>;
  /** digests of each peer's open records, kept until those change, because every heartbeat needs them */
  readonly openDigests: Map<PeerId, string>;
  /** the records that a peer's last heartbeat has shown to be over, kept until its open records change */
  readonly overByPeer: Map<PeerId, { said: OpenDigest; over: ReadonlySet<RunRecord> }>;
  readonly announcements: AnnouncementsState;
  /** for each job the time (ms) of the ticks that this peer has taken for too late, and when it last did (too-late.ts) */
  readonly tooLate: Map<JobId, Span & { readonly atMono: number }>;
  /** how large the outputs of the records in `orders` are together; bytes, roughly */
  outputBytes: number;
  /** settled orders, oldest first, that leave memory after a while */
  readonly fading: { key: OrderKey; atMono: number }[];
}

export function createHistory(): HistoryState {
  return { jobs: new Map(), begun: undefined };
}

export function createLedger(): LedgerState {
  return {
    history: createHistory(),
    orders: new Map(),
    recordCount: 0,
    open: new Map(),
    openByJob: new Map(),
    openByTick: new Map(),
    openByPool: new Map(),
    openByPeer: new Map(),
    openDigests: new Map(),
    overByPeer: new Map(),
    announcements: createAnnouncements(),
    tooLate: new Map(),
    outputBytes: 0,
    fading: [],
  };
}
