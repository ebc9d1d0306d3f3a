/**
 * The Disk door: what is made durable, what is read back, and how history is removed. The rule of every door (ports.ts) holds
 * here too.
 */
import type { CicadaError } from "../errors.ts";
import type { AuditEntry, AuditPage, AuditQuery } from "../schema/audit.ts";
import type { JobId, PeerId, RunId, TickId } from "../schema/ids.ts";
import type { TickKey } from "../schema/keyed-tick.ts";
import type { OtherRecord } from "../schema/other-record.ts";
import type { JobRevision } from "../schema/revision.ts";
import type { RequestedOrder, RunRecord, Span, Watermark } from "../schema/run.ts";
import type { RunState, WrongState } from "../schema/run-states.ts";
import type { StoredVote } from "../schema/vote.ts";

/** One thing to make durable. Writes of one `store` call are kept all together or not at all. */
export type Write =
  /** Merged by core/records/records.ts with what is there: a record never moves down. */
  | { kind: "record"; record: RunRecord }
  | { kind: "order"; order: RequestedOrder }
  /** Merged by core/records/records.ts with what is there. */
  | { kind: "other"; record: OtherRecord }
  /** The whole output of a run, own or a copy; replaces the one stored before it. */
  | { kind: "output"; run: RunId; bytes: Uint8Array }
  /** One Yjs update, appended. */
  | { kind: "update"; update: Uint8Array }
  /** Replaces all updates stored before it. */
  | { kind: "snapshot"; update: Uint8Array }
  /** Kept unless it is there already; older ones of the job go (schema/revision.ts). */
  | { kind: "revision"; revision: JobRevision }
  /** Older ones go (schema/audit.ts). */
  | { kind: "audit"; entry: AuditEntry }
  | { kind: "meta"; key: string; value: string }
  /** Replaces the job's watermark. */
  | { kind: "watermark"; watermark: Watermark }
  | { kind: "drop-watermark"; job: JobId }
  | { kind: "drop-horizon"; job: JobId }
  /** Replaces the vote stored for the same decision. */
  | { kind: "vote"; vote: StoredVote }
  /** Removes votes on orders whose tick lies before the instant (ms); votes on the roster stay. */
  | { kind: "drop-votes"; before: number };

export interface Loaded {
  updates: readonly Uint8Array[];
  /** Every record whose tick is at or after `since`, and every open one of whatever age. */
  records: readonly RunRecord[];
  orders: readonly RequestedOrder[];
  /** how many orders that have not ended are left on the disk, because together they would take too much memory */
  ordersLeftOut: number;
  votes: readonly StoredVote[];
  watermarks: readonly Watermark[];
  horizons: readonly Horizon[];
  meta: ReadonlyMap<string, string>;
}

export interface RunQuery {
  job?: JobId;
  /** of any of these jobs */
  jobs?: readonly JobId[];
  tick?: TickId;
  /** only ticks that people asked for in place of the tick at this instant (schema/backfill.ts); ms */
  backfills?: number;
  /** only ticks that people asked for under this key (schema/keyed-tick.ts) */
  key?: TickKey;
  slot?: string;
  states?: readonly RunState[];
  /** only records with an instant of their start */
  started?: true;
  peer?: PeerId;
  /** instants of ticks, ms: from ≤ tick < to */
  from?: number;
  to?: number;
  /** newest tick first; at most this many */
  limit: number;
  /** what the previous page gave as `next` */
  after?: string;
  /** with the other records of its ticks, which the query doesn't fit or another page has */
  beside?: true;
}

/** A job's history, without the ticks before an instant (ms). */
export interface JobSince {
  job: JobId;
  from: number;
}

export interface RunPage {
  records: RunRecord[];
  /** null on the last page */
  next: string | null;
  /** how many records the query fits, on all pages together; counted up to `countedMost` */
  total: number;
  /** none if the query didn't ask for them */
  beside: RunRecord[];
}

/** Asks for the jobs of which ticks went wrong. An attempt that is repeated is not how its tick ended. */
export interface WrongQuery {
  /** only ticks from this instant on, ms */
  from: number;
  /** only these jobs, each from its own instant on */
  jobs?: readonly JobSince[];
  /** at most this many jobs: those whose last such tick is the newest */
  limit: number;
}

export interface WrongJob {
  /** its newest record of a tick that went wrong */
  last: RunRecord;
  /** How many ticks ended so; of records up to `wrongCounted`. A record of many missed ticks counts as all of them. */
  counts: Partial<Record<WrongState, number>>;
}

export interface WrongJobs {
  /** newest first */
  jobs: WrongJob[];
  /** without the limit */
  total: number;
}

/** How many of a job's newest records of ticks that went wrong are counted. Counting them takes a millisecond. */
export const wrongCounted = 1_000;

export interface ThingsQuery {
  /** in ascending order */
  buckets: readonly number[];
  /** only what comes after this place, and up to that one */
  after: string | undefined;
  upTo: string | undefined;
  /** records, orders and others together */
  limit: number;
}

export interface OthersQuery {
  kind: string;
  of: { job: JobId; tick: TickId } | { from: number; peer?: PeerId };
  limit: number;
}

export interface Things {
  records: RunRecord[];
  orders: RequestedOrder[];
  others: OtherRecord[];
  /** the place of the last of them, if there are more */
  next: string | undefined;
}

/** What a job keeps of its history. */
export interface Keep {
  runs: number;
  ageMs: number;
  /** how far catch-up looks back: it must know what has run */
  windowMs: number;
}

/**
 * Which part of a job's history is removed. A tick with all its records counts as one run, so that no story is half told, and an
 * order goes with its tick. Orders of ticks without records are no history, and go before `before`. Whether a record or an order is
 * open is not looked at: `before` says from where on something is.
 */
export interface PruneRule {
  job: JobId;
  /** noted beside the horizon, for the day on which the table no longer knows the job */
  keep: Keep;
  /** No tick at or after this instant (ms) is removed. */
  before: number;
  /** How many of the ticks before this instant stay (`keep.runs`); later ones are not counted. */
  countedBefore: number;
  /** Ticks before this instant are removed, however few there are. */
  olderThan: number;
  /** The job's last tick and its last success stay in any case. */
  keepsLast: boolean;
}

/** Everything of the job before the instant (ms) has been pruned, except its last tick and last success. */
export interface Horizon {
  job: JobId;
  before: number;
  keep: Keep;
  /** Ticks that had started and were pruned, ever, as spans; at most `startsKept` (core/time/spans.ts). */
  starts: readonly Span[];
}

export interface Pruned {
  runs: RunId[];
  /** those that are new or have moved */
  horizons: Horizon[];
  /** More is to be removed: the rules are to be given again. */
  more: boolean;
}

/**
 * An output up to this size lies in the database once its run has ended, so that a run costs no file. Unit: bytes. More
 * makes the database larger and each commit longer; less makes more files.
 */
export const smallOutputBytes = 4_096;

/**
 * The most that the texts of loaded orders may take together, in bytes; the shortest are loaded first. Honest ones have some hundred
 * bytes each. More lets a member that has stored many long ones here keep this peer from starting.
 */
export const loadedOrdersBytes = 67_108_864;

/** Records are counted up to this number, which takes some milliseconds; with more, each page of a long history would wait. */
export const countedMost = 100_000;

export interface Disk {
  load(since: number, done: (loaded: Loaded | CicadaError) => void): void;
  /** `done` comes when all writes are durable (fsync), or with the error when none is. Calls end in order. */
  store(writes: readonly Write[], done: (error?: CicadaError) => void): void;
  // Reads see every write whose `store` was called before.
  history(query: RunQuery, done: (page: RunPage | CicadaError) => void): void;
  /** The newest records of each of the jobs, in their order: at most `limit` of each, newest first. */
  newest(jobs: readonly JobId[], limit: number, done: (records: RunRecord[][] | CicadaError) => void): void;
  /** For each of the jobs, in their order: how long its newest successful runs took, at most `limit` of them; ms, newest first. */
  durations(jobs: readonly JobSince[], limit: number, done: (ms: number[][] | CicadaError) => void): void;
  wentWrong(query: WrongQuery, done: (found: WrongJobs | CicadaError) => void): void;
  /** Digests (core/records/buckets.ts) of the 5-minute buckets from ≤ bucket < to that hold anything. */
  digests(
    from: number,
    to: number,
    done: (digests: [bucket: number, digest: string][] | CicadaError) => void,
  ): void;
  /** A page of what lies in some buckets, in the order of core/records/place.ts. */
  things(page: ThingsQuery, done: (found: Things | CicadaError) => void): void;
  /** The whole output of a run, if it has been stored. */
  output(run: RunId, done: (output: Uint8Array | undefined | CicadaError) => void): void;
  /**
   * Records of another kind than runs: those of one tick; or the newest of all ticks from an instant (ms) on, of all peers or of one,
   * oldest first.
   */
  others(query: OthersQuery, done: (records: OtherRecord[] | CicadaError) => void): void;
  /** The job's revisions that are kept, newest first. */
  revisions(job: JobId, done: (revisions: JobRevision[] | CicadaError) => void): void;
  /** A page of the audit, newest first. */
  audit(query: AuditQuery, done: (page: AuditPage | CicadaError) => void): void;
  /** At most `limit` ids of jobs that have records or orders, in their order: those after the given one, which may be "". */
  jobsWithRecords(after: string, limit: number, done: (jobs: JobId[] | CicadaError) => void): void;
  /** Removes what the rules let go, outputs included, all of it together with the horizons that say so. */
  prune(rules: readonly PruneRule[], done: (pruned: Pruned | CicadaError) => void): void;
  /** How much the database holds, and the instant (ms) before which that share of it lies (0 ≤ share ≤ 1). */
  measure(share: number, done: (measured: { bytes: number; instant: number } | CicadaError) => void): void;
  close(done: () => void): void;
}
