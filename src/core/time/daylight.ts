/**
 * From civil times to instants: the ticks of a cron expression in a time zone, with cronie's rule for the days on which
 * the clocks change.
 *
 * A wildcard job (its minute or hour field begins with a star) follows real instants: it ticks whenever a wall clock shows one
 * of its times, so never in a gap, and in both passes of a repeated hour. A job at fixed times follows the calendar: each of
 * its times counts once, when the clocks first reach or jump over it. All times that were jumped over make one tick together,
 * at the first instant after the gap; times that are shown again make none. The seconds field does not matter here: `0/10 30 2
 * * * *` is a job at a fixed time.
 *
 * The rule needs only the `reached` of a stretch (zone.ts), so the ticks of an interval depend on the interval alone. No
 * change is treated as "too large": a day that a country skips is a gap like any other.
 */
import { dateOfDay, dayOfDate, daySeconds } from "./calendar.ts";
import { matchingDays, type DayRule } from "./crondays.ts";
import type { Stretch, Zone } from "./zone.ts";

/** When a cron expression ticks, in civil time. The lists are ascending and not empty. */
export interface CivilTimes {
  days: DayRule;
  hours: readonly number[];
  minutes: readonly number[];
  seconds: readonly number[];
  wildcard: boolean;
}

/** Appends the ticks with `from ≤ tick < to` (seconds since the epoch) to `ticks`, ascending, at most `limit` of them. */
export function appendTicks(
  times: CivilTimes,
  zone: Zone,
  from: number,
  to: number,
  limit: number,
  ticks: number[],
): void {
  const enough = ticks.length + limit;
  for (let at = from; at < to && ticks.length < enough;) {
    const stretch = zone.stretchAt(at);
    const end = Math.min(stretch.end, to);
    appendTicksOfStretch(times, stretch, at, end, enough, ticks);
    at = end;
    // For rare expressions (29 February) this jumps to just before their next day, instead of reading every stretch between.
    if (at < to && ticks.length < enough) at = Math.max(at, soonestTick(times.days, at));
  }
}

function appendTicksOfStretch(
  times: CivilTimes,
  stretch: Stretch,
  from: number,
  to: number,
  enough: number,
  ticks: number[],
): void {
  const { offset, start, reached } = stretch;
  let shown = from + offset;
  if (!times.wildcard) {
    shown = Math.max(shown, reached);
    if (from === start && skipsATime(times, stretch)) {
      ticks.push(from);
      // The first time after the gap and the times within it are one tick.
      shown += 1;
    }
  }
  appendCivil(times, shown, to + offset, offset, enough, ticks);
}

/** Whether the clocks jumped over one of the times at the start of the stretch. */
export function skipsATime(times: CivilTimes, { start, offset, reached }: Stretch): boolean {
  const skipped: number[] = [];
  appendCivil(times, reached, start + offset, 0, 1, skipped);
  return skipped.length > 0;
}

/** Appends the times with `from ≤ civil second < to`, minus the offset, until `ticks` has `enough` entries. */
function appendCivil(
  times: CivilTimes,
  from: number,
  to: number,
  offset: number,
  enough: number,
  ticks: number[],
): void {
  if (ticks.length >= enough) return;
  let day = nextMatchingDay(times.days, Math.floor(from / daySeconds));
  for (; day * daySeconds < to; day = nextMatchingDay(times.days, day + 1)) {
    for (const hour of times.hours) {
      const hourStart = day * daySeconds + hour * 3_600;
      if (hourStart + 3_600 <= from) continue;
      for (const minute of times.minutes) {
        const minuteStart = hourStart + minute * 60;
        if (minuteStart + 60 <= from) continue;
        for (const second of times.seconds) {
          const civil = minuteStart + second;
          if (civil < from) continue;
          if (civil >= to || ticks.push(civil - offset) >= enough) return;
        }
      }
    }
  }
}

/** The first instant at which a tick after `at` is possible in any zone: no zone is more than a day from UTC. */
function soonestTick(days: DayRule, at: number): number {
  return (nextMatchingDay(days, Math.floor(at / daySeconds) - 1) - 1) * daySeconds;
}

const monthsInCalendar = 400 * 12;

/** The first day from `fromDay` on that the rule names; Infinity when there is none. */
function nextMatchingDay(rule: DayRule, fromDay: number): number {
  let { year, month, day } = dateOfDay(fromDay);
  for (let count = 0; count <= monthsInCalendar; count++) {
    const left = matchingDays(rule, year, month) & (-1 << day);
    if (left !== 0) return dayOfDate(year, month, 31 - Math.clz32(left & -left));
    day = 1;
    month = month === 12 ? 1 : month + 1;
    if (month === 1) year += 1;
  }
  return Infinity;
}
