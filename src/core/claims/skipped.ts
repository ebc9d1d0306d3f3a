/**
 * Whether a person has asked for a tick to be skipped. The table says so; a peer that holds a claim has perhaps been told
 * before the table has reached it (operator/skips.ts).
 */
import type { Skip } from "../../schema/job.ts";
import type { JobId } from "../../schema/ids.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";
import { isInProgress } from "./slots.ts";

/** A peer that has not confirmed a request to skip after this time counts as out of reach, ms. */
export const confirmLimitMs = 5_000;

/** The request, if the job's tick (ms) is to be skipped. */
export function skipOf({ jobs, operator, now }: State, job: JobId, tick: number): Skip | undefined {
  const known = jobs.plans.get(job)?.skips.get(tick);
  if (known !== undefined) return known;
  const { skipsHeard } = operator;
  const heard = skipsHeard.size === 0 ? undefined : skipsHeard.get(heardKey(job, tick));
  return heard === undefined || heard.untilMono < now.mono ? undefined : heard;
}

/** The key of a skip of that tick (ms) that this peer was told of. */
export function heardKey(job: JobId, tick: number): string {
  return `${job}@${tick}`;
}

/**
 * Only ticks of a schedule, the job's own or its parents', are skipped, and no repeated attempts. If the request was answered
 * before the tick came, every slot of the tick is skipped, whatever has begun. A later request may have been refused because a
 * slot had begun, so then the other slots are not skipped.
 */
export function isToBeSkipped(state: State, order: Order): boolean {
  if (order.requested !== undefined || order.attempt > 1) return false;
  const skip = skipOf(state, order.job, order.instant);
  if (skip === undefined) return false;
  return skip.at + confirmLimitMs <= order.instant || !isInProgress(state, order);
}

/**
 * The instant (ms) from which the request surely stands. Before it is answered, it may still be refused because a slot of the
 * tick has begun on some peer; then the other slots must run.
 */
export function skipStandsAt(state: State, { job, instant }: Pick<Order, "job" | "instant">): number {
  const skip = skipOf(state, job, instant);
  return skip === undefined ? -Infinity : Math.min(skip.at, instant) + confirmLimitMs;
}
