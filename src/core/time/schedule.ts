/**
 * When a job is due: reads schedules, and lists their ticks as a pure function of the interval (DESIGN §11).
 *
 * A schedule is a list of expressions in one time zone. Its ticks are the union of their ticks, without those that it leaves
 * out. Instants in this file's exports are milliseconds, always whole seconds, from 1970 to the end of 9999.
 */
import { lastSecond } from "./calendar.ts";
import { partsOutside, readExclusions, type Exclusions } from "./exclusions.ts";
import type { NamedCalendars } from "./named-calendar.ts";
import { appendLeft, beginSearch } from "./pieces.ts";
import { listRules, readRule, type Rule } from "./rules.ts";
import { zoneOf, zoneProblem, type Zone } from "./zone.ts";

/** Made by `parseSchedule`. Files outside this folder use it only through the folder's functions. */
export interface Schedule {
  readonly zone: Zone;
  readonly rules: readonly Rule[];
  /** undefined = it leaves nothing out */
  readonly exclusions: Exclusions | undefined;
}

export interface ScheduleProblem {
  field: "schedule" | "timezone" | "except";
  /** which entry of the field's list */
  index: number;
  /** the character of the expression, counted from 1 */
  position?: number;
  message: string;
}

export type ReadSchedule = { ok: true; schedule: Schedule } | { ok: false; problems: ScheduleProblem[] };

const noCalendars: NamedCalendars = new Map();

/**
 * `hashSeed` (the job's id) decides what `H` stands for; `except` is what is left out. A calendar that it names and that is not
 * among `calendars` is no problem here: its ticks are known to be unknown (exclusions.ts).
 */
export function parseSchedule(
  expressions: string | readonly string[],
  timezone: string,
  hashSeed: string,
  except: readonly string[] = [],
  calendars: NamedCalendars = noCalendars,
): ReadSchedule {
  const list = typeof expressions === "string" ? [expressions] : expressions;
  const [only] = list;
  const isPlain = only !== undefined && list.length === 1 && except.length === 0 && !/h/i.test(only);
  if (!isPlain) return readSchedule(list, timezone, hashSeed, except, calendars);
  const key = `${timezone} ${only}`;
  const known = knownSchedules.get(key);
  if (known !== undefined) return known;
  const read = readSchedule(list, timezone, hashSeed, except, calendars);
  if (!read.ok) return read;
  if (knownSchedules.size >= schedulesRemembered) knownSchedules.clear();
  knownSchedules.set(key, read);
  lastAnswers.set(read.schedule, { after: Infinity, tick: -Infinity });
  return read;
}

/** Schedules of one expression without `H`, which mean the same for every job: 100,000 jobs share a few. */
const knownSchedules = new Map<string, ReadSchedule>();
/** With more, the cache is emptied, and later jobs share new ones. */
const schedulesRemembered = 1_024;
/**
 * The last answer for each schedule that is shared: `tick` is the first one after `after`, and so after every instant between the
 * two.
 */
const lastAnswers = new WeakMap<Schedule, { after: number; tick: number }>();

function readSchedule(
  list: readonly string[],
  timezone: string,
  hashSeed: string,
  except: readonly string[],
  calendars: NamedCalendars,
): ReadSchedule {
  const problems: ScheduleProblem[] = [];
  const rules: Rule[] = [];
  for (const [index, expression] of list.entries()) {
    const read = readRule(expression.trim(), hashSeed);
    if ("kind" in read) {
      rules.push(read);
      continue;
    }
    const { position, message } = read;
    problems.push({
      field: "schedule",
      index,
      ...(position === undefined ? {} : { position }),
      message: position === undefined ? message : `${message} (at character ${position})`,
    });
  }
  if (list.length === 0) {
    const message = "the list of schedules is empty: omit the field instead";
    problems.push({ field: "schedule", index: 0, message });
  }
  const zone = zoneOf(timezone);
  if (zone === undefined) {
    const message = zoneProblem(timezone) ?? "no such time zone";
    return { ok: false, problems: [...problems, { field: "timezone", index: 0, message }] };
  }
  const left = readExclusions(except, zone, hashSeed, calendars);
  for (const problem of left.problems) problems.push({ field: "except", ...problem });
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, schedule: { zone, rules, exclusions: left.exclusions } };
}

/** The schedule as it would be if it left nothing out. */
export function withoutExclusions(schedule: Schedule): Schedule {
  return { ...schedule, exclusions: undefined };
}

/** The ticks with `from ≤ tick < to`, ascending, each once; with a limit, only the first ones. */
export function ticksBetween(schedule: Schedule, from: number, to: number, limit = Infinity): number[] {
  const fromSecond = Math.max(0, Math.ceil(from / 1_000));
  const toSecond = Math.min(lastSecond + 1, Math.ceil(to / 1_000));
  const { zone, rules, exclusions } = schedule;
  const seconds =
    exclusions === undefined
      ? listRules(rules, zone, fromSecond, toSecond, limit)
      : listLeft({ zone, rules, exclusions }, fromSecond, toSecond, limit);
  for (let index = 0; index < seconds.length; index++) seconds[index] = (seconds[index] ?? 0) * 1_000;
  return seconds;
}

function listLeft(
  schedule: Schedule & { exclusions: Exclusions },
  from: number,
  to: number,
  limit: number,
): number[] {
  const { zone, rules, exclusions } = schedule;
  const seconds: number[] = [];
  const search = beginSearch(schedule);
  for (const part of partsOutside(exclusions.spans, from, to)) {
    if (seconds.length >= limit) break;
    if (exclusions.rules.length > 0) {
      if (!appendLeft(schedule, search, part, limit, seconds)) break;
    } else {
      for (const second of listRules(rules, zone, part.from, part.to, limit - seconds.length))
        seconds.push(second);
    }
  }
  return seconds;
}

/** The first tick strictly after the instant; undefined when there is none. */
export function nextTick(schedule: Schedule, after: number): number | undefined {
  const last = lastAnswers.get(schedule);
  if (last !== undefined && last.after <= after && after < last.tick) return last.tick;
  const [tick] = ticksBetween(schedule, after + 1, Infinity, 1);
  if (last !== undefined && tick !== undefined) {
    last.after = after;
    last.tick = tick;
  }
  return tick;
}

/** Ticks and days of the schedule in which its shortest period is looked for, in a year whose February is short. */
const searched = { ticks: 2_000, days: 400, from: Date.UTC(2025, 0, 1) };

/** True if two ticks of the schedule, next to each other, are less than that many ms apart. */
export function isShorterApart(schedule: Schedule, ms: number): boolean {
  const to = searched.from + searched.days * 86_400_000;
  const ticks = ticksBetween(schedule, searched.from, to, searched.ticks);
  return ticks.some((tick, index) => tick - (ticks[index - 1] ?? -Infinity) < ms);
}
