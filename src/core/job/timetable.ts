/**
 * All jobs and the next tick of each, soonest first. There is one heap for all jobs, so that one wake-up serves 100,000 of
 * them, and one entry per job, which an edit replaces.
 */
import type { JobId } from "../../schema/ids.ts";
import { assert } from "../../errors.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import type { JobsState } from "./jobs-state.ts";
import type { Maintenance } from "./maintenance.ts";
import { enterPool } from "./pools.ts";
import { nextTickOf, type Plan } from "./plan.ts";

/** Adds a job, or replaces it. Its ticks after the instant (ms) will be pulled. */
export function enterJob(jobs: JobsState, plan: Plan, after: number): void {
  leaveParents(jobs, plan.id);
  enterPool(jobs, jobs.plans.get(plan.id), plan);
  if (plan.partition === "majority" && plan.enabled) jobs.majorityJobs.add(plan.id);
  else jobs.majorityJobs.delete(plan.id);
  jobs.plans.set(plan.id, jobs.maintenance.length === 0 ? plan : maintained(jobs, plan));
  for (const parent of plan.after?.jobs ?? []) {
    const children = jobs.children.get(parent);
    if (children === undefined) jobs.children.set(parent, new Set([plan.id]));
    else children.add(plan.id);
  }
  expectNext(jobs, plan, after);
}

function leaveParents({ plans, children }: JobsState, id: JobId): void {
  for (const parent of plans.get(id)?.after?.jobs ?? []) {
    const ofParent = children.get(parent);
    ofParent?.delete(id);
    if (ofParent?.size === 0) children.delete(parent);
  }
}

/** The jobs that are quarantined because they run after each other. */
export function setCyclic(jobs: JobsState, cyclic: JobsState["cyclic"]): void {
  jobs.cyclic = cyclic;
}

/** The parents of a job, also of one that is quarantined because of them. */
export function parentsOf({ plans, cyclic }: JobsState, id: JobId): readonly JobId[] {
  return plans.get(id)?.after?.jobs ?? cyclic.get(id) ?? [];
}

/** Replaces every maintenance by these. Returns the jobs to which one of them applies, or one of the old ones did. */
export function enterMaintenance(jobs: JobsState, all: readonly Maintenance[]): JobId[] {
  jobs.maintenance = all;
  const changed: JobId[] = [];
  for (const plan of jobs.plans.values()) {
    const now = maintained(jobs, plan);
    if (now.maintenance.length === 0 && plan.maintenance.length === 0) continue;
    jobs.plans.set(plan.id, now);
    changed.push(plan.id);
  }
  return changed;
}

function maintained({ maintenance }: JobsState, plan: Plan): Plan {
  const group = plan.job.spec.group ?? defaultGroup;
  return { ...plan, maintenance: maintenance.filter((one) => (one.group ?? group) === group) };
}

export function removeJob(jobs: JobsState, id: JobId): void {
  leaveParents(jobs, id);
  enterPool(jobs, jobs.plans.get(id), undefined);
  jobs.plans.delete(id);
  jobs.majorityJobs.delete(id);
  jobs.nextTicks.remove(id);
}

/** The job's next tick that has not been pulled (ms); Infinity = none will come. */
export function nextTickAt(jobs: JobsState, id: JobId): number {
  return jobs.nextTicks.at(id);
}

/** The instant (ms) of the next tick of any job; undefined = there is none. */
export function soonestTick(jobs: JobsState): number | undefined {
  return jobs.nextTicks.peek()?.at;
}

/**
 * Takes out every tick at or before `until` (ms), oldest first. A job whose next tick is before `gapBefore` has not been
 * pulled for so long that its ticks up to `now` are not listed; it is returned in `gaps` instead.
 */
export function pullTicks(
  jobs: JobsState,
  until: number,
  gapBefore: number,
  now: number,
): { ticks: { plan: Plan; instant: number }[]; gaps: Plan[] } {
  const ticks: { plan: Plan; instant: number }[] = [];
  const gaps: Plan[] = [];
  const { nextTicks } = jobs;
  for (let top = nextTicks.peek(); top !== undefined && top.at <= until; top = nextTicks.peek()) {
    const plan = jobs.plans.get(top.key);
    assert(plan !== undefined, `${top.key}: a tick of a job that is not there`);
    if (top.at < gapBefore) {
      gaps.push(plan);
      expectNext(jobs, plan, now);
    } else {
      ticks.push({ plan, instant: top.at });
      expectNext(jobs, plan, top.at);
    }
  }
  return { ticks, gaps };
}

function expectNext(jobs: JobsState, plan: Plan, after: number): void {
  const at = nextTickOf(plan, after);
  if (at === undefined) jobs.nextTicks.remove(plan.id);
  else jobs.nextTicks.set(plan.id, at);
}
