/**
 * A calendar, as a person writes it: dates and ranges, or iCalendar text, or both. Jobs leave out the ticks that it covers
 * (`except: calendar:NAME`).
 *
 * The table holds it with what its iCalendar text means, expanded at the peer where it was written: so every peer decides
 * alike about a tick, without reading iCalendar, whatever its version.
 */
import { Type, type Static } from "typebox";
import { InstantSchema } from "./id-shapes.ts";

/** The calendar that an entry of a job's `except` names; undefined = it names none. */
export function calendarNamedBy(entry: string): string | undefined {
  return /^\s*calendar:(.*)$/is.exec(entry)?.[1]?.trim();
}

/** The largest iCalendar text, in bytes. The holidays of a country for some years take 200 KiB at most. */
export const icalCapBytes = 524_288;
/** Dates, ranges and spans of one kind. More makes each edit of the calendar slower to apply, for each zone of its jobs. */
export const entriesMax = 10_000;

const closed = { additionalProperties: false } as const;
const Entries = (form: string) =>
  Type.Array(Type.String({ maxLength: 48 }), { maxItems: entriesMax, description: form });

const written = {
  dates: Type.Optional(
    Entries("dates such as 2026-12-24, and ranges such as 2026-12-24/2027-01-02, in the job's zone"),
  ),
  ical: Type.Optional(Type.String({ maxLength: icalCapBytes, description: "iCalendar text (RFC 5545)" })),
  note: Type.Optional(Type.String({ maxLength: 1_024 })),
};

export const CalendarSchema = Type.Object(written, { ...closed, $id: "Calendar" });

/** What the events of iCalendar text cover. */
export const ExpandedSchema = Type.Object(
  {
    days: Entries("dates and ranges, in the job's zone"),
    floating: Entries("2026-12-24T10:00:00/2026-12-24T12:00:00, in the job's zone"),
    spans: Entries("2026-12-24T10:00:00Z/2026-12-24T12:00:00Z"),
    until: Type.Optional(
      Type.String({
        maxLength: 24,
        description: "events that recur for ever are expanded up to this instant",
      }),
    ),
  },
  closed,
);
export type Expanded = Static<typeof ExpandedSchema>;

/** A calendar as the table holds it. */
export const StoredCalendarSchema = Type.Object(
  { ...written, expanded: Type.Optional(ExpandedSchema), at: Type.Optional(InstantSchema) },
  closed,
);
export type StoredCalendar = Static<typeof StoredCalendarSchema>;
