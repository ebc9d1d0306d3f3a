/** Schedules in tables: what they mean, what is refused and where, and how clock changes affect ticks. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tickAt } from "../src/schema/ids.ts";
import { describeTicks } from "../src/core/time/preview.ts";
import { nextTick, parseSchedule, ticksBetween, type Schedule } from "../src/core/time/schedule.ts";

function read(expressions: string | readonly string[], zone = "UTC", seed = "job"): Schedule {
  const parsed = parseSchedule(expressions, zone, seed);
  assert.ok(parsed.ok, parsed.ok ? "" : JSON.stringify(parsed.problems));
  return parsed.schedule;
}

function ticks(expressions: string | readonly string[], zone: string, from: string, to: string): string[] {
  return ticksBetween(read(expressions, zone), Date.parse(from), Date.parse(to)).map(tickAt);
}

function first(expression: string, from: string, count: number): string[] {
  return ticksBetween(read(expression), Date.parse(from), Infinity, count).map(tickAt);
}

describe("what an expression means", () => {
  const from = "2026-01-01T00:00:00Z";
  const table: [expression: string, first: string[]][] = [
    [
      "*/20 * * * *",
      ["2026-01-01T00:00:00Z", "2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z", "2026-01-01T01:00:00Z"],
    ],
    [
      "5,10-11 7 * * *",
      ["2026-01-01T07:05:00Z", "2026-01-01T07:10:00Z", "2026-01-01T07:11:00Z", "2026-01-02T07:05:00Z"],
    ],
    [
      "1-5,3,5-6 0 1 1 *",
      [
        "2026-01-01T00:01:00Z",
        "2026-01-01T00:02:00Z",
        "2026-01-01T00:03:00Z",
        "2026-01-01T00:04:00Z",
        "2026-01-01T00:05:00Z",
        "2026-01-01T00:06:00Z",
      ],
    ],
    ["0 12 * JAN-mar/2 *", ["2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"]],
    ["0 0 * * 7", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    ["0 0 * * sun", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    ["0 0 * * 0,7", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    [
      "0 0 * * fri-sun",
      ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"],
    ],
    ["0 0 * * 0-sun", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    ["0 0 * * sun-sun", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    ["0 0 * * 6-0", ["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-10T00:00:00Z"]],
    ["*/30 0 0 * * *", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z", "2026-01-02T00:00:00Z"]],
    ["0 0 L * *", ["2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"]],
    ["0 0 L-2 * *", ["2026-01-29T00:00:00Z", "2026-02-26T00:00:00Z", "2026-03-29T00:00:00Z"]],
    ["0 0 LW * *", ["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-31T00:00:00Z"]],
    ["0 0 1W * *", ["2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z", "2026-03-02T00:00:00Z"]],
    [
      "0 0 15W * ?",
      ["2026-01-15T00:00:00Z", "2026-02-16T00:00:00Z", "2026-03-16T00:00:00Z", "2026-04-15T00:00:00Z"],
    ],
    ["0 0 31W * *", ["2026-01-30T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-29T00:00:00Z"]],
    ["0 0 ? * fri#3", ["2026-01-16T00:00:00Z", "2026-02-20T00:00:00Z", "2026-03-20T00:00:00Z"]],
    ["0 0 * * 1#1,1#3", ["2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z", "2026-02-02T00:00:00Z"]],
    ["0 0 * * 4#5", ["2026-01-29T00:00:00Z", "2026-04-30T00:00:00Z"]],
    ["0 0 * * 5L", ["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]],
    ["0 0 * * sunL", ["2026-01-25T00:00:00Z", "2026-02-22T00:00:00Z"]],
    ["@weekly", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]],
    ["@monthly", ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]],
    ["@yearly", ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]],
    ["@annually", ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]],
    ["@midnight", ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]],
    ["@daily", ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]],
    ["@hourly", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]],
    ["@minutely", ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"]],
    ["@at 2026-12-24T19:00:00+01:00", ["2026-12-24T18:00:00Z"]],
    ["rate(5 minutes)", ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"]],
    ["rate(1 hour)", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]],
  ];
  for (const [expression, expected] of table) {
    it(`${expression} is due at ${expected.slice(0, 3).join(", ")}`, () => {
      assert.deepEqual(first(expression, from, expected.length), expected);
    });
  }
});

describe("day-of-month and day-of-week together", () => {
  it("select days that fit either field if both are restricted", () => {
    assert.deepEqual(first("0 0 13 * fri", "2026-01-01T00:00:00Z", 4), [
      "2026-01-02T00:00:00Z",
      "2026-01-09T00:00:00Z",
      "2026-01-13T00:00:00Z",
      "2026-01-16T00:00:00Z",
    ]);
  });
  it("select only days that fit both fields if one begins with a star", () => {
    assert.deepEqual(first("0 0 */2 * fri", "2026-01-01T00:00:00Z", 3), [
      "2026-01-09T00:00:00Z",
      "2026-01-23T00:00:00Z",
      "2026-02-13T00:00:00Z",
    ]);
    assert.deepEqual(first("0 0 1-7 * */7", "2026-01-01T00:00:00Z", 2), [
      "2026-01-04T00:00:00Z",
      "2026-02-01T00:00:00Z",
    ]);
  });
});

function hashedDaily(id: string): number[] {
  return ticksBetween(read("H H * * *", "UTC", id), 0, 86_400_000);
}

describe("H spreads jobs by their id", () => {
  it("is always the same for one id, and differs between ids", () => {
    assert.deepEqual(hashedDaily("backup"), hashedDaily("backup"));
    // Peers of different versions must agree: these values may never change.
    assert.deepEqual(hashedDaily("backup").map(tickAt), ["1970-01-01T07:30:00Z"]);
    const minutes = new Set(Array.from({ length: 200 }, (_, index) => hashedDaily(`job-${index}`)[0]));
    assert.ok(minutes.size > 150, `200 jobs share ${minutes.size} minutes`);
  });
  it("keeps within its range, keeps its step, and picks days that every month has", () => {
    for (let index = 0; index < 100; index++) {
      const id = `job-${index}`;
      const night = ticksBetween(read("H(10-20) H(1-4) * * *", "UTC", id), 0, 86_400_000);
      const [at = -1] = night;
      const hour = Math.floor(at / 3_600_000);
      const minute = Math.floor(at / 60_000) % 60;
      assert.equal(night.length, 1);
      assert.ok(hour >= 1 && hour <= 4 && minute >= 10 && minute <= 20, `${id}: ${hour}:${minute}`);
      const quarters = ticksBetween(read("H/15 * * * *", "UTC", id), 0, 3_600_000);
      assert.equal(quarters.length, 4);
      assert.equal((quarters[1] ?? 0) - (quarters[0] ?? 0), 900_000);
      const year = ticksBetween(read("0 0 H * *", "UTC", id), 0, Date.parse("1971-01-01T00:00:00Z"));
      assert.equal(year.length, 12);
    }
  });
  it("may appear twice in a list, beside plain values", () => {
    assert.ok(first("H(0-29),H(30-59),7 * * * *", "2026-01-01T00:00:00Z", 3).length === 3);
  });
});

describe("@every counts from the epoch", () => {
  it("so that all ticks are multiples of the period", () => {
    assert.deepEqual(ticks("@every 90s", "Europe/Berlin", "2026-01-01T00:00:01Z", "2026-01-01T00:05:00Z"), [
      "2026-01-01T00:01:30Z",
      "2026-01-01T00:03:00Z",
      "2026-01-01T00:04:30Z",
    ]);
  });
});

describe("a list of expressions", () => {
  it("is their union, each tick once, in order", () => {
    assert.deepEqual(
      ticks(
        ["0 */6 * * *", "@at 2026-01-01T07:30:00Z", "0 12 * * *"],
        "UTC",
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
      ),
      ["00:00:00", "06:00:00", "07:30:00", "12:00:00", "18:00:00"].map((time) => `2026-01-01T${time}Z`),
    );
    const many = read(["0 0 * * *", "0 0 * * *", "0 12 * * *"]);
    assert.deepEqual(ticksBetween(many, 0, Infinity, 3), [0, 43_200_000, 86_400_000]);
  });
});

describe("what is refused, where, and why", () => {
  const table: [expression: string, position: number | undefined, says: RegExp][] = [
    ["", 1, /empty/],
    ["0 3 * *", 8, /too few fields: 4/],
    ["0 0 3 * * * 2026", 13, /too many fields: 7.*no year/],
    ["61 * * * *", 1, /minute runs from 0 to 59/],
    ["0 24 * * *", 3, /hour runs from 0 to 23/],
    ["0 0 0 * *", 5, /day-of-month runs from 1 to 31/],
    ["0 0 * 13 *", 7, /month runs from 1 to 12/],
    ["0 0 * * 8", 9, /day-of-week runs from 0 to 7/],
    ["0 0 * * monday", 9, /did you mean mon/],
    ["0 0 * * someday", 9, /by name sun mon/],
    ["0 0,5,x * * *", 7, /hour runs/],
    ["0 0,,5 * * *", 5, /remove a comma/],
    ["5-1 * * * *", 1, /backwards/],
    ["*/0 * * * *", 1, /step of 0/],
    ["*/1.5 * * * *", 1, /write \*/],
    ["? * * * *", 1, /day field/],
    ["h * * * *", 1, /capital H/],
    ["H(5-70) * * * *", 1, /within 0-59/],
    ["xH(1-2) * * * *", 1, /write \*/],
    ["* L * * *", 3, /day fields/],
    ["0 0 W * *", 5, /15W/],
    ["0 0 * * L", 9, /5L or friL/],
    ["0 0 * * 1-5#2", 9, /one weekday/],
    ["0 0 * * 1#6", 9, /1 to 5 times/],
    ["0 0 30 2 *", 5, /never/],
    ["0 0 31 4,6,9,11 *", 5, /never/],
    ["0 0 ? 2 ?#5", 9, /weekday/],
    ["CRON_TZ=UTC 0 0 * * *", 1, /"timezone"/],
    ["@reboot", 1, /systemd/],
    ["@dayly", 1, /did you mean "@daily"/],
    ["daily", 1, /did you mean "@daily"/],
    ["Hourly", 1, /did you mean "@hourly"/],
    ["every 5 minutes", 1, /did you mean "@every 5m" or "rate\(5 minutes\)"/],
    ["5m", 1, /did you mean "@every 5m" or "rate\(5 minutes\)"/],
    ["90 seconds", 1, /did you mean "@every 90s"/],
    ["PT2H", 1, /did you mean "@every 2h"/],
    ["@every 5 minutes", 8, /did you mean "@every 5m"/],
    ["@every5m", 1, /did you mean "@every 5m"/],
    ["cron(0 3 * * ? *)", 1, /did you mean "0 3 \* \* \?"\?/],
    ["2026-12-24T18:00:00Z", 1, /did you mean "@at 2026-12-24T18:00:00Z"/],
    ["every hour", 1, /did you mean "@every 1h" or "rate\(1 hour\)"/],
    ["0 3 * * MOND", 9, /did you mean mon/],
    ["0 3 * march *", 7, /did you mean mar/],
    ["@daily 5", 8, /nothing may follow/],
    ["@every 500ms", 8, /shortest period is 1s/],
    ["@every 1500ms", 8, /whole number of seconds/],
    ["@every 90", 8, /such as 500ms/],
    ["rate(0 minutes)", 1, /rate\(5 minutes\)/],
    ["@at 2026-12-24", 5, /RFC 3339/],
    ["@at 2026-02-29T00:00:00Z", 5, /RFC 3339/],
  ];
  for (const [expression, position, says] of table) {
    it(`${JSON.stringify(expression)}: ${says.source}`, () => {
      const parsed = parseSchedule(["@daily", expression], "UTC", "job");
      assert.ok(!parsed.ok, "it was accepted");
      const [problem] = parsed.problems;
      assert.equal(parsed.problems.length, 1);
      assert.equal(problem?.index, 1);
      assert.equal(problem?.position, position);
      assert.match(problem?.message ?? "", says);
    });
  }
  it("an unknown zone, with the nearest name", () => {
    const says: [string, RegExp][] = [
      ["Europe/Berln", /did you mean "Europe\/Berlin"/],
      ["berlin", /did you mean "Europe\/Berlin"/],
      ["New York", /did you mean "America\/New_York"/],
      ["+02:00", /is an offset/],
      ["", /IANA/],
    ];
    for (const [zone, expected] of says) {
      const parsed = parseSchedule("@daily", zone, "job");
      assert.ok(!parsed.ok, zone);
      assert.equal(parsed.problems[0]?.field, "timezone");
      assert.match(parsed.problems[0]?.message ?? "", expected);
    }
    for (const zone of ["US/Eastern", "Asia/Calcutta", "Etc/GMT+5", "europe/berlin", "EST5EDT"]) {
      assert.ok(parseSchedule("@daily", zone, "job").ok, zone);
    }
  });
});

describe("the days on which clocks change", () => {
  const table: { title: string; at: string; zone: string; from: string; to: string; ticks: string[] }[] = [
    {
      title: "a fixed time in the gap runs once, at the first instant after the gap (Berlin)",
      at: "30 2 * * *",
      zone: "Europe/Berlin",
      from: "2026-03-28T00:00:00Z",
      to: "2026-03-31T00:00:00Z",
      ticks: ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    },
    {
      title: "several fixed times in one gap make one tick, even with the time right after it",
      at: "0,10,50 2,3 * * *",
      zone: "Europe/Berlin",
      from: "2026-03-29T00:00:00Z",
      to: "2026-03-29T12:00:00Z",
      ticks: ["2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z", "2026-03-29T01:50:00Z"],
    },
    {
      title: "a fixed time in the repeated hour runs once, the first time (New York)",
      at: "30 1 * * *",
      zone: "America/New_York",
      from: "2026-10-31T12:00:00Z",
      to: "2026-11-03T00:00:00Z",
      ticks: ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    },
    {
      title: "the end of the repeated hour is not repeated (New York)",
      at: "0 2 * * *",
      zone: "America/New_York",
      from: "2026-11-01T00:00:00Z",
      to: "2026-11-02T00:00:00Z",
      ticks: ["2026-11-01T07:00:00Z"],
    },
    {
      title: "a wildcard job neither pauses nor doubles up over the gap (Berlin)",
      at: "*/30 * * * *",
      zone: "Europe/Berlin",
      from: "2026-03-29T00:30:00Z",
      to: "2026-03-29T02:00:00Z",
      ticks: ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
    },
    {
      title: "a wildcard minute in a fixed hour has no ticks when that hour is the gap (Berlin)",
      at: "*/30 2 * * *",
      zone: "Europe/Berlin",
      from: "2026-03-29T00:00:00Z",
      to: "2026-03-30T00:00:00Z",
      ticks: [],
    },
    {
      title: "a wildcard job ticks in both passes of the repeated hour (Berlin)",
      at: "*/30 2 * * *",
      zone: "Europe/Berlin",
      from: "2026-10-24T12:00:00Z",
      to: "2026-10-25T12:00:00Z",
      ticks: ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"],
    },
    {
      title: "a wildcard hour makes a wildcard job too (Berlin)",
      at: "15 * * * *",
      zone: "Europe/Berlin",
      from: "2026-10-24T23:30:00Z",
      to: "2026-10-25T02:30:00Z",
      ticks: ["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z", "2026-10-25T02:15:00Z"],
    },
    {
      title: "H/N is a wildcard like a star, and H a fixed time like a number (Berlin)",
      at: "H(30-30) 2 * * *",
      zone: "Europe/Berlin",
      from: "2026-03-29T00:00:00Z",
      to: "2026-03-30T00:00:00Z",
      ticks: ["2026-03-29T01:00:00Z"],
    },
    {
      title: "the seconds field does not make a wildcard job: one tick after the gap (Berlin)",
      at: "*/20 30 2 * * *",
      zone: "Europe/Berlin",
      from: "2026-03-29T00:00:00Z",
      to: "2026-03-30T00:00:00Z",
      ticks: ["2026-03-29T01:00:00Z"],
    },
    {
      title: "the seconds field does not make a wildcard job: no repetition in the repeated hour (Berlin)",
      at: "*/30 30 2 * * *",
      zone: "Europe/Berlin",
      from: "2026-10-25T00:00:00Z",
      to: "2026-10-26T00:00:00Z",
      ticks: ["2026-10-25T00:30:00Z", "2026-10-25T00:30:30Z"],
    },
    {
      title: "Lord Howe's half-hour gap",
      at: "15 2 * * *",
      zone: "Australia/Lord_Howe",
      from: "2026-10-03T00:00:00Z",
      to: "2026-10-05T00:00:00Z",
      ticks: ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
    },
    {
      title: "Lord Howe's repeated half-hour",
      at: "45 1 * * *",
      zone: "Australia/Lord_Howe",
      from: "2026-04-04T00:00:00Z",
      to: "2026-04-06T00:00:00Z",
      ticks: ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
    },
    {
      title: "Cairo's midnight is a gap: the daily job runs at one in the morning, on that day",
      at: "@daily",
      zone: "Africa/Cairo",
      from: "2026-04-22T12:00:00Z",
      to: "2026-04-25T00:00:00Z",
      ticks: ["2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
    },
    {
      title: "Cairo's repeated last hour of the day",
      at: "30 23 * * *",
      zone: "Africa/Cairo",
      from: "2026-10-29T00:00:00Z",
      to: "2026-10-31T00:00:00Z",
      ticks: ["2026-10-29T20:30:00Z", "2026-10-30T21:30:00Z"],
    },
    {
      title: "Apia's lost day: its fixed times run together when the next day begins",
      at: "0 6,18 * * *",
      zone: "Pacific/Apia",
      from: "2011-12-29T00:00:00Z",
      to: "2012-01-01T00:00:00Z",
      ticks: [
        "2011-12-29T04:00:00Z",
        "2011-12-29T16:00:00Z",
        "2011-12-30T04:00:00Z",
        "2011-12-30T10:00:00Z",
        "2011-12-30T16:00:00Z",
        "2011-12-31T04:00:00Z",
        "2011-12-31T16:00:00Z",
      ],
    },
    {
      title: "Apia's lost day: a wildcard job ticks on as usual",
      at: "0 */12 * * *",
      zone: "Pacific/Apia",
      from: "2011-12-29T12:00:00Z",
      to: "2011-12-31T00:00:00Z",
      ticks: ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"],
    },
    {
      title: "an offset of 45 minutes (Kathmandu)",
      at: "0 6 * * *",
      zone: "Asia/Kathmandu",
      from: "2026-01-01T00:00:00Z",
      to: "2026-01-02T00:00:00Z",
      ticks: ["2026-01-01T00:15:00Z"],
    },
    {
      title: "an offset with seconds (Monrovia in 1971)",
      at: "0 6 * * *",
      zone: "Africa/Monrovia",
      from: "1971-01-01T00:00:00Z",
      to: "1971-01-02T00:00:00Z",
      ticks: ["1971-01-01T06:44:30Z"],
    },
  ];
  for (const { title, at, zone, from, to, ticks: expected } of table) {
    it(title, () => assert.deepEqual(ticks(at, zone, from, to), expected));
  }

  it("are noted in the preview with the clocks' times", () => {
    const berlin = read("30 2 * * *", "Europe/Berlin");
    const notes = (from: string) =>
      describeTicks(berlin, ticksBetween(berlin, Date.parse(from), Infinity, 3)).map(
        ({ local, offset, dst }) => [local, offset, dst?.kind],
      );
    assert.deepEqual(notes("2026-03-28T00:00:00Z"), [
      ["2026-03-28 02:30:00", "+01:00", undefined],
      ["2026-03-29 03:00:00", "+02:00", "moved"],
      ["2026-03-30 02:30:00", "+02:00", undefined],
    ]);
    assert.deepEqual(notes("2026-10-24T00:00:00Z"), [
      ["2026-10-24 02:30:00", "+02:00", undefined],
      ["2026-10-25 02:30:00", "+02:00", "first-pass"],
      ["2026-10-26 02:30:00", "+01:00", undefined],
    ]);
    const wildcard = read("*/30 2,12 * * *", "Europe/Berlin");
    const passes = describeTicks(
      wildcard,
      ticksBetween(wildcard, Date.parse("2026-10-25T00:00:00Z"), Infinity, 5),
    );
    assert.deepEqual(
      passes.map(({ dst }) => dst?.kind),
      ["first-pass", "first-pass", "second-pass", "second-pass", "change-day"],
    );
    const newYork = read("@every 30m", "America/New_York");
    assert.deepEqual(describeTicks(newYork, [Date.parse("2026-11-01T05:30:00Z")]), [
      { tick: Date.parse("2026-11-01T05:30:00Z"), local: "2026-11-01 01:30:00", offset: "-04:00" },
    ]);
  });
});

describe("the next tick", () => {
  it("lies strictly after the instant, on a whole second", () => {
    const daily = read("@daily");
    const midnight = Date.parse("2026-01-02T00:00:00Z");
    assert.equal(nextTick(daily, midnight - 1), midnight);
    assert.equal(nextTick(daily, midnight), midnight + 86_400_000);
    assert.equal(nextTick(read("* * * * * *"), midnight + 1), midnight + 1_000);
  });
  it("on 29 February is found across years without one, and far ahead", () => {
    const leap = read("0 12 29 2 *", "Europe/Berlin");
    assert.equal(nextTick(leap, Date.parse("2096-03-01T00:00:00Z")), Date.parse("2104-02-29T11:00:00Z"));
    assert.equal(nextTick(leap, Date.parse("2896-03-01T00:00:00Z")), Date.parse("2904-02-29T11:00:00Z"));
    const fifthMonday = read("0 0 ? 2 1#5");
    assert.equal(
      nextTick(fifthMonday, Date.parse("2044-03-01T00:00:00Z")),
      Date.parse("2072-02-29T00:00:00Z"),
    );
  });
  it("doesn't exist after the only one, or after the year 9999", () => {
    const once = read("@at 2026-12-24T18:00:00Z");
    assert.equal(nextTick(once, Date.parse("2026-12-24T17:00:00Z")), Date.parse("2026-12-24T18:00:00Z"));
    assert.equal(nextTick(once, Date.parse("2026-12-24T18:00:00Z")), undefined);
    assert.equal(nextTick(read("@daily"), Date.parse("9999-12-31T00:00:00Z")), undefined);
    assert.equal(nextTick(read("0 0 29 2 *"), Date.parse("9996-03-01T00:00:00Z")), undefined);
  });
});
