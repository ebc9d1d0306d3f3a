/**
 * The effective jobs: what the document says, job by job, kept up to date while incarnations are added, changed and
 * removed.
 *
 * The code that changes the document names the touched incarnations. Only these are read again, and only when a caller
 * asks for jobs, so many updates cost one reading. projection.ts decides which job the incarnations of an id make.
 */
import type { JobId } from "../schema/ids.ts";
import type { Job, Problem, Quarantined } from "../schema/job.ts";
import { identityOf, projectJob, readIncarnations, type Entries, type Reading } from "./projection.ts";

/** `job` is undefined if it can't be run any more, `before` if it couldn't be. */
export interface JobChange {
  id: JobId;
  before: Job | undefined;
  job: Job | undefined;
}

export class EffectiveJobs {
  /** the living incarnation under a ULID */
  readonly #incarnationAt: (ulid: string) => Entries | undefined;
  readonly #refusal: (job: Job) => Problem | undefined;
  /** by ULID: the id of the job that the incarnation names; undefined if it names none */
  readonly #idOf = new Map<string, JobId | undefined>();
  readonly #incarnationsOf = new Map<JobId, Set<string>>();
  readonly #jobs = new Map<JobId, Job>();
  readonly #quarantined = new Map<string, Quarantined>();
  /** incarnations that changed since they were last read */
  #touched = new Set<string>();
  #changes = new Map<JobId, JobChange>();

  /** `refusal` says why this peer must not run a job that it can read; undefined = it may. */
  constructor(
    incarnationAt: (ulid: string) => Entries | undefined,
    refusal: (job: Job) => Problem | undefined = () => undefined,
  ) {
    this.#incarnationAt = incarnationAt;
    this.#refusal = refusal;
  }

  /** Must be called when an incarnation was written to, added or removed. */
  touch(ulid: string): void {
    this.#touched.add(ulid);
  }

  /** Must be called when the document was made anew: every incarnation may be different in it. */
  touchAll(): void {
    for (const ulid of this.#idOf.keys()) this.#touched.add(ulid);
  }

  /** Every effective job. The map is live; the jobs in it never change. */
  jobs(): ReadonlyMap<JobId, Job> {
    this.settle();
    return this.#jobs;
  }

  quarantined(): Quarantined[] {
    this.settle();
    return [...this.#quarantined.values()];
  }

  /** The jobs that changed since the last call. */
  takeChanges(): JobChange[] {
    this.settle();
    const changes = [...this.#changes.values()];
    this.#changes = new Map();
    return changes;
  }

  /** ULIDs of a job's living incarnations. An incarnation that names no job has its own ULID as its id. */
  incarnationsOf(id: JobId): string[] {
    this.settle();
    const nameless = this.#idOf.has(id) && this.#idOf.get(id) === undefined;
    return nameless ? [id] : [...(this.#incarnationsOf.get(id) ?? [])].toSorted();
  }

  /** Reads the touched incarnations again. Every method that shows jobs calls this first. */
  settle(): void {
    if (this.#touched.size === 0) return;
    const touched = this.#touched;
    this.#touched = new Set();
    const stale = new Set<JobId>();
    const single = new Map<JobId, Reading>();
    for (const ulid of touched) {
      const map = this.#incarnationAt(ulid);
      const reading = map === undefined ? undefined : readIncarnations([map]);
      const id = reading === undefined ? undefined : identityOf(reading);
      this.#file(ulid, id, reading, stale);
      if (id !== undefined && reading !== undefined) single.set(id, reading);
    }
    for (const id of stale) {
      const known = this.#incarnationsOf.get(id);
      const reading = known?.size === 1 ? single.get(id) : undefined;
      this.#show(id, known === undefined ? undefined : (reading ?? this.#readAll(known)));
    }
  }

  #readAll(ulids: ReadonlySet<string>): Reading {
    const incarnations = [...ulids].toSorted().map((ulid) => this.#incarnationAt(ulid));
    return readIncarnations(incarnations.filter((incarnation) => incarnation !== undefined));
  }

  /** Notes which job an incarnation belongs to, and adds to `stale` the jobs that must be computed again. */
  #file(ulid: string, id: JobId | undefined, reading: Reading | undefined, stale: Set<JobId>): void {
    const before = this.#idOf.get(ulid);
    if (before !== undefined) {
      stale.add(before);
      if (before !== id) {
        const others = this.#incarnationsOf.get(before);
        others?.delete(ulid);
        if (others?.size === 0) this.#incarnationsOf.delete(before);
      }
    }
    this.#quarantined.delete(ulid);
    if (reading === undefined) {
      this.#idOf.delete(ulid);
      return;
    }
    this.#idOf.set(ulid, id);
    if (id === undefined) {
      const problems = [{ pointer: "/id", message: "the stored job doesn't say which job it is" }];
      this.#quarantined.set(ulid, { id: ulid, problems });
      return;
    }
    stale.add(id);
    const incarnations = this.#incarnationsOf.get(id);
    if (incarnations === undefined) this.#incarnationsOf.set(id, new Set([ulid]));
    else incarnations.add(ulid);
  }

  #project(id: JobId, reading: Reading): Job | Quarantined {
    const projected = projectJob(id, reading);
    const refusal = "problems" in projected ? undefined : this.#refusal(projected);
    return refusal === undefined ? projected : { id, problems: [refusal] };
  }

  #show(id: JobId, reading: Reading | undefined): void {
    const before = this.#jobs.get(id);
    const projected = reading === undefined ? undefined : this.#project(id, reading);
    this.#quarantined.delete(id);
    if (projected === undefined || "problems" in projected) {
      if (projected !== undefined) this.#quarantined.set(id, projected);
      this.#jobs.delete(id);
      if (before !== undefined) this.#noteChange(id, before, undefined);
      return;
    }
    this.#jobs.set(id, projected);
    if (before?.revision !== projected.revision) this.#noteChange(id, before, projected);
  }

  #noteChange(id: JobId, before: Job | undefined, job: Job | undefined): void {
    const noted = this.#changes.get(id);
    this.#changes.set(id, { id, before: noted === undefined ? before : noted.before, job });
  }
}
