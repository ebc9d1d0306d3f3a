/** The secrets that are sealed to peers in the table: to whom, and in which version. */
import type { JobsState, Sealed } from "./jobs-state.ts";
import { readSealed } from "../checks/secrets.ts";

/** Takes in all of them, by name. Entries that can't be read have no effect. */
export function enterSealed(jobs: JobsState, entries: ReadonlyMap<string, unknown>): void {
  const all = new Map<string, Sealed>();
  for (const [name, entry] of entries) {
    const sealed = readSealed(entry);
    if (sealed !== undefined)
      all.set(name, { version: sealed.version, peers: new Set(Object.keys(sealed.keys)) });
  }
  jobs.sealed = all;
}
