/**
 * The story part of I6: a run's record says what its child really did. If a child ended by itself or was cancelled,
 * every peer's record says so. If it was killed because its peer's process had gone, the record says `lost`.
 *
 * A record may say `lost` of a child that ended by itself only if its peer could not record the end. That is so if the
 * process was down or paused between the run's start and 15 s after its end, if its disk was disturbed in these 15 s,
 * or if its folder was restored, a second process had its identity, or it had been forgotten. If a peer started one run
 * twice (which I3 judges), because its folder was restored or a second process had its identity, the record tells of
 * either.
 *
 * While a run goes on, its own peer doesn't record that it is lost or never started. Two processes with one identity know of
 * each other if both have been connected to a third peer for a while, so neither may end the other's runs.
 *
 * A range of missed ticks contains no tick that all peers knew to have run. This isn't judged if a clock was set or a
 * folder restored.
 */
import {
  orderName,
  type Breach,
  type DisownedSeen,
  type Evidence,
  type RecordSeen,
  type Run,
} from "../world/truth.ts";
import { instantOf, tickAt, type PeerId } from "../../schema/ids.ts";
import { hadDuplicateIdentity, knownToAll, together, wasTurnedAway } from "./surroundings.ts";
import { groupRuns, isScheduled } from "./ticks.ts";
import { retainedTicks } from "./retained.ts";

/** How long after a run's end its own peer has recorded it, if nothing disturbs the peer, ms. */
const recordedMs = 15_000;
/** Within this time a launcher notices that its peer's process is gone, ms. */
const orphanedMs = 60;
/** Runs that ended this short before the world's end aren't judged: their records may still be on their way, ms. */
const quietMs = 120_000;

/** Two peers that are connected for this long have told each other what they know, ms. */
const inTouchMs = 20_000;
/** A child that outlives its peer's process ends within this time, ms. */
const orphansEndMs = 1_000;

export function checkDisowned(evidence: Evidence): Breach[] {
  const byName = groupRuns(evidence, nameOf);
  const steady = {
    ...evidence,
    faultWindows: evidence.faultWindows.filter(({ kind }) => kind !== "duplicate identity"),
  };
  return (evidence.disowned ?? []).flatMap((one) => {
    const { peer, at, state, heardOthers } = one;
    const isOn = ({ start, end = Infinity }: Run) => start <= at && end > at + orphansEndMs;
    if (!heardOthers || byName.get(nameOf(one))?.some(isOn) !== true) return [];
    if (hadDuplicateSince(evidence, peer, at - inTouchMs, at)) return [];
    const isInTouch = evidence.peers.some(
      (other) => other !== peer && together(steady, peer, other, at - inTouchMs, at),
    );
    const what = `${peer} has recorded ${state} of ${nameOf(one)}, which went on`;
    return isInTouch ? [{ rule: "I6" as const, at, what }] : [];
  });
}

/** True if a second process with the peer's identity has begun in that time. */
function hadDuplicateSince({ faultWindows }: Evidence, of: PeerId, since: number, until: number): boolean {
  return faultWindows.some(
    ({ kind, peer, from }) => kind === "duplicate identity" && peer === of && since < from && from <= until,
  );
}

export function checkRanges(evidence: Evidence): Breach[] {
  const { faultWindows, rollbacks = [], final, runs } = evidence;
  if (rollbacks.length > 0 || faultWindows.some(({ kind }) => kind === "clock step")) return [];
  const ranges = new Map(final.flatMap(({ records }) => [...records].filter(isRange)));
  return [...ranges.values()].flatMap(({ job, tick, peer, rangeFrom = Infinity, writtenAt = -Infinity }) =>
    runs
      .filter((run) => run.job === job && isScheduled(run))
      .filter((run) => rangeFrom <= instantOf(run.tick) && run.tick <= tick)
      .filter((run) => knownToAll(evidence, run.start) < writtenAt && !wasTurnedAway(evidence, run))
      .map((run) => ({
        rule: "I6" as const,
        at: writtenAt,
        what: `${peer} says that ${job} missed all ticks from ${tickAt(rangeFrom)} to ${tick}, and ${run.tick} had run`,
      })),
  );
}

function isRange([, { rangeFrom }]: [string, RecordSeen]): boolean {
  return rangeFrom !== undefined;
}

export function checkStories(evidence: Evidence): Breach[] {
  const isRetained = retainedTicks(evidence);
  const final = evidence.final.map(({ peer, records }) => ({ peer, byRun: recordsByRun(records.values()) }));
  const byName = groupRuns(evidence, nameOf);
  const breaches: Breach[] = [];
  for (const run of evidence.runs) {
    if (run.end === undefined || run.end > evidence.to - quietMs || run.outcome === undefined) continue;
    if (!isRetained(run.job, run.tick) || mayBeUnrecorded(evidence, run)) continue;
    const key = nameOf(run);
    for (const { peer, byRun } of final) {
      const record = byRun.get(key);
      if (record === undefined) continue;
      if (byName.get(key)?.some((one) => agrees(evidence, record.state, one)) === true) continue;
      const what = `${peer} says ${record.state} of ${key}, but its child ${run.outcome}`;
      breaches.push({ rule: "I6", at: run.start, what });
      break;
    }
  }
  return breaches;
}

/** Indexes records by run. A gap report that ends with a run's tick is not a record of that run. */
function recordsByRun(records: Iterable<RecordSeen>): ReadonlyMap<string, RecordSeen> {
  const byRun = new Map<string, RecordSeen>();
  for (const record of records) {
    if (record.rangeFrom === undefined) byRun.set(nameOf(record), record);
  }
  return byRun;
}

function nameOf(one: Run | RecordSeen | DisownedSeen): string {
  return `${orderName(one)} of ${one.peer}`;
}

function agrees(evidence: Evidence, state: string, run: Run): boolean {
  if (state === (run.outcome === "failed" && skips(evidence, run) ? "skipped" : run.outcome)) return true;
  // The run's precheck had passed, and then the job was not started: it was paused or deleted, or its peer was held up.
  if (run.outcome === "checked") return ["skipped", "cancelled", "failed", "lost"].includes(state);
  if (run.outcome === "killed") return state === "lost" || state === "cancelled";
  // The child may have ended by itself just after it was told to end.
  return state === "cancelled" && mayHaveBeenStopped(evidence, run);
}

/** True if the job takes the exit code of a child that fails for word that there was nothing to do. */
function skips({ operations }: Evidence, { job }: Run): boolean {
  return operations.some(
    ({ request }) => request.kind === "put" && request.rules.id === job && request.rules.skips === true,
  );
}

/** True if a person may have cancelled the run, or a newer run of its job may have replaced it. */
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
  // A child briefly outlives its peer's process, and may end by itself in that time although a new process is already
  // up. In the same time a launcher may still start a run that it was given before. The new process knows nothing of
  // either.
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
