/**
 * Reads iCalendar text (RFC 5545) and says what its events cover: whole days and floating times, which mean something in the
 * zone of each job, and spans of time.
 *
 * Every event counts, also one that doesn't make people busy (TRANSP): calendars of holidays mark theirs so. A cancelled one
 * doesn't. What isn't supported is refused with its line, because half a calendar would let jobs run on a holiday.
 */
import { entriesMax, type Expanded } from "../../schema/calendar.ts";
import { daySeconds, formatCivil } from "../../core/time/calendar.ts";
import { united, type Span } from "../../core/time/days.ts";
import { writeCivil } from "../../core/time/named-calendar.ts";
import { readComponents, type Component, type Line } from "./lines.ts";
import type { LineProblem } from "./protocol.ts";
import { allSteps, expand, type Steps } from "./recurrence.ts";
import {
  civilLike,
  momentOf,
  readDuration,
  readMoment,
  readProperty,
  Unreadable,
  type Moment,
  type Property,
} from "./values.ts";
import { ZonesOfText } from "./zones.ts";

/** How many years events that recur for ever are expanded, from the present one. Jobs warn a year before they end. */
const horizonYears = 20;
/** The most problems that are named. */
const problemsMax = 20;

/** How long an occurrence lasts from its beginning: nominal days on its clock, then exact seconds. */
interface Length {
  readonly days: number;
  readonly seconds: number;
}

/** By the civil second of its beginning. */
type Occurrences = Map<number, Length>;

interface Event {
  readonly component: Component;
  readonly start: Moment;
  readonly length: Length;
  /** the occurrence of the event with the same UID that it replaces */
  readonly replaces: Moment | undefined;
  readonly isCancelled: boolean;
}

interface Reading {
  readonly zones: ZonesOfText;
  readonly steps: Steps;
  readonly horizon: number;
  readonly progress: (line: number) => void;
  isCut: boolean;
  readonly days: Span[];
  readonly floating: Span[];
  readonly spans: Span[];
}

/** `progress` gets the line of each rule before it is expanded. */
export function readICalendar(
  text: string,
  now: number,
  progress: (line: number) => void,
): { ok: true; expanded: Expanded } | { ok: false; problems: readonly LineProblem[] } {
  const roots = readComponents(text);
  if (!Array.isArray(roots)) return { ok: false, problems: [roots] };
  const problems: LineProblem[] = [];
  const horizon = Date.UTC(new Date(now).getUTCFullYear() + horizonYears + 1, 0, 1) / 1_000;
  const events: Component[] = [];
  const zones: Component[] = [];
  attempt(problems, () => collect(roots, events, zones));
  const reading: Reading = {
    zones: new ZonesOfText(zones),
    steps: allSteps(),
    // Near the horizon the zones differ by a day.
    horizon: horizon + 2 * daySeconds,
    progress,
    isCut: false,
    days: [],
    floating: [],
    spans: [],
  };
  const read = events.flatMap(
    (component) => attempt(problems, () => readEvent(component, reading.zones)) ?? [],
  );
  for (const same of bySeries(read).values()) attempt(problems, () => readSeries(same, reading));
  if (problems.length > 0) return { ok: false, problems: problems.slice(0, problemsMax) };
  const [days, floating, spans] = [reading.days, reading.floating, reading.spans].map(united);
  const most = Math.max(days?.length ?? 0, floating?.length ?? 0, spans?.length ?? 0);
  if (most > entriesMax) {
    const message = `its events cover ${most} separate times, and the maximum is ${entriesMax}`;
    return { ok: false, problems: [{ line: 1, message }] };
  }
  return {
    ok: true,
    expanded: {
      days: (days ?? []).map(daysText),
      floating: (floating ?? []).map(({ from, to }) => `${writeCivil(from)}/${writeCivil(to)}`),
      spans: (spans ?? []).map(({ from, to }) => `${writeCivil(from)}Z/${writeCivil(to)}Z`),
      ...(reading.isCut ? { until: `${writeCivil(horizon)}Z` } : {}),
    },
  };
}

function daysText({ from, to }: Span): string {
  const [first, last] = [from, to - daySeconds].map((second) => formatCivil(second).slice(0, 10));
  return first === last ? (first ?? "") : `${first}/${last}`;
}

function attempt<Result>(problems: LineProblem[], act: () => Result): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    problems.push({ line: error.line, message: error.message });
    return undefined;
  }
}

/** Refuses components that may say something about times and are not read. */
function collect(roots: readonly Component[], events: Component[], zones: Component[]): void {
  for (const root of roots) {
    if (root.name !== "VCALENDAR")
      throw new Unreadable(root.begin, `a calendar begins with BEGIN:VCALENDAR, not with BEGIN:${root.name}`);
    const method = root.lines.find(({ name }) => name === "METHOD");
    if (method !== undefined && /:\s*CANCEL\s*$/i.test(method.text))
      throw new Unreadable(method, "METHOD:CANCEL cancels events and is not a calendar of its own");
    for (const component of root.components) {
      if (component.name === "VEVENT") events.push(component);
      else if (component.name === "VTIMEZONE") zones.push(component);
      else if (!component.name.startsWith("X-"))
        throw new Unreadable(
          component.begin,
          `BEGIN:${component.name} is not supported: only events (VEVENT) are`,
        );
    }
  }
  const [first] = roots;
  if (first === undefined)
    throw new Unreadable({ number: 1 }, "this is not iCalendar text: it has no BEGIN:VCALENDAR");
  if (events.length === 0) throw new Unreadable(first.begin, "the calendar has no event (VEVENT)");
}

function only(component: Component, name: string): Line | undefined {
  const [first, second] = component.lines.filter((line) => line.name === name);
  if (second !== undefined)
    throw new Unreadable(second, `the event has a second ${name}, and one is supported`);
  return first;
}

function readEvent(component: Component, zones: ZonesOfText): Event {
  const begin = only(component, "DTSTART");
  if (begin === undefined) throw new Unreadable(component.begin, "the event has no DTSTART");
  const exrule = component.lines.find(({ name }) => name === "EXRULE");
  if (exrule !== undefined) throw new Unreadable(exrule, "EXRULE is not supported: write EXDATE");
  const start = readMoment(begin, zones);
  const id = only(component, "RECURRENCE-ID");
  if (id !== undefined && readProperty(id).params["range"] !== undefined)
    throw new Unreadable(
      id,
      "RECURRENCE-ID with RANGE is not supported: write the later events as events of their own",
    );
  const status = component.lines.find(({ name }) => name === "STATUS");
  return {
    component,
    start,
    length: lengthOf(component, start, zones),
    replaces: id === undefined ? undefined : readMoment(id, zones),
    isCancelled: status !== undefined && /:\s*CANCELLED\s*$/i.test(status.text),
  };
}

/** An event on a day without an end lasts that day, and one at a time without an end covers just that second. */
function lengthOf(component: Component, start: Moment, zones: ZonesOfText): Length {
  const end = only(component, "DTEND");
  const duration = only(component, "DURATION");
  if (end !== undefined && duration !== undefined)
    throw new Unreadable(duration, "the event has both a DTEND and a DURATION");
  if (duration !== undefined) return durationOf(duration, start, String(readProperty(duration).values[0]));
  if (end === undefined) return leastOf(start);
  return lengthUntil(end, start, readMoment(end, zones));
}

function durationOf(line: Line, start: Moment, text: string): Length {
  const length = readDuration(line, text);
  if (start.kind === "date" && length.seconds > 0)
    throw new Unreadable(line, "an event on whole days lasts whole days");
  return length.days + length.seconds === 0 ? leastOf(start) : length;
}

function leastOf({ kind }: Moment): Length {
  return kind === "date" ? { days: 1, seconds: 0 } : { days: 0, seconds: 1 };
}

function lengthUntil(line: Line, start: Moment, end: Moment): Length {
  if (
    (start.kind === "date") !== (end.kind === "date") ||
    (start.kind === "floating") !== (end.kind === "floating")
  )
    throw new Unreadable(
      line,
      `${line.name} is of another kind than DTSTART: both are dates, both have a zone, or neither`,
    );
  const seconds =
    start.kind === "zoned"
      ? end.frame.toInstant(end.civil) - start.frame.toInstant(start.civil)
      : end.civil - start.civil;
  if (seconds < 0) throw new Unreadable(line, "the event ends before it begins");
  if (seconds === 0) return leastOf(start);
  return start.kind === "date" ? { days: seconds / daySeconds, seconds: 0 } : { days: 0, seconds };
}

/** Events with the same UID: one that may recur, and those that replace single occurrences of it. */
function bySeries(events: readonly Event[]): Map<string, Event[]> {
  return Map.groupBy(events, ({ component }) => {
    const uid = component.lines.find(({ name }) => name === "UID");
    return uid === undefined
      ? `line ${component.begin.number}`
      : uid.text.slice(uid.text.indexOf(":") + 1).trim();
  });
}

function readSeries(events: readonly Event[], reading: Reading): void {
  const replacements = events.filter(({ replaces }) => replaces !== undefined);
  for (const event of events) {
    const occurrences = occurrencesOf(event, reading);
    if (event.replaces === undefined) {
      for (const { replaces } of replacements)
        if (replaces !== undefined) occurrences.delete(beginLike(event.start, replaces));
    }
    if (event.isCancelled) continue;
    for (const [begin, length] of occurrences) cover(event.start, begin, length, reading);
  }
}

function occurrencesOf(event: Event, reading: Reading): Occurrences {
  const { component, start, length } = event;
  const rule = only(component, "RRULE");
  const occurrences: Occurrences = new Map([[start.civil, length]]);
  if (rule !== undefined) {
    if (event.replaces !== undefined)
      throw new Unreadable(rule, "an event that replaces an occurrence (RECURRENCE-ID) doesn't recur");
    reading.progress(rule.number);
    const { begins, isCut } = expand(rule, start, reading.zones, reading.horizon, reading.steps);
    reading.isCut ||= isCut && !event.isCancelled;
    for (const begin of begins) occurrences.set(begin, length);
  }
  for (const property of properties(component, "RDATE")) {
    for (const value of property.values) addDate(property, value, event, reading, occurrences);
  }
  for (const property of properties(component, "EXDATE")) {
    for (const value of property.values) {
      const moment = momentOf(property.line, reading.zones, property.params, property.type, value);
      if (moment.kind === "date" && start.kind !== "date") {
        // Written by programs that leave out whole days of an event at a time.
        for (const begin of occurrences.keys())
          if (Math.floor(begin / daySeconds) * daySeconds === moment.civil) occurrences.delete(begin);
      } else occurrences.delete(beginLike(start, moment));
    }
  }
  return occurrences;
}

function properties(component: Component, name: string): Property[] {
  return component.lines.filter((line) => line.name === name).map(readProperty);
}

function addDate(
  { line, params, type }: Omit<Property, "values">,
  value: unknown,
  { start, length }: Event,
  { zones }: Reading,
  occurrences: Occurrences,
): void {
  if (type !== "period") {
    occurrences.set(beginLike(start, momentOf(line, zones, params, type, value)), length);
    return;
  }
  const [from, to] = (Array.isArray(value) ? value : String(value).split("/")).map(String);
  const begin = momentOf(line, zones, params, "date-time", from);
  const its =
    to?.startsWith("P") === true
      ? durationOf(line, begin, to)
      : lengthUntil(line, begin, momentOf(line, zones, params, "date-time", to));
  occurrences.set(beginLike(start, begin), its);
}

/** The civil second of an occurrence of the event that another property names. */
function beginLike(start: Moment, named: Moment): number {
  const civil = civilLike(start, named);
  return start.kind === "date" ? Math.floor(civil / daySeconds) * daySeconds : civil;
}

function cover({ kind, frame }: Moment, begin: number, { days, seconds }: Length, reading: Reading): void {
  const end = begin + days * daySeconds;
  if (kind === "date") reading.days.push({ from: begin, to: end });
  else if (kind === "floating") reading.floating.push({ from: begin, to: end + seconds });
  else reading.spans.push({ from: frame.toInstant(begin), to: frame.toInstant(end) + seconds });
}
