/**
 * Which days of a month a cron expression names, as a bit mask (bit d = day d).
 *
 * Vixie's rule: if both day fields are restricted, a day must match either of them. If one of them begins with a star, a day
 * must match both, so that a star with a step reduces the other field's days instead of adding to them.
 */
import { dayOfDate, daysInMonth, weekdayOf } from "./calendar.ts";

export interface DayRule {
  /** bit 1 to 12 */
  months: number;
  /** bit 1 to 31 */
  daysOfMonth: number;
  /** how many days before the last of the month */
  lastDays: readonly number[];
  /** the weekdays nearest to these days */
  nearestWeekdays: readonly number[];
  lastWeekday: boolean;
  /** bit 0 = Sunday to 6 */
  weekdays: number;
  nthWeekdays: readonly { weekday: number; nth: number }[];
  /** bit 0 = Sunday to 6: the last such day of the month */
  lastOfWeekdays: number;
  /** either day field begins with a star */
  both: boolean;
}

/** The days of that month (1 to 12); 0 when none matches. */
export function matchingDays(rule: DayRule, year: number, month: number): number {
  if (((rule.months >> month) & 1) === 0) return 0;
  const length = daysInMonth(year, month);
  const firstWeekday = weekdayOf(dayOfDate(year, month, 1));
  const byDate = datesOf(rule, length, firstWeekday);
  const byWeekday = weekdaysOf(rule, length, firstWeekday);
  return (rule.both ? byDate & byWeekday : byDate | byWeekday) & maskUpTo(length);
}

/** Whether any day of the calendar matches. The calendar repeats every 400 years. */
export function everMatches(rule: DayRule): boolean {
  for (let year = 2000; year < 2400; year++) {
    for (let month = 1; month <= 12; month++) if (matchingDays(rule, year, month) !== 0) return true;
  }
  return false;
}

/** Bits 1 to `length`. */
function maskUpTo(length: number): number {
  return (-1 >>> (31 - length)) & ~1;
}

function datesOf(rule: DayRule, length: number, firstWeekday: number): number {
  let mask = rule.daysOfMonth;
  for (const before of rule.lastDays) if (before < length) mask |= 1 << (length - before);
  for (const day of rule.nearestWeekdays)
    if (day <= length) mask |= 1 << nearestWeekday(day, length, firstWeekday);
  if (rule.lastWeekday) mask |= 1 << nearestWeekday(length, length, firstWeekday);
  return mask;
}

/** A Saturday becomes the Friday before and a Sunday the Monday after, but never outside the month. */
function nearestWeekday(day: number, length: number, firstWeekday: number): number {
  const weekday = (firstWeekday + day - 1) % 7;
  if (weekday === 6) return day > 1 ? day - 1 : day + 2;
  if (weekday === 0) return day < length ? day + 1 : day - 2;
  return day;
}

const everyWeekday = 0b1111111;
/** Days 1, 8, 15, 22 and 29. */
const weeksFromFirst = 0b100000010000001000000100000010;

function weekdaysOf(rule: DayRule, length: number, firstWeekday: number): number {
  let mask = 0;
  if (rule.weekdays === everyWeekday) mask = -1;
  else {
    for (let weekday = 0; weekday < 7; weekday++) {
      if (((rule.weekdays >> weekday) & 1) === 1)
        mask |= weeksFromFirst << ((weekday - firstWeekday + 7) % 7);
    }
  }
  for (const { weekday, nth } of rule.nthWeekdays) {
    const day = 1 + ((weekday - firstWeekday + 7) % 7) + 7 * (nth - 1);
    if (day <= length) mask |= 1 << day;
  }
  if (rule.lastOfWeekdays !== 0) {
    for (let day = length; day > length - 7; day--) {
      if (((rule.lastOfWeekdays >> ((firstWeekday + day - 1) % 7)) & 1) === 1) mask |= 1 << day;
    }
  }
  return mask;
}
