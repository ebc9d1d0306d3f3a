/**
 * The users that jobs name and as whom this host can't run them: there is no such user, or the peer may not become it. The peer
 * says so, and leaves these jobs to others. A user counts as there until a check says otherwise.
 */
import type { Scripts } from "../ports/scripts.ts";
import type { JobId } from "../schema/ids.ts";
import type { Job } from "../schema/job.ts";

/** How long a new or removed user of the host goes unnoticed, ms. */
const checkEveryMs = 60_000;

interface HostUsersDeps {
  door: Pick<Scripts, "missingUsers">;
  /** what jobs need and is not here */
  lacks(items: readonly string[]): void;
}

export class HostUsers {
  readonly #deps: HostUsersDeps;
  readonly #users = new Map<JobId, string>();
  /** whether the host lacks the user */
  readonly #checked = new Map<string, boolean>();
  #reported = "";
  readonly #checking = new Set<string>();
  #checkAt = -Infinity;

  constructor(deps: HostUsersDeps, jobs: Iterable<Job>) {
    this.#deps = deps;
    for (const job of jobs) this.#note(job.id, job);
  }

  jobChanged(id: JobId, job: Job | undefined): void {
    const before = this.#users.get(id);
    this.#note(id, job);
    const user = this.#users.get(id);
    if (user === before) return;
    if (user !== undefined && !this.#checked.has(user)) this.#check([user]);
    this.#report();
  }

  get isChecking(): boolean {
    return this.#checking.size > 0;
  }

  /** Called about once a second. */
  woke(mono: number): void {
    if (mono < this.#checkAt) return;
    this.#checkAt = mono + checkEveryMs;
    const names = new Set(this.#users.values());
    for (const name of this.#checked.keys()) if (!names.has(name)) this.#checked.delete(name);
    if (names.size > 0) this.#check([...names]);
  }

  #note(id: JobId, job: Job | undefined): void {
    if (job?.spec.user === undefined) this.#users.delete(id);
    else this.#users.set(id, job.spec.user);
  }

  #check(users: readonly string[]): void {
    const names = users.filter((name) => !this.#checking.has(name));
    if (names.length === 0) return;
    for (const name of names) this.#checking.add(name);
    this.#deps.door.missingUsers(names, (missing) => {
      for (const name of names) {
        this.#checking.delete(name);
        this.#checked.set(name, missing.includes(name));
      }
      this.#report();
    });
  }

  #report(): void {
    const names = [...new Set(this.#users.values())].filter((name) => this.#checked.get(name) === true);
    const lacks = names.map((name) => `user:${name}`).toSorted();
    if (lacks.join() === this.#reported) return;
    this.#reported = lacks.join();
    this.#deps.lacks(lacks);
  }
}
