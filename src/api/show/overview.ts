/**
 * The state and the next tick of every job, as a basis for what is asked of all jobs at once: how many are in which state,
 * which ones need a person's attention, what comes next.
 *
 * It is computed when it is asked for, some jobs at a time so that ticks are not delayed, and kept for twenty times as long as
 * that took, so it costs at most a twentieth of a core, however often it is asked for. While jobs are being written, it is kept
 * for as long as it took, and costs at most half a core.
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
    let from = this.#now();
    const entries = new Map<JobId, OverviewEntry>();
    let count = 0;
    for (const [id, job] of this.#control.view().jobs) {
      const status = await this.#control.status(id);
      if (status !== undefined) entries.set(id, { job, state: status.state, next: status.next });
      if (++count % jobsAtOnce !== 0) continue;
      workMs += this.#now() - from;
      await turn();
      from = this.#now();
    }
    this.#readAt = this.#now();
    this.#workMs = workMs + this.#readAt - from;
    return entries;
  }
}
