/**
 * What people ask of a peer, and what it answers: the commands that the API passes to core through `Control`.
 */
import type { CicadaError } from "../errors.ts";
import type { JobId, PeerId, TickId } from "../schema/ids.ts";
import type { CheckedSpec, Job } from "../schema/job.ts";
import type { TickKey } from "../schema/keyed-tick.ts";
import type { ParamValues } from "../schema/run.ts";
import type { SettingKind } from "../schema/setting.ts";

export type Command =
  /** creates the job or replaces its whole spec; `create` is refused when there is one */
  | { kind: "put-job"; spec: CheckedSpec; mode: "create" | "replace"; ifMatch?: string; by: string }
  /** `patch` is an RFC 7396 merge patch over the spec */
  | { kind: "patch-job"; id: JobId; patch: Readonly<Record<string, unknown>>; ifMatch?: string; by: string }
  | { kind: "delete-job"; id: JobId; ifMatch?: string; by: string }
  | { kind: "pause-job"; id: JobId; note?: string; until?: number; by: string }
  | { kind: "resume-job"; id: JobId; by: string }
  /** past ticks (ms), each of them once unless it is forced */
  | { kind: "backfill-job"; id: JobId; ticks: readonly number[]; force?: boolean; by: string }
  /** a tick (ms), or the next ticks that are not to be skipped yet */
  | { kind: "skip-ticks"; id: JobId; which: { tick: number } | { next: number }; note?: string; by: string }
  /** a tick (ms), or the next ticks that are to be skipped */
  | { kind: "unskip-ticks"; id: JobId; which: { tick: number } | { next: number }; by: string }
  | {
      kind: "run-job";
      id: JobId;
      env?: Record<string, string>;
      params?: ParamValues;
      force?: boolean;
      peers?: string[];
      /** from the caller's `Idempotency-Key`: a run that was asked for under it before is the answer */
      key?: TickKey;
      by: string;
    }
  /** Writes a value of a root of the table other than the jobs'; null removes it. */
  | { kind: "set-value"; root: ValueRoot; id: string; value: unknown; by: string }
  /** a setting by its kind and name; core checks the value */
  | { kind: "put-setting"; setting: SettingKind; name: string; value: unknown; by: string }
  | { kind: "remove-setting"; setting: SettingKind; name: string; by: string }
  /** All of these as one change, or none. `dryRun`: refuses what would be refused, and changes nothing. */
  | { kind: "apply"; changes: readonly Change[]; dryRun?: boolean; by: string }
  | { kind: "cancel-run"; run: string; reason: string; by: string }
  /** `peer`: a text that names one (schema/find-peer.ts); so in the next ones */
  | { kind: "promote-peer"; peer: string; by: string }
  /** `force`: without a majority of the voters; unsafe while they are alive */
  | { kind: "forget-peer"; peer: string; force?: boolean; by: string }
  | { kind: "unforget-peer"; peer: string; by: string }
  | { kind: "confirm-peer"; peer: string; by: string }
  /** `on`: takes no ticks, until it is asked with `on: false` */
  | { kind: "drain-peer"; peer: string; on: boolean; by: string }
  /**
   * A new cluster key for every member but those in `without`, which are forgotten first; the present key is accepted
   * until the grace ends. Members that no person has confirmed, or that joined lately, must be in `accept` (by id).
   */
  | {
      kind: "rotate-key";
      graceMs: number;
      without?: readonly string[];
      accept?: readonly string[];
      by: string;
    };

/** One of several changes; `at`: where its object stands in what the person has sent, as problems point there. */
export type Change =
  /** `ifMatch`: the revision that it replaces; undefined = there is no such job */
  | { kind: "job"; spec: CheckedSpec; ifMatch: string | undefined; at: string }
  | { kind: "no-job"; id: JobId; ifMatch: string | undefined; at: string }
  /** null removes it, in the next one too */
  | { kind: "setting"; setting: SettingKind; name: string; value: unknown; at: string }
  | { kind: "value"; root: ValueRoot | "sources"; id: string; value: unknown; at: string };

/** The roots whose values a person writes. */
export type ValueRoot = "channels" | "tokens";

export type Answer =
  /** `warnings`, of a job that was written: what the person should know about it */
  | { kind: "job"; job: Job; created: boolean; warnings?: readonly string[] }
  | { kind: "done" }
  /** `hindrances`: what keeps it from running now; `repeated`: it was asked for before, under the same key */
  | {
      kind: "ordered";
      job: JobId;
      tick: TickId;
      hindrances: readonly { code: string; message: string }[];
      repeated?: true;
    }
  /** the past ticks that will run */
  | { kind: "backfilled"; job: JobId; ticks: readonly TickId[] }
  /** the ticks that are to be skipped now, or that are not any more */
  | { kind: "skips"; job: JobId; ticks: readonly TickId[] }
  /** wall ms; every known peer, and whether it has confirmed that it keeps the new key */
  | {
      kind: "rotated";
      fingerprint: string;
      oldUntil: number;
      peers: { id: PeerId; name: string; has: boolean }[];
    }
  | { kind: "refused"; error: CicadaError };
