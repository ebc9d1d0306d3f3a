/**
 * How many ticks a schedule has in an interval, by arithmetic: whole days are counted, not walked through, so that a gap of
 * years costs little more than one of hours.
 *
 * The count is exact for a single expression, and for a schedule of which other expressions leave ticks out (pieces.ts). The
 * ticks of another list of expressions are listed as long as that is cheap, because two expressions may share a tick; beyond
 * `walkedMax` ticks the result is the sum of the single counts, which counts shared ticks twice.
 */
import { dateOfDay, dayOfDate, daySeconds, lastSecond } from "./calendar.ts";
import { matchingDays, type DayRule } from "./crondays.ts";
import { skipsATime, type CivilTimes } from "./daylight.ts";
import { partsOutside } from "./exclusions.ts";
import { countLeft } from "./pieces.ts";
import { listRules } from "./rules.ts";
import type { Schedule } from "./schedule.ts";
import type { Zone } from "./zone.ts";

/** The most ticks of a list of expressions that are listed one by one: about 20 ms. */
export const walkedMax = 100_000;

/** The number of ticks with `from ≤ tick < to` (ms since the epoch). */
export function countTicks(schedule: Schedule, from: number, to: number): number {
  const fromSecond = Math.max(0, Math.ceil(from / 1_000));
  const toSecond = Math.min(lastSecond + 1, Math.ceil(to / 1_000));
  if (fromSecond >= toSecond) return 0;
  const { exclusions } = schedule;
  if (exclusions === undefined) return countRules(schedule, fromSecond, toSecond);
  let count = 0;
  for (const part of partsOutside(exclusions.spans, fromSecond, toSecond)) {
    const isThinned = exclusions.rules.length > 0;
    count += isThinned
      ? countLeft({ ...schedule, exclusions }, part.from, part.to)
      : countRules(schedule, part.from, part.to);
  }
  return count;
}

function countRules({ rules, zone }: Schedule, from: number, to: number): number {
  const counts = rules.map((rule) => countRule(rule, zone, from, to));
  const sum = counts.reduce((total, count) => total + count, 0);
  if (rules.length === 1 || sum > walkedMax) return sum;
  return listRules(rules, zone, from, to, Infinity).length;
}

function countRule(rule: Schedule["rules"][number], zone: Zone, from: number, to: number): number {
  switch (rule.kind) {
    case "cron":
      return countCron(rule.times, zone, from, to);
    case "every":
      return Math.ceil(to / rule.periodSeconds) - Math.ceil(from / rule.periodSeconds);
    case "at":
      return from <= rule.second && rule.second < to ? 1 : 0;
  }
}

/** The same rule as `appendTicks`, counted instead of listed, for one stretch of constant offset after the other. */
function countCron(times: CivilTimes, zone: Zone, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to;) {
    const stretch = zone.stretchAt(at);
    const end = Math.min(stretch.end, to);
    let shown = at + stretch.offset;
    if (!times.wildcard) {
      shown = Math.max(shown, stretch.reached);
      if (at === stretch.start && skipsATime(times, stretch)) {
        count += 1;
        shown += 1;
      }
    }
    count += countCivil(times, shown, end + stretch.offset);
    at = end;
  }
  return count;
}

/** How many times of the expression have `from ≤ time < to`, in civil seconds. */
function countCivil(times: CivilTimes, from: number, to: number): number {
  if (from >= to) return 0;
  const [firstDay, lastDay] = [Math.floor(from / daySeconds), Math.floor(to / daySeconds)];
  const perDay = times.hours.length * times.minutes.length * times.seconds.length;
  return (
    countDays(times.days, firstDay, lastDay) * perDay +
    (countDays(times.days, lastDay, lastDay + 1) === 0 ? 0 : countBefore(times, to - lastDay * daySeconds)) -
    (countDays(times.days, firstDay, firstDay + 1) === 0
      ? 0
      : countBefore(times, from - firstDay * daySeconds))
  );
}

/** How many times of one day are before that second of the day. */
function countBefore({ hours, minutes, seconds }: CivilTimes, secondOfDay: number): number {
  const hour = Math.floor(secondOfDay / 3_600);
  const minute = Math.floor(secondOfDay / 60) % 60;
  const inMinute = minutes.includes(minute) ? below(seconds, secondOfDay % 60) : 0;
  const inHour = hours.includes(hour) ? below(minutes, minute) * seconds.length + inMinute : 0;
  return below(hours, hour) * minutes.length * seconds.length + inHour;
}

function below(values: readonly number[], limit: number): number {
  return values.filter((value) => value < limit).length;
}

/** How many days with `from ≤ day < to` (days since the epoch) the rule names; counted month by month. */
function countDays(rule: DayRule, from: number, to: number): number {
  let count = 0;
  for (let day = from; day < to;) {
    const date = dateOfDay(day);
    const nextMonth =
      date.month === 12 ? dayOfDate(date.year + 1, 1, 1) : dayOfDate(date.year, date.month + 1, 1);
    let mask = matchingDays(rule, date.year, date.month) & (-1 << date.day);
    const last = Math.min(nextMonth, to) - dayOfDate(date.year, date.month, 1);
    if (last < 31) mask &= ~(-1 << (last + 1));
    for (; mask !== 0; mask &= mask - 1) count++;
    day = nextMonth;
  }
  return count;
}
