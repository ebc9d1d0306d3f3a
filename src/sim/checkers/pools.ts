/**
 * The part of I10 that is about pools: of all jobs in a pool, no more runs go on at once than it has slots, within a component.
 * Runs are compared as those of one job are (overlap.ts). Two starts of one tick are duplicates, which I3 judges.
 */
import type { JobId } from "../../schema/ids.ts";
import type { JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { couldKnow } from "./overlap.ts";
import { convergedAt, jobsOf, perhapsInForce } from "./requests.ts";

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

/**
 * How long peers may take a run to be in progress whose peer was killed or cut off, ms: until the peer is dead, and its run
 * declared lost.
 */
const takenForOnMs = 30_000;

/**
 * The longest time from `from` to `to` in which a slot of the job's pool was surely free, ms. The pool is taken to have one slot,
 * which is what it has until it is set. A run whose peer did not see its end holds its slot for a while longer.
 */
function longestFreeMs(evidence: Evidence, rules: JobRules, from: number, to: number): number {
  const runs = runsOfPool(evidence, rules).map(({ start, end = Infinity, outcome }) => ({
    start,
    end: outcome === undefined || outcome === "killed" ? end + takenForOnMs : end,
  }));
  const slots = slotsSurelySet(evidence, rules.pool?.name, from);
  const isFull = (at: number): boolean =>
    runs.filter(({ start, end }) => start <= at && at < end).length >= slots;
  const changes = runs.flatMap(({ start, end }) => [start, end]).filter((at) => from < at && at < to);
  let longest = 0;
  let freeFrom: number | undefined;
  for (const at of [from, ...changes.toSorted((a, b) => a - b), to]) {
    if (freeFrom !== undefined) longest = Math.max(longest, at - freeFrom);
    if (isFull(at)) freeFrom = undefined;
    else freeFrom ??= at;
  }
  return longest;
}

/** How long a slot of a pool may be free before a tick that waits for one must have got it, ms. */
export const slotTakenWithinMs = 30_000;

/** The job's pool was full at some time from `from` to `to`, and never had a free slot for longer than that. */
export function waitedForSlot(
  evidence: Evidence,
  rules: JobRules,
  from: number,
  to: number,
  freeForMs: number,
): boolean {
  if (rules.pool === undefined) return false;
  const freeMs = longestFreeMs(evidence, rules, from, to);
  return freeMs < to - from && freeMs < freeForMs;
}

function slotsSurelySet(evidence: Evidence, name: string | undefined, at: number): number {
  const set = evidence.operations.find(
    (operation) =>
      operation.request.kind === "pool" &&
      operation.request.name === name &&
      operation.accepted &&
      convergedAt(evidence, operation) <= at,
  );
  return set?.request.kind === "pool" ? set.request.slots : 1;
}

/** Within this time a start is known to all who hear its peer, ms. */
const heardWithinMs = 1_000;

/**
 * A run whose peer could not know of all others in progress may have taken a slot out of turn. A run that goes before it in the
 * queue and starts in the same moment can't have expected that.
 */
export function checkPools(evidence: Evidence): Breach[] {
  const pools = poolsOf(evidence);
  const breaches: Breach[] = [];
  for (const [name, runs] of Map.groupBy(evidence.runs, ({ job }) => pools.get(job)?.name)) {
    if (name === undefined) continue;
    const slots = Math.max(...[...pools.values()].flatMap((pool) => (pool.name === name ? pool.slots : [])));
    const inOrder = runs.toSorted((a, b) => a.start - b.start);
    const outOfTurn = new Set<Run>();
    for (const [index, run] of inOrder.entries()) {
      const others = inOrder
        .slice(0, index)
        .filter((earlier) => (earlier.end ?? Infinity) > run.start && !isSameTick(earlier, run));
      const known = others.filter((earlier) => couldKnow(evidence, earlier, run));
      if (known.length < others.length) outOfTurn.add(run);
      const beside = known.filter(
        (earlier) => !outOfTurn.has(earlier) || run.start >= earlier.start + heardWithinMs,
      );
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
