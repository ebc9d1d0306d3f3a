/**
 * The part of I10 that is about pools: of all jobs in a pool, no more runs go on at once than it has slots, within a component.
 * Runs are compared as those of one job are (overlap.ts). Two starts of one tick are duplicates, which I3 judges.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Breach, Evidence, JobRules, Run } from "../world/truth.ts";
import { couldKnow } from "./overlap.ts";
import { jobsOf, perhapsInForce } from "./requests.ts";

/** The pool and slots of each job that surely had one as long as some peer held it. */
function poolsOf(evidence: Evidence): Map<JobId, NonNullable<JobRules["pool"]>> {
  const pools = new Map<JobId, NonNullable<JobRules["pool"]>>();
  for (const job of jobsOf(evidence)) {
    const rules = perhapsInForce(evidence, job).map((span) => span.rules);
    const [first] = rules;
    if (first?.pool !== undefined && rules.every(({ pool }) => pool?.name === first.pool?.name))
      pools.set(job, first.pool);
  }
  return pools;
}

/** The runs of all jobs that may share a pool with that one; none if it is in no pool. */
export function runsOfPool(evidence: Evidence, { pool }: JobRules): readonly Run[] {
  if (pool === undefined) return [];
  const jobs = new Set<JobId>(
    evidence.operations.flatMap(({ request }) =>
      request.kind === "put" && request.rules.pool?.name === pool.name ? [request.rules.id] : [],
    ),
  );
  return evidence.runs.filter(({ job }) => jobs.has(job));
}

export function checkPools(evidence: Evidence): Breach[] {
  const pools = poolsOf(evidence);
  const breaches: Breach[] = [];
  for (const [name, runs] of Map.groupBy(evidence.runs, ({ job }) => pools.get(job)?.name)) {
    if (name === undefined) continue;
    const slots = Math.max(...[...pools.values()].flatMap((pool) => (pool.name === name ? pool.slots : [])));
    const inOrder = runs.toSorted((a, b) => a.start - b.start);
    for (const [index, run] of inOrder.entries()) {
      const beside = inOrder
        .slice(0, index)
        .filter(({ end = Infinity }) => end > run.start)
        .filter((earlier) => !isSameTick(earlier, run) && couldKnow(evidence, earlier, run));
      if (beside.length < slots) continue;
      const what = `${run.job}@${run.tick} started on ${run.peer} beside ${beside.map(({ job, tick, peer }) => `${job}@${tick} on ${peer}`).join(", ")} in a pool of ${slots}`;
      breaches.push({ rule: "I10", at: run.start, what });
    }
  }
  return breaches;
}

function isSameTick(a: Run, b: Run): boolean {
  return a.job === b.job && a.tick === b.tick;
}
