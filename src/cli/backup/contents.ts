/** What a backup means: its jobs, and what a peer that is made of it would catch up if no other peer has run it. */
import { readCalendars } from "../../core/job/calendars.ts";
import { divideGap, intervalsBetween } from "../../core/job/gap.ts";
import { catchUp } from "../../core/job/catchup.ts";
import { dueOf } from "../../core/job/jitter.ts";
import { readMaintenance, type Maintenance } from "../../core/job/maintenance.ts";
import { planJob, startWindowMs, ticksOf, type Plan } from "../../core/job/plan.ts";
import { stopOfTick } from "../../core/job/stops.ts";
import type { Backup } from "../../real/backup.ts";
import { openRandom } from "../../real/random.ts";
import { livingTokens } from "../../schema/access.ts";
import type { PeerId } from "../../schema/ids.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import type { Job } from "../../schema/job.ts";
import { freshClientId, JobTable } from "../../table/table.ts";

export interface CatchUp {
  job: string;
  /** ms, oldest first: ticks that would be started */
  ticks: number[];
  /** runs by hand that were ordered and have no record */
  byHand: number;
  /** ticks that would be reported as missed or skipped */
  missed: number;
}

export interface Contents {
  jobs: readonly Job[];
  /** the names of the tokens that counted when it was made, and are not expired at `now` (ms) */
  tokens(now: number): string[];
  /** only jobs for which there is something; at `now` (ms) */
  catchUp(now: number): CatchUp[];
}

export function contentsOf(backup: Backup): Contents {
  const random = openRandom();
  const table = new JobTable({
    // Nothing is written into this table.
    self: "" as PeerId,
    clientId: freshClientId(random),
    freshClientId: () => freshClientId(random),
    incarnation: () => "",
  });
  table.load(backup.updates);
  const jobs = [...table.jobs().values()];
  const calendars = readCalendars(table.values("calendars"));
  const maintenance = [...table.values("maintenance")].flatMap(
    ([name, value]) => readMaintenance(name, value) ?? [],
  );
  return {
    jobs,
    tokens: (now) =>
      [...livingTokens(table.values("tokens")).values()]
        .filter(({ expires = Infinity }) => expires > now)
        .map(({ name }) => name)
        .toSorted(),
    catchUp: (now) =>
      jobs
        .map((job) => planJob(job, calendars))
        .filter((plan): plan is Plan => !Array.isArray(plan))
        .map((plan) => ({ ...plan, maintenance: maintenance.filter((one) => appliesTo(one, plan)) }))
        .map((plan) => catchUpOf(plan, backup, now))
        .filter(({ ticks, byHand, missed }) => ticks.length + byHand + missed > 0),
  };
}

function appliesTo({ group }: Maintenance, { job }: Plan): boolean {
  return group === undefined || group === (job.spec.group ?? defaultGroup);
}

function catchUpOf(plan: Plan, backup: Backup, now: number): CatchUp {
  const watermark = backup.watermarks.find(({ job }) => job === plan.id);
  const at = watermark?.at ?? plan.earliest;
  const open = watermark?.open ?? [];
  const lowest = Math.min(at, ...open.map((tick) => tick - 1));
  const recorded = new Set(backup.ticksAfter(plan.id, lowest));
  const unknown = [
    ...open.filter((tick) => !recorded.has(tick)).map((tick) => ({ from: tick, to: tick + 1 })),
    ...intervalsBetween(
      [...recorded].filter((tick) => tick > at).map((tick) => ({ from: tick, to: tick })),
      at + 1,
      now + 1,
    ),
  ];
  const { admit, ranges } = divideGap(plan, unknown, now);
  const windowMs = startWindowMs(plan, true);
  const ordered = backup.orders.filter(
    ({ job, requestedAt }) => job === plan.id && requestedAt > now - windowMs,
  );
  // A single tick that is too old is not listed here: the order book records it as missed.
  const isLate = (tick: number) => tick < now - startWindowMs(plan, false);
  // What was due in a pause or a maintenance is reported as skipped, and never caught up.
  const isStopped = (tick: number) => stopOfTick(plan, tick) !== undefined;
  const possible = admit.filter((tick) => !plan.skips.has(tick) && !isLate(tick) && !isStopped(tick));
  const [newest] = ticksOf(plan, lowest, now + 1, 1);
  const dues = possible.map((tick) => dueOf(plan, tick));
  const newestDue = newest === undefined ? -Infinity : dueOf(plan, newest);
  const verdicts = catchUp(plan.catchUp, dues, newestDue, now);
  const ticks = possible.filter((_, place) => verdicts[place]?.run === true);
  return {
    job: plan.id,
    ticks,
    byHand: ordered.length,
    missed:
      ranges.reduce((sum, { count }) => sum + count, 0) +
      admit.filter((tick) => isLate(tick) || isStopped(tick)).length +
      possible.length -
      ticks.length,
  };
}
