/**
 * The state and the next tick of every job, as a basis for what is asked of all jobs at once: how many are in which state,
 * which ones need a person's attention, what comes next.
 *
 * It is computed when it is asked for, some jobs at a time so that ticks are not delayed, and kept for twenty times as long as
 * that took. So it costs at most a twentieth of a core, however often it is asked for.
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

export class Overview {
  readonly #control: Control;
  #entries: Promise<ReadonlyMap<JobId, OverviewEntry>> | undefined;
  #keptUntil = -Infinity;

  constructor(control: Control) {
    this.#control = control;
    // A job that was written is asked about at once by whoever wrote it.
    control.subscribe((event) => {
      if (event.kind === "job")
        this.#keptUntil = Math.min(this.#keptUntil, performance.now() + keptMsMin / 5);
    });
  }

  entries(): Promise<ReadonlyMap<JobId, OverviewEntry>> {
    if (this.#entries !== undefined && performance.now() < this.#keptUntil) return this.#entries;
    this.#keptUntil = Infinity;
    const entries = this.#read();
    this.#entries = entries;
    entries.catch(() => (this.#entries = undefined));
    return entries;
  }

  async #read(): Promise<ReadonlyMap<JobId, OverviewEntry>> {
    let workMs = 0;
    let from = performance.now();
    const entries = new Map<JobId, OverviewEntry>();
    let count = 0;
    for (const [id, job] of this.#control.view().jobs) {
      const status = await this.#control.status(id);
      if (status !== undefined) entries.set(id, { job, state: status.state, next: status.next });
      if (++count % jobsAtOnce !== 0) continue;
      workMs += performance.now() - from;
      await turn();
      from = performance.now();
    }
    workMs += performance.now() - from;
    this.#keptUntil = performance.now() + Math.max(keptMsMin, workMs * keptPerMs);
    return entries;
  }
}
