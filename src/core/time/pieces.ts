/**
 * The ticks of a schedule of which other expressions leave some out.
 *
 * Time is divided into pieces: one civil day of one stretch of the zone. Whole pieces that look alike (the same times of day of
 * the expressions that name the day, the same clocks, the same phase of the periods) have the same ticks, so one of each kind is
 * listed and remembered. So a gap of years is counted day by day and not tick by tick, and a next tick that lies years ahead is
 * found without listing what is left out before it.
 */
import { sameValue } from "../../schema/equal.ts";
import { dateOfDay, dayOfDate, daySeconds, isLeapYear, weekdayOf } from "./calendar.ts";
import { matchingDays, type DayRule } from "./crondays.ts";
import type { CivilTimes } from "./daylight.ts";
import type { Exclusions } from "./exclusions.ts";
import { appendRule, listRules, type Rule } from "./rules.ts";
import type { Stretch, Zone } from "./zone.ts";

/** A schedule whose exclusions have expressions. The days of its exclusions are not judged here. */
export interface Thinned {
  readonly zone: Zone;
  readonly rules: readonly Rule[];
  readonly exclusions: Exclusions;
}

interface Piece {
  from: number;
  to: number;
  /** equal for pieces that look alike; undefined = this one is like no other */
  kind: string | undefined;
}

/** What a piece holds. */
interface Content {
  /** ticks before the exclusions */
  planned: number;
  /** ticks that are left */
  count: number;
  /** those ticks, in seconds from the piece's beginning, unless they are quickly found among the planned ones */
  offsets: readonly number[] | undefined;
}

interface Memory {
  contents: Map<string, Content>;
  /** the days of all expressions that name days; of those with the same times of day together */
  dated: readonly (readonly DayRule[])[];
  /** the expressions that don't */
  undated: readonly Exclude<Rule, { kind: "cron" }>[];
  /** which of `dated` name a day, as a number for each set of them, by how the day's year begins and its place in that year */
  days: Map<number, number>;
  /** the numbers of these sets */
  sets: Map<string, number>;
  /** no tick is left from this second on */
  noneFrom: number;
  /** ticks listed so far, left or not, `workOfRule` for each time that a rule was asked for some, and a share of the seconds */
  work: number;
}

/** Kinds of pieces remembered for one schedule; most have fewer than ten. Beyond it they are forgotten. */
const kindsMax = 256;
/** Up to this many ticks of a piece are always remembered. */
const offsetsKept = 96;
/** More are remembered where they are fewer than one in this many seconds. */
const sparseness = 4;
/** The calendar repeats every 400 years: where this many days hold no tick, none ever will. */
const hopelessPieces = 147_200;
/**
 * So much work without a tick ends a search, as if none ever came; it takes half a second. A list of expressions that leaves
 * nothing, by days that are never alike, would otherwise take hours. Less may overlook ticks after years of days that are planned
 * and left out.
 */
const workMax = 5_000_000;
/** A search for several ticks that has found some ends after this many times that much. */
const workRounds = 4;
const workOfRule = 50;
/** Seconds of a piece that are noted and looked through for one step of work. */
const secondsPerWork = 128;
/** Seconds that are looked through at first for the next ticks of a piece with many. */
const firstLook = 64;

const memories = new WeakMap<Exclusions, Memory>();

/** One search for ticks. What it costs is added up over all the parts of time in which it looks. */
export interface Search {
  /** the schedule's work when it began */
  readonly begun: number;
  /** … and when it last found a tick */
  sinceLast: number;
}

export function beginSearch(schedule: Thinned): Search {
  const { work } = memoryOf(schedule);
  return { begun: work, sinceLast: work };
}

/**
 * Appends the ticks that are left in `from ≤ tick < to`, ascending, until `seconds` holds `enough`. False: the search has cost so
 * much that it is over, and later parts must not be looked at.
 */
export function appendLeft(
  schedule: Thinned,
  search: Search,
  { from, to }: { from: number; to: number },
  enough: number,
  seconds: number[],
): boolean {
  const memory = memoryOf(schedule);
  const end = Math.min(to, memory.noneFrom);
  let empty = 0;
  let emptyFrom = from;
  for (let at = from; at < end && seconds.length < enough;) {
    const piece = pieceAt(schedule, memory, at);
    const { planned, count, offsets } = contentOf(schedule, piece, memory);
    const until = Math.min(piece.to, end);
    const found = seconds.length;
    if (offsets === undefined) appendAmong(schedule, memory, { from: at, to: until }, enough, seconds);
    else {
      for (const offset of offsets) {
        const second = piece.from + offset;
        if (second >= at && second < until && seconds.length < enough) seconds.push(second);
      }
    }
    if (seconds.length > found) search.sinceLast = memory.work;
    if (count > 0) empty = 0;
    else if (empty++ === 0) emptyFrom = piece.from;
    if (empty > hopelessPieces || (empty > 0 && memory.work - search.sinceLast > workMax)) {
      memory.noneFrom = emptyFrom;
      return false;
    }
    if (enough < Infinity && seconds.length > 0 && memory.work - search.begun > workRounds * workMax)
      return false;
    at = planned > 0 ? until : (listRules(schedule.rules, schedule.zone, until, end, 1)[0] ?? end);
  }
  return true;
}

/** How many ticks are left in `from ≤ tick < to`. */
export function countLeft(schedule: Thinned, from: number, to: number): number {
  const memory = memoryOf(schedule);
  const end = Math.min(to, memory.noneFrom);
  let total = 0;
  for (let at = from; at < end;) {
    const piece = pieceAt(schedule, memory, at);
    if (at === piece.from && piece.to <= end) total += contentOf(schedule, piece, memory).count;
    else total += listLeft(schedule, memory, at, Math.min(piece.to, end)).left.length;
    at = piece.to;
  }
  return total;
}

/** The ticks of a piece with many of them, found by listing a little at a time. */
function appendAmong(
  schedule: Thinned,
  memory: Memory,
  { from, to }: { from: number; to: number },
  enough: number,
  seconds: number[],
): void {
  for (let at = from, length = firstLook; at < to && seconds.length < enough; length *= 4) {
    const until = Math.min(to, at + length);
    for (const second of listLeft(schedule, memory, at, until).left)
      if (seconds.length < enough) seconds.push(second);
    at = until;
  }
}

function memoryOf({ rules, exclusions }: Thinned): Memory {
  let memory = memories.get(exclusions);
  if (memory === undefined) {
    // People write such a list instead of disabling the job. It is noticed without searching the calendar.
    const isAll = rules.every((rule) => exclusions.rules.some((excluded) => covers(excluded, rule)));
    const all = [...rules, ...exclusions.rules];
    memory = {
      contents: new Map(),
      dated: [...daysByTimes(rules), ...daysByTimes(exclusions.rules)],
      undated: all.filter((rule) => rule.kind !== "cron"),
      days: new Map(),
      sets: new Map(),
      noneFrom: isAll ? -Infinity : Infinity,
      work: 0,
    };
    memories.set(exclusions, memory);
  }
  return memory;
}

/**
 * The days that the expressions name, by the times of day that they name on them. Expressions that differ only in their days do
 * the same to each day that one of them names: thirty that leave out a day of the month each are looked at as one.
 */
function daysByTimes(rules: readonly Rule[]): DayRule[][] {
  const cron = rules.flatMap((rule) => (rule.kind === "cron" ? [rule.times] : []));
  return [...Map.groupBy(cron, timesOfDay).values()].map((alike) => alike.map(({ days }) => days));
}

function timesOfDay({ hours, minutes, seconds, wildcard }: CivilTimes): string {
  return JSON.stringify([hours, minutes, seconds, wildcard]);
}

/** True only if each tick of `rule` is also one of `whole`. */
function covers(whole: Rule, rule: Rule): boolean {
  if (whole.kind === "every") return rule.kind === "every" && rule.periodSeconds % whole.periodSeconds === 0;
  if (whole.kind !== "cron" || rule.kind !== "cron") return false;
  const [all, some] = [whole.times, rule.times];
  const holds = (list: "hours" | "minutes" | "seconds") =>
    some[list].every((value) => all[list].includes(value));
  return (
    all.wildcard === some.wildcard &&
    holds("hours") &&
    holds("minutes") &&
    holds("seconds") &&
    (isEveryDay(all.days) || sameValue(all.days, some.days))
  );
}

const everyMonth = 0b1_1111_1111_1110;
const everyDate = -2;
const everyWeekday = 0b111_1111;

function isEveryDay({ months, daysOfMonth, weekdays }: DayRule): boolean {
  return months === everyMonth && daysOfMonth === everyDate && weekdays === everyWeekday;
}

function contentOf(schedule: Thinned, piece: Piece, memory: Memory): Content {
  const { contents } = memory;
  const known = piece.kind === undefined ? undefined : contents.get(piece.kind);
  if (known !== undefined) return known;
  const { planned, left } = listLeft(schedule, memory, piece.from, piece.to);
  const isListed = left.length <= offsetsKept || left.length * sparseness < planned;
  const offsets = isListed ? left.map((second) => second - piece.from) : undefined;
  const content = { planned, count: left.length, offsets };
  if (contents.size >= kindsMax) contents.clear();
  if (piece.kind !== undefined) contents.set(piece.kind, content);
  return content;
}

function listLeft(
  { zone, rules, exclusions }: Thinned,
  memory: Memory,
  from: number,
  to: number,
): { planned: number; left: number[] } {
  /** for each second: 1 = planned, 2 = left out */
  const states = new Uint8Array(Math.max(0, to - from));
  memory.work += Math.floor(states.length / secondsPerWork);
  const listed = (rule: Rule): number[] => {
    const ticks: number[] = [];
    appendRule(rule, zone, from, to, Infinity, ticks);
    memory.work += ticks.length + workOfRule;
    return ticks;
  };
  let planned = 0;
  for (const rule of rules) {
    for (const second of listed(rule)) {
      if (states[second - from] === 1) continue;
      states[second - from] = 1;
      planned++;
    }
  }
  let rest = planned;
  for (const rule of exclusions.rules) {
    if (rest === 0) break;
    for (const second of listed(rule)) {
      if (states[second - from] !== 1) continue;
      states[second - from] = 2;
      rest--;
    }
  }
  const left: number[] = [];
  for (let at = states.indexOf(1); at !== -1; at = states.indexOf(1, at + 1)) left.push(from + at);
  return { planned, left };
}

/** The piece that holds the instant. */
function pieceAt({ zone }: Thinned, memory: Memory, second: number): Piece {
  const { start, end, offset, reached } = wholeStretch(zone, second);
  const day = Math.floor((second + offset) / daySeconds);
  const midnight = day * daySeconds;
  const from = Math.max(start, midnight - offset, 0);
  const to = Math.min(end, midnight + daySeconds - offset);
  const shown = from + offset;
  // Where the clocks jump, the times that they jump over count at the first instant after it.
  const isAfterJump = from === start && reached < shown;
  const parts = [shown - midnight, to - from];
  if (isAfterJump || reached > shown) parts.push(reached - midnight);
  for (const rule of memory.undated) {
    if (rule.kind === "every") parts.push(from % rule.periodSeconds);
    else if (from <= rule.second && rule.second < to) return { from, to, kind: undefined };
  }
  parts.push(namedOn(memory, day));
  if (isAfterJump) parts.push(namedOn(memory, day - 1));
  const isLongJump = isAfterJump && reached < midnight - daySeconds;
  return { from, to, kind: isLongJump ? undefined : parts.join(" ") };
}

/** The stretch that holds the instant. Where the zone's table cuts one in two, at least a day on both sides is united. */
function wholeStretch(zone: Zone, second: number): Stretch {
  const stretch = zone.stretchAt(second);
  const before = stretch.start > 0 ? zone.stretchAt(stretch.start - 1) : stretch;
  const after = zone.stretchAt(stretch.end);
  const first = before.offset === stretch.offset ? before : stretch;
  const last = after.offset === stretch.offset ? after : stretch;
  return { start: first.start, end: last.end, offset: stretch.offset, reached: first.reached };
}

/**
 * Which expressions name the day, as a number. There are 14 kinds of years, in each of which an expression names the same days; so
 * hundreds of expressions are compared with some thousand days and not with each day of 400 years.
 */
function namedOn({ dated, days, sets }: Memory, day: number): number {
  const { year, month, day: date } = dateOfDay(day);
  const begin = weekdayOf(dayOfDate(year, 1, 1)) + (isLeapYear(year) ? 7 : 0);
  const place = (begin * 13 + month) * 32 + date;
  const known = days.get(place);
  if (known !== undefined) return known;
  const names = (rule: DayRule): boolean => ((matchingDays(rule, year, month) >> date) & 1) === 1;
  const named = dated.map((alike) => Number(alike.some(names))).join("");
  const number = sets.get(named) ?? sets.size;
  sets.set(named, number);
  days.set(place, number);
  return number;
}
