/**
 * Pools: each limits how many runs of all jobs that name it are in progress at once, on each side of a split. A pool that nobody
 * has set has one slot.
 */
import type { Problem } from "../../schema/job.ts";
import type { JobId } from "../../schema/ids.ts";
import { PoolSchema } from "../../schema/pool.ts";
import { shapeOf } from "../../schema/shape.ts";
import type { JobsState } from "./jobs-state.ts";
import type { Plan } from "./plan.ts";

const shape = shapeOf(PoolSchema, 'such as {"slots": 2}');
const slotsUntilSet = 1;

export function poolProblems(value: unknown): readonly Problem[] {
  const checked = shape.check(value);
  return checked.ok ? [] : checked.problems;
}

/** The slots that an entry of the table says; undefined if it can't be read. */
export function readSlots(entry: unknown): number | undefined {
  const checked = shape.checkKnown(entry);
  return checked.ok ? checked.value.slots : undefined;
}

/** Takes in how many slots pools have, by name. Entries that can't be read have no effect. */
export function enterPools(jobs: JobsState, entries: ReadonlyMap<string, unknown>): void {
  const pools = new Map<string, number>();
  for (const [name, entry] of entries) {
    const slots = readSlots(entry);
    if (slots !== undefined) pools.set(name, slots);
  }
  jobs.pools = pools;
}

export function slotsOfPool({ pools }: JobsState, pool: string): number {
  return pools.get(pool) ?? slotsUntilSet;
}

/** The jobs that name the pool. */
export function jobsOfPool({ jobsByPool }: JobsState, pool: string): Iterable<JobId> {
  return jobsByPool.get(pool) ?? [];
}

/** Notes that the job is in its pool, and no longer in the one that it was in before. */
export function enterPool({ jobsByPool }: JobsState, before: Plan | undefined, plan: Plan | undefined): void {
  if (before?.pool === plan?.pool) return;
  if (before?.pool !== undefined) {
    const jobs = jobsByPool.get(before.pool);
    jobs?.delete(before.id);
    if (jobs?.size === 0) jobsByPool.delete(before.pool);
  }
  if (plan?.pool === undefined) return;
  const jobs = jobsByPool.get(plan.pool);
  if (jobs === undefined) jobsByPool.set(plan.pool, new Set([plan.id]));
  else jobs.add(plan.id);
}
