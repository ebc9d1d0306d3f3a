/**
 * When a job is due: reads schedules, and lists their ticks as a pure function of the interval (DESIGN §11).
 *
 * A schedule is a list of expressions in one time zone, and its ticks are the union of their ticks. cron-parser reads the
 * values that the items of a cron expression stand for. It does not compute the ticks, because near a change of the clocks its
 * answer depends on the instant from which one asks. `@every` and `rate()` count from the epoch, so that no restart shifts
 * them. Instants in this file's exports are milliseconds, always whole seconds, from 1970 to the end of 9999.
 *
 * Parsed expressions are cached by their text: the jobs of a mesh have few different ones, and their meaning never changes.
 */
import { CronExpressionParser } from "cron-parser";
import { lastSecond } from "./calendar.ts";
import { everMatches, type DayRule } from "./crondays.ts";
import { readCronFields, type CronFields, type Field, type FieldName, type Item } from "./cronfields.ts";
import { appendTicks, type CivilTimes } from "./daylight.ts";
import { readShorthand, type Period, type Moment, type Refusal } from "./shorthand.ts";
import { zoneOf, zoneProblem, type Zone } from "./zone.ts";

type Rule = { kind: "cron"; times: CivilTimes } | Period | Moment;

/** Made by `parseSchedule`. Files outside this folder use it only through the folder's functions. */
export interface Schedule {
  readonly zone: Zone;
  readonly rules: readonly Rule[];
}

export interface ScheduleProblem {
  /** which expression of the list; -1 = the time zone */
  index: number;
  /** the character of the expression, counted from 1 */
  position?: number;
  message: string;
}

/** `hashSeed` (the job's id) decides what `H` stands for. */
export function parseSchedule(
  expressions: string | readonly string[],
  timezone: string,
  hashSeed: string,
): { ok: true; schedule: Schedule } | { ok: false; problems: ScheduleProblem[] } {
  const problems: ScheduleProblem[] = [];
  const rules: Rule[] = [];
  const list = typeof expressions === "string" ? [expressions] : expressions;
  for (const [index, expression] of list.entries()) {
    const read = readRule(expression.trim(), hashSeed);
    if ("kind" in read) {
      rules.push(read);
      continue;
    }
    const { position, message } = read;
    problems.push({
      index,
      ...(position === undefined ? {} : { position }),
      message: position === undefined ? message : `${message} (at character ${position})`,
    });
  }
  if (list.length === 0)
    problems.push({ index: 0, message: "the list of schedules is empty: omit the field instead" });
  const zone = zoneOf(timezone);
  if (zone === undefined) problems.push({ index: -1, message: zoneProblem(timezone) ?? "no such time zone" });
  if (zone === undefined || problems.length > 0) return { ok: false, problems };
  return { ok: true, schedule: { zone, rules } };
}

/** The ticks with `from ≤ tick < to`, ascending, each once; with a limit, only the first ones. */
export function ticksBetween(schedule: Schedule, from: number, to: number, limit = Infinity): number[] {
  const fromSecond = Math.max(0, Math.ceil(from / 1_000));
  const toSecond = Math.min(lastSecond + 1, Math.ceil(to / 1_000));
  const seconds: number[] = [];
  for (const rule of schedule.rules) {
    const own: number[] = schedule.rules.length === 1 ? seconds : [];
    appendRule(rule, schedule.zone, fromSecond, toSecond, limit, own);
    if (own !== seconds) for (const second of own) seconds.push(second);
  }
  if (schedule.rules.length > 1) seconds.sort((a, b) => a - b);
  const ticks: number[] = [];
  for (const second of seconds) {
    if (ticks.length >= limit) break;
    if (second * 1_000 !== ticks.at(-1)) ticks.push(second * 1_000);
  }
  return ticks;
}

/** The first tick strictly after the instant; undefined when there is none. */
export function nextTick(schedule: Schedule, after: number): number | undefined {
  return ticksBetween(schedule, after + 1, Infinity, 1)[0];
}

function appendRule(rule: Rule, zone: Zone, from: number, to: number, limit: number, ticks: number[]): void {
  switch (rule.kind) {
    case "cron":
      appendTicks(rule.times, zone, from, to, limit, ticks);
      return;
    case "every": {
      const period = rule.periodSeconds;
      for (let at = Math.ceil(from / period) * period; at < to && ticks.length < limit; at += period)
        ticks.push(at);
      return;
    }
    case "at":
      if (from <= rule.second && rule.second < to && limit > 0) ticks.push(rule.second);
      return;
  }
}

// ---------------------------------------------------------------------------------------------------------
// Reading

function readRule(expression: string, hashSeed: string): Rule | Refusal {
  const short = readShorthand(expression);
  if (short === undefined) return readCron(expression, hashSeed);
  return "cron" in short ? readCron(short.cron, hashSeed) : short;
}

const knownTimes = new Map<string, CivilTimes>();
/** The largest size of the cache, a few hundred bytes per entry. Beyond it the cache is emptied. */
const timesRemembered = 20_000;

function readCron(expression: string, hashSeed: string): Rule | Refusal {
  const known = knownTimes.get(expression);
  if (known !== undefined) return { kind: "cron", times: known };
  const read = readCronFields(expression);
  if ("problem" in read) return read.problem;
  const times = civilTimesOf(read.fields, hashSeed);
  if ("message" in times) return times;
  if (!everMatches(times.days)) {
    const { position, text } = read.fields.dayOfMonth;
    return {
      position,
      message: `it never runs: none of its months has such a day (${JSON.stringify(text)})`,
    };
  }
  const hashed = Object.values(read.fields).some(({ items }) => items.some(({ kind }) => kind === "hashed"));
  if (!hashed) {
    if (knownTimes.size >= timesRemembered) knownTimes.clear();
    knownTimes.set(expression, times);
  }
  return { kind: "cron", times };
}

function civilTimesOf(fields: CronFields, hashSeed: string): CivilTimes | Refusal {
  const values = {} as Record<FieldName, number[]>;
  const hashed = hashedValues(fields, hashSeed);
  for (const field of Object.values(fields)) {
    const read = valuesOf(field, hashed);
    if ("message" in read) return read;
    values[field.name] = read;
  }
  return {
    days: dayRuleOf(fields, values),
    hours: values.hour,
    minutes: values.minute,
    seconds: values.second,
    wildcard: fields.minute.star || fields.hour.star,
  };
}

function dayRuleOf({ dayOfMonth, dayOfWeek }: CronFields, values: Record<FieldName, number[]>): DayRule {
  const special = [...dayOfMonth.items, ...dayOfWeek.items];
  return {
    months: maskOf(values.month),
    daysOfMonth: maskOf(values.dayOfMonth),
    lastDays: special.flatMap((item) => (item.kind === "last-day" ? [item.before] : [])),
    nearestWeekdays: special.flatMap((item) => (item.kind === "nearest-weekday" ? [item.day] : [])),
    lastWeekday: special.some((item) => item.kind === "last-weekday"),
    weekdays: maskOf(values.dayOfWeek.map((weekday) => weekday % 7)),
    nthWeekdays: special.flatMap((item) => (item.kind === "nth-of-month" ? [item] : [])),
    lastOfWeekdays: maskOf(special.flatMap((item) => (item.kind === "last-of-month" ? [item.weekday] : []))),
    both: dayOfMonth.star || dayOfWeek.star,
  };
}

function maskOf(values: readonly number[]): number {
  let mask = 0;
  for (const value of values) mask |= 1 << value;
  return mask;
}

/** Ascending, each once. Items are read one by one, because cron-parser refuses overlapping lists and cron doesn't. */
function valuesOf(field: Field, hashed: ReadonlyMap<Item, readonly number[] | string>): number[] | Refusal {
  const values = new Set<number>();
  for (const item of field.items) {
    if (item.kind !== "values" && item.kind !== "hashed") continue;
    const read = item.kind === "values" ? knownValues(field.name, item.text) : (hashed.get(item) ?? []);
    if (typeof read === "string") {
      const message = `${JSON.stringify(item.text)} in the ${field.title} field: ${read}`;
      return { position: item.position, message };
    }
    for (const value of read) values.add(value);
  }
  return [...values].toSorted((a, b) => a - b);
}

/**
 * The values that the items with `H` stand for. They can't be cached by text, so cron-parser reads one item of every field at
 * a time. The month's items are read separately, because they would limit the days.
 */
function hashedValues(fields: CronFields, hashSeed: string): Map<Item, readonly number[] | string> {
  const values = new Map<Item, readonly number[] | string>();
  const waiting = parserOrder.map((name) => ({
    name,
    items: fields[name].items.filter((item) => item.kind === "hashed"),
  }));
  const month = waiting.filter(({ name }) => name === "month");
  const others = waiting.filter(({ name }) => name !== "month");
  for (const group of [others, month]) {
    const rounds = Math.max(...group.map(({ items }) => items.length));
    for (let round = 0; round < rounds; round++) {
      const texts: Partial<Record<FieldName, string>> = {};
      for (const { name, items } of group) {
        const item = items[round];
        if (item !== undefined) texts[name] = hashedText(name, item.text);
      }
      const read = askParser(texts, hashSeed);
      for (const { name, items } of group) {
        const item = items[round];
        if (item !== undefined) values.set(item, typeof read === "string" ? read : read(name));
      }
    }
  }
  return values;
}

/** Limits a hashed day to days that every month has, and makes all weekdays equally likely. */
function hashedText(field: FieldName, text: string): string {
  if (field === "dayOfMonth") return text.replace(/^H(?!\()/, "H(1-28)");
  if (field === "dayOfWeek") return text.replace(/^H(?!\()/, "H(0-6)");
  return text;
}

const valuesByItem = new Map<string, readonly number[] | string>();
/** The largest size of the cache, more than people write. Beyond it the cache is emptied. */
const itemsRemembered = 10_000;

function knownValues(field: FieldName, text: string): readonly number[] | string {
  const key = `${field} ${text}`;
  let values = valuesByItem.get(key);
  if (values === undefined) {
    if (valuesByItem.size >= itemsRemembered) valuesByItem.clear();
    const read = askParser({ [field]: text }, "none");
    values = typeof read === "string" ? read : read(field);
    valuesByItem.set(key, values);
  }
  return values;
}

const parserOrder: readonly FieldName[] = ["second", "minute", "hour", "dayOfMonth", "month", "dayOfWeek"];

/** The values that the items stand for according to cron-parser, by field; a string says why it refused them. */
function askParser(
  items: Partial<Record<FieldName, string>>,
  hashSeed: string,
): string | ((field: FieldName) => readonly number[]) {
  const expression = parserOrder.map((name) => items[name] ?? "*").join(" ");
  try {
    // An empty seed would be replaced by a random one.
    const options = { currentDate: 0, tz: "UTC", hashSeed: hashSeed === "" ? "none" : hashSeed };
    const { fields } = CronExpressionParser.parse(expression, options);
    return (field) => {
      const values: readonly (number | string)[] = fields[field].values;
      return values.filter((value) => typeof value === "number");
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
