/**
 * The housekeeping of a peer's data folder: when it was last alive, updates folded into snapshots, and history pruned
 * to what each job keeps.
 */
import { bucketMs } from "../core/records/buckets.ts";
import type { CicadaError } from "../errors.ts";
import type { Doors, Now, Write } from "../ports.ts";
import type { JobId } from "../schema/ids.ts";
import type { JobTable } from "../table/table.ts";
import { metaKeys, type Booted } from "./boot.ts";

/** A peer that was down longer than this finds so when it starts, and looks for the ticks of that time. */
const aliveEveryMs = 15_000;
const pruneEveryMs = 600_000;
/** Jobs pruned at a time; the others wait their turn. */
const prunedAtOnce = 2_000;
/** Updates stored since the last snapshot: more makes starts slower, less writes the whole table more often. */
const updatesPerSnapshot = 2_000;
const hourMs = 3_600_000;

/** What is kept of a job's history, and for how long catch-up needs its records. */
interface Keep {
  runs: number;
  ageMs: number;
  catchUpMs: number;
}

export class Retention {
  readonly #doors: Doors;
  readonly #keepOf: (job: JobId) => Keep | undefined;
  readonly #table: JobTable;
  readonly #ran = new Set<JobId>();
  #updates: number;
  /** an update that is in the table could not be stored, and later ones build on it */
  #lacking = false;
  #clientId: number;
  #aliveAtMono = -Infinity;
  #pruneAtMono: number;

  constructor(doors: Doors, table: JobTable, booted: Booted, keepOf: (job: JobId) => Keep | undefined) {
    this.#doors = doors;
    this.#keepOf = keepOf;
    this.#table = table;
    this.#updates = booted.loaded.updates.length;
    this.#clientId = table.clientId;
    this.#pruneAtMono = doors.clock.now().mono + pruneEveryMs;
  }

  /** Stores an update that is in the table already; `done` when it is durable. */
  keepUpdate(update: Uint8Array, done: (error?: CicadaError) => void): void {
    this.#updates++;
    const many = this.#updates >= Math.max(updatesPerSnapshot, this.#table.jobs().size);
    if (many || this.#lacking) return this.#keepSnapshot(done);
    this.#doors.disk.store([{ kind: "update", update }, ...this.#newClientId()], (error) => {
      if (error !== undefined) this.#lacking = true;
      // It was on its way when an earlier one failed, and may build on that one: by itself it could not be read again.
      else if (this.#lacking) return this.#keepSnapshot(done);
      done(error);
    });
  }

  #keepSnapshot(done: (error?: CicadaError) => void): void {
    this.#updates = 0;
    const snapshot: Write = { kind: "snapshot", update: this.#table.snapshot() };
    this.#doors.disk.store([snapshot, ...this.#newClientId()], (error) => {
      this.#lacking = error !== undefined;
      done(error);
    });
  }

  /** The table goes on under a new id when the mesh holds edits of the old one that this disk has lost. */
  #newClientId(): Write[] {
    if (this.#table.clientId === this.#clientId) return [];
    this.#clientId = this.#table.clientId;
    return [{ kind: "meta", key: metaKeys.clientId, value: String(this.#clientId) }];
  }

  /** The job has a new record, so that an old one may be one too many. */
  ranSince(job: JobId): void {
    this.#ran.add(job);
  }

  woke(now: Now): void {
    if (now.mono >= this.#aliveAtMono + aliveEveryMs) {
      this.#aliveAtMono = now.mono;
      this.#doors.disk.store(
        [{ kind: "meta", key: metaKeys.lastAlive, value: String(now.wall) }],
        () => undefined,
      );
    }
    if (now.mono >= this.#pruneAtMono) {
      this.#pruneAtMono = now.mono + pruneEveryMs;
      this.#prune(now);
    }
  }

  /**
   * Nothing younger than the catch-up window and an hour is pruned: catch-up must know that it has run. Pruned is
   * up to the edge of a bucket, so that peers which prune at different moments still have equal digests.
   */
  #prune(now: Now): void {
    for (const job of [...this.#ran].slice(0, prunedAtOnce)) {
      this.#ran.delete(job);
      const kept = this.#keepOf(job);
      if (kept === undefined) continue;
      const { runs, ageMs, catchUpMs } = kept;
      const notAfter = Math.floor((now.wall - catchUpMs - hourMs) / bucketMs) * bucketMs;
      this.#doors.disk.prune({ job, runs, ageMs }, notAfter, (removed) =>
        this.#doors.executor.dropLogs(removed),
      );
    }
  }
}
