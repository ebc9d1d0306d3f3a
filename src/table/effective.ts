/**
 * The effective jobs: what the document says, job by job, kept up to date while incarnations are added, changed and
 * removed.
 *
 * The code that changes the document names the touched incarnations. Only these are read again, and only when a caller
 * asks for jobs, so many updates cost one reading. projection.ts decides which job the incarnations of an id make.
 *
 * Two edits on two sides of a split may make jobs run after each other. Such jobs are quarantined, all of them, until an edit
 * ends that. Only the jobs that run after others are searched, and only where one of them has changed.
 */
import type { JobId } from "../schema/ids.ts";
import { sameValue } from "../schema/equal.ts";
import type { Job, Problem, Quarantined } from "../schema/job.ts";
import { groupOf } from "../core/job/group.ts";
import { describeCyclicSet, cyclicSets } from "../core/job/cycle.ts";
import {
  identityIn,
  inGroup,
  movedAt,
  projectJob,
  readIncarnations,
  type Entries,
  type GroupEntry,
  type Reading,
} from "./projection.ts";

/** `job` is undefined if it can't be run any more, `before` if it couldn't be. */
export interface JobChange {
  id: JobId;
  before: Job | undefined;
  job: Job | undefined;
}

export class EffectiveJobs {
  /** what the table says about a group */
  readonly #groupAt: (name: string) => GroupEntry | undefined;
  /** the group of each job that can be read and not be run; all others say their groups */
  readonly #groupOf = new Map<JobId, string>();
  /** a group has defaults, or had some: only then does the group of a job decide about its ticks */
  #hasGroups = false;
  /** the living incarnation under a ULID */
  readonly #incarnationAt: (ulid: string) => Entries | undefined;
  readonly #refusal: (job: Job) => Problem | undefined;
  /** by ULID: the id of the job that the incarnation names; undefined if it names none */
  readonly #idOf = new Map<string, JobId | undefined>();
  /** a ULID, as of nearly every job, or several in their order */
  readonly #incarnationsOf = new Map<JobId, string | readonly string[]>();
  readonly #jobs = new Map<JobId, Job>();
  readonly #quarantined = new Map<string, Quarantined>();
  /** incarnations that changed since they were last read */
  #touched = new Set<string>();
  #changes = new Map<JobId, JobChange>();
  /** jobs that run after others and can be read, as they are without regard to cycles */
  readonly #chained = new Map<JobId, Job>();
  /** by job: the jobs that run after each other with it, and what its problem says */
  readonly #cyclicSetOf = new Map<JobId, { members: readonly JobId[]; text: string }>();

  /** `refusal` says why this peer must not run a job that it can read; undefined = it may. */
  constructor(
    incarnationAt: (ulid: string) => Entries | undefined,
    refusal: (job: Job) => Problem | undefined = () => undefined,
    groupAt: (name: string) => GroupEntry | undefined = () => undefined,
  ) {
    this.#groupAt = groupAt;
    this.#incarnationAt = incarnationAt;
    this.#refusal = refusal;
  }

  /** Must be called when an incarnation was written to, added or removed. */
  touch(ulid: string): void {
    this.#touched.add(ulid);
  }

  /**
   * Must be called when what the table says about these groups has changed. Their jobs are then read again. All jobs are looked
   * through once; returns how many.
   */
  touchGroups(names: ReadonlySet<string>): number {
    const isFirst = !this.#hasGroups;
    this.#hasGroups = true;
    const touch = (id: JobId, group: string): void => {
      if (isFirst || names.has(group)) for (const ulid of this.#ulidsOf(id)) this.#touched.add(ulid);
    };
    for (const jobs of [this.#jobs, this.#chained])
      for (const [id, { written, spec }] of jobs) touch(id, groupOf(written ?? spec));
    for (const [id, group] of this.#groupOf) touch(id, group);
    return this.#jobs.size + this.#chained.size + this.#groupOf.size;
  }

  /** How many incarnations are to be read again. */
  get touchedCount(): number {
    return this.#touched.size;
  }

  /** Must be called when the document was made anew: every incarnation may be different in it. */
  touchAll(): void {
    for (const ulid of this.#idOf.keys()) this.#touched.add(ulid);
  }

  /** Every effective job. The map is live; the jobs in it never change. */
  jobs(): ReadonlyMap<JobId, Job> {
    this.reread();
    return this.#jobs;
  }

  quarantined(): Quarantined[] {
    this.reread();
    return [...this.#quarantined.values()];
  }

  /** The jobs that changed since the last call. */
  takeChanges(): JobChange[] {
    this.reread();
    const changes = [...this.#changes.values()];
    this.#changes = new Map();
    return changes;
  }

  /** The jobs that are quarantined because they run after each other, with their parents. */
  cyclic(): ReadonlyMap<JobId, readonly JobId[]> {
    this.reread();
    return new Map([...this.#cyclicSetOf.keys()].map((id) => [id, this.#parentsOf(id)]));
  }

  /** ULIDs of a job's living incarnations. An incarnation that names no job has its own ULID as its id. */
  incarnationsOf(id: JobId): readonly string[] {
    this.reread();
    const nameless = this.#idOf.has(id) && this.#idOf.get(id) === undefined;
    return nameless ? [id] : this.#ulidsOf(id);
  }

  #ulidsOf(id: JobId): readonly string[] {
    const ulids = this.#incarnationsOf.get(id) ?? [];
    return typeof ulids === "string" ? [ulids] : ulids;
  }

  /** Reads the touched incarnations again. Every method that shows jobs calls this first. */
  reread(): void {
    if (this.#touched.size === 0) return;
    const touched = this.#touched;
    this.#touched = new Set();
    const stale = new Set<JobId>();
    for (const ulid of touched) this.#file(ulid, this.#incarnationAt(ulid), stale);
    // Each job is read by itself: what was read of 100,000 jobs at once would outlive many collections of young objects.
    for (const id of stale) {
      const ulids = this.#ulidsOf(id);
      this.#show(id, ulids.length === 0 ? undefined : this.#readAll(ulids));
    }
    this.#follow(stale);
  }

  #parentsOf(id: JobId): readonly JobId[] {
    return this.#chained.get(id)?.spec.after?.jobs ?? [];
  }

  /** Finds the cycles that have come or gone with these jobs, and shows their jobs accordingly. */
  #follow(changed: ReadonlySet<JobId>): void {
    const suspects = new Set<JobId>();
    for (const id of changed) {
      if (this.#chained.has(id)) suspects.add(id);
      for (const member of this.#cyclicSetOf.get(id)?.members ?? []) suspects.add(member);
    }
    if (suspects.size === 0) return;
    const parentsOf = (id: JobId) => this.#parentsOf(id);
    const before = new Set([...suspects].filter((id) => this.#cyclicSetOf.delete(id)));
    const found = cyclicSets(suspects, parentsOf);
    for (const members of found) {
      for (const [id, text] of describeCyclicSet(members, parentsOf))
        this.#cyclicSetOf.set(id, { members, text });
    }
    for (const id of new Set([...before, ...found.flat()])) {
      const job = this.#chained.get(id);
      if (job !== undefined) this.#showJob(id, job);
    }
  }

  #readAll(ulids: readonly string[]): Reading {
    const incarnations = ulids.map((ulid) => this.#incarnationAt(ulid));
    return readIncarnations(incarnations.filter((incarnation) => incarnation !== undefined));
  }

  /** Notes which job an incarnation belongs to, and adds to `stale` the jobs that must be computed again. */
  #file(ulid: string, incarnation: Entries | undefined, stale: Set<JobId>): void {
    const id = incarnation === undefined ? undefined : identityIn(incarnation);
    const before = this.#idOf.get(ulid);
    if (before !== undefined) {
      stale.add(before);
      if (before !== id) {
        this.#setUlids(
          before,
          this.#ulidsOf(before).filter((one) => one !== ulid),
        );
      }
    }
    this.#quarantined.delete(ulid);
    if (incarnation === undefined) {
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
    const others = this.#ulidsOf(id);
    if (!others.includes(ulid)) this.#setUlids(id, [...others, ulid].toSorted());
  }

  #setUlids(id: JobId, ulids: readonly string[]): void {
    const [only] = ulids;
    if (only === undefined) this.#incarnationsOf.delete(id);
    else this.#incarnationsOf.set(id, ulids.length === 1 ? only : ulids);
  }

  #project(id: JobId, reading: Reading): Job | Quarantined {
    const alone = projectJob(id, reading);
    this.#groupOf.delete(id);
    if ("problems" in alone) return alone;
    const group = groupOf(alone.spec);
    const projected = inGroup(alone, this.#groupAt(group), this.#hasGroups ? movedAt(reading) : 0);
    const refusal = "problems" in projected ? undefined : this.#refusal(projected);
    const shown = refusal === undefined ? projected : { id, problems: [refusal] };
    if ("problems" in shown) this.#groupOf.set(id, group);
    return shown;
  }

  #show(id: JobId, reading: Reading | undefined): void {
    if (reading === undefined) this.#groupOf.delete(id);
    const projected = reading === undefined ? undefined : this.#project(id, reading);
    const isChained =
      projected !== undefined && !("problems" in projected) && projected.spec.after !== undefined;
    if (isChained) this.#chained.set(id, projected);
    else this.#chained.delete(id);
    this.#showJob(id, projected);
  }

  #showJob(id: JobId, read: Job | Quarantined | undefined): void {
    const before = this.#jobs.get(id);
    const cyclicSet = this.#cyclicSetOf.get(id);
    const isInCycle = cyclicSet !== undefined && this.#chained.has(id);
    const projected = isInCycle
      ? { id, problems: [{ pointer: "/after/jobs", message: cyclicSet.text }] }
      : read;
    this.#quarantined.delete(id);
    if (projected === undefined || "problems" in projected) {
      if (projected !== undefined) this.#quarantined.set(id, projected);
      this.#jobs.delete(id);
      if (before !== undefined) this.#noteChange(id, before, undefined);
      return;
    }
    this.#jobs.set(id, projected);
    // A skip is no edit of the job: it has no revision.
    if (
      before?.revision !== projected.revision ||
      before.scheduledAt !== projected.scheduledAt ||
      !sameValue(before.skips, projected.skips)
    )
      this.#noteChange(id, before, projected);
  }

  #noteChange(id: JobId, before: Job | undefined, job: Job | undefined): void {
    const noted = this.#changes.get(id);
    this.#changes.set(id, { id, before: noted === undefined ? before : noted.before, job });
  }
}
