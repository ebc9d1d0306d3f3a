/**
 * Reads from the disk what core needs before it admits ticks older than its memory. A disk that can't be read is asked again: a
 * failed read is never taken for "nothing has run".
 */
import { CicadaError } from "../errors.ts";
import type { Doors } from "../ports.ts";
import type { JobId } from "../schema/ids.ts";
import type { RunRecord } from "../schema/run.ts";

const pageSize = 1_000;
const againMs = 1_000;

/** All records of the job with from ≤ tick < to (ms). */
export function lookUp(
  doors: Doors,
  { job, from, to }: { job: JobId; from: number; to: number },
  done: (records: RunRecord[]) => void,
): void {
  const records: RunRecord[] = [];
  const next = (after: string | undefined): void => {
    const query = { job, from, to, limit: pageSize, ...(after === undefined ? {} : { after }) };
    doors.disk.history(query, (page) => {
      if (page instanceof CicadaError) {
        doors.log.warn("the job's history can't be read from the disk yet", { job, error: page.message });
        doors.clock.alarm(doors.clock.now().mono + againMs, () => next(after));
        return;
      }
      records.push(...page.records);
      if (page.next === null) done(records);
      else next(page.next);
    });
  };
  next(undefined);
}
