/**
 * Whether a person has asked for a tick to be skipped. The table says so; a peer that holds a claim has perhaps been told
 * before the table has reached it (operator/skips.ts).
 */
import type { Skip } from "../../schema/job.ts";
import type { JobId } from "../../schema/ids.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";
import { isInProgress } from "./slots.ts";

/** The request, if the job's tick (ms) is to be skipped. */
export function skipOf({ jobs, operator, now }: State, job: JobId, tick: number): Skip | undefined {
  const known = jobs.plans.get(job)?.skips.get(tick);
  if (known !== undefined) return known;
  const heard = operator.skipsHeard.get(job)?.get(tick);
  return heard === undefined || heard.untilMono < now.mono ? undefined : heard;
}

/** Only ticks of the schedule are skipped, and none that has begun. */
export function isToBeSkipped(state: State, order: Order): boolean {
  const isAsked = order.requested === undefined && skipOf(state, order.job, order.instant) !== undefined;
  return isAsked && !isInProgress(state, order);
}
