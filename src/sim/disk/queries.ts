/** What a query finds in the simulated storage, and in which order. */
import { backfilledInstant } from "../../schema/backfill.ts";
import { ofTickKey } from "../../schema/keyed-tick.ts";
import type { Thing } from "../../core/records/buckets.ts";
import { recordKey } from "../../core/records/records.ts";
import { CicadaError } from "../../errors.ts";
import { comparePlaces, placeOf, readPlace, writePlace } from "../../core/records/place.ts";
import type { RunQuery, Things, ThingsQuery, WrongJob, WrongJobs, WrongQuery } from "../../ports/disk.ts";
import { instantOf } from "../../schema/ids.ts";
import type { AuditEntry, AuditQuery } from "../../schema/audit.ts";
import { isByActor } from "../../schema/audit-actors.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isWrong } from "../../schema/run-states.ts";

/** Whether a query finds the record. */
export function matches(record: RunRecord, query: RunQuery): boolean {
  return (
    (query.job === undefined || record.job === query.job) &&
    (query.jobs === undefined || query.jobs.includes(record.job)) &&
    (query.tick === undefined || record.tick === query.tick) &&
    (query.backfills === undefined || backfilledInstant(record.tick) === query.backfills) &&
    (query.key === undefined || ofTickKey(record.tick, query.key) !== undefined) &&
    (query.slot === undefined || record.slot === query.slot) &&
    (query.peer === undefined || record.peer === query.peer) &&
    (query.states === undefined || query.states.includes(record.state)) &&
    (query.started !== true || record.startedAt !== undefined) &&
    (query.from === undefined || instantOf(record.tick) >= query.from) &&
    (query.to === undefined || instantOf(record.tick) < query.to)
  );
}

export function newestFirst(a: RunRecord, b: RunRecord): number {
  const byTick = instantOf(b.tick) - instantOf(a.tick);
  if (byTick !== 0) return byTick;
  return recordKey(a) < recordKey(b) ? -1 : 1;
}

/** The jobs that had ticks which went wrong. All their records are counted, because the simulator has few. */
export function wrongAmong(records: readonly RunRecord[], { from, jobs, limit }: WrongQuery): WrongJobs {
  const since = new Map(jobs?.map((one) => [one.job, one.from]));
  const wrong = records.filter(
    ({ job, tick, state, retryAt }) =>
      isWrong(state) &&
      retryAt === undefined &&
      instantOf(tick) >= Math.max(from, (jobs === undefined ? from : since.get(job)) ?? Infinity),
  );
  const found = [...Map.groupBy(wrong.toSorted(newestFirst), ({ job }) => job).values()].flatMap((all) => {
    const [last] = all;
    const counts: WrongJob["counts"] = {};
    for (const { state, range } of all)
      if (isWrong(state)) counts[state] = (counts[state] ?? 0) + (range?.count ?? 1);
    return last === undefined ? [] : [{ last, counts }];
  });
  return { jobs: found.slice(0, limit), total: found.length };
}

/** The things between the places of the query, in order, up to its limit. */
export function pageOf(
  things: readonly Thing[],
  { after, upTo, limit }: Omit<ThingsQuery, "buckets">,
): Things | CicadaError {
  const first = after === undefined ? undefined : readPlace(after);
  const last = upTo === undefined ? undefined : readPlace(upTo);
  if ((after !== undefined && first === undefined) || (upTo !== undefined && last === undefined)) {
    return new CicadaError("UNPROCESSABLE", "the place is not one of a page");
  }
  const found = things
    .map((thing) => ({ thing, place: placeOf(thing) }))
    .filter(
      ({ place }) =>
        (first === undefined || comparePlaces(place, first) > 0) &&
        (last === undefined || comparePlaces(place, last) <= 0),
    )
    .toSorted((a, b) => comparePlaces(a.place, b.place));
  const page = found.slice(0, limit);
  const end = page.at(-1);
  return {
    records: page.flatMap(({ thing }) => ("attempt" in thing ? [thing] : [])),
    orders: page.flatMap(({ thing }) => ("requestedAt" in thing ? [thing] : [])),
    others: page.flatMap(({ thing }) => ("attempt" in thing || "requestedAt" in thing ? [] : [thing])),
    next: found.length > page.length && end !== undefined ? writePlace(end.place) : undefined,
  };
}

/** Whether an entry of the audit is asked for. */
export function fits(
  { entry, place }: { entry: AuditEntry; place: number },
  { after, ...wanted }: AuditQuery,
): boolean {
  return (
    (wanted.actor === undefined || isByActor(entry, wanted.actor)) &&
    (wanted.job === undefined || wanted.job === entry.job) &&
    (wanted.action ?? entry.action) === entry.action &&
    (wanted.groups === undefined || wanted.groups.includes(entry.group ?? "")) &&
    entry.at >= (wanted.from ?? -Infinity) &&
    entry.at < (wanted.to ?? Infinity) &&
    place < (after ?? Infinity)
  );
}
