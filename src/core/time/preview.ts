/**
 * A preview of a schedule before a job uses it: its next ticks, and where the clocks change among them.
 */
import type { Problem } from "../../schema/job.ts";
import { daySeconds, formatCivil } from "./calendar.ts";
import { skipsATime } from "./daylight.ts";
import { parseSchedule, ticksBetween, type Schedule } from "./schedule.ts";

export interface PreviewRequest {
  schedule: string | readonly string[];
  timezone: string;
  /** the job's id, from which the values of `H` are hashed */
  id: string;
  /** ms since the epoch; ticks are strictly after it */
  from: number;
  count: number;
}

export type Preview = { ok: true; ticks: PreviewTick[] } | { ok: false; problems: Problem[] };

/** The pointers of problems refer to `{schedule, timezone}`. */
export function previewSchedule({ schedule, timezone, id, from, count }: PreviewRequest): Preview {
  const read = parseSchedule(schedule, timezone, id);
  if (read.ok) {
    const ticks = ticksBetween(read.schedule, from + 1, Infinity, count);
    return { ok: true, ticks: describeTicks(read.schedule, ticks) };
  }
  const problems = read.problems.map(({ index, message }) => ({
    pointer: index === -1 ? "/timezone" : typeof schedule === "string" ? "/schedule" : `/schedule/${index}`,
    message,
  }));
  return { ok: false, problems };
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
