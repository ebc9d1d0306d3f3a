/** The record of a run that has ended, as a bench stores many of them. Its signature has the length of a real one. */
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";

export interface EndedRun {
  job: JobId;
  /** ms */
  instant: number;
  peer: PeerId;
  failed: boolean;
  tookMs: number;
}

export function endedRecord({ job, instant, peer, failed, tookMs }: EndedRun): RunRecord {
  return {
    job,
    tick: tickAt(instant),
    attempt: 1,
    slot: "0",
    peer,
    state: failed ? "failed" : "succeeded",
    version: 3,
    revision: "1732000000000-0-abcdef",
    trigger: "schedule",
    rank: 0,
    due: instant,
    claimedAt: instant - 2_000,
    startedAt: instant + 3,
    finishedAt: instant + 3 + tookMs,
    exitCode: failed ? 1 : 0,
    logBytes: 120,
    view: 3,
    signature: "m".repeat(86),
  };
}
