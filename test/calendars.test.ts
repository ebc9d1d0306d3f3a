/** Named calendars: which ticks jobs leave out because of them, and what follows when a calendar is edited or missing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { calendarProblems, readCalendars } from "../src/core/job/calendars.ts";
import { divideGap } from "../src/core/job/gap.ts";
import { checkedJob } from "../src/core/checks/job.ts";
import { ticksOf, type Plan } from "../src/core/job/plan.ts";
import { countTicks } from "../src/core/time/count.ts";
import { previewSchedule } from "../src/core/time/preview.ts";
import { ticksBetween } from "../src/core/time/schedule.ts";
import { jobNow, nextTicks, obstaclesOf, pendingOf } from "../src/core/view.ts";
import { ownCapabilities } from "../src/schema/protocol.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import { Cores } from "./kit/cores.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const id = "job" as JobId;
const second = 1_000;

function planned(spec: Partial<JobSpec>, calendars: Record<string, unknown>): Plan {
  const job = storedJob(id, { schedule: "0 */6 * * *", ...spec });
  return planOfJob(job, readCalendars(new Map(Object.entries(calendars))));
}

function shown(ticks: readonly number[]): string[] {
  return ticks.map((tick) => new Date(tick).toISOString().slice(0, 16));
}

interface Case {
  title: string;
  calendar: object;
  spec?: Partial<JobSpec>;
  from: string;
  to: string;
  ticks: string[];
}

const expanded = { days: [], floating: [], spans: [] };

const table: Case[] = [
  {
    title: "a date covers its whole day in the job's zone",
    calendar: { dates: ["2026-12-24"] },
    spec: { timezone: "Asia/Tokyo" },
    from: "2026-12-23T09:00:00Z",
    to: "2026-12-24T22:00:00Z",
    ticks: ["2026-12-23T09:00", "2026-12-24T15:00", "2026-12-24T21:00"],
  },
  {
    title: "a range covers its first and its last day",
    calendar: { dates: ["2026-12-24/2026-12-25"] },
    from: "2026-12-23T18:00:00Z",
    to: "2026-12-26T01:00:00Z",
    ticks: ["2026-12-23T18:00", "2026-12-26T00:00"],
  },
  {
    title: "a floating event is read in the job's zone, its end out",
    calendar: {
      ical: "x",
      expanded: { ...expanded, floating: ["2026-12-24T06:00:00/2026-12-24T12:00:00"] },
    },
    spec: { timezone: "America/New_York" },
    from: "2026-12-24T05:00:00Z",
    to: "2026-12-25T00:00:00Z",
    ticks: ["2026-12-24T05:00", "2026-12-24T17:00", "2026-12-24T23:00"],
  },
  {
    title: "an event with a zone of its own is the same time in every job's zone",
    calendar: {
      ical: "x",
      expanded: { ...expanded, spans: ["2026-12-24T06:00:00Z/2026-12-24T12:00:01Z"] },
    },
    spec: { timezone: "Europe/London" },
    from: "2026-12-24T00:00:00Z",
    to: "2026-12-25T00:00:00Z",
    ticks: ["2026-12-24T00:00", "2026-12-24T18:00"],
  },
];

describe("which ticks a calendar leaves out", () => {
  for (const { title, calendar, spec = {}, from, to, ticks } of table) {
    test(title, () => {
      const plan = planned({ ...spec, except: ["calendar:days"] }, { days: calendar });
      const [start, end] = [Date.parse(from), Date.parse(to)];
      assert.deepEqual(shown(ticksOf(plan, start, end, 100)), ticks);
      assert.ok(plan.schedule !== undefined);
      assert.equal(countTicks(plan.schedule, start, end), ticks.length, "counted");
      const { admit, ranges } = divideGap(
        { ...plan, catchUp: { policy: "all", windowMs: 1e9, limit: 100 } },
        [{ from: start, to: end }],
        end,
      );
      assert.deepEqual(shown(admit), ticks, "caught up");
      assert.deepEqual(ranges, []);
    });
  }

  test("it is judged by the tick, not by its jittered start, and beside other exclusions", () => {
    const except = ["calendar:days", "0 12 * * *", "2026-12-26"];
    const plan = planned({ except, jitter: "5h" }, { days: { dates: ["2026-12-24"] } });
    const ticks = shown(ticksOf(plan, Date.UTC(2026, 11, 23, 18), Date.UTC(2026, 11, 27, 1), 100));
    assert.deepEqual(ticks, [
      "2026-12-23T18:00",
      "2026-12-25T00:00",
      "2026-12-25T06:00",
      "2026-12-25T18:00",
      "2026-12-27T00:00",
    ]);
  });

  test("thousands of days are left out as days that are written one by one are", () => {
    const dates = Array.from({ length: 5_000 }, (_, day) =>
      new Date(Date.UTC(2026, 0, 1 + 2 * day)).toISOString().slice(0, 10),
    );
    const plan = planned({ schedule: "0 3 * * *", except: ["calendar:days"] }, { days: { dates } });
    assert.ok(plan.schedule !== undefined);
    const ticks = ticksBetween(plan.schedule, Date.UTC(2026, 0, 1), Date.UTC(2053, 0, 1));
    assert.equal(ticks.length, countTicks(plan.schedule, Date.UTC(2026, 0, 1), Date.UTC(2053, 0, 1)));
    const days = new Set(dates);
    assert.ok(ticks.every((tick) => !days.has(new Date(tick).toISOString().slice(0, 10))));
    const all = (Date.UTC(2053, 0, 1) - Date.UTC(2026, 0, 1)) / 86_400_000;
    assert.equal(ticks.length, all - dates.filter((date) => date < "2053").length);
  });

  test("a preview says what it leaves out, stops where it isn't known any more, and refuses one that is missing", () => {
    const calendars = readCalendars(
      new Map([
        [
          "days",
          { ical: "x", expanded: { ...expanded, days: ["2026-12-24"], until: "2026-12-26T00:00:00Z" } },
        ],
      ]),
    ).named;
    const request = { schedule: "@daily", timezone: "UTC", id: "x", from: Date.UTC(2026, 11, 22), count: 5 };
    const found = previewSchedule({ ...request, except: ["calendar:days"], calendars });
    assert.ok(found.ok);
    assert.deepEqual(shown(found.ticks.map(({ tick }) => tick)), ["2026-12-23T00:00", "2026-12-25T00:00"]);
    assert.deepEqual(shown(found.skipped.map(({ tick }) => tick)), ["2026-12-24T00:00"]);
    const missing = previewSchedule({ ...request, except: ["2026-12-24", "calendar:other"], calendars });
    assert.deepEqual(missing, {
      ok: false,
      problems: [{ pointer: "/except/1", message: 'there is no calendar "other"' }],
    });
  });
});

describe("what a person writes", () => {
  const refused: readonly [title: string, value: unknown, pointer: string, says: RegExp][] = [
    ["nothing", {}, "", /give dates/],
    [
      "a date that doesn't exist",
      { dates: ["2026-12-24", "2026-02-30"] },
      "/dates/1",
      /no date "2026-02-30"/,
    ],
    ["a range that ends before it begins", { dates: ["2027-01-02/2026-12-24"] }, "/dates/0", /ends before/],
    ["an unknown field", { date: ["2026-12-24"] }, "/date", /did you mean "dates"/],
    ["iCalendar text that nobody has read", { ical: "BEGIN:VCALENDAR" }, "/ical", /not read here/],
    [
      "more dates than there may be",
      { dates: Array.from({ length: 10_001 }, () => "2026-12-24") },
      "/dates",
      /10000/,
    ],
  ];
  for (const [title, value, pointer, says] of refused) {
    test(`${title} is refused with its place`, () => {
      const [problem] = calendarProblems(value);
      assert.equal(problem?.pointer, pointer);
      assert.match(problem?.message ?? "", says);
    });
  }

  test("a calendar with fields of a later version is not half-understood: its jobs' ticks aren't known here", () => {
    const plan = planned(
      { except: ["calendar:days"] },
      { days: { dates: ["2026-12-24"], moonPhases: true } },
    );
    assert.equal(plan.knowsTicks, false);
    assert.deepEqual(ticksOf(plan, 0, Date.UTC(2027, 0, 1), 10), []);
  });
});

const every: JobSpec = { id, schedule: "@every 10s", command: "true", except: ["calendar:off"] };

/** From the second of so many days to another, as the cores' clock shows them. */
function spansOf(cores: Cores, from: number, to: number): object {
  const text = (at: number) => `${new Date(cores.wall(cores.now) + at).toISOString().slice(0, 19)}Z`;
  return {
    ical: "x",
    expanded: { ...expanded, spans: [`${text(from)}/${text(to)}`] },
    at: cores.wall(cores.now),
  };
}

const startedIn = (cores: Cores, from: number, to: number) =>
  cores.starts.filter(({ tick }) => Date.parse(tick) >= from && Date.parse(tick) < to).length;

describe("jobs that name a calendar", () => {
  test("take no ticks while it covers them, on any peer, and next says so", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.set("calendars", "off", spansOf(cores, 30 * second, 60 * second));
    const begin = cores.wall(cores.now) + 30 * second;
    cores.put(every);
    const state = cores.state("b");
    const ticks = nextTicks(state, state.now, id, 8) ?? [];
    for (const { startsAt, skipped } of ticks)
      assert.equal(skipped, startsAt >= begin && startsAt < begin + 30 * second ? "except" : undefined);
    assert.ok(ticks.some(({ skipped }) => skipped === "except"));
    cores.pass(90 * second);
    assert.equal(startedIn(cores, begin, begin + 30 * second), 0);
    assert.ok(startedIn(cores, begin - 30 * second, begin) >= 2);
    assert.ok(startedIn(cores, begin + 30 * second, begin + 60 * second) >= 2);
  });

  test("an edit plans their ticks anew; ticks from before it stay as they are", () => {
    const cores = new Cores(["a", "b"]);
    cores.set("calendars", "off", spansOf(cores, 0, 60 * second));
    cores.put({ ...every, catchUp: { policy: "all" } });
    cores.pass(45 * second);
    assert.equal(cores.starts.length, 0);
    cores.set("calendars", "off", { dates: [], at: cores.wall(cores.now) });
    const edited = cores.wall(cores.now);
    cores.pass(40 * second);
    assert.ok(cores.starts.length >= 3);
    assert.ok(
      cores.starts.every(({ tick }) => Date.parse(tick) > edited),
      "nothing from before the edit",
    );
  });

  test("an edit takes back a claim of a tick that it leaves out", () => {
    const cores = new Cores(["a", "b"]);
    cores.set("calendars", "off", { dates: [], at: 0 });
    cores.put(every);
    cores.pass(15 * second);
    const [next] = nextTicks(cores.state("a"), cores.state("a").now, id, 1) ?? [];
    assert.ok(next !== undefined);
    cores.pass(next.startsAt - cores.wall(cores.now) - second);
    const before = cores.starts.length;
    cores.set("calendars", "off", spansOf(cores, -second, 3 * second));
    cores.pass(5 * second);
    assert.equal(cores.starts.length, before);
  });

  test("a job that names one that isn't there is refused when it is written", () => {
    const cores = new Cores(["a"]);
    cores.ask("a", { kind: "put-job", spec: checkedJob(every), mode: "create", by: "ann" });
    const [answer] = cores.answers;
    assert.ok(answer?.kind === "refused");
    assert.equal(answer.error.code, "INVALID_JOB");
    assert.deepEqual(
      answer.error.problems.map(({ pointer }) => pointer),
      ["/except/0"],
    );
    assert.match(answer.error.problems[0]?.message ?? "", /there is no calendar "off": make it first/);
  });

  test("one that jobs name can't be removed, and the refusal names them", () => {
    const cores = new Cores(["a"]);
    cores.set("calendars", "off", { dates: [], at: 0 });
    cores.put(every);
    cores.ask("a", { kind: "remove-setting", setting: "calendars", name: "off", by: "ann" });
    const [answer] = cores.answers;
    assert.ok(answer?.kind === "refused");
    assert.equal(answer.error.code, "SETTING_IN_USE");
    assert.match(answer.error.message, /"off" is used by job/);
  });

  test("setting one to what it already says is no edit", () => {
    const cores = new Cores(["a"]);
    const value = { dates: ["2030-12-24"] };
    cores.set("calendars", "off", { ...value, at: cores.wall(0) });
    cores.ask("a", { kind: "put-setting", setting: "calendars", name: "off", value, by: "ann" });
    assert.deepEqual(cores.answers, [{ kind: "done" }]);
    assert.equal(cores.edits, 0);
  });
});

function without(): Cores {
  const cores = new Cores(["a", "b"]);
  cores.set("calendars", "off", { dates: [], at: 0 });
  cores.put({ ...every, schedule: "@every 60s", catchUp: { policy: "latest" } });
  cores.pass(70 * second);
  cores.set("calendars", "off", undefined);
  return cores;
}

describe("a calendar that was removed at one side of a split while the other side made a job that names it", () => {
  test("its job's ticks neither run nor vanish: they wait, and are missed when a newer one is due", () => {
    const cores = without();
    const before = cores.starts.length;
    cores.pass(65 * second);
    const state = cores.state("a");
    assert.equal(pendingOf(state, state.now, id)[0]?.waitsFor, "calendar");
    cores.pass(125 * second);
    assert.equal(cores.starts.length, before);
    const missed = cores.recordsOf("a").filter((one) => one.state === "missed");
    assert.ok(missed.length >= 1);
    assert.ok(missed.every(({ reason }) => reason === "calendar"));
  });

  test("the job says so in every place that shows it", () => {
    const cores = without();
    cores.pass(second);
    const state = cores.state("b");
    const now = jobNow(state, state.now, id);
    assert.equal(now?.state, "blocked");
    assert.deepEqual(
      now?.hindrances.map(({ code, pointer }) => [code, pointer]),
      [["NO_CALENDAR", "/except/0"]],
    );
    assert.match(obstaclesOf(state, state.now, id).join(" "), /there is no calendar "off"/);
  });

  test("a run by hand goes ahead", () => {
    const cores = without();
    const before = cores.starts.length;
    cores.ask("a", { kind: "run-job", id, by: "ann" });
    cores.pass(5 * second);
    assert.equal(cores.starts.length, before + 1);
  });

  test("once it is set again, the ticks after that run", () => {
    const cores = without();
    const before = cores.starts.length;
    cores.pass(70 * second);
    cores.set("calendars", "off", { dates: [], at: cores.wall(cores.now) });
    const set = cores.wall(cores.now);
    cores.pass(130 * second);
    const later = cores.starts.slice(before);
    assert.ok(later.length >= 2);
    assert.ok(later.every(({ tick }) => Date.parse(tick) > set));
  });
});

test("a peer of a version without calendars leaves their jobs to the others", () => {
  const old = ownCapabilities.filter((one) => one !== "calendars");
  const cores = new Cores(["a", "b"], { capabilities: { b: old } });
  cores.set("calendars", "off", { dates: [], at: 0 });
  cores.put(every);
  cores.pass(60 * second);
  assert.ok(cores.starts.length >= 5);
  assert.ok(cores.starts.every(({ peer }) => peer === "a"));
});

test("a calendar whose recurring events are expanded for less than a year still is a problem of its jobs", () => {
  const cores = new Cores(["a"]);
  const until = new Date(cores.wall(0) + 300 * 86_400_000).toISOString();
  cores.set("calendars", "off", { ical: "x", expanded: { ...expanded, until }, at: 0 });
  cores.put(every);
  const state = cores.state("a");
  const now = jobNow(state, state.now, id);
  assert.equal(now?.state, "scheduled");
  assert.deepEqual(
    now?.hindrances.map(({ code }) => code),
    ["CALENDAR_ENDS"],
  );
});
