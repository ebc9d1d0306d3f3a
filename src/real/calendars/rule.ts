/**
 * The dates of a recurrence rule (RFC 5545, 3.3.10), found day by day in bounded steps. ical.js reads rules, but expands about
 * one in nine differently from the standard (test/calendar-rules.test.ts compares ours with another program's).
 */
import {
  dateOfDay,
  dayOfDate,
  daysInMonth,
  daySeconds,
  isLeapYear,
  weekdayOf,
} from "../../core/time/calendar.ts";

export interface RuleParts {
  readonly frequency: "YEARLY" | "MONTHLY" | "WEEKLY" | "DAILY";
  readonly interval: number;
  /** Infinity = without an end by number */
  readonly count: number;
  /** the first day of a week, 0 = Sunday */
  readonly weekStart: number;
  /** empty = not given */
  readonly months: readonly number[];
  readonly monthDays: readonly number[];
  readonly yearDays: readonly number[];
  readonly weeks: readonly number[];
  readonly weekdays: readonly { readonly weekday: number; /** 0 = all of them */ readonly nth: number }[];
  /** seconds of the day, ascending */
  readonly times: readonly number[];
  readonly positions: readonly number[];
}

/** The parts that a rule leaves out are those of its beginning, a civil second. */
export function completed(rule: RuleParts, start: number): RuleParts {
  const day = Math.floor(start / daySeconds);
  const date = dateOfDay(day);
  const { frequency, months, monthDays, yearDays, weeks, weekdays } = rule;
  const ofStart = { weekday: weekdayOf(day), nth: 0 };
  const namesDays = monthDays.length + yearDays.length + weekdays.length > 0;
  if (namesDays || frequency === "DAILY") return rule;
  if (weeks.length > 0 || frequency === "WEEKLY") return { ...rule, weekdays: [ofStart] };
  const inMonths = frequency === "YEARLY" && months.length === 0 ? [date.month] : months;
  return { ...rule, months: inMonths, monthDays: [date.day] };
}

/** The first day (since the epoch) of each period of the rule, from that of `start` on, for ever. */
function* periods(
  { frequency, interval, weekStart }: RuleParts,
  start: number,
): Generator<{ from: number; to: number }> {
  const { year, month } = dateOfDay(start);
  for (let step = 0; ; step += interval) {
    switch (frequency) {
      case "YEARLY":
        yield { from: dayOfDate(year + step, 1, 1), to: dayOfDate(year + step + 1, 1, 1) };
        break;
      case "MONTHLY": {
        const index = year * 12 + month - 1 + step;
        const [from, to] = [index, index + 1].map((one) =>
          dayOfDate(Math.floor(one / 12), (one % 12) + 1, 1),
        );
        yield { from: from ?? 0, to: to ?? 0 };
        break;
      }
      case "WEEKLY": {
        const from = start - ((weekdayOf(start) - weekStart + 7) % 7) + 7 * step;
        yield { from, to: from + 7 };
        break;
      }
      case "DAILY":
        yield { from: start + step, to: start + step + 1 };
    }
  }
}

/**
 * The civil seconds of the rule from `start` on, ascending, up to `end`. `visit` is called for each day that is looked at, and
 * may end it by throwing.
 */
export function* datesOf(rule: RuleParts, start: number, end: number, visit: () => void): Generator<number> {
  const whole = completed(rule, start);
  let left = whole.count;
  for (const { from, to } of periods(whole, Math.floor(start / daySeconds))) {
    if (from * daySeconds > end) return;
    visit();
    for (const second of inPeriod(whole, from, to, visit)) {
      if (second < start) continue;
      if (second > end || left-- <= 0) return;
      yield second;
    }
  }
}

function inPeriod(rule: RuleParts, from: number, to: number, visit: () => void): number[] {
  const seconds: number[] = [];
  for (let day = from; day < to; day++) {
    const date = dateOfDay(day);
    if (rule.months.length > 0 && !rule.months.includes(date.month)) {
      // The rule leaves out this month, so its remaining days are passed over.
      day = dayOfDate(date.year, date.month, daysInMonth(date.year, date.month));
      continue;
    }
    visit();
    if (isDayOf(rule, day, date)) for (const time of rule.times) seconds.push(day * daySeconds + time);
  }
  if (rule.positions.length === 0) return seconds;
  const wanted = rule.positions.map((position) => (position > 0 ? position - 1 : seconds.length + position));
  return seconds.filter((_, index) => wanted.includes(index));
}

function isDayOf(
  rule: RuleParts,
  day: number,
  { year, month, day: ofMonth }: ReturnType<typeof dateOfDay>,
): boolean {
  const length = daysInMonth(year, month);
  if (!isIn(rule.monthDays, ofMonth, length)) return false;
  const first = dayOfDate(year, 1, 1);
  const yearLength = isLeapYear(year) ? 366 : 365;
  if (!isIn(rule.yearDays, day - first + 1, yearLength)) return false;
  if (rule.weeks.length > 0) {
    const { week, weeks } = weekOf(day, year, rule.weekStart);
    if (!isIn(rule.weeks, week, weeks)) return false;
  }
  if (rule.weekdays.length === 0) return true;
  const isByMonth = rule.frequency === "MONTHLY" || rule.months.length > 0;
  const [at, of] = isByMonth ? [ofMonth, length] : [day - first + 1, yearLength];
  const nth = Math.ceil(at / 7);
  const nthLast = -Math.ceil((of - at + 1) / 7);
  const weekday = weekdayOf(day);
  return rule.weekdays.some(
    (one) => one.weekday === weekday && (one.nth === 0 || one.nth === nth || one.nth === nthLast),
  );
}

/** Whether one of the numbers is this place, counted from 1, or from the end with -1. */
function isIn(numbers: readonly number[], place: number, length: number): boolean {
  return numbers.length === 0 || numbers.includes(place) || numbers.includes(place - length - 1);
}

/** The number of the day's week, and how many weeks its year has. The first week has at least four days of its year. */
function weekOf(day: number, year: number, weekStart: number): { week: number; weeks: number } {
  const [own, next] = [beginOfWeeks(year, weekStart), beginOfWeeks(year + 1, weekStart)];
  const [from, to] =
    day < own
      ? [beginOfWeeks(year - 1, weekStart), own]
      : day >= next
        ? [next, beginOfWeeks(year + 2, weekStart)]
        : [own, next];
  return { week: Math.floor((day - from) / 7) + 1, weeks: (to - from) / 7 };
}

function beginOfWeeks(year: number, weekStart: number): number {
  const fourth = dayOfDate(year, 1, 4);
  return fourth - ((weekdayOf(fourth) - weekStart + 7) % 7);
}
