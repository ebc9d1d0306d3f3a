/** Named calendars: what a person writes, checked and read. */
import { StoredCalendarSchema, type StoredCalendar } from "../../schema/calendar.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import { shapeOf } from "../../schema/shape.ts";
import { parseInstant } from "../time/calendar.ts";
import { readDays, type Span } from "../time/days.ts";
import { calendarsIn } from "../time/exclusions.ts";
import { readCivilSpan, type NamedCalendar, type NamedCalendars } from "../time/named-calendar.ts";
import { previewSchedule, type Preview, type PreviewRequest } from "../time/preview.ts";

/** The calendars of the table, as far as this version can read them. */
export interface Calendars {
  readonly named: NamedCalendars;
  /** a later version has written them, so this one can't tell which ticks they leave out */
  readonly unreadable: ReadonlySet<string>;
  /** when each was written, ms */
  readonly writtenAt: ReadonlyMap<string, number>;
  /** what the table holds */
  readonly entries: ReadonlyMap<string, unknown>;
}

export const noCalendars: Calendars = {
  named: new Map(),
  unreadable: new Set(),
  writtenAt: new Map(),
  entries: new Map(),
};

const shape = shapeOf(StoredCalendarSchema, 'such as {"dates": ["2026-12-24"]}');
const dateHint = "write a date such as 2026-12-24, or a range such as 2026-12-24/2027-01-02";

export function calendarProblems(value: unknown): readonly Problem[] {
  const shaped = shape.check(value);
  if (!shaped.ok) return shaped.problems;
  const { dates, ical, expanded } = shaped.value;
  if (dates === undefined && ical === undefined)
    return [{ pointer: "", message: 'give dates such as ["2026-12-24"], or iCalendar text' }];
  // Only a program that has read the text may write it.
  if ((ical === undefined) !== (expanded === undefined))
    return [{ pointer: "/ical", message: "iCalendar text is not read here" }];
  const problems: Problem[] = [];
  read(shaped.value, problems);
  return problems;
}

/** The entries of the table as calendars. A calendar that was there before was removed now (ms). */
export function readCalendars(
  entries: ReadonlyMap<string, unknown>,
  before = noCalendars,
  now = -Infinity,
): Calendars {
  const named = new Map<string, NamedCalendar>();
  const unreadable = new Set<string>();
  const writtenAt = new Map<string, number>();
  for (const [name, entry] of entries) {
    const known = before.entries.get(name) === entry ? before.named.get(name) : undefined;
    const shaped = shape.check(entry);
    const calendar = known ?? (shaped.ok ? read(shaped.value, []) : undefined);
    if (calendar === undefined) unreadable.add(name);
    else named.set(name, calendar);
    writtenAt.set(name, shaped.ok ? (shaped.value.at ?? -Infinity) : -Infinity);
  }
  for (const [name, at] of before.writtenAt)
    if (!entries.has(name)) writtenAt.set(name, before.entries.has(name) ? now : at);
  return { named, unreadable, writtenAt, entries };
}

export function calendarsOf({ except = [] }: Pick<JobSpec, "except">): readonly string[] {
  return except.length === 0 ? none : calendarsIn(except);
}

const none: readonly string[] = [];

/** When the last of a job's calendars was written (ms): its ticks up to it are those of another timetable. */
export function lastWritten({ writtenAt }: Calendars, names: readonly string[]): number {
  return Math.max(-Infinity, ...names.map((name) => writtenAt.get(name) ?? -Infinity));
}

/** A preview with the calendars of the table. */
export function previewWithCalendars(
  request: Omit<PreviewRequest, "calendars"> & { readonly calendars: ReadonlyMap<string, unknown> },
): Preview {
  return previewSchedule({ ...request, calendars: readCalendars(request.calendars).named });
}

/** Undefined if an entry can't be read; then `problems` says which. */
function read({ dates = [], expanded }: StoredCalendar, problems: Problem[]): NamedCalendar | undefined {
  const list = <Entry>(
    texts: readonly string[],
    at: string,
    readOne: (text: string) => Entry | { message: string },
  ): Entry[] =>
    texts.flatMap((text, index) => {
      const one = readOne(text);
      if (typeof one !== "object" || one === null || !("message" in one)) return [one];
      problems.push({ pointer: `${at}/${index}`, message: one.message });
      return [];
    });
  const until = expanded?.until === undefined ? Infinity : parseInstant(expanded.until);
  if (until === undefined) problems.push({ pointer: "/expanded/until", message: "is not an instant" });
  const calendar = {
    days: [
      ...list(dates, "/dates", (text) => readDays(text.trim(), dateHint)),
      ...list(expanded?.days ?? [], "/expanded/days", (text) => readDays(text, dateHint)),
    ],
    floating: list(expanded?.floating ?? [], "/expanded/floating", readOrRefuse(readCivilSpan)),
    spans: list(expanded?.spans ?? [], "/expanded/spans", readOrRefuse(readSpan)),
    knownUntil: (until ?? 0) / 1_000,
  };
  return problems.length === 0 ? calendar : undefined;
}

function readSpan(text: string): Span | undefined {
  const [from, to, ...more] = text.split("/").map(parseInstant);
  if (from === undefined || to === undefined || more.length > 0 || from >= to) return undefined;
  return { from: from / 1_000, to: to / 1_000 };
}

function readOrRefuse(
  readOne: (text: string) => Span | undefined,
): (text: string) => Span | { message: string } {
  return (text) => readOne(text) ?? { message: `${JSON.stringify(text)} is not a span of time` };
}
