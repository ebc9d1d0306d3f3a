/**
 * The ticks of a schedule of which other expressions leave some out.
 *
 * Time is divided into pieces: one civil day of one stretch of the zone. Whole pieces that look alike (the same days of
 * the expressions, the same clocks, the same phase of the periods) have the same ticks, so one of each kind is listed
 * and remembered. So a gap of years is counted day by day and not tick by tick, and a next tick that lies years ahead
 * is found without listing what is left out before it.
 */
import { sameValue } from "../../schema/equal.ts";
import { dateOfDay, daySeconds } from "./calendar.ts";
import { matchingDays, type DayRule } from "./crondays.ts";
import type { CivilTimes } from "./daylight.ts";
import type { Exclusions } from "./exclusions.ts";
import { listRules, type Rule } from "./rules.ts";
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
  /** no tick is left from this second on */
  noneFrom: number;
}

/** Kinds of pieces remembered for one schedule; most have fewer than ten. Beyond it they are forgotten. */
const kindsMax = 256;
/** As many ticks of a piece are always remembered. */
const offsetsKept = 96;
/** More are remembered where they are fewer than one in so many. */
const sparseness = 4;
/** The calendar repeats every 400 years: where so many days hold no tick, none ever will. */
const hopelessPieces = 147_200;
/** Seconds that are looked through at first for the next ticks of a piece with many. */
const firstLook = 64;

const memories = new WeakMap<Exclusions, Memory>();

/** Appends the ticks that are left in `from ≤ tick < to`, ascending, until `seconds` holds `enough`. */
export function appendLeft(
  schedule: Thinned,
  from: number,
  to: number,
  enough: number,
  seconds: number[],
): void {
  const memory = memoryOf(schedule);
  const end = Math.min(to, memory.noneFrom);
  let empty = 0;
  let emptyFrom = from;
  for (let at = from; at < end && seconds.length < enough;) {
    const piece = pieceAt(schedule, at);
    const { planned, count, offsets } = contentOf(schedule, piece, memory);
    const until = Math.min(piece.to, end);
    if (offsets === undefined) appendAmong(schedule, at, until, enough, seconds);
    else {
      for (const offset of offsets) {
        const second = piece.from + offset;
        if (second >= at && second < until && seconds.length < enough) seconds.push(second);
      }
    }
    if (count > 0) empty = 0;
    else if (empty++ === 0) emptyFrom = piece.from;
    if (empty > hopelessPieces) {
      memory.noneFrom = emptyFrom;
      return;
    }
    at = planned > 0 ? until : (listRules(schedule.rules, schedule.zone, until, end, 1)[0] ?? end);
  }
}

/** How many ticks are left in `from ≤ tick < to`. */
export function countLeft(schedule: Thinned, from: number, to: number): number {
  const memory = memoryOf(schedule);
  const end = Math.min(to, memory.noneFrom);
  let total = 0;
  for (let at = from; at < end;) {
    const piece = pieceAt(schedule, at);
    if (at === piece.from && piece.to <= end) total += contentOf(schedule, piece, memory).count;
    else total += listLeft(schedule, at, Math.min(piece.to, end)).left.length;
    at = piece.to;
  }
  return total;
}

/** The ticks of a piece with many of them, found by listing a little at a time. */
function appendAmong(schedule: Thinned, from: number, to: number, enough: number, seconds: number[]): void {
  for (let at = from, look = firstLook; at < to && seconds.length < enough; look *= 4) {
    const until = Math.min(to, at + look);
    for (const second of listLeft(schedule, at, until).left)
      if (seconds.length < enough) seconds.push(second);
    at = until;
  }
}

function memoryOf({ rules, exclusions }: Thinned): Memory {
  let memory = memories.get(exclusions);
  if (memory === undefined) {
    // People write such a list instead of disabling the job. It is noticed without searching the calendar.
    const isAll = rules.every((rule) => exclusions.rules.some((excluded) => covers(excluded, rule)));
    memory = { contents: new Map(), noneFrom: isAll ? -Infinity : Infinity };
    memories.set(exclusions, memory);
  }
  return memory;
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

function contentOf(schedule: Thinned, piece: Piece, { contents }: Memory): Content {
  const known = piece.kind === undefined ? undefined : contents.get(piece.kind);
  if (known !== undefined) return known;
  const { planned, left } = listLeft(schedule, piece.from, piece.to);
  const isListed = left.length <= offsetsKept || left.length * sparseness < planned;
  const offsets = isListed ? left.map((second) => second - piece.from) : undefined;
  const content = { planned, count: left.length, offsets };
  if (contents.size >= kindsMax) contents.clear();
  if (piece.kind !== undefined) contents.set(piece.kind, content);
  return content;
}

function listLeft(
  { zone, rules, exclusions }: Thinned,
  from: number,
  to: number,
): { planned: number; left: number[] } {
  const planned = listRules(rules, zone, from, to, Infinity);
  if (planned.length === 0) return { planned: 0, left: planned };
  const excluded = new Set(listRules(exclusions.rules, zone, from, to, Infinity));
  return { planned: planned.length, left: planned.filter((second) => !excluded.has(second)) };
}

/** The piece that holds the instant. */
function pieceAt({ zone, rules, exclusions }: Thinned, second: number): Piece {
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
  for (const rule of [...rules, ...exclusions.rules]) {
    if (rule.kind === "every") parts.push(from % rule.periodSeconds);
    else if (rule.kind === "at") {
      if (from <= rule.second && rule.second < to) return { from, to, kind: undefined };
    } else {
      parts.push(isNamed(rule.times, day));
      if (isAfterJump) parts.push(isNamed(rule.times, day - 1));
    }
  }
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

/** 1 when the expression names the day, otherwise 0. */
function isNamed({ days }: CivilTimes, day: number): number {
  const date = dateOfDay(day);
  return (matchingDays(days, date.year, date.month) >> date.day) & 1;
}
