/** When a tick of a job with `jitter` starts (core/job/jitter.ts). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { divideGap } from "../src/core/job/gap.ts";
import { dueOf, firstDueFrom } from "../src/core/job/jitter.ts";
import { checkJob } from "../src/core/checks/job.ts";
import { ticksOf, type Plan } from "../src/core/job/plan.ts";
import { jobNow, nextTicks } from "../src/core/view.ts";
import { instantOf, type JobId, type TickId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import { Cores } from "./kit/cores.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

function planOf(spec: Partial<JobSpec>, name = "job"): Plan {
  return planOfJob(storedJob(name, spec));
}

describe("the jitter of a tick", () => {
  const now = Date.UTC(2026, 10, 28, 12);
  const plan = planOf({ schedule: "0 * * * *", jitter: "30m" });
  const delays = ticksOf(plan, now - 1_000 * hour, now, 1_000).map((tick) => dueOf(plan, tick) - tick);

  test("lies between nothing and the whole jitter, and is spread evenly", () => {
    assert.equal(delays.length, 1_000);
    assert.ok(delays.every((delay) => delay >= 0 && delay < 30 * minute));
    const quarters = Map.groupBy(delays, (delay) => Math.floor((4 * delay) / (30 * minute)));
    for (const some of quarters.values()) assert.ok(some.length > 150, `${some.length} of 1000 in a quarter`);
    assert.equal(quarters.size, 4);
  });

  test("is fixed for a job and a tick, whatever else the job says, and differs between jobs", () => {
    const other = planOf({ schedule: "*/30 * * * *", jitter: "30m", command: "false" });
    assert.equal(dueOf(other, now), dueOf(plan, now));
    assert.notEqual(dueOf(planOf({ schedule: "0 * * * *", jitter: "30m" }, "b"), now), dueOf(plan, now));
    // Written down, because peers of another version must compute the same.
    assert.equal(dueOf(plan, now) - now, 310_208);
  });

  test("divides ticks into those that are due before an instant and those that are not", () => {
    for (let at = now - 5 * hour; at < now; at += 7 * minute) {
      const first = firstDueFrom(plan, at);
      for (const tick of ticksOf(plan, at - 3 * hour, at + 3 * hour, 10)) {
        assert.equal(tick >= first, dueOf(plan, tick) >= at, new Date(at).toISOString());
      }
    }
    assert.equal(firstDueFrom(planOf({ schedule: "0 * * * *" }), now - 5), now - 5);
  });
});

describe("a gap of a job with jitter", () => {
  test("has no overdue tick whose jitter has not passed", () => {
    const plan = planOf({ schedule: "0 * * * *", jitter: "1h", catchUp: { policy: "none" } });
    const tick = Date.UTC(2026, 10, 28, 12);
    const due = dueOf(plan, tick);
    const before = divideGap(plan, [{ from: tick - hour + 1, to: due }], due - 1);
    assert.deepEqual(before, { admit: [tick], ranges: [] });
    const after = divideGap(plan, [{ from: tick - 3 * hour, to: due + 31 * second }], due + 31 * second);
    assert.deepEqual(
      [after.admit.filter((one) => one > tick), after.ranges.map(({ to, count }) => [to, count])],
      [[], [[tick, 4]]],
    );
  });

  test("counts its catch-up window from when a tick was due", () => {
    const plan = planOf({ schedule: "0 0 * * *", jitter: "23h", catchUp: { window: "2h" } });
    const tick = Date.UTC(2026, 10, 28);
    const due = dueOf(plan, tick);
    const at = (now: number) => divideGap(plan, [{ from: tick, to: tick + 1 }], now);
    assert.deepEqual(at(due + 2 * hour - second).admit, [tick]);
    assert.deepEqual(at(due + 2 * hour - second).ranges, []);
  });
});

describe("jobs with jitter in a mesh", () => {
  test("each tick starts once, when its jitter has passed, on the peer that its name ranks first", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.pass(30 * second);
    cores.put({ id: "beat", schedule: "* * * * *", command: "true", jitter: "50s" });
    const state = cores.state("a");
    const planned = nextTicks(state, state.now, "beat" as JobId, 5) ?? [];
    cores.pass(6 * minute);
    const plan = cores.state("a").jobs.plans.get("beat" as JobId);
    assert.ok(plan);
    const starts = cores.starts.slice(0, 5);
    assert.deepEqual(
      starts.map(({ tick, peer }) => [tick, peer]),
      planned.map(({ tick, peers }) => [tick, peers[0]?.id]),
    );
    for (const { tick, at } of starts) {
      const lateMs = cores.wall(at) - dueOf(plan, instantOf(tick as TickId));
      assert.ok(lateMs >= 0 && lateMs < 100, `${tick} started ${lateMs} ms late`);
    }
    assert.equal(new Set(cores.starts.map(({ tick }) => tick)).size, cores.starts.length);
  });

  test("a tick whose time has passed is the job's next one until its jitter has, and then another is", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ id: "beat", schedule: "*/5 * * * *", command: "true", jitter: "5m" });
    for (let step = 0; step < 60; step++) {
      cores.pass(10 * second);
      const state = cores.state("a");
      const plan = state.jobs.plans.get("beat" as JobId);
      assert.ok(plan);
      const next = jobNow(state, state.now, "beat" as JobId)?.next;
      assert.ok(next);
      assert.equal(next.startsAt, dueOf(plan, instantOf(next.tick)));
      assert.ok(next.startsAt > state.now.wall, `${next.tick} is still called the next one`);
      const before = instantOf(next.tick) - 5 * minute;
      assert.ok(
        before <= plan.earliest || dueOf(plan, before) <= state.now.wall,
        "a tick before it is to come",
      );
    }
  });

  test("a pause is judged by the tick: one that comes in the pause is skipped, though it ends before the jitter has", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(30 * second);
    const beat = { id: "beat", schedule: "*/5 * * * *", command: "true", jitter: "5m" } as const;
    cores.put(beat);
    const tick = Math.ceil((cores.wall(cores.now) + 10 * second) / (5 * minute)) * 5 * minute;
    cores.put(beat, { pauses: [{ by: "ada", at: tick - second, until: tick + second }] });
    cores.pass(tick + 5 * minute - cores.wall(cores.now));
    const records = cores.recordsOf("a");
    const story = records.find((record) => instantOf(record.tick) === tick);
    assert.deepEqual([story?.state, story?.reason], ["skipped", "paused"]);
  });

  test("peers of a version that doesn't know jitter are not asked to run such a job", () => {
    const first = ["executor:process", "majority", "field:except"];
    const cores = new Cores(["a", "b", "c"], { capabilities: { a: first } });
    cores.pass(30 * second);
    cores.put({ id: "beat", schedule: "@every 10s", command: "true", jitter: "5s" });
    cores.pass(3 * minute);
    assert.deepEqual(new Set(cores.starts.map(({ peer }) => peer)), new Set(["b", "c"]));
  });
});

describe("a jitter is refused", () => {
  const refused: [string | string[], unknown, RegExp][] = [
    ["* * * * *", "61s", /longer than the time between two ticks/],
    ["*/7 * * * *", "5m", /longer than the time between two ticks/],
    ["@every 90s", "91s", /longer/],
    [["0 0 * * *", "30 0 1 * *"], "31m", /longer/],
    ["0 2 * * 1,2", "25h", /longer/],
    ["0 0 1 * *", "29d", /longer/],
    ["@daily", "soon", /is not a duration/],
    ["@daily", 5, /a duration has a unit/],
  ];
  for (const [schedule, jitter, says] of refused) {
    test(`${String(schedule)} with ${String(jitter)}`, () => {
      const check = checkJob({ id: "a", command: "true", schedule, jitter });
      assert.ok(!check.ok, "it was accepted");
      assert.deepEqual(
        check.problems.map(({ pointer }) => pointer),
        ["/jitter"],
      );
      assert.match(check.problems[0]?.message ?? "", says);
    });
  }

  for (const [schedule, jitter] of [
    ["* * * * *", "60s"],
    ["@every 90s", "90s"],
    ["0 2 * * 1", "7d"],
    ["@daily", 0],
    ["@at 2027-01-01T00:00:00Z", "90d"],
    [undefined, "1h"],
  ] as const) {
    test(`but not ${schedule ?? "that of a job run by hand"} with ${jitter}`, () => {
      const check = checkJob({
        id: "a",
        command: "true",
        jitter,
        ...(schedule === undefined ? {} : { schedule }),
      });
      assert.ok(check.ok, JSON.stringify(check));
    });
  }
});

test("ticks that come closer than the jitter, as on a day of 23 hours, start once each when they are due, in whatever order", () => {
  let isTurned = false;
  for (let index = 0; index < 4; index++) {
    const id = `job${index}` as JobId;
    const cores = new Cores(["a", "b"], { runMs: second });
    cores.pass(minute);
    // The check of the jitter looks at the year before.
    const schedule = ["0 * * * *", "@at 2026-11-20T04:10:00Z", "@at 2026-11-20T06:50:00Z"];
    cores.put({ id, schedule, jitter: "1h", command: "true", overlap: "allow" });
    cores.pass(7 * hour);
    const plan = cores.state("a").jobs.plans.get(id);
    assert.ok(plan !== undefined);
    const ticks = ticksOf(plan, Date.UTC(2026, 10, 20, 2, 30), Date.UTC(2026, 10, 20, 7, 30), 10);
    const dues = ticks.map((tick) => dueOf(plan, tick));
    isTurned ||= dues.some((due, place) => due < (dues[place - 1] ?? 0));
    for (const [place, tick] of ticks.entries()) {
      const starts = cores.starts.filter((start) => Date.parse(start.tick) === tick);
      assert.equal(starts.length, 1);
      const lateMs = cores.wall(starts[0]?.at ?? 0) - (dues[place] ?? 0);
      assert.ok(lateMs >= 0 && lateMs < second, `${lateMs}`);
    }
  }
  assert.ok(isTurned, "some pair of ticks starts in the other order");
});
