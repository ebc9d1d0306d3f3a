/**
 * Since when jobs name what a host has to look up before it can tell whether it can run them: a user, an interpreter, a script.
 * The other hosts say within a moment after that what they lack, so a write that names such a thing again need not wait for them.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";

interface Named {
  /** how many jobs name it */
  jobs: number;
  /** since when, by the monotonic clock, ms */
  readonly since: number;
}

export class NamedItems {
  readonly #ofJobs = new Map<JobId, readonly string[]>();
  readonly #items = new Map<string, Named>();

  /** What the jobs name that are here when the peer starts, the others have looked up long since. */
  constructor(jobs: Iterable<Job>) {
    for (const job of jobs) this.#note(job.id, job, -Infinity);
  }

  jobsChanged(changes: Iterable<{ id: JobId; job: Job | undefined }>, mono: number): void {
    for (const { id, job } of changes) this.#note(id, job, mono);
  }

  /** Since when all that the job names has been named, by this job or by others; -Infinity = it names nothing, or since before the start. */
  since(id: JobId): number {
    const items = this.#ofJobs.get(id) ?? [];
    return Math.max(-Infinity, ...items.map((item) => this.#items.get(item)?.since ?? -Infinity));
  }

  #note(id: JobId, job: Job | undefined, mono: number): void {
    const before = this.#ofJobs.get(id) ?? [];
    const now = itemsOf(job);
    // An item that the job goes on naming must not count as new, so the new ones are added before the old ones are removed.
    for (const item of now) {
      const named = this.#items.get(item);
      if (named === undefined) this.#items.set(item, { jobs: 1, since: mono });
      else named.jobs++;
    }
    for (const item of before) {
      const named = this.#items.get(item);
      if (named !== undefined && --named.jobs === 0) this.#items.delete(item);
    }
    if (now.length === 0) this.#ofJobs.delete(id);
    else this.#ofJobs.set(id, now);
  }
}

/** What hosts look up for the job. An empty user stands for the peer's own, which every host has. */
function itemsOf(job: Job | undefined): readonly string[] {
  const { user = "", script } = job?.spec ?? {};
  const ofUser = user === "" ? [] : [`user:${user}`];
  return script === undefined
    ? ofUser
    : [...ofUser, `interpreter:${script.interpreter}`, `script:${script.sha256}`];
}
