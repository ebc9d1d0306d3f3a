/**
 * Jobs that would run after themselves, because following their parents leads back to them. Pure, and the same on every peer
 * that holds the same jobs: each job's cycle is the shortest one, and it is described in the same words everywhere.
 */
import type { JobId } from "../../schema/ids.ts";

/** The parents of a job; none if it has no such job, or if that one has none. */
export type ParentsOf = (job: JobId) => readonly JobId[];

/** In a larger set only the first members are named: the path of each member would take a search of its own. */
const searchedMax = 100;
const namesShown = 5;

/** The shortest way from the job back to itself, in the order in which they would run; undefined = there is none. */
export function cycleThrough(start: JobId, parentsOf: ParentsOf): JobId[] | undefined {
  /** by job: the one that runs after it, on the way to `start` */
  const next = new Map<JobId, JobId>();
  let layer: JobId[] = [start];
  while (layer.length > 0) {
    const before: JobId[] = [];
    for (const job of layer) {
      for (const parent of parentsOf(job).toSorted()) {
        if (parent === start) return [start, ...pathFrom(job, start, next), start];
        if (next.has(parent)) continue;
        next.set(parent, job);
        before.push(parent);
      }
    }
    layer = before;
  }
  return undefined;
}

function pathFrom(job: JobId, start: JobId, next: ReadonlyMap<JobId, JobId>): JobId[] {
  const path: JobId[] = [];
  for (let at: JobId | undefined = job; at !== undefined && at !== start; at = next.get(at)) path.push(at);
  return path;
}

export function describeCycle(path: readonly JobId[]): string {
  return `it would run after itself: ${path.join(" → ")}`;
}

/** What is said of each member of a cyclic set (`cyclicSets`). */
export function describeCyclicSet(members: readonly JobId[], parentsOf: ParentsOf): Map<JobId, string> {
  const sorted = members.toSorted();
  if (sorted.length > searchedMax) {
    const named = sorted.slice(0, namesShown).join(", ");
    const text = `it would run after itself, as one of ${sorted.length} jobs that run after each other: ${named} …`;
    return new Map(sorted.map((job) => [job, text]));
  }
  return new Map(sorted.map((job) => [job, describeCycle(cycleThrough(job, parentsOf) ?? [job, job])]));
}

interface Visit {
  readonly job: JobId;
  readonly parents: readonly JobId[];
  place: number;
}

/**
 * The sets of jobs that all run after each other, among the given jobs and those before them. (Strongly connected components:
 * Tarjan 1972, without recursion, because a chain may be long.)
 */
export function cyclicSets(starts: Iterable<JobId>, parentsOf: ParentsOf): JobId[][] {
  const found: JobId[][] = [];
  const index = new Map<JobId, number>();
  const low = new Map<JobId, number>();
  const stack: JobId[] = [];
  const onStack = new Set<JobId>();
  for (const start of starts) {
    if (index.has(start)) continue;
    const visits: Visit[] = [enter(start)];
    for (let visit = visits.at(-1); visit !== undefined; visit = visits.at(-1)) {
      const { job, parents } = visit;
      const parent = parents[visit.place++];
      if (parent !== undefined) {
        if (!index.has(parent)) visits.push(enter(parent));
        else if (onStack.has(parent)) lower(job, index.get(parent));
        continue;
      }
      visits.pop();
      const child = visits.at(-1);
      if (child !== undefined) lower(child.job, low.get(job));
      if (low.get(job) === index.get(job)) close(job, parents);
    }
  }
  return found;

  function enter(job: JobId): Visit {
    index.set(job, index.size);
    low.set(job, index.size - 1);
    stack.push(job);
    onStack.add(job);
    return { job, parents: parentsOf(job), place: 0 };
  }

  function lower(job: JobId, to: number | undefined): void {
    low.set(job, Math.min(low.get(job) ?? Infinity, to ?? Infinity));
  }

  function close(job: JobId, parents: readonly JobId[]): void {
    const members = stack.splice(stack.lastIndexOf(job));
    for (const member of members) onStack.delete(member);
    if (members.length > 1 || parents.includes(job)) found.push(members);
  }
}
