/**
 * How long each job's runs usually take: the median of its last successful ones.
 *
 * It is read from the disk once for each job that is asked about, and again after another run of the job has succeeded.
 */
import type { Control } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import type { ScopedControl } from "../access/scoped-control.ts";

/** Jobs that are kept; beyond it the one that was kept first goes. About 200 bytes each. */
const jobsKept = 20_000;

export class UsualDurations {
  readonly #kept = new Map<JobId, Promise<number | null>>();

  constructor(control: Control) {
    control.subscribe((event) => {
      if (event.kind === "run" && event.record.state === "succeeded") this.#kept.delete(event.record.job);
      if (event.kind === "job" && event.change === "deleted") this.#kept.delete(event.id);
    });
  }

  /**
   * In ms; null if no run has succeeded. It counts the runs that the caller of this control may see; only the result for a caller
   * of all groups is kept. Jobs that are asked about in the same turn are read together.
   */
  of(job: JobId, control: ScopedControl): Promise<number | null> {
    if (control.caller.groups !== undefined) return read(job, control);
    const known = this.#kept.get(job);
    if (known !== undefined) return known;
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= jobsKept && oldest !== undefined) this.#kept.delete(oldest);
    const usual = read(job, control);
    this.#kept.set(job, usual);
    // After a failure the next question reads again.
    usual.catch(() => this.#kept.delete(job));
    return usual;
  }
}

async function read(job: JobId, control: Control): Promise<number | null> {
  const took = await control.durations({ job, from: 0 });
  return took.toSorted((a, b) => a - b)[took.length >> 1] ?? null;
}
