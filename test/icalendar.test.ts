/** iCalendar text: what its events cover, and what is refused with its line (real/calendars). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CalendarReader } from "../src/real/calendars.ts";
import { readICalendar } from "../src/real/calendars/read.ts";
import type { Expanded } from "../src/schema/calendar.ts";

const now = Date.UTC(2026, 10, 29);
const ignore = (): void => undefined;

function calendar(...events: string[][]): string {
  const lines = events.flatMap((event) => ["BEGIN:VEVENT", ...event, "END:VEVENT"]);
  return ["BEGIN:VCALENDAR", "VERSION:2.0", ...lines, "END:VCALENDAR", ""].join("\r\n");
}

function read(text: string): Expanded {
  const found = readICalendar(text, now, ignore);
  assert.ok(found.ok, found.ok ? "" : JSON.stringify(found.problems));
  return found.expanded;
}

interface Case {
  title: string;
  events: string[][];
  days?: string[];
  floating?: string[];
  spans?: string[];
  until?: string;
}

const weekly = ["DTSTART;TZID=Europe/Berlin:20260309T090000", "DTEND;TZID=Europe/Berlin:20260309T110000"];

const table: Case[] = [
  {
    title: "an event on whole days covers them, its DTEND out",
    events: [["DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"]],
    days: ["2026-12-24/2026-12-26"],
  },
  {
    title: "an event on a day without an end, or that ends when it begins, covers that day",
    events: [["DTSTART;VALUE=DATE:20261224"], ["DTSTART;VALUE=DATE:20261226", "DTEND;VALUE=DATE:20261226"]],
    days: ["2026-12-24", "2026-12-26"],
  },
  {
    title: "an event that doesn't make people busy counts, a cancelled one doesn't",
    events: [
      ["DTSTART;VALUE=DATE:20261224", "TRANSP:TRANSPARENT"],
      ["DTSTART;VALUE=DATE:20261231", "STATUS:CANCELLED"],
    ],
    days: ["2026-12-24"],
  },
  {
    title: "a floating event stays on the clock of whoever reads it",
    events: [["DTSTART:20261224T100000", "DURATION:P1DT30M"]],
    floating: ["2026-12-24T10:00:00/2026-12-25T10:30:00"],
  },
  {
    title: "an event in UTC",
    events: [["DTSTART:20261224T100000Z", "DTEND:20261224T120000Z"]],
    spans: ["2026-12-24T10:00:00Z/2026-12-24T12:00:00Z"],
  },
  {
    title: "an event without an end covers its second",
    events: [["DTSTART:20261224T100000Z"]],
    spans: ["2026-12-24T10:00:00Z/2026-12-24T10:00:01Z"],
  },
  {
    title: "a weekly event keeps its local time when the clocks change, and COUNT ends it",
    events: [[...weekly, "RRULE:FREQ=WEEKLY;COUNT=4"]],
    spans: [
      "2026-03-09T08:00:00Z/2026-03-09T10:00:00Z",
      "2026-03-16T08:00:00Z/2026-03-16T10:00:00Z",
      "2026-03-23T08:00:00Z/2026-03-23T10:00:00Z",
      "2026-03-30T07:00:00Z/2026-03-30T09:00:00Z",
    ],
  },
  {
    title: "UNTIL in UTC is compared on the event's clock, its own instant in",
    events: [[...weekly, "RRULE:FREQ=WEEKLY;UNTIL=20260330T070000Z"]],
    spans: [
      "2026-03-09T08:00:00Z/2026-03-09T10:00:00Z",
      "2026-03-16T08:00:00Z/2026-03-16T10:00:00Z",
      "2026-03-23T08:00:00Z/2026-03-23T10:00:00Z",
      "2026-03-30T07:00:00Z/2026-03-30T09:00:00Z",
    ],
  },
  {
    title: "UNTIL on a day takes that day in",
    events: [["DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=DAILY;UNTIL=20261226"]],
    days: ["2026-12-24/2026-12-26"],
  },
  {
    title: "EXDATE takes occurrences out: several in a line, in another zone, and with a zone of Windows",
    events: [
      [
        ...weekly,
        "RRULE:FREQ=WEEKLY;COUNT=4",
        "EXDATE;TZID=Europe/Berlin:20260309T090000,20260316T090000",
        "EXDATE;TZID=Eastern Standard Time:20260323T040000",
      ],
    ],
    spans: ["2026-03-30T07:00:00Z/2026-03-30T09:00:00Z"],
  },
  {
    title: "a time zone of Windows is that of its city",
    events: [
      [
        "DTSTART;TZID=W. Europe Standard Time:20260701T090000",
        "DTEND;TZID=W. Europe Standard Time:20260701T100000",
      ],
      ['DTSTART;TZID="Tokyo Standard Time":20260701T090000', "DURATION:PT1H"],
    ],
    spans: ["2026-07-01T00:00:00Z/2026-07-01T01:00:00Z", "2026-07-01T07:00:00Z/2026-07-01T08:00:00Z"],
  },
  {
    title: "RECURRENCE-ID moves an occurrence, and takes a cancelled one out",
    events: [
      ["UID:a", ...weekly, "RRULE:FREQ=WEEKLY;COUNT=3"],
      [
        "UID:a",
        "RECURRENCE-ID:20260316T080000Z",
        "DTSTART;TZID=Europe/Berlin:20260317T140000",
        "DURATION:PT30M",
      ],
      ["UID:a", "RECURRENCE-ID;TZID=Europe/Berlin:20260323T090000", ...weekly, "STATUS:CANCELLED"],
    ],
    spans: ["2026-03-09T08:00:00Z/2026-03-09T10:00:00Z", "2026-03-17T13:00:00Z/2026-03-17T13:30:00Z"],
  },
  {
    title: "RDATE adds dates, also as periods of their own length",
    events: [
      ["DTSTART;VALUE=DATE:20261224", "RDATE;VALUE=DATE:20261231,20270106"],
      ["DTSTART:20261224T100000Z", "DURATION:PT1H", "RDATE;VALUE=PERIOD:20261225T100000Z/PT2H"],
    ],
    days: ["2026-12-24", "2026-12-31", "2027-01-06"],
    spans: ["2026-12-24T10:00:00Z/2026-12-24T11:00:00Z", "2026-12-25T10:00:00Z/2026-12-25T12:00:00Z"],
  },
  {
    title: "a lasting event over a change of the clocks: days are nominal, hours are exact",
    events: [
      ["DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:P1D"],
      ["DTSTART;TZID=Europe/Berlin:20261024T120000", "DURATION:PT24H"],
    ],
    spans: ["2026-03-28T11:00:00Z/2026-03-29T10:00:00Z", "2026-10-24T10:00:00Z/2026-10-25T10:00:00Z"],
  },
  {
    title: "events that overlap or touch become one",
    events: [
      ["DTSTART;VALUE=DATE:20261224"],
      ["DTSTART;VALUE=DATE:20261225"],
      ["DTSTART;VALUE=DATE:20261225"],
    ],
    days: ["2026-12-24/2026-12-25"],
  },
];

describe("what events cover", () => {
  for (const { title, events, days = [], floating = [], spans = [] } of table) {
    test(title, () => assert.deepEqual(read(calendar(...events)), { days, floating, spans }));
  }

  test("an event that recurs for ever is expanded for twenty years, and the answer says up to when", () => {
    const { days, until } = read(calendar(["DTSTART;VALUE=DATE:20201003", "RRULE:FREQ=YEARLY"]));
    assert.equal(until, "2047-01-01T00:00:00Z");
    assert.equal(days.length, 27);
    assert.equal(days.at(-1), "2046-10-03");
  });

  test("one that ends by COUNT or UNTIL within that time is known to its end", () => {
    assert.equal(
      read(calendar(["DTSTART;VALUE=DATE:20201003", "RRULE:FREQ=YEARLY;COUNT=20"])).until,
      undefined,
    );
    assert.equal(
      read(calendar(["DTSTART;VALUE=DATE:20201003", "RRULE:FREQ=YEARLY;UNTIL=20300101"])).until,
      undefined,
    );
  });

  test("a zone that only the text defines is read from there", () => {
    const zone = [
      "BEGIN:VTIMEZONE",
      "TZID:Our Office",
      "BEGIN:STANDARD",
      "DTSTART:19701025T030000",
      "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
      "TZOFFSETFROM:+0300",
      "TZOFFSETTO:+0200",
      "END:STANDARD",
      "BEGIN:DAYLIGHT",
      "DTSTART:19700329T020000",
      "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
      "TZOFFSETFROM:+0200",
      "TZOFFSETTO:+0300",
      "END:DAYLIGHT",
      "END:VTIMEZONE",
    ].join("\n");
    const events = [
      ["DTSTART;TZID=Our Office:20260115T090000", "DURATION:PT1H"],
      ["DTSTART;TZID=Our Office:20260715T090000", "DURATION:PT1H"],
    ];
    const text = calendar(...events).replace("VERSION:2.0", zone);
    assert.deepEqual(read(text).spans, [
      "2026-01-15T07:00:00Z/2026-01-15T08:00:00Z",
      "2026-07-15T06:00:00Z/2026-07-15T07:00:00Z",
    ]);
  });

  test("folded lines, lines that end as in Unix, a byte order mark and alarms make no difference", () => {
    const text = `\uFEFFBEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=\n DATE:2026\n 1224\nBEGIN:VALARM\nTRIGGER:-PT5M\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR`;
    assert.deepEqual(read(text).days, ["2026-12-24"]);
  });
});

const day = "DTSTART;VALUE=DATE:20261224";

const refused: readonly [title: string, text: string, line: number, says: RegExp][] = [
  ["no calendar", "2026-12-24\n2026-12-25", 1, /no colon/],
  ["an empty text", "", 1, /no BEGIN:VCALENDAR/],
  ["a calendar without an event", "BEGIN:VCALENDAR\nEND:VCALENDAR", 1, /no event/],
  [
    "a component without an end",
    "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR",
    3,
    /doesn't end BEGIN:VEVENT of line 2/,
  ],
  ["a line without a colon", calendar([day, "what is this"]), 5, /no colon/],
  ["tasks", "BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\nEND:VCALENDAR", 2, /VTODO is not supported/],
  ["METHOD:CANCEL", calendar([day]).replace("VERSION:2.0", "METHOD:CANCEL"), 2, /METHOD:CANCEL/],
  ["an event without a beginning", calendar(["UID:a"]), 3, /no DTSTART/],
  ["a date that doesn't exist", calendar(["DTSTART;VALUE=DATE:20260230"]), 4, /20260230 is not a date/],
  [
    "an unknown zone",
    calendar(["DTSTART;TZID=Nowhere:20261224T100000"]),
    4,
    /no time zone is called "Nowhere"/,
  ],
  ["an end before the beginning", calendar([day, "DTEND;VALUE=DATE:20261223"]), 5, /ends before it begins/],
  ["an end of another kind", calendar([day, "DTEND:20261225T100000Z"]), 5, /another kind/],
  ["an end and a duration", calendar([day, "DTEND;VALUE=DATE:20261225", "DURATION:P1D"]), 6, /both/],
  ["two rules", calendar([day, "RRULE:FREQ=YEARLY", "RRULE:FREQ=DAILY;COUNT=2"]), 6, /a second RRULE/],
  ["EXRULE", calendar([day, "RRULE:FREQ=DAILY;COUNT=9", "EXRULE:FREQ=WEEKLY"]), 6, /EXRULE is not supported/],
  [
    "RANGE=THISANDFUTURE",
    calendar(
      ["UID:a", day, "RRULE:FREQ=DAILY;COUNT=9"],
      ["UID:a", "RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20261225", day],
    ),
    10,
    /RANGE is not supported/,
  ],
  [
    "another calendar's years",
    calendar([day, "RRULE:RSCALE=HEBREW;FREQ=YEARLY"]),
    5,
    /"RSCALE=HEBREW" is not supported/,
  ],
  ["a rule without a frequency", calendar([day, "RRULE:COUNT=2"]), 5, /FREQ= is not supported/],
  [
    "FREQ=SECONDLY",
    calendar(["DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY"]),
    5,
    /SECONDLY is not supported.*cron expression/,
  ],
  ["a nonsensical part", calendar([day, "RRULE:FREQ=YEARLY;BYMONTH=13"]), 5, /BYMONTH=13 is not supported/],
  ["INTERVAL=0", calendar([day, "RRULE:FREQ=DAILY;INTERVAL=0"]), 5, /INTERVAL=0/],
  [
    "a rule with a date for every minute",
    calendar([
      "DTSTART:20260101T000000Z",
      `RRULE:FREQ=DAILY;BYHOUR=${Array.from({ length: 24 }, (_, hour) => hour).join(",")};BYMINUTE=${Array.from({ length: 60 }, (_, minute) => minute).join(",")}`,
    ]),
    5,
    /1440 times a day/,
  ],
  [
    "more dates than are expanded",
    calendar(["DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY;BYHOUR=1,3,5,7,9,11,13,15,17,19,21,23"]),
    5,
    /more than 50000 dates/,
  ],
  [
    "rules that take long although they give nothing",
    calendar(
      ...Array.from({ length: 3_000 }, () => [
        "DTSTART;VALUE=DATE:17000101",
        "RRULE:FREQ=YEARLY;BYDAY=MO;BYYEARDAY=366;BYMONTH=1",
      ]),
    ),
    0,
    /too long to expand/,
  ],
];

describe("what is refused, with its line", () => {
  for (const [title, text, line, says] of refused) {
    test(title, () => {
      const found = readICalendar(text, now, ignore);
      assert.ok(!found.ok, "it was accepted");
      const [problem] = found.problems;
      if (line > 0) assert.equal(problem?.line, line);
      assert.match(problem?.message ?? "", says);
      assert.ok(found.problems.length <= 20);
    });
  }

  test("all mistakes are named at once", () => {
    const found = readICalendar(calendar([day, "RRULE:FREQ=HOURLY"], [day], ["DTSTART:2026"]), now, ignore);
    assert.ok(!found.ok);
    assert.deepEqual(
      found.problems.map(({ line }) => line),
      [11, 5],
    );
  });
});

describe("the reader that a peer has", () => {
  test("reads and refuses in a worker, one text after the other", async () => {
    const reader = new CalendarReader();
    const [good, bad] = await Promise.all([
      reader.read(calendar([day]), now),
      reader.read(calendar(["DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY"]), now),
    ]);
    assert.deepEqual(good, { ok: true, expanded: { days: ["2026-12-24"], floating: [], spans: [] } });
    assert.ok("problems" in bad);
    assert.equal(bad.problems[0]?.line, 5);
  });
});
