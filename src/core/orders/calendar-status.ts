/** What is wrong with the calendars of a job, in words. */
import type { JobHindrance } from "../../ports/control.ts";
import { tickAt } from "../../schema/ids.ts";
import { lackingCalendar } from "../job/calendar-jobs.ts";
import type { Plan } from "../job/plan.ts";
import type { State } from "../state.ts";
import type { UnknownCalendar } from "../time/exclusions.ts";

/** A calendar without which nobody can tell now whether the job has a tick. */
export function calendarMissing(state: State, plan: Plan): JobHindrance | undefined {
  const lacking = lackingCalendar(plan, state.now.wall);
  if (lacking === undefined) return undefined;
  return { code: "NO_CALENDAR", pointer: `/except/${lacking.index}`, message: whyLacking(lacking) };
}

export function whyLacking({ name, from }: UnknownCalendar): string {
  const what =
    from === -Infinity
      ? `there is no calendar "${name}"`
      : `the calendar "${name}" is expanded only up to ${tickAt(from * 1_000)}`;
  return `${what}, so nobody can tell which ticks to leave out: the job's ticks wait, and are missed if it isn't set in time`;
}

/** How long before a calendar's end people are told to write it again, ms. */
const endsSoonMs = 366 * 86_400_000;

/** A calendar whose recurring events are expanded only for a while still. */
export function endingCalendars(state: State, plan: Plan): JobHindrance[] {
  const ending = lackingCalendar(plan, state.now.wall + endsSoonMs);
  if (ending === undefined || lackingCalendar(plan, state.now.wall) !== undefined) return [];
  const message = `the calendar "${ending.name}" is expanded only up to ${tickAt(ending.from * 1_000)}: set it again before`;
  return [{ code: "CALENDAR_ENDS", pointer: `/except/${ending.index}`, message }];
}
