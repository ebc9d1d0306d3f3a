/**
 * Notices own runs that take longer than their job's `longAfter`. With `auto` that is twice the time within which 95 of 100
 * of the job's last runs ended. A run's own peer watches it: if that peer dies, the run is lost, and people are notified of that.
 */
import { CicadaError } from "../../errors.ts";
import type { Cancel, Doors } from "../../ports.ts";
import { parseDuration } from "../../core/time/units.ts";
import { runId, type JobId, type PeerId, type RunId, type TickId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";

/** The last runs that are measured, and the fewest that say what is usual. */
const runsMeasured = 100;
const runsNeeded = 5;
/** Short jobs vary a lot, so nothing shorter is long, ms. */
const leastMs = 10_000;

export interface LongRunsDeps {
  self: PeerId;
  doors: Pick<Doors, "clock" | "disk">;
  jobOf: (id: JobId) => Job | undefined;
  isLong: (job: JobId, tick: TickId) => void;
}

export class LongRuns {
  readonly #deps: LongRunsDeps;
  readonly #watched = new Map<RunId, Cancel>();

  constructor(deps: LongRunsDeps) {
    this.#deps = deps;
  }

  /** A run's record has moved up. */
  moved(record: RunRecord): void {
    if (record.peer !== this.#deps.self) return;
    const run = runId(record);
    if (record.state !== "running") {
      this.#watched.get(run)?.();
      this.#watched.delete(run);
      return;
    }
    const longAfter = this.#deps.jobOf(record.job)?.spec.longAfter;
    if (longAfter === undefined || longAfter === 0 || this.#watched.has(run)) return;
    this.#watched.set(run, () => undefined);
    if (longAfter === "auto") this.#measure(record.job, (ms) => this.#watch(record, ms));
    else this.#watch(record, parseDuration(longAfter));
  }

  #watch(record: RunRecord, ms: number | undefined): void {
    const run = runId(record);
    const { clock } = this.#deps.doors;
    if (ms === undefined || !this.#watched.has(run)) return;
    const { wall, mono } = clock.now();
    const left = (record.startedAt ?? wall) + ms - wall;
    this.#watched.set(
      run,
      clock.alarm(mono + Math.max(0, left), () => {
        if (this.#watched.has(run)) this.#deps.isLong(record.job, record.tick);
      }),
    );
  }

  /** Undefined if too few runs are known. */
  #measure(job: JobId, done: (ms: number | undefined) => void): void {
    this.#deps.doors.disk.history({ job, states: ["succeeded"], limit: runsMeasured }, (page) => {
      if (page instanceof CicadaError) return done(undefined);
      const lasted = page.records
        .flatMap(({ startedAt, finishedAt }) =>
          startedAt === undefined || finishedAt === undefined ? [] : finishedAt - startedAt,
        )
        .toSorted((a, b) => a - b);
      const usual = lasted[Math.ceil(lasted.length * 0.95) - 1];
      done(lasted.length < runsNeeded || usual === undefined ? undefined : Math.max(leastMs, 2 * usual));
    });
  }
}
