/**
 * The ticks that this peer has taken for too late to run. If its clock was ahead, they may not be: once it is right again they
 * are looked at once more (orders/looked-up.ts), and so are ticks of the past whose jitter has not passed. Only the span of each
 * job's ticks is kept, and only while they could still run.
 */
import { parentReason } from "../job/chain.ts";
import { instantOf, isManual, type JobId } from "../../schema/ids.ts";
import type { RunRecord, Span } from "../../schema/run.ts";
import type { LedgerState } from "./ledger-state.ts";
import { isDecision } from "./records.ts";

/**
 * Whether the record says that it was too late for a tick or a range of them, or is a consequence of such a record: the ticks of
 * a job that runs after others are skipped if those were missed. Requested orders don't count: people asked for them by that same
 * clock.
 */
function saysTooLate(record: RunRecord): boolean {
  const { tick, state, reason = "" } = record;
  if (!isDecision(record) || isManual(tick)) return false;
  return state === "missed" || reason === "no-quorum" || reason.startsWith(parentReason);
}

/** Whether the record is a decision about a tick that is due after its instant, by its jitter. */
function isOfJitter(record: RunRecord): boolean {
  return isDecision(record) && !isManual(record.tick) && record.due > instantOf(record.tick);
}

/**
 * Whether no right clock can have taken the record's ticks for too late, or for due: it says that this was after `until` (ms), in
 * the future.
 */
export function isDecidedTooEarly(record: RunRecord, until: number): boolean {
  if ((record.finishedAt ?? -Infinity) <= until) return false;
  return saysTooLate(record) || (isOfJitter(record) && record.due > until);
}

/**
 * Notes the ticks of the record if it says that they were too late. `record`: one that this peer has written. `mono`: now, by the
 * monotonic clock, ms.
 */
export function noteTooLate(ledger: LedgerState, record: RunRecord, mono: number): void {
  if (!saysTooLate(record) && !isOfJitter(record)) return;
  const to = instantOf(record.tick);
  noteTooLateSpan(ledger, record.job, { from: record.range?.from ?? to, to }, mono);
}

/** Notes that any tick in the span may have been taken for too late, by an earlier life. */
export function noteTooLateSpan({ tooLate }: LedgerState, job: JobId, span: Span, mono: number): void {
  const { from, to } = tooLate.get(job) ?? span;
  tooLate.set(job, { from: Math.min(from, span.from), to: Math.max(to, span.to), atMono: mono });
}

/** Returns the span of those ticks (ms) by job, and forgets them. */
export function takeTooLate({ tooLate }: LedgerState): Map<JobId, Span> {
  const taken = new Map(tooLate);
  tooLate.clear();
  return taken;
}

/** Forgets the jobs of which nothing was taken for too late since the monotonic time (ms) that `sinceOf` says. */
export function forgetTooLate({ tooLate }: LedgerState, sinceOf: (job: JobId) => number): void {
  for (const [job, { atMono }] of tooLate) if (atMono < sinceOf(job)) tooLate.delete(job);
}
