/**
 * Judges a lab by its evidence, with the simulator's checkers, and counts what users would have noticed.
 *
 * The checkers wait for late starts as long as the promise allows, but a real lab doesn't run for that long. Loss is
 * judged as if the world had stood still after the lab's end, so ticks that have not started by then count as lost.
 * That makes the judgement stricter, not milder.
 */
import { checkAccounts, checkConvergence, checkDurability } from "../../../src/sim/checkers/agreement.ts";
import { checkDuplicates, checkZombies } from "../../../src/sim/checkers/duplicates.ts";
import { checkLoss, checkResumption } from "../../../src/sim/checkers/loss.ts";
import { checkOverlap } from "../../../src/sim/checkers/overlap.ts";
import { checkPhantoms, checkRevocation } from "../../../src/sim/checkers/phantoms.ts";
import { checkEligibility } from "../../../src/sim/checkers/eligibility.ts";
import { ticksOf } from "../../../src/sim/client/schedules.ts";
import { jobOf } from "../../../src/sim/world/requests.ts";
import type { Breach, Evidence, Run } from "../../../src/sim/world/truth.ts";
import { tickAt } from "../../../src/schema/ids.ts";
import type { LabJob } from "./truth.ts";

/** One fault, from its beginning until all of it had ended. */
export interface Injection {
  what: string;
  from: number;
  to: number;
}

/** A tick due at least this long before the lab's end must have started, ms: the 12 s of the promise. */
const startsWithinMs = 13_000;
/** The checkers' patience, by which the lab's end is put off for them, ms. */
const lossPatienceMs = 60_000;
const resumptionPatienceMs = 15_000;
const accountsPatienceMs = 120_000;
/** A tick due this shortly before its runner was killed may have started without writing its first line, ms. */
const beginsWithinMs = 1_000;
/** The promise, I9. */
const onTimeMs = 1_000;
/**
 * What a machine of two cores, used by other tests too, may add between a start and the job's first line, ms: up to 0.4
 * s were seen for a whole second, with 20 processes waiting for a core. The checker of I9 gets it as an error of the
 * clocks.
 */
const machineSlackMs = 1_000;
/** How long before the end of a quiet time a tick must be due so that its lateness is judged, ms. */
const judgedBeforeMs = 2_000;
/** When all peers are up and connected, their records must be equal after this time, ms. */
const quietMs = 30_000;

export function judge(
  evidence: Evidence,
  jobs: readonly LabJob[],
  injections: readonly Injection[],
): Breach[] {
  const available = ofPolicy(evidence, jobs, "available");
  const breaches = [
    ...checkLoss(until(available, evidence.to - startsWithinMs + lossPatienceMs)),
    ...resumptions(evidence, injections).flatMap(checkResumption),
    ...[
      checkDuplicates,
      checkPhantoms,
      checkEligibility,
      checkRevocation,
      checkOverlap,
      checkZombies,
      checkConvergence,
      checkDurability,
    ].flatMap((check) => check(evidence)),
    ...checkAccounts(until(evidence, evidence.to - quietMs + accountsPatienceMs)),
    ...checkMajority(evidence, jobs),
  ];
  return breaches.filter((breach) => !(breach.rule === "I1" && mayBeCutShort(evidence, breach.at)));
}

function until(evidence: Evidence, to: number): Evidence {
  return { ...evidence, to };
}

/** The part of the evidence about jobs with that policy. */
function ofPolicy(evidence: Evidence, jobs: readonly LabJob[], partition: LabJob["partition"]): Evidence {
  const ids = new Set(jobs.filter((job) => job.partition === partition).map(({ rules }) => rules.id));
  return {
    ...evidence,
    runs: evidence.runs.filter(({ job }) => ids.has(job)),
    operations: evidence.operations.filter(({ request }) => {
      const job = jobOf(request);
      return job !== undefined && ids.has(job);
    }),
  };
}

/** The quiet time after each fault, as evidence for the checker of I9. */
function resumptions(evidence: Evidence, injections: readonly Injection[]): Evidence[] {
  return injections.map(({ to }, index) => {
    const end = injections[index + 1]?.from ?? evidence.to;
    const clockErrorMs = new Map(
      evidence.peers.map((peer) => [peer, machineSlackMs + (evidence.clockErrorMs.get(peer) ?? 0)]),
    );
    return { ...evidence, healedAt: to, to: end - judgedBeforeMs + resumptionPatienceMs, clockErrorMs };
  });
}

/**
 * True if the run may have begun on a peer that was killed before the job could write anything: it is `lost` and not
 * repeated.
 */
function mayBeCutShort(evidence: Evidence, due: number): boolean {
  return evidence.outages.some(
    ({ kind, from }) => kind === "down" && due <= from && due >= from - beginsWithinMs,
  );
}

/** I2: a tick of a `majority` job never starts twice, whatever faults there were. */
function checkMajority(evidence: Evidence, jobs: readonly LabJob[]): Breach[] {
  const starts = Map.groupBy(
    ofPolicy(evidence, jobs, "majority").runs,
    ({ job, tick, attempt }) => `${job}@${tick}~${attempt}`,
  );
  return [...starts]
    .filter(([, runs]) => runs.length > 1)
    .map(([order, runs]) => ({
      rule: "I2",
      at: Math.min(...runs.map(({ start }) => start)),
      what: `${order} started on ${runs.map(({ peer }) => peer).join(" and ")}`,
    }));
}

/** The counts for one policy's jobs. All times in ms. */
export interface Counts {
  /** ticks that were due */
  due: number;
  /** without any start, though none can have been cut short */
  missed: number;
  /** without any start, and due just when a peer was killed */
  cutShort: number;
  /** starts beyond each tick's first */
  doubled: number;
}

export interface Figures {
  injected: number;
  available: Counts;
  majority: Counts;
  /** for each fault: from its end to the last tick that was late, missed or doubled; 0 = none was */
  resumptionsMs: number[];
  /** for each fault: the longest time for which a tick due in it waited for its start */
  waitsMs: number[];
}

export function count(
  evidence: Evidence,
  jobs: readonly LabJob[],
  injections: readonly Injection[],
): Figures {
  const starts = Map.groupBy(evidence.runs, ({ job, tick }) => `${job}@${tick}`);
  const ticks = jobs.flatMap((job) => dueTicks(evidence, job, starts));
  const spans = injections.map(({ from, to }, index) => ({
    from,
    to,
    next: injections[index + 1]?.from ?? Infinity,
  }));
  const judged = ticks.filter(({ job }) => job.partition === "available" && job.rules.overlap === "allow");
  return {
    injected: injections.length,
    available: countOf(evidence, ticks, "available"),
    majority: countOf(evidence, ticks, "majority"),
    resumptionsMs: spans.map(({ to, next }) => {
      const after = judged.filter(({ due }) => due >= to && due < next);
      return Math.max(0, ...after.filter(isWrong).map(({ due }) => due - to));
    }),
    waitsMs: spans.map(({ from, to }) =>
      Math.max(
        0,
        ...judged
          .filter(({ due, runs }) => due >= from && due < to && runs.length > 0)
          .map(({ due, runs }) => firstOf(runs) - due),
      ),
    ),
  };
}

interface DueTick {
  job: LabJob;
  due: number;
  runs: readonly Run[];
}

function dueTicks(evidence: Evidence, job: LabJob, starts: ReadonlyMap<string, Run[]>): DueTick[] {
  const made = evidence.operations.find(
    ({ request }) => request.kind === "put" && request.rules.id === job.rules.id,
  );
  const from = made?.knownAt ?? Infinity;
  return ticksOf(job.rules.schedule, from, evidence.to - startsWithinMs).map((due) => ({
    job,
    due,
    runs: starts.get(`${job.rules.id}@${tickAt(due)}`) ?? [],
  }));
}

function countOf(evidence: Evidence, ticks: readonly DueTick[], partition: LabJob["partition"]): Counts {
  // A tick that waits for another run of its job may rightly be skipped; the checker of overlap judges those.
  const own = ticks.filter(({ job }) => job.partition === partition && job.rules.overlap === "allow");
  const without = own.filter(({ runs }) => runs.length === 0);
  const cutShort = without.filter(({ due }) => mayBeCutShort(evidence, due)).length;
  return {
    due: own.length,
    missed: without.length - cutShort,
    cutShort,
    doubled: own.reduce((sum, { runs }) => sum + Math.max(0, runs.length - 1), 0),
  };
}

function isWrong({ due, runs }: DueTick): boolean {
  return runs.length !== 1 || firstOf(runs) - due > onTimeMs;
}

function firstOf(runs: readonly Run[]): number {
  return Math.min(...runs.map(({ start }) => start));
}
