/**
 * The state and the next tick of every job, as a basis for what is asked of all jobs at once: how many are in which state,
 * which ones need a person's attention, what comes next.
 *
 * It is computed when it is asked for, some jobs at a time so that ticks are not delayed, and kept for twenty times as long as
 * the work took, so it costs at most a twentieth of a core, however often it is asked for. While jobs are being written, it is
 * kept for as long as the work took, and costs at most half a core. The time in which the disk reads is no work of this thread:
 * it doesn't make a result last longer.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Control, NextTick } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import type { Job, JobState } from "../../schema/job.ts";

export interface OverviewEntry {
  job: Job;
  state: JobState;
  next: NextTick | undefined;
}

/** Jobs whose status is read before other work gets a turn. */
const jobsAtOnce = 100;
/** How long a result is kept at least. Unit: ms. Several parts of a page ask at the same moment. */
const keptMsMin = 500;
const keptPerMs = 20;
/** … and after a job has been written: its writer asks at once. */
const writtenKeptMsMin = 100;

export class Overview {
  readonly #control: Control;
  readonly #now: () => number;
  #entries: Promise<ReadonlyMap<JobId, OverviewEntry>> | undefined;
  #isReading = false;
  /** a job has been written since the last reading began */
  #isOutdated = false;
  #readAt = -Infinity;
  #workMs = 0;

  /** `now`: monotonic ms */
  constructor(control: Control, now: () => number) {
    this.#control = control;
    this.#now = now;
    control.subscribe((event) => {
      if (event.kind === "job") this.#isOutdated = true;
    });
  }

  entries(): Promise<ReadonlyMap<JobId, OverviewEntry>> {
    const keptMs = this.#isOutdated
      ? Math.max(writtenKeptMsMin, this.#workMs)
      : Math.max(keptMsMin, this.#workMs * keptPerMs);
    const isKept = this.#isReading || this.#now() - this.#readAt < keptMs;
    if (this.#entries !== undefined && isKept) return this.#entries;
    this.#isReading = true;
    this.#isOutdated = false;
    const entries = this.#read().finally(() => (this.#isReading = false));
    this.#entries = entries;
    entries.catch(() => (this.#entries = undefined));
    return entries;
  }

  async #read(): Promise<ReadonlyMap<JobId, OverviewEntry>> {
    let workMs = 0;
    const entries = new Map<JobId, OverviewEntry>();
    const jobs = [...this.#control.view().jobs];
    const parts: Promise<void>[] = [];
    for (let at = 0; at < jobs.length; at += jobsAtOnce) {
      const from = this.#now();
      const part = this.#enter(jobs.slice(at, at + jobsAtOnce), entries);
      // It may fail while an earlier one is waited for; its own turn tells of it.
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

  /** The status of each job is begun within the call. */
  async #enter(jobs: readonly (readonly [JobId, Job])[], entries: Map<JobId, OverviewEntry>): Promise<void> {
    const statuses = await Promise.all(jobs.map(([id]) => this.#control.status(id)));
    for (const [index, [id, job]] of jobs.entries()) {
      const status = statuses[index];
      if (status !== undefined) entries.set(id, { job, state: status.state, next: status.next });
    }
  }
}
