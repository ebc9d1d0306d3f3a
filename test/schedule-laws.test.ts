/**
 * Laws that hold for every schedule, zone and interval, tried on random ones.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CronExpressionParser } from "cron-parser";
import fc from "fast-check";
import { countTicks, walkedMax } from "../src/core/time/count.ts";
import { nextTick, parseSchedule, ticksBetween, type Schedule } from "../src/core/time/schedule.ts";
import { zoneOf } from "../src/core/time/zone.ts";

const dayMs = 86_400_000;

const zone = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/St_Johns",
  "Australia/Lord_Howe",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Pacific/Apia",
  "Asia/Kathmandu",
  "America/Havana",
  "Asia/Beirut",
  "America/Asuncion",
  "Pacific/Chatham",
);

function field(min: number, max: number, stars: readonly string[]): fc.Arbitrary<string> {
  const value = fc.integer({ min, max }).map(String);
  const range = fc
    .tuple(fc.integer({ min, max }), fc.integer({ min, max }), fc.integer({ min: 1, max: 6 }))
    .map(([a, b, step]) => `${Math.min(a, b)}-${Math.max(a, b)}${step > 2 ? `/${step}` : ""}`);
  const list = fc.uniqueArray(value, { minLength: 1, maxLength: 3 }).map((values) => values.join(","));
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...stars) },
    { weight: 3, arbitrary: list },
    { weight: 1, arbitrary: range },
  );
}

const second = field(0, 59, ["0", "*/15", "30"]);
const minute = field(0, 59, ["*", "*/7", "0", "30"]);
const hour = field(0, 23, ["*", "*/3", "0", "1", "2", "3"]);
const month = fc.oneof(
  { weight: 4, arbitrary: fc.constant("*") },
  { weight: 1, arbitrary: field(1, 12, ["*"]) },
);

/** Everything that a cron expression may say. */
const anyExpression = fc
  .tuple(
    fc.option(second, { nil: undefined }),
    minute,
    hour,
    fc.oneof(fc.constant("*"), field(1, 28, ["*", "*/2", "L", "15W", "LW", "L-3", "?", "1W"])),
    month,
    fc.oneof(fc.constant("*"), field(0, 6, ["*", "*/2", "fri#2", "5L", "?", "mon-fri", "7"])),
  )
  .map((fields) => fields.filter((text) => text !== undefined).join(" "));

/** Fixed times in the hours in which clocks change. */
const nightly = fc
  .tuple(field(0, 59, ["0", "30", "15,45"]), fc.constantFrom("23", "0", "1", "2", "3", "0-3", "*"))
  .map(([minutes, hours]) => `${minutes} ${hours} * * *`);

const anySchedule = fc.oneof(
  { weight: 3, arbitrary: nightly.map((expression) => [expression]) },
  { weight: 6, arbitrary: anyExpression.map((expression) => [expression]) },
  { weight: 1, arbitrary: fc.array(anyExpression, { minLength: 2, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }).map((seconds) => [`@every ${seconds}s`]) },
);

function read(expressions: string | readonly string[], name: string): Schedule {
  const parsed = parseSchedule(expressions, name, "law");
  assert.ok(parsed.ok, parsed.ok ? "" : `${String(expressions)}: ${JSON.stringify(parsed.problems)}`);
  return parsed.schedule;
}

/** For every second seed it is the instant of the zone's next clock change (or the end of its table's block). */
function instantIn(name: string, year: number, seed: number): number {
  const anywhere = Date.UTC(year, 0, 1) + seed * 365 * dayMs;
  const change = (zoneOf(name)?.stretchAt(Math.floor(anywhere / 1_000)).end ?? 0) * 1_000;
  return Math.round(seed * 10_000) % 2 === 0 ? anywhere : change;
}

/** Evenly in 0 to 1: fast-check's own doubles are mostly tiny. */
const fraction = fc.noBias(fc.integer({ min: 0, max: 9_999 })).map((parts) => parts / 10_000);
const year = fc.integer({ min: 1990, max: 2045 });

describe("the ticks of an interval", () => {
  it("are the ticks of its parts, wherever it is divided", () => {
    fc.assert(
      fc.property(
        anySchedule,
        zone,
        year,
        fraction,
        fc.array(fraction, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(dayMs / 6, dayMs, 4 * dayMs),
        (expressions, name, inYear, seed, cuts, widthMs) => {
          const schedule = read(expressions, name);
          const from = instantIn(name, inYear, seed) - widthMs / 2;
          const to = from + widthMs;
          const edges = [from, ...cuts.map((cut) => from + cut * (to - from)).toSorted((a, b) => a - b), to];
          const whole = ticksBetween(schedule, from, to);
          const parts = edges
            .slice(1)
            .flatMap((edge, index) => ticksBetween(schedule, edges[index] ?? 0, edge));
          assert.deepEqual(parts, whole);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("ascend, lie within it, and are whole seconds", () => {
    let seen = 0;
    fc.assert(
      fc.property(anySchedule, zone, year, fraction, (expressions, name, inYear, seed) => {
        const schedule = read(expressions, name);
        const from = instantIn(name, inYear, seed);
        const to = from + 2 * dayMs;
        let before = -Infinity;
        for (const tick of ticksBetween(schedule, from, to)) {
          assert.ok(tick > before && tick >= from && tick < to && tick % 1_000 === 0);
          before = tick;
          seen++;
        }
      }),
      { numRuns: 500 },
    );
    assert.ok(seen > 1_000, `${seen} ticks`);
  });

  it("are counted exactly without being listed", () => {
    fc.assert(
      fc.property(
        anySchedule,
        zone,
        year,
        fraction,
        fc.constantFrom(dayMs / 3, 3 * dayMs, 40 * dayMs),
        (expressions, name, inYear, seed, widthMs) => {
          const schedule = read(expressions, name);
          const from = instantIn(name, inYear, seed) - widthMs / 2;
          const ticks = ticksBetween(schedule, from, from + widthMs, 300_000);
          fc.pre(ticks.length < 300_000);
          const count = countTicks(schedule, from, from + widthMs);
          // Above the limit for listing, a tick that two expressions name counts twice.
          if (schedule.rules.length > 1 && count > walkedMax) assert.ok(count >= ticks.length);
          else assert.equal(count, ticks.length);
        },
      ),
      { numRuns: 800 },
    );
  });

  it("of every second in 56 years are counted at once", () => {
    const schedule = read(["* * * * * *"], "Europe/Berlin");
    const [from, to] = [0, Date.UTC(2026, 0, 1)];
    assert.equal(countTicks(schedule, from, to), (to - from) / 1_000);
  });

  it("have the same next one, whatever was asked before", () => {
    fc.assert(
      fc.property(
        anyExpression,
        zone,
        year,
        fc.array(fraction, { minLength: 2, maxLength: 8 }),
        (...given) => {
          const [expression, name, inYear, seeds] = given;
          const shared = read(expression, name);
          // Two expressions make a schedule of their own, of which nothing is remembered.
          const own = read([expression, expression], name);
          for (const seed of seeds) {
            const after = Math.floor(Date.UTC(inYear, 5, 1) + (seed * dayMs) / 4);
            assert.equal(nextTick(shared, after), nextTick(own, after));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("are the next ticks, one after the other, and a limit takes the first ones", () => {
    fc.assert(
      fc.property(anySchedule, zone, year, fraction, (expressions, name, inYear, seed) => {
        const schedule = read(expressions, name);
        const from = Math.floor(instantIn(name, inYear, seed) - dayMs / 4);
        const some = ticksBetween(schedule, from, Infinity, 20);
        const steps: number[] = [];
        for (let at: number | undefined = from - 1; steps.length < some.length;) {
          at = nextTick(schedule, at);
          if (at === undefined) break;
          steps.push(at);
        }
        assert.deepEqual(steps, some);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the calendar's promise", () => {
  it("a daily job at a fixed time runs once for each day of a year, in every zone", () => {
    fc.assert(
      fc.property(
        zone,
        fc.integer({ min: 2012, max: 2040 }),
        fc.integer({ min: 0, max: 23 }),
        fc.integer({ min: 0, max: 59 }),
        (name, inYear, atHour, atMinute) => {
          const schedule = read(`${atMinute} ${atHour} * * *`, name);
          const from = Date.UTC(inYear, 0, 3, 12);
          const days = 350;
          const ticks = ticksBetween(schedule, from, from + (days + 2) * dayMs).slice(0, days);
          assert.equal(ticks.length, days);
          for (const [index, tick] of ticks.entries()) {
            const gap = tick - (ticks[index - 1] ?? tick - dayMs);
            assert.ok(gap >= dayMs - 7_200_000 && gap <= dayMs + 7_200_000, `${gap} ms between two days`);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("far from any change of the clocks", () => {
  /** Expressions that mean the same to cron-parser and Vixie's cron: no star with a step in a day field. */
  const plainExpression = fc
    .tuple(
      second,
      minute,
      hour,
      fc.oneof(fc.constant("*"), field(1, 28, ["*", "L", "?"])),
      month,
      fc.oneof(fc.constant("*"), field(0, 6, ["*", "5#2", "5L", "mon-fri", "7"])),
    )
    .map((fields) => fields.join(" "));

  it("cron-parser names the same ticks", () => {
    let compared = 0;
    fc.assert(
      fc.property(plainExpression, zone, year, fraction, (expression, name, inYear, seed) => {
        const from = Math.floor(Date.UTC(inYear, 0, 1) + seed * 365 * dayMs);
        const own = ticksBetween(read(expression, name), from, Infinity, 8);
        const until = (own.at(-1) ?? from) + 3 * dayMs;
        for (let day = from - 3 * dayMs; day < until; day += dayMs) {
          fc.pre(offsetOf(name, day) === offsetOf(name, from));
        }
        const other = CronExpressionParser.parse(expression, { currentDate: from - 1, tz: name });
        assert.deepEqual(
          own,
          own.map(() => other.next().getTime()),
        );
        compared += own.length;
      }),
      { numRuns: 400 },
    );
    assert.ok(compared > 1_000, `only ${compared} ticks were compared`);
  });

  const clocks = new Map<string, Intl.DateTimeFormat>();
  function offsetOf(name: string, instant: number): string {
    const clock =
      clocks.get(name) ?? new Intl.DateTimeFormat("en", { timeZone: name, timeZoneName: "longOffset" });
    clocks.set(name, clock);
    return clock.format(instant).split(", ")[1] ?? "";
  }
});
