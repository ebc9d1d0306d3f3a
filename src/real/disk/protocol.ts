/**
 * The messages between the peer's thread and the two threads of the disk.
 *
 * Records and orders cross as the JSON text that is also in the file: copying a string between threads is several times
 * cheaper than cloning an object of fifteen fields, and each side parses only what it needs. A batch is sent as a whole
 * and answered as a whole, in the order of its requests.
 */
import type { CicadaError } from "../../errors.ts";
import type {
  Horizon,
  JobSince,
  OthersQuery,
  Pruned,
  PruneRule,
  RunQuery,
  ThingsQuery,
  WrongJob,
  WrongQuery,
} from "../../ports/disk.ts";
import type { AuditQuery } from "../../schema/audit.ts";
import type { JobId, RunId } from "../../schema/ids.ts";

/** A `Write` of ports/disk.ts, with records, orders, watermarks and votes as text. */
export type TextWrite =
  | { kind: "record"; text: string }
  | { kind: "order"; text: string }
  | { kind: "other"; text: string }
  | { kind: "output"; run: RunId; bytes: Uint8Array }
  | { kind: "update"; update: Uint8Array }
  | { kind: "snapshot"; update: Uint8Array }
  | { kind: "revision"; job: JobId; revision: string; at: number; deleted: boolean; text: string }
  | { kind: "audit"; text: string }
  | { kind: "meta"; key: string; value: string }
  | { kind: "watermark"; job: JobId; text: string }
  | { kind: "drop-watermark"; job: JobId }
  | { kind: "drop-horizon"; job: JobId }
  | { kind: "vote"; decision: string; instant: number; text: string }
  | { kind: "drop-votes"; before: number };

/** Requests to the writing thread. */
export type WriteRequest =
  | { kind: "store"; writes: TextWrite[] }
  | { kind: "prune"; rules: readonly PruneRule[] };

/** Requests to the reading thread. */
export type ReadRequest =
  | { kind: "load"; since: number }
  | { kind: "history"; query: RunQuery; tickInstant: number | undefined }
  | { kind: "newest"; jobs: readonly JobId[]; limit: number }
  | { kind: "durations"; jobs: readonly JobSince[]; limit: number }
  | { kind: "wrong"; query: WrongQuery }
  /** numbers of buckets */
  | { kind: "digests"; from: number; to: number }
  | { kind: "things"; page: ThingsQuery }
  | { kind: "output"; run: RunId }
  | { kind: "others"; query: OthersQuery; tickInstant: number | undefined }
  | { kind: "revisions"; job: JobId }
  | { kind: "audit"; query: AuditQuery }
  | { kind: "jobs"; after: string; limit: number }
  | { kind: "measure"; share: number };

export interface LoadedText {
  updates: Uint8Array[];
  records: string[];
  orders: string[];
  ordersLeftOut: number;
  votes: string[];
  watermarks: string[];
  horizons: Horizon[];
  meta: [key: string, value: string][];
}

/** A `RunPage` of ports/disk.ts, with records as text. */
export interface PageText {
  records: string[];
  next: string | null;
  total: number;
  beside: string[];
}

/** A `WrongJob` of ports/disk.ts, with its record as text. */
export interface WrongJobText extends Pick<WrongJob, "counts"> {
  last: string;
}

export type DiskResult =
  | { kind: "stored" }
  | ({ kind: "pruned" } & Pruned)
  | ({ kind: "loaded" } & LoadedText)
  | ({ kind: "page" } & PageText)
  | { kind: "newest"; records: string[][] }
  | { kind: "durations"; ms: number[][] }
  | { kind: "wrong"; jobs: WrongJobText[]; total: number }
  | { kind: "digests"; digests: [bucket: number, digest: string][] }
  | { kind: "things"; records: string[]; orders: string[]; others: string[]; next: string | undefined }
  | { kind: "output"; bytes: Uint8Array | undefined }
  | { kind: "others"; others: string[] }
  | { kind: "revisions"; revisions: string[] }
  | { kind: "audited"; rows: { place: number; text: string }[]; more: boolean }
  | { kind: "jobs"; jobs: JobId[] }
  | { kind: "measured"; bytes: number; instant: number }
  | { kind: "failed"; code: CicadaError["code"]; detail: string };

export type ToDiskThread<Request> = { kind: "batch"; requests: Request[] } | { kind: "close" };

export type FromDiskThread =
  | { kind: "opened" }
  | { kind: "refused"; code: CicadaError["code"]; detail: string }
  | { kind: "results"; results: DiskResult[] };
