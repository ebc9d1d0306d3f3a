/**
 * When a tick of a job with `jitter` is due: the same on every peer, because it follows from the job's id and the tick
 * alone. So many jobs that share a schedule don't start in the same second.
 *
 * A job's ticks keep their names, their ranks and their order: a jitter is no longer than the time between two ticks.
 */
import { createHash } from "node:crypto";
import { tickAt } from "../../schema/ids.ts";
import { ticksOf, type Plan } from "./plan.ts";

/** The instant from which the job's tick (ms) is to run; ms. */
export function dueOf({ id, jitterMs }: Pick<Plan, "id" | "jitterMs">, tick: number): number {
  if (jitterMs === 0) return tick;
  const hash = createHash("sha256")
    .update(`${id}@${tickAt(tick)}`)
    .digest();
  return tick + Math.floor((hash.readUIntBE(0, 6) / 2 ** 48) * jitterMs);
}

/** The job's ticks that are due at or after the instant are those at or after this one; ms. */
export function firstDueFrom(plan: Plan, instant: number): number {
  if (plan.jitterMs === 0) return instant;
  const near = ticksOf(plan, instant - plan.jitterMs, instant, nearMax);
  return near.find((tick) => dueOf(plan, tick) >= instant) ?? instant;
}

/** Ticks within one jitter: two, or a few more where the clocks change or expressions are close to each other. */
const nearMax = 64;
