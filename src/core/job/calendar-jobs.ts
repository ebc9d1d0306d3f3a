/**
 * Which jobs name which calendars. An edit of a calendar is an edit of the timetable of its jobs: their ticks up to it are over,
 * or will never run.
 */
import type { JobId } from "../../schema/ids.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import { calendarsIn, unknownAt, type UnknownCalendar } from "../time/exclusions.ts";
import { readCalendars } from "./calendars.ts";
import type { JobsState } from "./jobs-state.ts";
import type { Plan } from "./plan.ts";

/** Replaces all calendars by these, at `now` (ms). Returns the jobs that name one that has changed. */
export function enterCalendars(jobs: JobsState, entries: ReadonlyMap<string, unknown>, now: number): JobId[] {
  const before = jobs.calendars;
  jobs.calendars = readCalendars(entries, before, now);
  const isChanged = (name: string): boolean => before.entries.get(name) !== entries.get(name);
  return [...jobs.plans.values()].flatMap((plan) => (plan.calendars.some(isChanged) ? [plan.id] : []));
}

/** The jobs that name the calendar, by id. */
export function jobsOfCalendar({ plans }: Pick<JobsState, "plans">, name: string): JobId[] {
  return [...plans.values()].flatMap((plan) => (plan.calendars.includes(name) ? [plan.id] : [])).toSorted();
}

/** A calendar of the job without which nobody can tell whether the instant (ms) is a tick; undefined = all are known. */
export function lackingCalendar(plan: Plan, instant: number): UnknownCalendar | undefined {
  return plan.calendars.length === 0 ? undefined : unknownAt(plan.schedule?.exclusions, instant);
}

/** The job's calendars that are missing, as problems of what a person writes. */
export function missingCalendars(
  { calendars }: JobsState,
  { except = [] }: Pick<JobSpec, "except">,
): Problem[] {
  return except.flatMap((entry, index) => {
    const [name] = calendarsIn([entry]);
    if (name === undefined || calendars.entries.has(name)) return [];
    const message = `there is no calendar ${JSON.stringify(name)}: make it first, with cicada calendars set ${name}`;
    return [{ pointer: `/except/${index}`, message }];
  });
}
