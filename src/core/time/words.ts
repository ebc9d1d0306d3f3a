/**
 * A schedule in plain words, as "at 03:00 on Monday to Friday". It is made from the values that the fields stand for, and not
 * from their text, so it says what will really be due, also for `H` and for a week that is written in two ways.
 */
import { tickAt } from "../../schema/ids.ts";
import type { DayRule } from "./crondays.ts";
import type { CivilTimes } from "./daylight.ts";
import type { Rule } from "./rules.ts";
import type { Schedule } from "./schedule.ts";

const months = "January February March April May June July August September October November December".split(
  " ",
);
const weekdays = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const ordinals = ["", "1st", "2nd", "3rd", "4th", "5th"];

/** More times of a day than this are told by their rule. */
const timesListed = 6;
const hoursOfDay = 24;
const sixty = 60;

export function describeSchedule({ rules, exclusions }: Schedule): string {
  const all = [...new Set(rules.map(describeRule))].join("; also ");
  return exclusions === undefined ? all : `${all}; without its exceptions`;
}

function describeRule(rule: Rule): string {
  switch (rule.kind) {
    case "every":
      return `every ${inUnits(rule.periodSeconds)}, counted from 1970-01-01T00:00:00Z`;
    case "at":
      return `once, at ${tickAt(rule.second * 1_000)}`;
    case "cron": {
      const times = timesInWords(rule.times);
      const days = daysInWords(rule.times.days);
      const isListed = /^at \d/u.test(times);
      if (days !== "") return `${times}${times.includes(",") && !isListed ? "," : ""} ${days}`;
      return isListed ? `${times} every day` : times;
    }
  }
}

function timesInWords({ hours, minutes, seconds }: CivilTimes): string {
  if (hours.length * minutes.length * seconds.length <= timesListed) {
    const times = hours.flatMap((hour) =>
      minutes.flatMap((minute) => seconds.map((second) => clock(hour, minute, second))),
    );
    return `at ${listed(times)}`;
  }
  const isOneSecond = seconds.length === 1;
  const ofSeconds = isOneSecond && seconds[0] === 0 ? "" : cycleInWords(seconds, "second", sixty);
  const ofMinutes = isOneSecond
    ? cycleInWords(minutes, "minute", sixty)
    : minutes.length === sixty
      ? ofSeconds.startsWith("every")
        ? ""
        : "every minute"
      : `in ${minutes.length === 1 ? "minute" : "minutes"} ${ranges(minutes, String)}`;
  const ofHours = hours.length === hoursOfDay ? "" : hoursInWords(hours, minutes);
  const words = [ofSeconds, ofMinutes, ofHours].filter((text) => text !== "").join(", ");
  const isOnceAnHour = ofHours === "" && minutes.length === 1;
  return isOnceAnHour ? `${words} of every hour` : words;
}

function hoursInWords(hours: readonly number[], minutes: readonly number[]): string {
  const [first = 0, last = 0] = [hours[0], hours.at(-1)];
  if (last - first + 1 === hours.length && minutes.length > 1) {
    return `from ${clock(first, 0)} to ${clock(last, sixty - 1)}`;
  }
  if (hours.length === hoursOfDay / 2 && hours.every((hour, i) => hour === first + 2 * i)) {
    return `in each ${first === 0 ? "even" : "odd"} hour`;
  }
  return `in ${hours.length === 1 ? "hour" : "hours"} ${ranges(hours, String)}`;
}

/** Which values of a cycle: all, each so-many-th of it, or a list. */
function cycleInWords(values: readonly number[], unit: string, cycle: number): string {
  const [first = 0] = values;
  if (values.length === cycle) return `every ${unit}`;
  const step = cycle / values.length;
  const isEven = values.length > 1 && first < step && values.every((value, i) => value === first + i * step);
  if (isEven) return `every ${step} ${unit}s${first === 0 ? "" : ` from ${unit} ${first} on`}`;
  return `at ${unit}${values.length === 1 ? "" : "s"} ${ranges(values, String)}`;
}

function daysInWords(rule: DayRule): string {
  const dates = datesInWords(rule);
  const days = weekdaysInWords(rule);
  const isEvery = rule.both ? dates === undefined && days === undefined : !dates || !days;
  const month = bits(rule.months, 1, 12);
  const ofMonths = month.length === 12 ? "" : `in ${ranges(month, (one) => months[one - 1] ?? "")}`;
  return [isEvery ? "" : joined(dates, days, rule.both), ofMonths].filter((text) => text !== "").join(" ");
}

function joined(dates: string | undefined, days: string | undefined, both: boolean): string {
  if (dates === undefined) return `on ${days}`;
  if (days === undefined) return `on ${dates} of the month`;
  return both ? `on ${dates} of the month if that is ${days}` : `on ${dates} of the month, or on ${days}`;
}

/** Undefined: every date. */
function datesInWords(rule: DayRule): string | undefined {
  const dates = bits(rule.daysOfMonth, 1, 31);
  if (dates.length === 31) return undefined;
  const words = [
    ...(dates.length === 0 ? [] : [`day${dates.length === 1 ? "" : "s"} ${ranges(dates, String)}`]),
    ...rule.lastDays.map((before) => (before === 0 ? "the last day" : `day ${before} before the last`)),
    ...rule.nearestWeekdays.map((day) => `the weekday (Monday to Friday) nearest to day ${day}`),
    ...(rule.lastWeekday ? ["the last weekday (Monday to Friday)"] : []),
  ];
  return listed(words);
}

/** Undefined: every day of the week. */
function weekdaysInWords(rule: DayRule): string | undefined {
  const days = bits(rule.weekdays, 0, 6);
  if (days.length === 7) return undefined;
  // The week begins with Monday, so that "Saturday to Sunday" is one range.
  const fromMonday = days.map((day) => (day + 6) % 7).toSorted((a, b) => a - b);
  return listed([
    ...(days.length === 0 ? [] : [ranges(fromMonday, (day) => nameOf((day + 1) % 7))]),
    ...rule.nthWeekdays.map(({ weekday, nth }) => `the ${ordinals[nth]} ${nameOf(weekday)} of the month`),
    ...bits(rule.lastOfWeekdays, 0, 6).map((weekday) => `the last ${nameOf(weekday)} of the month`),
  ]);
}

function nameOf(weekday: number): string {
  return weekdays[weekday] ?? "";
}

function bits(mask: number, from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((bit) => ((mask >> bit) & 1) === 1);
}

/** `1 to 5 and 9`; two neighbours are listed. */
function ranges(values: readonly number[], name: (value: number) => string): string {
  const runs: number[][] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last !== undefined && last.at(-1) === value - 1) last.push(value);
    else runs.push([value]);
  }
  return listed(
    runs.flatMap((run) =>
      run.length < 3 ? run.map(name) : [`${name(run[0] ?? 0)} to ${name(run.at(-1) ?? 0)}`],
    ),
  );
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function clock(hour: number, minute: number, second = 0): string {
  const [h, m, s] = [hour, minute, second].map((part) => String(part).padStart(2, "0"));
  return second === 0 ? `${h}:${m}` : `${h}:${m}:${s}`;
}

const units = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

/** `1 hour 30 minutes`; of one unit only its name. */
function inUnits(seconds: number): string {
  const parts: { count: number; unit: string }[] = [];
  let rest = seconds;
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push({ count, unit });
    rest -= count * size;
  }
  const [only] = parts;
  if (parts.length === 1 && only?.count === 1) return only.unit;
  return parts.map(({ count, unit }) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
}
