/**
 * How each job has fared: the record that decides the story of its last tick, its last run, and when it last succeeded. This is
 * read from the disk once for each job that is asked about. From then on every record that moves, own or foreign, keeps it up
 * to date, so that a list of jobs doesn't read the history.
 */
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { instantOf, type JobId, type TickId } from "../../schema/ids.ts";
import { finalWordOf, hasStarted, movesUp, recordKey, storyOf } from "../../core/records/records.ts";
import type { RunQuery } from "../../ports/disk.ts";
import type { JobStatus } from "../../ports/control.ts";
import { ReadTogether } from "./read-together.ts";

export type Outcome = Pick<JobStatus, "lastTick" | "lastRun" | "lastSuccess">;

/** Newest first. */
type ReadHistory = (query: RunQuery) => Promise<{ records: RunRecord[] }>;
type ReadNewest = (jobs: readonly JobId[], limit: number) => Promise<RunRecord[][]>;

/**
 * How many of a job's newest records are read at first: mostly enough to include all of its last tick's, and one of the tick before,
 * which shows that they are all.
 */
const firstRead = 4;
/** … and if they are not. */
const newestRead = 20;

interface Kept {
  /** final records of the newest tick that is over */
  tick: TickId | undefined;
  ofTick: Map<string, RunRecord>;
  /** final records of ticks that are not over: attempts that are repeated, and runs beside others of their tick */
  unfinished: Map<string, RunRecord>;
  lastRun: RunRecord | undefined;
  lastSuccess: number | undefined;
  loaded: Promise<void>;
}

export class Outcomes {
  readonly #jobs = new Map<JobId, Kept>();
  readonly #read: ReadHistory;
  readonly #newest: ReadTogether<JobId, RunRecord[]>;
  readonly #isOver: IsTickOver;

  /** `isOver` is asked about ticks with several slots. */
  constructor(read: ReadHistory, readNewest: ReadNewest, isOver: IsTickOver) {
    this.#read = read;
    this.#newest = new ReadTogether((jobs) => readNewest(jobs, firstRead));
    this.#isOver = isOver;
  }

  /** `slots`: how many slots each tick of the job has. */
  async of(job: JobId, slots = 1): Promise<Outcome> {
    let kept = this.#jobs.get(job);
    if (kept === undefined) {
      kept = {
        tick: undefined,
        ofTick: new Map(),
        unfinished: new Map(),
        lastRun: undefined,
        lastSuccess: undefined,
        loaded: Promise.resolve(),
      };
      this.#jobs.set(job, kept);
      kept.loaded = this.#load(job, kept, slots);
    }
    try {
      await kept.loaded;
    } catch (error) {
      // After a failure the next question reads again.
      if (this.#jobs.get(job) === kept) this.#jobs.delete(job);
      throw error;
    }
    const { ofTick, lastRun, lastSuccess } = kept;
    return { lastTick: finalWordOf([...ofTick.values()]), lastRun, lastSuccess };
  }

  /** A record has moved up. */
  take(record: RunRecord): void {
    const kept = this.#jobs.get(record.job);
    if (kept !== undefined) this.#takeIn(kept, record);
  }

  /** The job was deleted; a new job with the same id begins without history here. */
  forget(job: JobId): void {
    this.#jobs.delete(job);
  }

  async #load(job: JobId, kept: Kept, slots: number): Promise<void> {
    const newest = await this.#newest.of(job);
    for (const record of newest) this.#takeIn(kept, record);
    if (newest.length < firstRead) return;
    if (kept.tick === undefined || kept.tick === newest.at(-1)?.tick) {
      const limit = newestRead * slots;
      const { records } = await this.#read({ job, limit });
      for (const record of records) this.#takeIn(kept, record);
      if (records.length < limit) return;
    }
    if (kept.lastRun === undefined) {
      await this.#loadNewest(kept, { job, states: startedStates });
      // Runs that were skipped by their exit code.
      await this.#loadNewest(kept, { job, states: ["skipped"], started: true });
    }
    if (kept.lastSuccess === undefined) await this.#loadNewest(kept, { job, states: ["succeeded"] });
  }

  async #loadNewest(kept: Kept, query: Omit<RunQuery, "limit">): Promise<void> {
    const { records } = await this.#read({ ...query, limit: 1 });
    for (const record of records) this.#takeIn(kept, record);
  }

  #takeIn(kept: Kept, record: RunRecord): void {
    const isUnfinished = record.retryAt !== undefined || (record.of !== undefined && !this.#isOver(record));
    takeIn(kept, record, isUnfinished);
  }
}

type IsTickOver = (tick: Pick<RunRecord, "job" | "tick">) => boolean;

const startedStates = ["running", "succeeded", "failed", "timeout", "cancelled", "lost"] as const;

function takeIn(kept: Kept, record: RunRecord, isUnfinished: boolean): void {
  if (hasStarted(record) || record.state === "running") takeRun(kept, record);
  const key = recordKey(record);
  if (isUnfinished && record.tick !== kept.tick) {
    if (isFinal(record.state)) kept.unfinished.set(key, record);
    return;
  }
  kept.unfinished.delete(key);
  if (!isFinal(record.state)) return;
  const isGivenBack = record.state === "withdrawn";
  // The last open record of a tick with several runs may be a claim too many. It ends the tick without saying how it went.
  if (isGivenBack && (record.of === undefined || !hasAny(kept.unfinished, record.tick))) return;
  const newer = kept.tick === undefined ? 1 : compareTicks(record.tick, kept.tick);
  if (newer < 0) return;
  if (newer > 0) kept.ofTick.clear();
  kept.tick = record.tick;
  for (const [earlier, one] of kept.unfinished) {
    if (one.tick !== record.tick) continue;
    kept.unfinished.delete(earlier);
    kept.ofTick.set(earlier, one);
  }
  if (!isGivenBack && movesUp(kept.ofTick.get(key), record)) kept.ofTick.set(key, record);
}

/** Of ticks that were asked for at the same moment, as those of a backfill are, the names tell which is the later one. */
function compareTicks(a: TickId, b: TickId): number {
  return instantOf(a) - instantOf(b) || (a < b ? -1 : Number(a > b));
}

function hasAny(records: ReadonlyMap<string, RunRecord>, tick: TickId): boolean {
  for (const record of records.values()) if (record.tick === tick) return true;
  return false;
}

function takeRun(kept: Kept, record: RunRecord): void {
  const { lastRun } = kept;
  const newer = lastRun === undefined ? 1 : compareTicks(record.tick, lastRun.tick);
  if (newer > 0 || (newer === 0 && lastRun !== undefined && storyOf([lastRun, record]) === record)) {
    kept.lastRun = record;
  }
  if (newer === 0 && lastRun !== undefined && recordKey(lastRun) === recordKey(record)) {
    kept.lastRun = movesUp(lastRun, record) ? record : lastRun;
  }
  if (record.state === "succeeded" && record.finishedAt !== undefined) {
    kept.lastSuccess = Math.max(kept.lastSuccess ?? 0, record.finishedAt);
  }
}
