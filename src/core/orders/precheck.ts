/**
 * A run between its precheck and its job (checks/precheck.ts). While the precheck ran, the job may have been paused, edited or
 * deleted, and this peer may have been held up for so long that others took the run for lost. So it is decided anew whether
 * the job may start. From the precheck's start on, the run counts as started everywhere, and no other peer begins it.
 */
import type { OwnRun } from "../claims/order.ts";
import { pauseAt } from "../job/stops.ts";
import { standsBack } from "../members/duplicate-identity.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { State } from "../state.ts";

/** Why the job must not start although its precheck says that it may; undefined = it may. */
export function whyNotAfterPrecheck(
  state: State,
  { order, isDeclaredLost }: OwnRun,
): Pick<RunRecord, "state" | "reason"> | undefined {
  const plan = state.jobs.plans.get(order.job);
  const isForced = order.requested?.force === true;
  if (plan === undefined) return { state: "cancelled", reason: "the job was deleted while its precheck ran" };
  if (!plan.enabled && !isForced) {
    return { state: "cancelled", reason: "the job was disabled while its precheck ran" };
  }
  if (pauseAt(plan, state.now.wall) !== undefined && !isForced) return { state: "skipped", reason: "paused" };
  const isOut = state.operator.selfForgotten !== undefined || hasSupersededKey(state) || standsBack(state);
  if (isDeclaredLost === true || isOut || state.upkeep.warmUp !== undefined) {
    const reason = "not started: this peer was held up, or away from the others, while the precheck ran";
    return { state: "failed", reason };
  }
  return undefined;
}
