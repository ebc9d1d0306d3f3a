/**
 * One expression of a schedule: what it means, and its ticks.
 *
 * cron-parser reads which values the items of a cron expression stand for. It does not compute the ticks, because near a
 * change of the clocks its answer depends on the instant from which one asks. `@every` and `rate()` count from the epoch,
 * so that no restart shifts them. Everything is in whole seconds since the epoch.
 *
 * What an expression means is cached by its text: a mesh's jobs share few expressions, and the meaning never changes.
 */
import { CronExpressionParser } from "cron-parser";
import { everMatches, type DayRule } from "./crondays.ts";
import { readCronFields, type CronFields, type Field, type FieldName, type Item } from "./cronfields.ts";
import { appendTicks, type CivilTimes } from "./daylight.ts";
import { readShorthand, type Moment, type Period, type Refusal } from "./shorthand.ts";
import type { Zone } from "./zone.ts";

export type Rule = { kind: "cron"; times: CivilTimes } | Period | Moment;

/** The ticks of the rules in `from ≤ tick < to`, ascending, each once; with a limit, only the first ones. */
export function listRules(
  rules: readonly Rule[],
  zone: Zone,
  from: number,
  to: number,
  limit: number,
): number[] {
  const [only] = rules;
  if (only === undefined) return [];
  const seconds: number[] = [];
  appendRule(only, zone, from, to, limit, seconds);
  if (rules.length === 1) return seconds;
  for (const rule of rules.slice(1)) {
    const own: number[] = [];
    appendRule(rule, zone, from, to, limit, own);
    for (const second of own) seconds.push(second);
  }
  seconds.sort((a, b) => a - b);
  const each: number[] = [];
  for (const second of seconds) {
    if (each.length >= limit) break;
    if (second !== each.at(-1)) each.push(second);
  }
  return each;
}

/** Appends the rule's ticks, ascending, at most `limit`, to an empty list. */
export function appendRule(
  rule: Rule,
  zone: Zone,
  from: number,
  to: number,
  limit: number,
  ticks: number[],
): void {
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

/** What an expression means. `hashSeed` (the job's id) decides what `H` stands for. */
export function readRule(expression: string, hashSeed: string): Rule | Refusal {
  const short = readShorthand(expression);
  if (short === undefined) return readCron(expression, hashSeed);
  return "cron" in short ? readCron(short.cron, hashSeed) : short;
}

const knownTimes = new Map<string, CivilTimes>();
/** A few hundred bytes each. Beyond it the cache is emptied. */
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
      message: `it never comes: none of its months has such a day (${JSON.stringify(text)})`,
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

/** Ascending, each once. Items are read one by one, because cron-parser refuses lists that overlap and cron doesn't. */
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
 * What the items with `H` stand for. It can't be cached by text, so one item of every field is read at a time. The
 * month's is read apart, because it would limit the days.
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

/** A hashed day exists in every month, and no weekday is twice as likely as the others. */
function hashedText(field: FieldName, text: string): string {
  if (field === "dayOfMonth") return text.replace(/^H(?!\()/, "H(1-28)");
  if (field === "dayOfWeek") return text.replace(/^H(?!\()/, "H(0-6)");
  return text;
}

const valuesByItem = new Map<string, readonly number[] | string>();
/** More than people write. Beyond it the cache is emptied. */
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

/** What cron-parser says that the items stand for, by field; a string says why it refused them. */
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
