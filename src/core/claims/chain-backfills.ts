/**
 * What is known of a past tick that people have asked for again, for a job that runs after several others: under which names its
 * parents run it, and whether one of them still does. The rules are in job/chain-past.ts.
 */
import { backfilledInstant } from "../../schema/backfill.ts";
import { instantOf, isManual, orderKey, tickAt, type JobId, type TickId } from "../../schema/ids.ts";
import type { After } from "../job/chain.ts";
import { isTickOf } from "../job/plan.ts";
import { isOpen, recordsOf } from "../records/ledger.ts";
import { isDecision } from "../records/records.ts";
import type { State } from "../state.ts";
import type { ChainTick } from "./book-state.ts";
import { slotNames } from "./slots.ts";

/** The past tick (ms) that a tick of a job with several parents makes up for; undefined = it is no such tick. */
export function pastOf(after: After | undefined, tick: TickId): number | undefined {
  return (after?.jobs.length ?? 0) > 1 ? backfilledInstant(tick) : undefined;
}

/** The instant (ms) that a parent's tick stands for; for a tick of a backfill, the past one. Undefined = a run by hand. */
export function instantFor(tick: TickId): number | undefined {
  return isManual(tick) ? backfilledInstant(tick) : instantOf(tick);
}

/** Under which names the job may run the past tick (ms), as far as this peer knows: by its schedule, and by each request. */
function* namesOf({ book }: State, job: JobId, past: number): Generator<TickId> {
  yield tickAt(past);
  const known = book.backfills.get(job)?.get(past);
  if (known === undefined) return;
  yield* known.requested;
  yield* known.forced;
}

/** The job's ticks that follow a backfill of the past tick (ms), and that are not decided yet. */
export function pastTicksOf(state: State, job: JobId, past: number): [TickId, ChainTick][] {
  const ofJob = state.book.chains.get(job);
  if (ofJob === undefined) return [];
  const found: [TickId, ChainTick][] = [];
  for (const name of namesOf(state, job, past)) {
    const entry = isManual(name) ? ofJob.get(name) : undefined;
    if (entry !== undefined) found.push([name, entry]);
  }
  return found;
}

/** Whether the job runs the past tick (ms) under any name, or is about to. */
export function isPastInProgress(state: State, job: JobId, past: number): boolean {
  const { book, ledger } = state;
  const names = new Set(namesOf(state, job, past));
  for (const { tick } of book.retries.get(job) ?? []) if (names.has(tick)) return true;
  for (const tick of names) {
    if (isOpen(ledger, job, tick)) return true;
    if (book.chains.get(job)?.has(tick) === true || book.slotted.get(job)?.has(tick) === true) return true;
    const slots = slotNames(state, { job, tick, of: 1 });
    if (slots.some((slot) => book.orders.has(orderKey(job, tick, 1, slot)))) return true;
  }
  return false;
}

/** Whether the job's present schedule has the tick (ms), whenever that was written. */
export function hasPastTick({ jobs }: State, job: JobId, past: number): boolean {
  const plan = jobs.plans.get(job);
  return plan?.schedule !== undefined && isTickOf({ ...plan, earliest: -Infinity }, past);
}

/** Whether the tick was decided without a run, as far as memory tells. */
export function wasNotRun({ ledger }: State, job: JobId, tick: TickId): boolean {
  for (const record of recordsOf(ledger, orderKey(job, tick, 1, "0"))) if (isDecision(record)) return true;
  return false;
}
