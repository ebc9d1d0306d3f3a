/**
 * I16, pruned stays pruned: records beyond what a job keeps are gone everywhere, and don't come back. And what the other
 * checkers need: which ticks' records must still be there.
 *
 * A job keeps its newest ticks, by number and by age; nothing within its catch-up window and an hour is pruned, nor a tick
 * with an open record, nor the job's last tick and last success. Peers prune every ten minutes or so, each for itself.
 */
import { instantOf, type JobId, type TickId } from "../../schema/ids.ts";
import { ticksOf } from "../client/schedules.ts";
import type { Breach, Evidence, JobRules, Knowledge, RecordSeen } from "../world/truth.ts";
import { jobsOf, perhapsInForce } from "./requests.ts";

const hourMs = 3_600_000;
/** The rounds in which peers prune, and the edge of a bucket. */
const roundsMs = 2_400_000;
/** A job's last tick and last success stay whatever it keeps; one more may be on its way. */
const keptAnyway = 3;

interface Keeping {
  runs: number;
  ageMs: number;
  /** records this young are never pruned */
  youngMs: number;
}

/** What a job keeps at least and at most, over all revisions that somebody asked for; undefined = everything. */
function keepingOf(evidence: Evidence, job: JobId): { least: Keeping; most: Keeping } | undefined {
  const rules = evidence.operations.flatMap(({ request }) =>
    request.kind === "put" && request.rules.id === job ? [request.rules] : [],
  );
  const keeps = rules.flatMap(({ keep }) => keep ?? []);
  if (keeps.length < rules.length || keeps.length === 0) return undefined;
  const youngMs = Math.max(...rules.map(({ catchUp }: JobRules) => catchUp.windowMs)) + hourMs;
  const runs = keeps.map((keep) => keep.runs);
  const ages = keeps.map((keep) => keep.ageMs);
  return {
    least: { runs: Math.min(...runs), ageMs: Math.min(...ages), youngMs: hourMs },
    most: { runs: Math.max(...runs), ageMs: Math.max(...ages), youngMs },
  };
}

/** Tells whether the records of a tick must still be on every peer at the end. Made once: it counts all ticks. */
export function retainedTicks(evidence: Evidence): (job: JobId, tick: TickId) => boolean {
  const beginnings = new Map<JobId, number>();
  for (const job of jobsOf(evidence)) {
    const keeping = keepingOf(evidence, job)?.least;
    if (keeping === undefined) continue;
    const instants = [
      ...perhapsInForce(evidence, job).flatMap(({ rules, from, to }) =>
        ticksOf(rules.schedule, from, Math.min(to, evidence.to)),
      ),
      ...evidence.operations.flatMap(({ request, askedAt }) =>
        request.kind === "run" && request.id === job ? [askedAt] : [],
      ),
    ].toSorted((a, b) => b - a);
    const byNumber = instants[keeping.runs - keptAnyway] ?? -Infinity;
    const byAge = evidence.to - keeping.ageMs + hourMs;
    beginnings.set(job, Math.min(evidence.to - keeping.youngMs, Math.max(byNumber, byAge)));
  }
  return (job, tick) => instantOf(tick) > (beginnings.get(job) ?? -Infinity);
}

export function checkPruned(evidence: Evidence): Breach[] {
  return jobsOf(evidence).flatMap((job) => {
    const keeping = keepingOf(evidence, job)?.most;
    if (keeping === undefined) return [];
    return evidence.final.flatMap((knowledge) => tooMany(evidence, knowledge, job, keeping));
  });
}

function tooMany(evidence: Evidence, { peer, records }: Knowledge, job: JobId, keeping: Keeping): Breach[] {
  const ofJob = [...records.values()].filter((record) => record.job === job);
  const ticks = [...Map.groupBy(ofJob, ({ tick }) => tick)]
    .map(([tick, some]) => ({ instant: instantOf(tick), isOver: some.every(isOver) }))
    .toSorted((a, b) => b.instant - a.instant);
  const before = evidence.to - keeping.youngMs - roundsMs;
  const extra = ticks.filter(
    ({ instant, isOver: over }, place) =>
      over &&
      instant < before &&
      (place >= keeping.runs + keptAnyway || instant < before - keeping.ageMs) &&
      place >= keptAnyway,
  );
  // Of what stays anyway, the last success may be old.
  if (extra.length <= 1) return [];
  const what = `${peer} has ${extra.length} ticks of ${job} that should be pruned, of ${ticks.length} in all`;
  return [{ rule: "I16", at: evidence.to, what }];
}

function isOver({ state }: RecordSeen): boolean {
  return state !== "claimed" && state !== "running";
}
