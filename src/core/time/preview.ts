/**
 * A preview of a schedule before a job uses it: its next ticks, and where the clocks change among them.
 */
import type { Problem } from "../../schema/job.ts";
import { daySeconds, formatCivil } from "./calendar.ts";
import type { UnknownCalendar } from "./exclusions.ts";
import type { NamedCalendars } from "./named-calendar.ts";
import { skipsATime } from "./daylight.ts";
import {
  parseSchedule,
  ticksBetween,
  withoutExclusions,
  type Schedule,
  type ScheduleProblem,
} from "./schedule.ts";
import { describeSchedule } from "./words.ts";

export interface PreviewRequest {
  schedule: string | readonly string[];
  timezone: string;
  /** what is left out, as in a job */
  except: readonly string[];
  /** the job's id, from which the values of `H` are hashed */
  id: string;
  /** ms since the epoch; ticks are strictly after it */
  from: number;
  count: number;
  /** the calendars that `except` may name; absent = there are none to ask */
  calendars?: NamedCalendars;
}

/**
 * `words`: the schedule in plain words. `skipped`: ticks before the last of `ticks` that are left out, the first ones, as many
 * as were asked for.
 */
export type Preview =
  | { ok: true; words: string; ticks: PreviewTick[]; skipped: PreviewTick[] }
  | { ok: false; problems: Problem[] };

/** Problems point into `{schedule, timezone, except}`. */
export function previewSchedule(request: PreviewRequest): Preview {
  const { schedule, timezone, except, id, from, count, calendars } = request;
  const read = parseSchedule(schedule, timezone, id, except, calendars);
  if (!read.ok) return { ok: false, problems: read.problems.map((problem) => problemAt(schedule, problem)) };
  const missing = (read.schedule.exclusions?.unknown ?? []).filter((one) => one.from === -Infinity);
  if (missing.length > 0) return { ok: false, problems: missing.map((one) => missingAt(one, calendars)) };
  // Beyond the end of a calendar nobody can tell what it leaves out.
  const known = Math.min(
    Infinity,
    ...(read.schedule.exclusions?.unknown.map((one) => one.from * 1_000) ?? []),
  );
  const ticks = ticksBetween(read.schedule, from + 1, known, count);
  const until = ticks.length < count ? known : (ticks.at(-1) ?? Infinity);
  const skipped = exclusionsBetween(read.schedule, from + 1, until, count);
  return {
    ok: true,
    words: describeSchedule(read.schedule),
    ticks: describeTicks(read.schedule, ticks),
    skipped: describeTicks(read.schedule, skipped),
  };
}

/** The first ticks of the interval that the schedule leaves out. */
function exclusionsBetween(schedule: Schedule, from: number, to: number, limit: number): number[] {
  const { exclusions } = schedule;
  if (exclusions === undefined) return [];
  const skipped: number[] = [];
  const planned = withoutExclusions(schedule);
  for (let at = from; at < to && skipped.length < limit;) {
    const some = ticksBetween(planned, at, to, 2 * limit);
    const last = some.at(-1);
    if (last === undefined) break;
    const left = new Set(ticksBetween(schedule, at, last + 1));
    for (const tick of some) if (!left.has(tick) && skipped.length < limit) skipped.push(tick);
    at = last + 1;
  }
  return skipped;
}

function missingAt({ name, index }: UnknownCalendar, calendars: NamedCalendars | undefined): Problem {
  const message =
    calendars === undefined
      ? `the calendar ${JSON.stringify(name)} is known to peers only: ask one, or write its dates here`
      : `there is no calendar ${JSON.stringify(name)}`;
  return { pointer: `/except/${index}`, message };
}

function problemAt(
  schedule: PreviewRequest["schedule"],
  { field, index, message }: ScheduleProblem,
): Problem {
  const isList = field === "except" || (field === "schedule" && typeof schedule !== "string");
  return { pointer: isList ? `/${field}/${index}` : `/${field}`, message };
}

export interface PreviewTick {
  tick: number;
  /** what a clock in the zone shows, such as `2026-03-29 03:00:00` */
  local: string;
  /** such as `+02:00` */
  offset: string;
  /** set where the clocks change */
  dst?: DstNote;
}

export interface DstNote {
  /**
   * `moved`: the scheduled time does not exist on that day; `first-pass`, `second-pass`: the clocks show it twice;
   * `change-day`: the clocks change on that day, which does not affect this tick.
   */
  kind: "moved" | "first-pass" | "second-pass" | "change-day";
  note: string;
}

/** What the clocks of the zone show at these ticks, and where they change. */
export function describeTicks(schedule: Schedule, ticks: readonly number[]): PreviewTick[] {
  return ticks.map((tick) => {
    const second = Math.floor(tick / 1_000);
    const { offset } = schedule.zone.stretchAt(second);
    const dst = dstNoteOf(schedule, second);
    return {
      tick,
      local: formatCivil(second + offset),
      offset: formatOffset(offset),
      ...(dst === undefined ? {} : { dst }),
    };
  });
}

function dstNoteOf({ zone, rules }: Schedule, second: number): DstNote | undefined {
  const cron = rules.flatMap((rule) => (rule.kind === "cron" ? [rule.times] : []));
  if (cron.length === 0) return undefined;
  const stretch = zone.stretchAt(second);
  const next = zone.stretchAt(stretch.end);
  const shown = second + stretch.offset;
  const gap = second === stretch.start && stretch.reached < shown;
  if (gap && cron.some((times) => !times.wildcard && skipsATime(times, stretch))) {
    const note = `the clocks jump from ${formatCivil(stretch.reached)}, so this is the first instant after the gap`;
    return { kind: "moved", note };
  }
  if (shown < stretch.reached)
    return { kind: "second-pass", note: "the clocks show this time for the second time" };
  if (next.start + next.offset <= shown && shown < next.reached) {
    return { kind: "first-pass", note: "the clocks show this time twice; this is the first" };
  }
  for (const { start, offset, reached } of [stretch, next]) {
    const change = start + offset - reached;
    const day = Math.floor(shown / daySeconds);
    const onThatDay = [start + offset, reached - 1].some((civil) => Math.floor(civil / daySeconds) === day);
    if (change === 0 || !onThatDay) continue;
    const how = change > 0 ? "forward" : "back";
    return { kind: "change-day", note: `the clocks go ${how} to ${formatCivil(start + offset)} on this day` };
  }
  return undefined;
}

function formatOffset(offset: number): string {
  const clock = formatCivil(Math.abs(offset)).slice("1970-01-01 ".length);
  return `${offset < 0 ? "-" : "+"}${clock.endsWith(":00") ? clock.slice(0, -":00".length) : clock}`;
}
