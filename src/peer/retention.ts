/**
 * The housekeeping of a peer's data folder: when it was last alive, and history pruned to what each job keeps.
 */
import { bucketMs } from "../core/records/buckets.ts";
import { CicadaError } from "../errors.ts";
import type { Doors, Now } from "../ports.ts";
import type { JobId } from "../schema/ids.ts";
import { metaKeys } from "./boot.ts";

/** A peer that was down longer than this finds so when it starts, and looks for the ticks of that time. */
const aliveEveryMs = 15_000;
const pruneEveryMs = 600_000;
/** Jobs pruned at a time; the others wait their turn. */
const prunedAtOnce = 2_000;
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
  readonly #ran = new Set<JobId>();
  #aliveAtMono = -Infinity;
  #pruneAtMono: number;

  constructor(doors: Doors, keepOf: (job: JobId) => Keep | undefined) {
    this.#doors = doors;
    this.#keepOf = keepOf;
    this.#pruneAtMono = doors.clock.now().mono + pruneEveryMs;
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
      this.#doors.disk.prune({ job, runs, ageMs }, notAfter, (removed) => {
        if (!(removed instanceof CicadaError)) return this.#doors.executor.dropLogs(removed);
        this.#doors.log.warn("the history of a job can't be pruned; tried again later", {
          job,
          why: removed.detail,
        });
        this.#ran.add(job);
      });
    }
  }
}
