/**
 * What a schedule leaves out: days, ranges of days, and the ticks of other expressions.
 *
 * A day is left out from its first to its last instant in the schedule's zone, however long it is. Ticks are judged by
 * when they are due by the schedule, so a jitter moves none into or out of a day that is left out.
 */
import { dayOfDate, daysInMonth, daySeconds, lastSecond } from "./calendar.ts";
import { readRule, type Rule } from "./rules.ts";
import type { Zone } from "./zone.ts";

/** A span of time; seconds since the epoch, the last one not included. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Exclusions {
  /** oldest first; they neither overlap nor touch */
  readonly spans: readonly Span[];
  /** expressions whose ticks are left out */
  readonly rules: readonly Rule[];
}

export interface ExclusionProblem {
  /** which entry of the list */
  index: number;
  message: string;
}

const exclusionHint =
  "write a date such as 2026-12-24, a range such as 2026-12-24/2027-01-02, or a cron expression whose ticks are left out";

/** The days and expressions of a list; undefined for an empty one, which leaves nothing out. */
export function readExclusions(
  entries: readonly string[],
  zone: Zone,
  hashSeed: string,
): { exclusions: Exclusions | undefined; problems: ExclusionProblem[] } {
  const spans: Span[] = [];
  const rules: Rule[] = [];
  const problems: ExclusionProblem[] = [];
  for (const [index, entry] of entries.entries()) {
    const read = readEntry(entry.trim(), hashSeed);
    if ("message" in read) problems.push({ index, message: read.message });
    else if ("kind" in read) rules.push(read);
    else spans.push(...instantsOfDays(zone, read.firstDay, read.lastDay));
  }
  if (entries.length === 0 || problems.length > 0) return { exclusions: undefined, problems };
  return { exclusions: { spans: united(spans), rules }, problems };
}

interface Days {
  /** days since the epoch, both included */
  firstDay: number;
  lastDay: number;
}

function readEntry(entry: string, hashSeed: string): Days | Rule | { message: string } {
  if (/^calendar:/i.test(entry))
    return { message: `this version doesn't have calendars yet: ${exclusionHint}` };
  // What begins like a date is meant as one.
  if (/^\d{4}-/.test(entry)) return readDays(entry);
  const rule = readRule(entry, hashSeed);
  if ("kind" in rule) return rule;
  const { position, message } = rule;
  const where = position === undefined ? "" : ` (at character ${position})`;
  return { message: `${JSON.stringify(entry)} can't be left out: ${message}${where}; ${exclusionHint}` };
}

function readDays(entry: string): Days | { message: string } {
  const [first = "", last = first, ...more] = entry.split("/");
  const [firstDay, lastDay] = [dayOfText(first), dayOfText(last)];
  const wrong = firstDay === undefined ? first : last;
  if (firstDay === undefined || lastDay === undefined || more.length > 0) {
    const what =
      more.length > 0 ? `${JSON.stringify(entry)} is not a range` : `no date ${JSON.stringify(wrong)}`;
    return { message: `${what}: ${exclusionHint}` };
  }
  if (lastDay < firstDay) return { message: `${JSON.stringify(entry)} ends before it begins` };
  return { firstDay, lastDay };
}

function dayOfText(text: string): number | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  return dayOfDate(year, month, day);
}

/** No zone is further than this from UTC, in seconds. */
const offsetMax = daySeconds;

/**
 * The instants at which a clock in the zone shows one of the days. Where the clocks go back over midnight, a day may be
 * shown twice with a part of the next one between.
 */
function instantsOfDays(zone: Zone, firstDay: number, lastDay: number): Span[] {
  const begin = firstDay * daySeconds;
  const end = (lastDay + 1) * daySeconds;
  const spans: Span[] = [];
  /** Only near the first and the last midnight do the offsets matter. */
  const addExact = (from: number, to: number) => {
    for (let at = Math.max(0, from); at < Math.min(to, lastSecond + 1);) {
      const stretch = zone.stretchAt(at);
      const until = Math.min(stretch.end, to);
      spans.push({ from: Math.max(at, begin - stretch.offset), to: Math.min(until, end - stretch.offset) });
      at = until;
    }
  };
  const [inner, innerEnd] = [begin + offsetMax, end - offsetMax];
  if (inner >= innerEnd) addExact(begin - offsetMax, end + offsetMax);
  else {
    addExact(begin - offsetMax, inner);
    spans.push({ from: inner, to: innerEnd });
    addExact(innerEnd, end + offsetMax);
  }
  return spans;
}

function united(spans: readonly Span[]): Span[] {
  const whole: Span[] = [];
  for (const span of spans.filter(({ from, to }) => from < to).toSorted((a, b) => a.from - b.from)) {
    const before = whole.at(-1);
    if (before === undefined || before.to < span.from) whole.push(span);
    else whole[whole.length - 1] = { from: before.from, to: Math.max(before.to, span.to) };
  }
  return whole;
}

/** The parts of the interval that no day covers, oldest first; seconds, the end not included. */
export function* partsOutside(spans: readonly Span[], from: number, to: number): Generator<Span> {
  let at = from;
  for (const span of spans) {
    if (span.to <= at) continue;
    if (span.from >= to) break;
    if (at < span.from) yield { from: at, to: span.from };
    at = span.to;
  }
  if (at < to) yield { from: at, to };
}
