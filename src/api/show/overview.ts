/**
 * The state of every job, when each runs next, and which ones only one peer can run, as a basis for what is asked of all jobs at
 * once: how many are in which state, which ones need a person's attention, what comes next, what depends on one peer.
 *
 * Each is computed when it is asked for, some jobs at a time so that ticks are not delayed, and kept for twenty times as long as
 * the work took, so it costs at most a twentieth of a core, however often it is asked for. While jobs are being written, it is
 * kept for as long as the work took, and costs at most half a core. The time in which the disk reads is no work of this thread:
 * it doesn't make a result last longer.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Control } from "../../ports/control.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { JobState } from "../../schema/job-vocabulary.ts";
import type { Job } from "../../schema/job.ts";

export interface OverviewEntry {
  job: Job;
  state: JobState;
}

/** Jobs that are looked at before other work gets a turn, which is some milliseconds later. */
const statesAtOnce = 100;
const nextRunsAtOnce = 1_000;
const soleRunnersAtOnce = 500;
/** How long a result is kept at least. Unit: ms. Several parts of a page ask at the same moment. */
const keptMsMin = 500;
const keptPerMs = 20;
/** … and after a job has been written: its writer asks at once. */
const writtenKeptMsMin = 100;

export class Overview {
  /** They need the disk, which has how each job's last tick ended. */
  readonly #states: OfAllJobs<OverviewEntry>;
  readonly #nextRuns: OfAllJobs<number>;
  readonly #soleRunners: OfAllJobs<PeerId>;

  /** `now`: monotonic ms */
  constructor(control: Control, now: () => number) {
    this.#states = new OfAllJobs(control, now, statesAtOnce, async (jobs, enter) => {
      const statuses = await Promise.all(jobs.map(([id]) => control.status(id)));
      for (const [index, [id, job]] of jobs.entries()) {
        const status = statuses[index];
        if (status !== undefined) enter(id, { job, state: status.state });
      }
    });
    this.#nextRuns = new OfAllJobs(control, now, nextRunsAtOnce, async (jobs, enter) => {
      for (const [id] of jobs) {
        const at = control.nextRunAt(id);
        if (at !== undefined) enter(id, at);
      }
    });
    this.#soleRunners = new OfAllJobs(control, now, soleRunnersAtOnce, async (jobs, enter) => {
      for (const [id] of jobs) {
        const peer = control.soleRunner(id);
        if (peer !== undefined) enter(id, peer);
      }
    });
  }

  entries(): Promise<ReadonlyMap<JobId, OverviewEntry>> {
    return this.#states.read();
  }

  /** The instant of each job's next tick that will run as things are, ms; without the jobs that have none. */
  nextRuns(): Promise<ReadonlyMap<JobId, number>> {
    return this.#nextRuns.read();
  }

  /** The only peer that can run each job as things are; without the jobs that several can run, or none. */
  soleRunners(): Promise<ReadonlyMap<JobId, PeerId>> {
    return this.#soleRunners.read();
  }
}

/** What there is to know of some jobs. It is begun within the call. */
type ReadSome<Found> = (
  jobs: readonly (readonly [JobId, Job])[],
  enter: (id: JobId, found: Found) => void,
) => Promise<void>;

/** One reading at a time, kept for a while. */
class OfAllJobs<Found> {
  readonly #control: Control;
  readonly #now: () => number;
  readonly #jobsAtOnce: number;
  readonly #readSome: ReadSome<Found>;
  #entries: Promise<ReadonlyMap<JobId, Found>> | undefined;
  #isReading = false;
  /** a job has been written since the last reading began */
  #isOutdated = false;
  #readAt = -Infinity;
  #workMs = 0;

  constructor(control: Control, now: () => number, jobsAtOnce: number, readSome: ReadSome<Found>) {
    this.#control = control;
    this.#now = now;
    this.#jobsAtOnce = jobsAtOnce;
    this.#readSome = readSome;
    control.subscribe((event) => {
      if (event.kind === "job") this.#isOutdated = true;
    });
  }

  read(): Promise<ReadonlyMap<JobId, Found>> {
    const keptMs = this.#isOutdated
      ? Math.max(writtenKeptMsMin, this.#workMs)
      : Math.max(keptMsMin, this.#workMs * keptPerMs);
    const isKept = this.#isReading || this.#now() - this.#readAt < keptMs;
    if (this.#entries !== undefined && isKept) return this.#entries;
    this.#isReading = true;
    this.#isOutdated = false;
    const entries = this.#readAll().finally(() => (this.#isReading = false));
    this.#entries = entries;
    entries.catch(() => (this.#entries = undefined));
    return entries;
  }

  async #readAll(): Promise<ReadonlyMap<JobId, Found>> {
    let workMs = 0;
    const entries = new Map<JobId, Found>();
    const jobs = [...this.#control.view().jobs];
    const parts: Promise<void>[] = [];
    for (let at = 0; at < jobs.length; at += this.#jobsAtOnce) {
      const from = this.#now();
      const part = this.#readSome(jobs.slice(at, at + this.#jobsAtOnce), (id, found) =>
        entries.set(id, found),
      );
      // It may fail while an earlier part is waited for. The failure is noticed when this part is waited for.
      part.catch(() => undefined);
      parts.push(part);
      workMs += this.#now() - from;
      // The disk reads this part while the next one is worked on, and is at most one part behind.
      await parts.at(-2);
      await turn();
    }
    await Promise.all(parts);
    this.#readAt = this.#now();
    this.#workMs = workMs;
    return entries;
  }
}
