/**
 * Notes what becomes of each job, as writes that are stored together with the change of the table. Each peer notes what it
 * sees: edits that reach it together, after an absence for example, are one revision here.
 */
import type { Write } from "../ports/disk.ts";
import { sameValue } from "../schema/equal.ts";
import type { JobId } from "../schema/ids.ts";
import type { Job, TableEdit } from "../schema/job.ts";
import type { JobRevision } from "../schema/revision.ts";
import type { JobChange } from "../table/effective.ts";

export class JobHistory {
  #noted: JobRevision[] = [];
  /** who deletes which job here; of others' deletions the table doesn't tell it */
  readonly #by = new Map<JobId, string>();

  /** This peer is about to make these edits. */
  editing(edits: readonly TableEdit[]): void {
    for (const edit of edits) {
      if (edit.kind === "delete") this.#by.set(edit.id, edit.by);
    }
  }

  /** `isInTable`: the job is there, though it can't be read or run. Such a job has no revision until it can. */
  note(changes: readonly JobChange[], isInTable: (id: JobId) => boolean, wall: number): void {
    for (const { id, before, job } of changes) {
      if (before !== undefined && job !== undefined && isOnlyOfGroup(before, job)) continue;
      // A data folder from before this history began doesn't have the earlier revision yet. A change that comes only from the
      // defaults of the job's group is nobody's edit.
      if (before !== undefined && before.written === undefined) this.#noted.push(revisionOf(before));
      if (job !== undefined) this.#noted.push(revisionAfter(before, job));
      else if (before !== undefined && !isInTable(id)) this.#noted.push(this.#deletionOf(before, wall));
    }
    this.#by.clear();
  }

  /** What has been noted since the last call. */
  take(): Write[] {
    return this.#noted.splice(0).map((revision) => ({ kind: "revision", revision }));
  }

  #deletionOf(before: Job, wall: number): JobRevision {
    const by = this.#by.get(before.id);
    const { id: job, createdAt } = before;
    const deletion = { job, revision: `deleted-${before.revision}`, at: wall, createdAt, pauses: 0 };
    return by === undefined ? deletion : { ...deletion, by };
  }
}

function revisionAfter(before: Job | undefined, job: Job): JobRevision {
  const revision = revisionOf(job);
  const isResumed = before !== undefined && job.resumedAt > before.resumedAt;
  if (!isResumed || job.updatedAt > before.updatedAt) return revision;
  const { by: _, ...resumed } = revision;
  return job.resumedBy === undefined ? resumed : { ...resumed, by: job.resumedBy };
}

/** Whether only the defaults of its group have changed the job, which is no edit of it. */
function isOnlyOfGroup(before: Job, job: Job): boolean {
  return (
    before.updatedAt === job.updatedAt &&
    before.resumedAt === job.resumedAt &&
    before.pauses.length === job.pauses.length &&
    sameValue(before.written ?? before.spec, job.written ?? job.spec)
  );
}

function revisionOf({
  id,
  spec,
  written,
  revision,
  createdAt,
  updatedAt,
  updatedBy,
  resumedAt,
  pauses,
}: Job): JobRevision {
  const lastPause = pauses.toSorted((a, b) => a.at - b.at).at(-1);
  const paused = lastPause !== undefined && lastPause.at > updatedAt ? lastPause : undefined;
  return {
    job: id,
    revision,
    at: Math.max(updatedAt, resumedAt, paused?.at ?? 0),
    by: paused?.by ?? updatedBy,
    createdAt,
    spec: written ?? spec,
    pauses: pauses.length,
  };
}
