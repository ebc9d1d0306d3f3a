/**
 * What the end of a run's process means for the run, by the job's `success`. Skip codes come first, then the timeout,
 * then the exit codes, then the patterns over its output; a signal that the process didn't survive is a failure. The reason names
 * the rule where the exit code alone doesn't explain the state.
 */
import type { JobSpec } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";

export interface Success {
  readonly exitCodes: readonly number[];
  /** there was nothing to do: the run is `skipped(exit-code)` */
  readonly skipCodes: readonly number[];
}

/** Exactly one of `exitCode` and `signal`, unless the process was killed at its timeout. */
export interface ProcessEnd {
  readonly isTimeout: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string;
  /** the rule that its output breaks, in words */
  readonly broken?: string | undefined;
  /** of a timeout: what was waited for */
  readonly reason?: string | undefined;
}

type Verdict = Pick<RunRecord, "state" | "reason" | "exitCode" | "signal">;

export function successOf({ success }: Pick<JobSpec, "success">): Success {
  if (success === undefined) return plainSuccess;
  return { exitCodes: success.exitCodes ?? [0], skipCodes: success.skipCodes ?? [] };
}

/** Most jobs share it. */
const plainSuccess: Success = { exitCodes: [0], skipCodes: [] };

export function judgeEnd(
  { exitCodes, skipCodes }: Success,
  { isTimeout, exitCode, signal, broken, reason: waitedFor }: ProcessEnd,
): Verdict {
  if (exitCode !== undefined && skipCodes.includes(exitCode)) {
    return { state: "skipped", reason: "exit-code", exitCode };
  }
  if (isTimeout) return { state: "timeout", ...withReason(waitedFor) };
  if (exitCode === undefined) return { state: "failed", ...(signal === undefined ? {} : { signal }) };
  if (exitCodes.includes(exitCode)) {
    return { state: broken === undefined ? "succeeded" : "failed", exitCode, ...withReason(broken) };
  }
  const isPlain = exitCodes.length === 1 && exitCodes[0] === 0;
  const reason = `exit code ${exitCode} is not one of success.exitCodes (${exitCodes.join(", ")})`;
  return { state: "failed", exitCode, ...withReason(isPlain ? undefined : reason) };
}

/** A request was answered: as the job expects, or `failure` says why not. */
export function judgeAnswer(failure: string | undefined): Verdict {
  return { state: failure === undefined ? "succeeded" : "failed", ...withReason(failure) };
}

function withReason(reason: string | undefined): Pick<RunRecord, "reason"> {
  return reason === undefined ? {} : { reason: reason.slice(0, 256) };
}
