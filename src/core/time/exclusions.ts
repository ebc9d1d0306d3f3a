/**
 * What a schedule leaves out: days, ranges of days, named calendars, and the ticks of other expressions.
 *
 * A day is left out from its first to its last instant in the schedule's zone, however long it is. Ticks are judged by
 * when they are due by the schedule, so a jitter moves none into or out of a day that is left out.
 */
import { calendarNamedBy } from "../../schema/calendar.ts";
import { settingNamePattern } from "../../schema/setting.ts";
import { instantsOfDays, readDays, united, type Days, type Span } from "./days.ts";
import { spansOf, type NamedCalendars } from "./named-calendar.ts";
import { readRule, type Rule } from "./rules.ts";
import type { Zone } from "./zone.ts";

export interface Exclusions {
  /** oldest first; they neither overlap nor touch */
  readonly spans: readonly Span[];
  /** expressions whose ticks are left out */
  readonly rules: readonly Rule[];
  /** calendars of which nothing is known from a second on, because they are missing or end there */
  readonly unknown: readonly UnknownCalendar[];
}

export interface UnknownCalendar {
  readonly name: string;
  /** which entry of the list */
  readonly index: number;
  /** -Infinity = it is missing */
  readonly from: number;
}

export interface ExclusionProblem {
  /** which entry of the list */
  index: number;
  message: string;
}

const exclusionHint =
  "write a date such as 2026-12-24, a range such as 2026-12-24/2027-01-02, calendar:NAME, or a cron expression whose ticks are left out";

/** What a list leaves out; undefined for an empty one, which leaves nothing out. */
export function readExclusions(
  entries: readonly string[],
  zone: Zone,
  hashSeed: string,
  calendars: NamedCalendars,
): { exclusions: Exclusions | undefined; problems: ExclusionProblem[] } {
  const spans: Span[] = [];
  const rules: Rule[] = [];
  const unknown: UnknownCalendar[] = [];
  const problems: ExclusionProblem[] = [];
  for (const [index, entry] of entries.entries()) {
    const read = readEntry(entry.trim(), hashSeed);
    if ("message" in read) problems.push({ index, message: read.message });
    else if ("kind" in read) rules.push(read);
    else if ("calendar" in read) {
      const calendar = calendars.get(read.calendar);
      if (calendar !== undefined) spans.push(...spansOf(calendar, zone));
      const from = calendar?.knownUntil ?? -Infinity;
      if (from < Infinity) unknown.push({ name: read.calendar, index, from });
    } else spans.push(...instantsOfDays(zone, read));
  }
  if (entries.length === 0 || problems.length > 0) return { exclusions: undefined, problems };
  return { exclusions: { spans: united(spans), rules, unknown }, problems };
}

const nameForm = new RegExp(settingNamePattern);

/** The calendars that the entries name, each once. */
export function calendarsIn(entries: readonly string[]): string[] {
  return [...new Set(entries.flatMap((entry) => calendarNamedBy(entry) ?? []))];
}

function readEntry(
  entry: string,
  hashSeed: string,
): Days | { calendar: string } | Rule | { message: string } {
  const calendar = calendarNamedBy(entry);
  if (calendar !== undefined) {
    if (nameForm.test(calendar)) return { calendar };
    const message = `${JSON.stringify(calendar)} can't be a calendar's name: it is 1 to 64 characters from a-z, 0-9, '.', '_' and '-', and begins with a letter or digit`;
    return { message };
  }
  // What begins like a date is meant as one.
  if (/^\d{4}-/.test(entry)) return readDays(entry, exclusionHint);
  const rule = readRule(entry, hashSeed);
  if ("kind" in rule) return rule;
  const { position, message } = rule;
  const where = position === undefined ? "" : ` (at character ${position})`;
  return {
    message: `${JSON.stringify(entry)} can't be used in except: ${message}${where}; ${exclusionHint}`,
  };
}

/** The first calendar of which nothing is known at the instant (ms); undefined = all are known. */
export function unknownAt(exclusions: Exclusions | undefined, instant: number): UnknownCalendar | undefined {
  return exclusions?.unknown.find(({ from }) => from * 1_000 <= instant);
}

/** The parts of the interval that no day covers, oldest first; seconds, the end not included. */
export function* partsOutside(spans: readonly Span[], from: number, to: number): Generator<Span> {
  let at = from;
  for (let index = firstAfter(spans, from); index < spans.length; index++) {
    const span = spans[index];
    if (span === undefined || span.from >= to) break;
    if (at < span.from) yield { from: at, to: span.from };
    at = span.to;
  }
  if (at < to) yield { from: at, to };
}

/** The place of the first span that ends after the second. A calendar may have thousands. */
function firstAfter(spans: readonly Span[], second: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.to ?? Infinity) > second) high = middle;
    else low = middle + 1;
  }
  return low;
}
