/**
 * What a search for ticks costs, whatever a schedule says: anybody who may read can have one previewed, and each job's is searched
 * on every peer. Counted in steps. Before there was a limit, the third list was not done after many minutes.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { previewSchedule } from "../src/core/time/preview.ts";
import { parseSchedule } from "../src/core/time/schedule.ts";
import { zoneOf, type Stretch } from "../src/core/time/zone.ts";
import { countSteps } from "./kit/fuzz/steps.ts";

const from = Date.parse("2026-11-20T12:00:00Z");
const everySecondOfTheMinute = Array.from({ length: 60 }, (_, second) => `${second} * * * * *`);
const mostSteps = 60_000_000;

function search(schedule: string | readonly string[], except: readonly string[] = []) {
  const timezone = "America/New_York";
  let ticks: readonly number[] | undefined;
  const steps = countSteps(() => {
    const preview = previewSchedule({ schedule, timezone, except, id: "x", from, count: 1_000 });
    assert.ok(preview.ok);
    ticks = preview.ticks.map(({ tick }) => tick);
  });
  return { steps, ticks };
}

/** The numbers from 1 on in which the bit is set. */
function withBit(most: number, bit: number): number[] {
  return Array.from({ length: most }, (_, index) => index + 1).filter((one) => ((one >> bit) & 1) === 1);
}

describe("a search for ticks", () => {
  test("that come once in decades, of many expressions, reads a zone's clocks once", (context) => {
    // oxlint-disable-next-line typescript/unbound-method -- the mock calls it on its own object
    const get = Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, "format")?.get;
    assert.ok(get !== undefined);
    const asked = context.mock.getter(Intl.DateTimeFormat.prototype, "format", get);
    const rare = Array.from({ length: 30 }, (_, index) => `${index} 0 0 29 2 ${index % 7}#5`);
    assert.equal(search(rare).ticks?.length, 1_000);
    const times = asked.mock.callCount();
    assert.ok(times < 300_000, `the clocks were asked ${times} times`);
  });

  test("of which hundreds of expressions by date leave out all looks at each kind of year once", () => {
    const byDate = Array.from(
      { length: 306 },
      (_, index) => `${index % 60} ${index % 59} ${index % 23} ${1 + (index % 28)} ${1 + (index % 12)} *`,
    );
    const { steps, ticks } = search("* * * * * *", [...everySecondOfTheMinute, ...byDate]);
    assert.deepEqual(ticks, []);
    assert.ok(steps < mostSteps, `${steps} steps`);
  });

  test("of which all are left out on days that are never alike ends after bounded work", () => {
    const { steps, ticks } = search("* * * * * *", [...everySecondOfTheMinute, "@every 86399s"]);
    assert.deepEqual(ticks, []);
    assert.ok(steps < mostSteps, `${steps} steps`);
  });

  test("of which all are left out is one search, into however many parts other days off divide the time", () => {
    const daysOff = Array.from({ length: 305 }, (_, index) =>
      new Date(from + index * 28 * 86_400_000).toISOString().slice(0, 10),
    );
    const { steps, ticks } = search("* * * * * *", [...everySecondOfTheMinute, "@every 86399s", ...daysOff]);
    assert.deepEqual(ticks, []);
    assert.ok(steps < mostSteps, `${steps} steps`);
  });

  test("of which many expressions leave out whole days, each another one, finds the days that are left and looks at one day of each kind", () => {
    const days = Array.from({ length: 30 }, (_, index) => index + 1);
    const lists = [
      days.map((day) => `* * * ${day} * *`),
      days.flatMap((day) => [`* * 0-11 ${day} * *`, `* * 12-23 ${day} * *`]),
    ];
    for (const schedule of ["* * * * * *", "@every 5s"])
      for (const except of lists) {
        const { steps, ticks } = search(schedule, except);
        assert.equal(new Date(ticks?.[0] ?? 0).toISOString(), "2026-12-31T05:00:00.000Z");
        assert.equal(ticks?.length, 1_000);
        assert.ok(steps < 10_000_000, `${steps} steps`);
      }
  });

  test("that come once a day and are left out by date, on days that are seldom alike, does not go through each second", () => {
    const byDate = [0, 1, 2, 3, 4].map((bit) => `0 0 ${withBit(31, bit).join(",")} * *`);
    const byMonth = [0, 1, 2, 3].map((bit) => `0 0 * ${withBit(12, bit).join(",")} *`);
    const { steps, ticks } = search("0 0 * * *", ["0 0 1-15 * *", "0 0 16-31 * *", ...byDate, ...byMonth]);
    assert.deepEqual(ticks, []);
    assert.ok(steps < mostSteps, `${steps} steps`);
  });

  test("of which few are left on such days finds some", () => {
    const { ticks } = search("* * * * * *", [
      ...everySecondOfTheMinute.slice(1),
      "0 * * 2-31 * *",
      "@every 86399s",
    ]);
    assert.ok(ticks !== undefined && ticks.length > 0);
  });
});

test("the clocks of a year far ahead are those of the same year of the calendar's round", () => {
  for (const name of ["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]) {
    const zone = zoneOf(name);
    assert.ok(zone !== undefined);
    const clock = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      timeZoneName: "longOffset",
      year: "numeric",
    });
    for (let day = 0; day < 2_000; day++) {
      const at = Date.UTC(2_499, 0, 1) + day * 1_371 * 86_400_000;
      if (at >= Date.UTC(9_999, 0, 1)) break;
      const [, sign, hours = "0", minutes = "0"] = /GMT([+-])(\d+):(\d+)/.exec(clock.format(at)) ?? [];
      const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60);
      const stretch: Stretch = zone.stretchAt(at / 1_000);
      assert.equal(stretch.offset, offset, `${name} ${new Date(at).toISOString()}`);
      assert.ok(stretch.start <= at / 1_000 && at / 1_000 < stretch.end);
    }
  }
});

/** Reads the schedule of the job with that number. */
function readSchedule(index: number): void {
  const plain = `${index % 60} ${Math.floor(index / 60) % 24} * * *`;
  const schedule = index % 4 === 0 ? "H H * * *" : plain;
  assert.ok(parseSchedule(schedule, "Europe/Berlin", `job-${index}`).ok);
}

test("a schedule is read in few steps, so that a table of 100,000 jobs is soon there", () => {
  readSchedule(0);
  const steps = countSteps(() => {
    for (let index = 0; index < 1_000; index++) readSchedule(index);
  });
  assert.ok(steps < 1_000_000, `${steps} steps for 1,000 schedules`);
});
