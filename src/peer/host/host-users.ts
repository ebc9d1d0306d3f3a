/**
 * Knows as which users, of those that jobs name, this host can't run a job: there is no such user, or the peer may not become it.
 * The peer says so, and leaves these jobs to others. A user counts as there until a check says otherwise. When the host can't
 * tell, its last answer counts.
 */
import type { Scripts } from "../../ports/scripts.ts";
import type { JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";

/** How long a new or removed user of the host goes unnoticed, ms. */
const checkEveryMs = 60_000;

interface HostUsersDeps {
  door: Pick<Scripts, "lookUpUsers">;
  /** of the users that jobs name, those that are not here and those that are */
  found(lacks: readonly string[], has: readonly string[]): void;
}

export class HostUsers {
  readonly #deps: HostUsersDeps;
  readonly #users = new Map<JobId, string>();
  /** how many jobs name the user */
  readonly #jobs = new Map<string, number>();
  /** whether the host lacks the user; absent = it has not answered yet */
  readonly #checked = new Map<string, boolean>();
  /** of these the host could not tell when it was last asked */
  readonly #unanswered = new Set<string>();
  #reported = "";
  readonly #checking = new Set<string>();
  #checkAt = -Infinity;

  constructor(deps: HostUsersDeps, jobs: Iterable<Job>) {
    this.#deps = deps;
    for (const job of jobs) this.#note(job.id, userOf(job));
  }

  jobsChanged(changes: Iterable<{ id: JobId; job: Job | undefined }>): void {
    const added = new Set<string>();
    for (const { id, job } of changes) {
      const user = userOf(job);
      this.#note(id, user);
      if (user !== undefined && !this.#checked.has(user)) added.add(user);
    }
    this.#check(added);
    this.#report();
  }

  /** Whether the host is being asked for the job's user, and has not answered yet. */
  isChecking(id: JobId): boolean {
    const user = this.#users.get(id);
    return user !== undefined && this.#checking.has(user) && !this.#checked.has(user);
  }

  /** Called about once a second. A long check is reported as far as it has come. */
  woke(mono: number): void {
    if (this.#checking.size > 0) this.#report();
    if (mono < this.#checkAt) return;
    this.#checkAt = mono + checkEveryMs;
    for (const name of this.#checked.keys()) if (!this.#jobs.has(name)) this.#forget(name);
    // A slow directory leaves some out, so these are asked for first.
    this.#check(new Set([...this.#unanswered, ...this.#jobs.keys()]));
  }

  #forget(name: string): void {
    this.#checked.delete(name);
    this.#unanswered.delete(name);
  }

  #note(id: JobId, user: string | undefined): void {
    const before = this.#users.get(id);
    if (before === user) return;
    if (before !== undefined) this.#count(before, -1);
    if (user === undefined) this.#users.delete(id);
    else {
      this.#users.set(id, user);
      this.#count(user, 1);
    }
  }

  #count(user: string, more: number): void {
    const jobs = (this.#jobs.get(user) ?? 0) + more;
    if (jobs === 0) this.#jobs.delete(user);
    else this.#jobs.set(user, jobs);
  }

  #check(users: Iterable<string>): void {
    const names = [...users].filter((name) => !this.#checking.has(name));
    if (names.length === 0) return;
    for (const name of names) this.#checking.add(name);
    let open = names.length;
    this.#deps.door.lookUpUsers(names, (name, isMissing) => {
      this.#checking.delete(name);
      this.#checked.set(name, isMissing ?? this.#checked.get(name) ?? false);
      if (isMissing === undefined) this.#unanswered.add(name);
      else this.#unanswered.delete(name);
      open--;
      if (open === 0) this.#report();
    });
  }

  #report(): void {
    const lacks: string[] = [];
    const has: string[] = [];
    for (const name of [...this.#jobs.keys()].toSorted()) {
      const isMissing = this.#checked.get(name);
      if (isMissing !== undefined) (isMissing ? lacks : has).push(`user:${name}`);
    }
    const report = [...lacks, "", ...has].join();
    if (report === this.#reported) return;
    this.#reported = report;
    this.#deps.found(lacks, has);
  }
}

/** An empty name stands for the peer's own user, which every host has. */
function userOf(job: Job | undefined): string | undefined {
  return job?.spec.user === "" ? undefined : job?.spec.user;
}
