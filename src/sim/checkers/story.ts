/**
 * The story part of I6: what a run's record says is what its own child did. A child that ended by itself, or was cancelled,
 * is recorded so on every peer; one that was killed because its peer's process had gone is `lost`.
 *
 * A record may say `lost` of a child that ended by itself only if its peer could not record the end: the process was gone
 * or its disk disturbed within moments, its folder was put back, a second process had its identity, or it had been forgotten.
 */
import type { Breach, Evidence, RecordSeen, Run } from "../world/truth.ts";
import { hadDuplicateIdentity, wasTurnedAway } from "./surroundings.ts";
import { retainedTicks } from "./retained.ts";

/** So long after its end a run is recorded by its own peer, if that goes on undisturbed; ms. */
const recordedMs = 15_000;
/** A launcher notices within this that its peer's process is gone, ms. */
const orphanedMs = 60;
/** The records of runs that ended later may still be on their way. */
const quietMs = 120_000;

export function checkStories(evidence: Evidence): Breach[] {
  const isRetained = retainedTicks(evidence);
  const final = evidence.final.map(({ peer, records }) => ({ peer, byRun: recordsByRun(records.values()) }));
  const breaches: Breach[] = [];
  for (const run of evidence.runs) {
    if (run.end === undefined || run.end > evidence.to - quietMs || run.outcome === undefined) continue;
    if (!isRetained(run.job, run.tick) || mayBeUnrecorded(evidence, run)) continue;
    const key = nameOf(run);
    for (const { peer, byRun } of final) {
      const record = byRun.get(key);
      if (record === undefined || tells(evidence, record.state, run)) continue;
      const what = `${peer} says ${record.state} of ${key}, whose child ${run.outcome}`;
      breaches.push({ rule: "I6", at: run.start, what });
      break;
    }
  }
  return breaches;
}

/** The report of a gap that ends with a run's tick is no record of that run. */
function recordsByRun(records: Iterable<RecordSeen>): ReadonlyMap<string, RecordSeen> {
  const byRun = new Map<string, RecordSeen>();
  for (const record of records) {
    if (record.rangeFrom === undefined) byRun.set(nameOf(record), record);
  }
  return byRun;
}

function nameOf({ job, tick, attempt, peer }: Run | RecordSeen): string {
  return `${job}@${tick}~${attempt} of ${peer}`;
}

function tells(evidence: Evidence, state: string, run: Run): boolean {
  if (state === run.outcome) return true;
  if (run.outcome === "killed") return state === "lost" || state === "cancelled";
  // The child ended by itself just after it was told to end.
  return state === "cancelled" && mayHaveBeenStopped(evidence, run);
}

/** A person cancelled it, or a newer run of its job replaced it. */
function mayHaveBeenStopped({ operations }: Evidence, { job, tick }: Run): boolean {
  return operations.some(
    ({ request }) =>
      (request.kind === "cancel" && request.tick === tick) ||
      (request.kind === "put" && request.rules.id === job && request.rules.overlap === "replace"),
  );
}

function mayBeUnrecorded(evidence: Evidence, run: Run): boolean {
  const end = run.end ?? run.start;
  const touches = (span: { from: number; to: number }) => span.from <= end + recordedMs && span.to >= end;
  // A child outlives its peer's process by moments, and may end by itself in them, though the process is back already. In the
  // same moments a launcher may start what it was given before, of which the new process knows no more than of the child.
  const interrupts = (span: { from: number; to: number }) =>
    span.from <= end + recordedMs && span.to >= run.start - orphanedMs;
  return (
    evidence.outages.some((outage) => outage.peer === run.peer && interrupts(outage)) ||
    evidence.faultWindows.some(
      ({ kind, peer, from, to }) => peer === run.peer && kind.endsWith("disk") && touches({ from, to }),
    ) ||
    (evidence.rollbacks ?? []).some(({ peer, startedAt }) => peer === run.peer && startedAt >= run.start) ||
    hadDuplicateIdentity(evidence, run.peer, run.start, end + recordedMs) ||
    wasTurnedAway(evidence, run)
  );
}
