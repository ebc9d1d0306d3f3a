/**
 * Reads from the disk what core needs to know of a job's past: before it admits ticks older than its memory, and when a tick
 * has failed. A disk that can't be read is tried again: a failed read is never taken for "nothing has run".
 */
import type { Effect } from "../../core/events.ts";
import { CicadaError } from "../../errors.ts";
import type { Doors } from "../../ports.ts";
import type { RunQuery } from "../../ports/disk.ts";
import { tickAt, type JobId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";

const pageSize = 1_000;
const againMs = 1_000;

type LookUp = Omit<Extract<Effect, { kind: "lookUp" }>, "kind">;

/** All records of the job, and of its parents, with from ≤ tick < to (ms), or of one tick, and of a past one. */
export function lookUp(
  doors: Doors,
  { job, parents = [], past, ...query }: LookUp,
  done: (records: RunRecord[]) => void,
): void {
  const ofPast: Omit<RunQuery, "limit">[] =
    past === undefined ? [] : [{ tick: tickAt(past) }, { from: past, backfills: past }];
  readAll(
    doors,
    [job, ...parents].flatMap((one) => [query, ...ofPast].map((part) => ({ ...part, job: one }))),
    done,
  );
}

function readAll(
  doors: Doors,
  [next, ...others]: readonly (Omit<RunQuery, "limit"> & { job: JobId })[],
  done: (records: RunRecord[]) => void,
): void {
  if (next === undefined) return done([]);
  read(doors, { ...next, limit: Infinity }, (records) => {
    readAll(doors, others, (more) => done([...records, ...more]));
  });
}

const ends = ["succeeded", "failed", "timeout", "lost"] as const;

/**
 * Reads the newest records of the job's runs that have succeeded or failed. For a `rolling` job it also reads skipped ones, because
 * a tick that was stopped has failed.
 */
export function readEnds(
  doors: Doors,
  { job, limit, rolling }: { job: JobId; limit: number; rolling: boolean },
  done: (records: RunRecord[]) => void,
): void {
  read(doors, { job, states: ends, limit }, (ended) => {
    if (!rolling) return done(ended);
    read(doors, { job, states: ["skipped"], limit }, (skipped) => done([...ended, ...skipped]));
  });
}

/** Page by page, until there are `limit` records or no more. */
function read(doors: Doors, query: RunQuery & { job: JobId }, done: (records: RunRecord[]) => void): void {
  const records: RunRecord[] = [];
  const next = (after: string | undefined): void => {
    const limit = Math.min(pageSize, query.limit - records.length);
    doors.disk.history({ ...query, limit, ...(after === undefined ? {} : { after }) }, (page) => {
      if (page instanceof CicadaError) {
        const { job } = query;
        doors.log.warn("the job's history can't be read from the disk yet", { job, error: page.message });
        doors.clock.alarm(doors.clock.now().mono + againMs, () => next(after));
        return;
      }
      records.push(...page.records);
      if (page.next === null || records.length >= query.limit) done(records);
      else next(page.next);
    });
  };
  next(undefined);
}
