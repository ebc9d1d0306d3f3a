/** What the tests of the job table share: tables of named peers, jobs, and instants by the minute. */
import { ulid, type JobId, type PeerId } from "../../src/schema/ids.ts";
import type { Job, JobSpec, TableEdit } from "../../src/schema/job.ts";
import { tableRoots, type Root } from "../../src/table/roots.ts";
import { freshClientId, JobTable } from "../../src/table/table.ts";
import { Dice } from "../../src/sim/random.ts";

const start = Date.UTC(2026, 0, 1);

/** The wall clock at that minute of the story, ms. */
export function wallOf(minute: number): number {
  return start + minute * 60_000;
}

let tables = 0;

/** A table of the peer, with a new client id unless one is given. */
export function makeTable(peer: string, clientId?: number, roots: readonly Root[] = tableRoots): JobTable {
  const dice = new Dice(`table ${peer} ${tables++}`);
  return new JobTable({
    self: peer as PeerId,
    clientId: clientId ?? 1_000 + peer.charCodeAt(0) * 1_000 + tables,
    freshClientId: () => freshClientId(dice),
    incarnation: (wall) => ulid(wall, dice.bytes(16)),
    roots,
  });
}

export function specOf(id: string, more: Partial<Omit<JobSpec, "id">> = {}): JobSpec {
  return { id: id as JobId, schedule: "*/5 * * * *", command: "date", ...more };
}

export function jobOf(table: JobTable, id: string): Job | undefined {
  return table.jobs().get(id as JobId);
}

/** Makes one edit and returns its update. */
export function edit(table: JobTable, change: TableEdit, wall: number): Uint8Array {
  return table.edit([change], wall).update;
}

/** Gives each table what it lacks of the other. */
export function exchange(a: JobTable, b: JobTable): void {
  const [toA, toB] = [b.diff(a.stateVector()), a.diff(b.stateVector())];
  if (toA !== undefined) a.apply(toA);
  if (toB !== undefined) b.apply(toB);
}
