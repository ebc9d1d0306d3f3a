/**
 * Whether an attempt that did not succeed is repeated, and when (INTERFACE, `retry`). A pure rule.
 *
 * Its answer is written into the attempt's own record (`retryAt`), so every peer that has the record carries the tick on,
 * whatever became of the runner. Until its last attempt has ended, the tick is not over.
 */
import type { RunRecord } from "../../schema/run.ts";
import type { RunState } from "../../schema/run-states.ts";

export type RetryOutcome = "failed" | "timeout" | "lost";

export interface RetryRule {
  /** how many more attempts may follow the first */
  readonly attempts: number;
  /** ms; the pause after the first attempt */
  readonly backoffMs: number;
  /** each pause is longer than the last one by this factor */
  readonly factor: number;
  readonly maxBackoffMs: number;
  readonly on: readonly RetryOutcome[];
  /** where the next attempt may run, compared with the last one */
  readonly where: "same" | "other" | "any";
}

/** How many attempts may follow this one. */
export function retriesAfter({ attempts }: RetryRule, attempt: number): number {
  return Math.max(0, attempts + 1 - attempt);
}

/** When the attempt after this one is due, ms; undefined = the rule asks for none. */
export function retryAt(
  rule: RetryRule,
  attempt: number,
  ended: RunState,
  finishedAt: number,
): number | undefined {
  if (retriesAfter(rule, attempt) === 0 || !rule.on.some((outcome) => outcome === ended)) return undefined;
  const pauseMs = Math.min(rule.backoffMs * rule.factor ** (attempt - 1), rule.maxBackoffMs);
  return Math.ceil(finishedAt + pauseMs);
}

/**
 * The record of an attempt's end with when the next one is due, if the rule asks for one after that state. It does not if the
 * tick counts as over already, because the attempt began under a rule without retries.
 */
export function withRetry(
  rule: RetryRule,
  before: RunRecord,
  ended: RunRecord,
  asState: RunState = ended.state,
): RunRecord {
  const { retriesLeft: _, ...record } = ended;
  if (before.state === "running" && before.retriesLeft === undefined) return record;
  const at = retryAt(rule, record.attempt, asState, record.finishedAt ?? record.due);
  return at === undefined ? record : { ...record, retryAt: at };
}
