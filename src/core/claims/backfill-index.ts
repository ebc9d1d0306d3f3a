/** Which past ticks people have asked for again (backfill), as far as this peer remembers. */
import { backfilledInstant, isForcedBackfill } from "../../schema/backfill.ts";
import { instantOf, orderKey, type JobId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { State } from "../state.ts";
import type { BackfillRequests } from "./book-state.ts";
import { slotNames } from "./slots.ts";

/** Remembers a tick that was asked for, or that follows one of the job's parents. */
export function noteBackfill(state: State, job: JobId, tick: TickId): void {
  const entry = entryOf(state, job, tick);
  (isForcedBackfill(tick) ? entry?.forced : entry?.requested)?.add(tick);
}

/** Remembers the request of a record, and whether its run has begun. */
export function noteBackfilled(state: State, { job, tick, state: how, startedAt }: RunRecord): void {
  noteBackfill(state, job, tick);
  const entry = isForcedBackfill(tick) ? undefined : entryOf(state, job, tick);
  if (entry === undefined) return;
  if (startedAt !== undefined || how === "running" || how === "lost") entry.begun ??= tick;
}

function entryOf({ book }: State, job: JobId, tick: TickId): BackfillRequests | undefined {
  const instant = backfilledInstant(tick);
  if (instant === undefined) return undefined;
  const ofJob = book.backfills.get(job) ?? new Map<number, BackfillRequests>();
  book.backfills.set(job, ofJob);
  const entry = ofJob.get(instant) ?? { requested: new Set(), forced: new Set(), begun: undefined };
  ofJob.set(instant, entry);
  return entry;
}

/** Whether a request for the tick (ms) has begun, or is in the order book. */
export function isBackfilled(state: Readonly<State>, job: JobId, instant: number): boolean {
  const { book } = state;
  const isInBook = (tick: TickId): boolean =>
    slotNames(state, { job, tick, of: 1 }).some((slot) => book.orders.has(orderKey(job, tick, 1, slot)));
  const entry = book.backfills.get(job)?.get(instant);
  if (entry === undefined) return false;
  return entry.begun !== undefined || [...entry.requested].some(isInBook);
}

/** Forgets requests from before the instant (ms). */
export function forgetBackfills({ book }: State, before: number): void {
  for (const [job, ofJob] of book.backfills) {
    for (const [instant, { requested, forced }] of ofJob) {
      for (const ticks of [requested, forced])
        for (const tick of ticks) if (instantOf(tick) < before) ticks.delete(tick);
      if (requested.size + forced.size === 0) ofJob.delete(instant);
    }
    if (ofJob.size === 0) book.backfills.delete(job);
  }
}
