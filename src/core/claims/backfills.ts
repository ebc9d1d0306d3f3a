/**
 * Ticks that people have asked for again. Each runs once however often it is asked for: of several requests for one tick the
 * first counts, unless another one has begun. A request that was forced counts for itself.
 */
import { backfilledInstant, isForcedBackfill } from "../../schema/backfill.ts";
import { orderKey, type JobId, type TickId } from "../../schema/ids.ts";
import { isPlanted } from "../probes/planted.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";
import { slotNames } from "./slots.ts";

/** Whether another request runs the order's tick, or has run it. */
export function isBackfilledBefore(state: State, { job, tick, requested }: Order): boolean {
  return requested?.trigger === "backfill" && requestBefore(state, job, tick) !== undefined;
}

/** The tick of the request that counts instead of this one, as far as this peer knows. */
export function requestBefore(state: State, job: JobId, tick: TickId): TickId | undefined {
  const instant = backfilledInstant(tick);
  if (instant === undefined || isForcedBackfill(tick) || isPlanted(state, "backfill-twice")) return undefined;
  const known = state.book.backfills.get(job)?.get(instant);
  if (known?.begun !== undefined) return known.begun === tick ? undefined : known.begun;
  const count = state.jobs.plans.get(job)?.target.count ?? 1;
  const of = count === "all" ? 1 : count;
  for (const other of known?.requested ?? []) {
    const isInBook = slotNames(state, { job, tick: other, of }).some((slot) =>
      state.book.orders.has(orderKey(job, other, 1, slot)),
    );
    if (other < tick && isInBook) return other;
  }
  return undefined;
}
