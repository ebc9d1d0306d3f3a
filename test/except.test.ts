/** Which ticks a job leaves out (core/time/exclusions.ts, core/time/pieces.ts). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { divideGap } from "../src/core/job/gap.ts";
import { checkJob } from "../src/core/checks/job.ts";
import { createJobs } from "../src/core/job/jobs-state.ts";
import { nextTickOf, ticksOf, type Plan } from "../src/core/job/plan.ts";
import { enterJob, nextTickAt } from "../src/core/job/timetable.ts";
import { countTicks } from "../src/core/time/count.ts";
import { previewSchedule } from "../src/core/time/preview.ts";
import { nextTick, parseSchedule, ticksBetween, type Schedule } from "../src/core/time/schedule.ts";
import { zoneOf } from "../src/core/time/zone.ts";
import type { JobSpec } from "../src/schema/job.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const dayMs = 86_400_000;

function read(schedule: string | string[], except: readonly string[], zone: string): Schedule {
  const parsed = parseSchedule(schedule, zone, "job", except);
  assert.ok(parsed.ok, parsed.ok ? "" : JSON.stringify(parsed.problems));
  return parsed.schedule;
}

/** Where and what is drawn for a law. */
interface Drawn {
  where: { name: string; around: number };
  schedule: string | string[];
  expressions: string[];
  days: [number, number][];
  widthDays: number;
  cut: number;
}

function date(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The schedule and the interval that a law is tried on. */
function laid({ where, schedule, expressions, days, widthDays, cut }: Drawn) {
  const dates = days.map(([first, more]) => {
    const from = where.around + first * dayMs;
    return `${date(from)}/${date(from + more * dayMs)}`;
  });
  const from = where.around - (widthDays * dayMs) / 2;
  const to = from + widthDays * dayMs;
  return {
    text: schedule,
    except: [...expressions, ...dates],
    expressions,
    dates,
    name: where.name,
    from,
    to,
    middle: from + Math.floor((cut / 1_000) * (to - from)),
  };
}

interface Case {
  title: string;
  schedule: string | string[];
  except: string[];
  zone?: string;
  /** instants, `from` in and `to` out */
  from: string;
  to: string;
  /** what is left, in UTC */
  ticks: string[];
}

const table: Case[] = [
  {
    title: "a date leaves out its whole day in the job's zone",
    schedule: "0 */12 * * *",
    except: ["2026-12-24"],
    zone: "Asia/Tokyo",
    from: "2026-12-23T00:00:00Z",
    to: "2026-12-25T00:00:00Z",
    ticks: ["2026-12-23T03:00", "2026-12-24T15:00"],
  },
  {
    title: "a range leaves out its first and its last day too",
    schedule: "0 2 * * *",
    except: ["2026-12-24/2027-01-02"],
    from: "2026-12-22T12:00:00Z",
    to: "2027-01-05T00:00:00Z",
    ticks: ["2026-12-23T02:00", "2027-01-03T02:00", "2027-01-04T02:00"],
  },
  {
    title: "a day of 23 hours is left out from its first to its last instant",
    schedule: "@every 30m",
    except: ["2026-03-29"],
    zone: "Europe/Berlin",
    from: "2026-03-28T22:00:00Z",
    to: "2026-03-29T23:00:00Z",
    ticks: ["2026-03-28T22:00", "2026-03-28T22:30", "2026-03-29T22:00", "2026-03-29T22:30"],
  },
  {
    title: "a day of 25 hours is left out from its first to its last instant",
    schedule: "@every 30m",
    except: ["2026-10-25"],
    zone: "Europe/Berlin",
    from: "2026-10-24T21:30:00Z",
    to: "2026-10-25T23:30:00Z",
    ticks: ["2026-10-24T21:30", "2026-10-25T23:00"],
  },
  {
    title: "a day that ends by repeating its last hour is left out to the end of the second one",
    schedule: "30 * * * *",
    except: ["2024-10-26"],
    zone: "America/Asuncion",
    from: "2024-03-24T01:00:00Z",
    to: "2024-03-24T05:00:00Z",
    ticks: ["2024-03-24T01:30", "2024-03-24T02:30", "2024-03-24T03:30", "2024-03-24T04:30"],
  },
  {
    title: "a day whose last hour is shown twice is left out with both of them",
    schedule: "30 * * * *",
    except: ["2024-03-23"],
    zone: "America/Asuncion",
    from: "2024-03-24T01:00:00Z",
    to: "2024-03-24T06:00:00Z",
    ticks: ["2024-03-24T04:30", "2024-03-24T05:30"],
  },
  {
    title: "a day that begins at one o'clock is left out from there",
    schedule: "30 * * * *",
    except: ["2024-10-06"],
    zone: "America/Asuncion",
    from: "2024-10-06T03:00:00Z",
    to: "2024-10-07T04:00:00Z",
    ticks: ["2024-10-06T03:30", "2024-10-07T03:30"],
  },
  {
    title: "a day that a country skipped leaves out nothing, and a tick that was moved out of it stays",
    schedule: "0 12 * * *",
    except: ["2011-12-30"],
    zone: "Pacific/Apia",
    from: "2011-12-29T00:00:00Z",
    to: "2012-01-01T00:00:00Z",
    ticks: ["2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00", "2011-12-31T22:00"],
  },
  {
    title: "an expression leaves out its own ticks and no others",
    schedule: "*/30 * * * *",
    except: ["0 1,2 * * *"],
    from: "2026-11-28T00:30:00Z",
    to: "2026-11-28T03:01:00Z",
    ticks: ["2026-11-28T00:30", "2026-11-28T01:30", "2026-11-28T02:30", "2026-11-28T03:00"],
  },
  {
    title: "days and expressions are left out together, whatever their order",
    schedule: ["@daily", "0 12 * * *"],
    except: ["0 12 * * sat", "2026-11-29", "2026-11-28/2026-11-29"],
    from: "2026-11-27T00:00:00Z",
    to: "2026-12-06T00:00:00Z",
    ticks: [
      "2026-11-27T00:00",
      "2026-11-27T12:00",
      ...[30, 1, 2, 3, 4].flatMap((day) => {
        const shown = day === 30 ? "2026-11-30" : `2026-12-0${day}`;
        return [`${shown}T00:00`, `${shown}T12:00`];
      }),
      "2026-12-05T00:00",
    ],
  },
  {
    title: "a shorthand and a single instant can be left out, too",
    schedule: "0 */6 * * *",
    except: ["@daily", "@at 2026-11-28T12:00:00Z"],
    from: "2026-11-28T00:00:00Z",
    to: "2026-11-29T01:00:00Z",
    ticks: ["2026-11-28T06:00", "2026-11-28T18:00"],
  },
];

describe("ticks that are left out", () => {
  for (const { title, schedule, except, zone = "UTC", from, to, ticks } of table) {
    test(title, () => {
      const left = ticksBetween(read(schedule, except, zone), Date.parse(from), Date.parse(to));
      assert.deepEqual(
        left.map((tick) => new Date(tick).toISOString().slice(0, 16)),
        ticks,
      );
    });
  }

  test("the next tick is found behind years that are left out", () => {
    const from = Date.parse("2026-11-28T00:00:00Z");
    const behindRange = read("* * * * * *", ["2026-11-28/2099-12-31"], "Europe/Berlin");
    assert.equal(nextTick(behindRange, from), Date.parse("2099-12-31T23:00:00Z"));
    const behindCron = read("0 2 29 2 *", ["* 2 * * 0-5"], "UTC");
    assert.equal(nextTick(behindCron, from), Date.parse("2048-02-29T02:00:00Z"));
  });

  test("a schedule all of whose ticks are left out has no next tick", () => {
    for (const except of [["1970-01-01/9999-12-31"], ["@hourly"], ["0 0-11 * * *", "0 12-23 * * *"]]) {
      const schedule = read("0 * * * *", except, "UTC");
      assert.equal(nextTick(schedule, Date.parse("2026-11-28T00:00:00Z")), undefined, except.join());
      assert.equal(countTicks(schedule, 0, Date.parse("2026-11-28T00:00:00Z")), 0);
    }
  });
});

describe("laws of exclusions", () => {
  const zone = fc.constantFrom(
    "UTC",
    "Europe/Berlin",
    "America/Asuncion",
    "Australia/Lord_Howe",
    "Pacific/Apia",
  );
  const schedule = fc.constantFrom<string | string[]>(
    "* * * * *",
    "*/7 * * * *",
    "30 * * * *",
    "30 2 * * *",
    "0,30 0-3 * * 1-5",
    "15 30 2 1-7 * 0",
    "@every 7m",
    "@every 5h",
    "@every 61s",
    ["30 2 * * *", "*/20 1-3 * * *", "@every 45m"],
  );
  const expression = fc.constantFrom(
    "* 2 * * *",
    "30 2 * * *",
    "*/2 * * * *",
    "0 0 * * *",
    "* * * * 6,0",
    "0 * L * *",
    "@every 14m",
    "@hourly",
    "* 0-12 1-15 * *",
  );
  const offsetDays = fc.integer({ min: -3, max: 4 });
  /** In even years near a change of the clocks. */
  const instant = fc.tuple(zone, fc.integer({ min: 2000, max: 2040 })).map(([name, year]) => {
    const anywhere = Date.UTC(year, 5, 1);
    const change = (zoneOf(name)?.stretchAt(anywhere / 1_000).end ?? 0) * 1_000;
    return { name, around: year % 2 === 0 ? change : anywhere };
  });
  const drawn: fc.Arbitrary<Drawn> = fc.record({
    where: instant,
    schedule,
    expressions: fc.array(expression, { maxLength: 2 }),
    days: fc.array(fc.tuple(offsetDays, fc.integer({ min: 0, max: 2 })), { maxLength: 2 }),
    widthDays: fc.constantFrom(1, 5, 40),
    cut: fc.integer({ min: 0, max: 999 }),
  });

  test("a tick is left out exactly if its date is, or one of the expressions ticks with it", () => {
    fc.assert(
      fc.property(drawn, (one) => {
        const { text, except, expressions, dates, name, from, to } = laid(one);
        const clock = new Intl.DateTimeFormat("sv", { timeZone: name, dateStyle: "short" });
        const excluded = new Set(expressions.flatMap((cron) => ticksBetween(read(cron, [], name), from, to)));
        const expected = ticksBetween(read(text, [], name), from, to).filter((tick) => {
          const shown = clock.format(tick);
          const onDay = dates.some((range) => {
            const [first = "", last = ""] = range.split("/");
            return first <= shown && shown <= last;
          });
          return !onDay && !excluded.has(tick);
        });
        assert.deepEqual(ticksBetween(read(text, except, name), from, to), expected);
      }),
      { numRuns: 300 },
    );
  });

  test("the ticks of an interval are those of its parts, one next tick after the other, and are counted exactly", () => {
    fc.assert(
      fc.property(drawn, (one) => {
        const { text, except, name, from, to, middle } = laid(one);
        const thinned = read(text, except, name);
        const whole = ticksBetween(thinned, from, to);
        assert.deepEqual(
          [...ticksBetween(thinned, from, middle), ...ticksBetween(thinned, middle, to)],
          whole,
        );
        assert.equal(countTicks(thinned, from, to), whole.length);
        assert.equal(
          countTicks(read(text, except, name), from, middle) + countTicks(thinned, middle, to),
          whole.length,
        );
        const some = whole.slice(0, 20);
        const steps: number[] = [];
        for (let at: number | undefined = from - 1; steps.length < some.length;) {
          at = nextTick(thinned, at);
          if (at === undefined) break;
          steps.push(at);
        }
        assert.deepEqual(steps, some);
        assert.deepEqual(ticksBetween(thinned, from, to, 5), whole.slice(0, 5));
      }),
      { numRuns: 300 },
    );
  });

  test("ticks of every second in 56 years are counted day by day, whatever is left out", () => {
    const to = Date.UTC(2026, 0, 1);
    const everySecond = read("* * * * * *", ["* * 3 * * *", "2000-01-01"], "UTC");
    assert.equal(countTicks(everySecond, 0, to), (to / dayMs - 1) * 23 * 3_600);
  });
});

function planOf(spec: Partial<JobSpec>): Plan {
  return planOfJob(storedJob("job", { schedule: "* * * * *", ...spec }));
}

describe("one function of the interval serves all", () => {
  const now = Date.UTC(2026, 10, 28, 12, 0, 10);
  const noon = now - 10_000;

  test("a gap names no tick that is left out, and its ranges count none", () => {
    const plan = planOf({
      except: ["*/2 * * * *", "2026-11-27"],
      catchUp: { policy: "all", window: "1h", limit: 2 },
    });
    const { admit, ranges } = divideGap(plan, [{ from: noon - 2 * dayMs, to: now + 1 }], now);
    assert.deepEqual(
      admit.map((tick) => (noon - tick) / 60_000),
      [3, 1],
    );
    const counted = ranges.reduce((sum, { count }) => sum + count, 0);
    assert.equal(counted + admit.length, 24 * 30);
  });

  test("a gap of years of a job of every second costs no more than one of a day", () => {
    const plan = planOf({ schedule: "* * * * * *", except: ["* * 3 * * *"] });
    const { admit, ranges } = divideGap(plan, [{ from: 1, to: now + 1 }], now);
    const counted = ranges.reduce((sum, { count }) => sum + count, 0);
    const days = Math.floor(now / dayMs);
    assert.equal(counted + admit.length, days * 23 * 3_600 + 11 * 3_600 + 11 - 1);
  });

  test("the timetable and the newest ticks leave them out", () => {
    const plan = planOf({ except: ["1-59 * * * *", "2026-11-28"] });
    const jobs = createJobs();
    enterJob(jobs, plan, now);
    assert.equal(nextTickAt(jobs, plan.id), Date.UTC(2026, 10, 29));
    assert.equal(nextTickOf(plan, now), Date.UTC(2026, 10, 29));
    assert.deepEqual(ticksOf(plan, 0, now, 2), [Date.UTC(2026, 10, 27, 22), Date.UTC(2026, 10, 27, 23)]);
  });

  test("the preview tells what runs and what is left out", () => {
    const found = previewSchedule({
      schedule: "0 2 * * *",
      timezone: "Europe/Berlin",
      except: ["2026-11-30/2026-12-01"],
      id: "job",
      from: now,
      count: 2,
    });
    assert.ok(found.ok);
    assert.deepEqual(
      [found.ticks, found.skipped].map((list) => list.map(({ local }) => local)),
      [
        ["2026-11-29 02:00:00", "2026-12-02 02:00:00"],
        ["2026-11-30 02:00:00", "2026-12-01 02:00:00"],
      ],
    );
  });
});

describe("what can't be left out is refused with its place in the list", () => {
  const cases: [string, RegExp][] = [
    ["2026-02-30", /no date "2026-02-30".*such as 2026-12-24/],
    ["2026-12-24/2026-12-23", /ends before it begins/],
    ["2026-12-24/", /no date ""/],
    ["2026-12-24/2026-12-25/2026-12-26", /not a range/],
    ["2026-12-24T00:00:00Z", /no date/],
    ["calendar:Holi days", /can.t be a calendar.s name/],
    ["* * *", /can't be used in except: too few fields/],
    ["christmas", /can't be used in except/],
    ["@reboot", /can't be used in except/],
    ["", /can't be used in except/],
  ];
  for (const [entry, says] of cases) {
    test(JSON.stringify(entry), () => {
      for (const schedule of [{ schedule: "@daily" }, {}]) {
        const check = checkJob({ id: "a", command: "true", ...schedule, except: ["@daily", entry] });
        assert.ok(!check.ok, "it was accepted");
        assert.deepEqual(
          check.problems.map(({ pointer }) => pointer),
          ["/except/1"],
        );
        assert.match(check.problems[0]?.message ?? "", says);
      }
    });
  }

  test("a value that is no list, or a list with too many entries", () => {
    for (const except of ["2026-12-24", [1], Array.from({ length: 367 }, () => "2026-12-24")]) {
      const check = checkJob({ id: "a", command: "true", except });
      assert.ok(!check.ok, "it was accepted");
      assert.match(check.problems[0]?.pointer ?? "", /^\/except/);
    }
  });
});
