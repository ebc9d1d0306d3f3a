/**
 * A named calendar as schedules use it: days and floating times, which mean something else in each zone, and spans of time.
 */
import { dayOfText, instantOfCivil, instantsOfDays, united, type Days, type Span } from "./days.ts";
import { daySeconds, formatCivil } from "./calendar.ts";
import type { Zone } from "./zone.ts";

export interface NamedCalendar {
  readonly days: readonly Days[];
  /** from one civil second to another, on the clocks of the job's zone */
  readonly floating: readonly Span[];
  /** seconds since the epoch */
  readonly spans: readonly Span[];
  /** nothing is known of it from this second on; Infinity = all is known */
  readonly knownUntil: number;
}

/** The calendars by their names. */
export type NamedCalendars = ReadonlyMap<string, NamedCalendar>;

const kept = new WeakMap<NamedCalendar, Map<Zone, readonly Span[]>>();

/** What the calendar covers in a zone; seconds since the epoch. Computed once, because many jobs share a calendar. */
export function spansOf(calendar: NamedCalendar, zone: Zone): readonly Span[] {
  let byZone = kept.get(calendar);
  if (byZone === undefined) {
    byZone = new Map();
    kept.set(calendar, byZone);
  }
  let spans = byZone.get(zone);
  if (spans === undefined) {
    spans = united([
      ...calendar.days.flatMap((days) => instantsOfDays(zone, days)),
      ...calendar.floating.map(({ from, to }) => ({
        from: instantOfCivil(zone, from),
        to: instantOfCivil(zone, to),
      })),
      ...calendar.spans,
    ]);
    byZone.set(zone, spans);
  }
  return spans;
}

const civilForm = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)$/;

/** A civil second written as `2026-12-24T10:00:00`; undefined if the text is none. */
export function readCivil(text: string): number | undefined {
  const [, date = "", hour, minute, second] = civilForm.exec(text) ?? [];
  const day = dayOfText(date);
  if (day === undefined) return undefined;
  return day * daySeconds + Number(hour) * 3_600 + Number(minute) * 60 + Number(second);
}

export function writeCivil(second: number): string {
  return formatCivil(second).replace(" ", "T");
}

/** A span of civil seconds written as `2026-12-24T10:00:00/2026-12-24T12:00:00`; undefined if the text is none. */
export function readCivilSpan(text: string): Span | undefined {
  const [from, to, ...more] = text.split("/").map(readCivil);
  if (from === undefined || to === undefined || more.length > 0 || from >= to) return undefined;
  return { from, to };
}
