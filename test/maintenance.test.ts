/** Maintenance: what may be written, which instants lie in it, and what happens to ticks, runs and retries in it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkMaintenance, windowAt, windowsBetween } from "../src/core/job/maintenance.ts";
import { jobNow, nextTicks, obstaclesOf, pendingOf } from "../src/core/view.ts";
import type { JobId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 3_600_000;
const id = "job" as JobId;

function read(spec: unknown) {
  const checked = checkMaintenance("upgrade", spec);
  assert.ok(checked.ok, JSON.stringify(checked));
  return [checked.maintenance];
}

describe("a maintenance is refused with the place and the reason", () => {
  const cases: readonly [says: string, spec: unknown, pointer: string, message: RegExp][] = [
    ["no time at all", {}, "", /from and to \(once\), or schedule and duration/],
    ["once and recurring", { from: "2026-11-20T00:00:00Z", schedule: "@daily" }, "", /not both/],
    ["no end", { from: "2026-11-20T00:00:00Z" }, "/to", /missing/],
    [
      "an end before its beginning",
      { from: "2026-11-20T01:00:00Z", to: "2026-11-20T01:00:00Z" },
      "/to",
      /after from/,
    ],
    ["an instant that is none", { from: "tomorrow", to: "2026-11-20T01:00:00Z" }, "/from", /RFC 3339/],
    ["no duration", { schedule: "@daily" }, "/duration", /missing/],
    ["a duration that is none", { schedule: "@daily", duration: "long" }, "/duration", /not a duration/],
    ["one that never ends", { schedule: "@daily", duration: "9999d" }, "/duration", /at most 366 days/],
    ["an unknown zone", { schedule: "@daily", duration: "1h", timezone: "Mars" }, "/timezone", /Mars/],
    ["a schedule that is none", { schedule: "at noon", duration: "1h" }, "/schedule", /./],
    ["a misspelt field", { schedule: "@daily", duraton: "1h" }, "/duraton", /duration/],
    [
      "a group that can't be one",
      { schedule: "@daily", duration: "1h", group: "A B" },
      "/group",
      /must be a group's name: 1/,
    ],
    ["no object", "tonight", "", /object/],
  ];
  for (const [says, spec, pointer, message] of cases) {
    test(says, () => {
      const checked = checkMaintenance("upgrade", spec);
      assert.ok(!checked.ok);
      const [problem] = checked.problems;
      assert.equal(problem?.pointer, pointer);
      assert.match(problem.message, message);
    });
  }
});

describe("a maintenance's window", () => {
  const at = Date.parse;
  test("has its beginning in and its end out", () => {
    const once = read({ from: "2026-11-20T01:00:00Z", to: "2026-11-20T02:00:00Z" });
    assert.equal(windowAt(once, at("2026-11-20T00:59:59.999Z")), undefined);
    assert.equal(windowAt(once, at("2026-11-20T01:00:00Z"))?.name, "upgrade");
    assert.equal(windowAt(once, at("2026-11-20T01:59:59.999Z"))?.to, at("2026-11-20T02:00:00Z"));
    assert.equal(windowAt(once, at("2026-11-20T02:00:00Z")), undefined);
  });

  test("lasts its real duration when the clocks change in it", () => {
    // At 02:00 on 29 March 2026 the clocks in Berlin go forward, at 03:00 on 25 October back.
    const nightly = read({ schedule: "30 1 * * *", timezone: "Europe/Berlin", duration: "2h" });
    for (const begin of ["2026-03-29T00:30:00Z", "2026-10-24T23:30:00Z", "2026-11-20T00:30:00Z"]) {
      assert.equal(windowAt(nightly, at(begin) - 1), undefined);
      assert.deepEqual(windowAt(nightly, at(begin)), {
        name: "upgrade",
        from: at(begin),
        to: at(begin) + 2 * hour,
      });
      assert.ok(windowAt(nightly, at(begin) + 2 * hour - 1) !== undefined);
      assert.equal(windowAt(nightly, at(begin) + 2 * hour), undefined);
    }
  });

  test("is found in a gap of years without a walk over all of it", () => {
    const hourly = read({ schedule: "0 * * * *", duration: "10m" });
    const windows = windowsBetween(hourly, at("2016-01-01T00:00:00Z"), at("2026-01-01T00:05:00Z"));
    assert.equal(windows.length, 1_000);
    assert.equal(windows.at(-1)?.from, at("2026-01-01T00:00:00Z"));
    const day = windowsBetween(hourly, at("2026-01-01T00:05:00Z"), at("2026-01-01T03:00:00Z"));
    assert.deepEqual(
      day.map(({ from }) => new Date(from).getUTCHours()),
      [0, 1, 2],
    );
  });
});

function textOf(instant: number): string {
  return new Date(instant).toISOString();
}

/** Sets a maintenance that begins so much later, at a whole second. */
function maintain(
  cores: Cores,
  inMs: number,
  lastsMs: number,
  rest: object = {},
): { begin: number; end: number } {
  const begin = Math.ceil((cores.wall(cores.now) + inMs) / 1_000) * 1_000;
  cores.set("maintenance", "upgrade", { from: textOf(begin), to: textOf(begin + lastsMs), ...rest });
  return { begin, end: begin + lastsMs };
}

const skipped = (cores: Cores) =>
  cores.recordsOf("a").filter(({ state, reason }) => state === "skipped" && reason === "maintenance");

function after(name: string, ...jobs: string[]) {
  return { id: name, command: "true", after: { jobs: jobs as JobId[] } };
}

describe("in a maintenance", () => {
  const every = { id: "job", schedule: "@every 10s", command: "true" };
  test("ticks are skipped, with their reason, and all others start on time", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(every);
    const { begin, end } = maintain(cores, 20 * second, 40 * second);
    cores.pass(100 * second);
    const ticks = cores.starts.map(({ tick }) => Date.parse(tick));
    assert.ok(ticks.length >= 5 && ticks.every((tick) => tick < begin || tick >= end));
    for (const { at, tick } of cores.starts) assert.ok(cores.wall(at) - Date.parse(tick) < 100);
    assert.deepEqual(
      skipped(cores)
        .map(({ due }) => due)
        .toSorted((a, b) => a - b),
      [0, 1, 2, 3]
        .map((place) => Math.ceil(begin / 10_000) * 10_000 + place * 10_000)
        .filter((tick) => tick < end),
    );
  });

  for (const [policy, window, reasons] of [
    ["all", "1m", ["window"]],
    ["latest", "1m", ["window"]],
    ["latest", "1h", []],
  ] as const)
    test(`a tick that was to be caught up before it is judged anew after it: ${policy}, ${window}`, () => {
      const cores = new Cores(["a", "b"]);
      const drain = (on: boolean): void =>
        ["a", "b"].forEach((peer) => cores.ask(peer, { kind: "drain-peer", peer, on, by: "ann" }));
      cores.put({ ...every, schedule: "@every 1m", catchUp: { policy, window } });
      cores.pass(minute - (cores.wall(cores.now) % minute) + 30 * second);
      drain(true);
      // The next tick is overdue by 45 s when the maintenance begins, and its peers are back before it ends.
      const { begin, end } = maintain(cores, 75 * second, 2 * minute);
      cores.pass(2 * minute);
      drain(false);
      const before = cores.starts.length;
      cores.pass(end + 30 * second - cores.wall(cores.now));
      const missed = cores.recordsOf("a").filter(({ state }) => state === "missed");
      assert.deepEqual(
        missed.map((record) => record.reason),
        reasons,
      );
      const caughtUp = cores.starts.slice(before).filter(({ tick }) => Date.parse(tick) < end);
      assert.equal(caughtUp.length, 1 - reasons.length, "no tick that the maintenance skipped supersedes it");
      assert.ok(caughtUp.every(({ at, tick }) => cores.wall(at) >= end && Date.parse(tick) < begin));
    });

  test("only jobs of its group are concerned", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...every, id: "held", group: "db" });
    cores.put({ ...every, id: "free" });
    maintain(cores, 0, 60 * second, { group: "db" });
    cores.pass(50 * second);
    assert.deepEqual([...new Set(cores.starts.map(({ run }) => run.split("@")[0]))], ["free"]);
    cores.set("maintenance", "upgrade", undefined);
    cores.pass(12 * second);
    assert.ok(
      cores.starts.some(({ run }) => run.startsWith("held@")),
      "it was removed",
    );
  });

  test("runs in progress go on, and what is to be repeated waits until the end", () => {
    const cores = new Cores(["a", "b"], { exitCode: 1, runMs: 15 * second });
    cores.put({
      ...every,
      schedule: "@every 10m",
      retry: { attempts: 1, backoff: "1s" },
      catchUp: { window: "30s" },
    });
    while (cores.starts.length === 0) cores.pass(second);
    const { end } = maintain(cores, second, 120 * second);
    cores.pass(100 * second);
    assert.equal(
      cores.recordsOf("a").filter(({ state }) => state === "failed").length,
      1,
      "the run ended by itself",
    );
    assert.equal(cores.starts.length, 1);
    assert.equal(pendingOf(cores.state("b"), cores.state("b").now, id)[0]?.waitsFor, "maintenance");
    cores.pass(60 * second);
    assert.equal(cores.starts.length, 2);
    assert.ok(cores.wall(cores.starts[1]?.at ?? 0) >= end);
  });

  test("a run by hand is refused unless it is forced", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ id: "job", command: "true" });
    maintain(cores, -second, 60 * second);
    cores.ask("a", { kind: "run-job", id, by: "ann" });
    const [answer] = cores.answers;
    assert.ok(answer?.kind === "refused");
    assert.equal(answer.error.code, "JOB_PAUSED");
    assert.match(answer.error.message, /is in maintenance/);
    cores.ask("a", { kind: "run-job", id, force: true, by: "ann" });
    cores.pass(5 * second);
    assert.equal(cores.starts.length, 1);
  });

  test("next shows which ticks will be skipped, the next tick is the first after it, and why says so", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(every);
    const { end } = maintain(cores, 0, 30 * second, { note: "new disks" });
    const state = cores.state("a");
    const ticks = nextTicks(state, state.now, id, 5) ?? [];
    assert.equal(ticks.length, 5);
    for (const { startsAt, skipped: why, peers } of ticks) {
      assert.equal(why, startsAt < end ? "maintenance" : undefined);
      assert.equal(peers.length, startsAt < end ? 0 : 2);
    }
    assert.equal(
      jobNow(state, state.now, id)?.next?.startsAt,
      ticks.find(({ startsAt }) => startsAt >= end)?.startsAt,
    );
    cores.pass(second);
    assert.match(
      obstaclesOf(state, state.now, id).join(" "),
      /maintenance "upgrade" goes on until .*: new disks/,
    );
  });

  test("a job that would only ever run in it has no next tick", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...every, schedule: "0 2 * * *" });
    cores.set("maintenance", "nightly", { schedule: "0 1 * * *", duration: "3h" });
    const state = cores.state("a");
    assert.equal(jobNow(state, state.now, id)?.next, undefined);
  });

  const whole = { schedule: "0 1 * * *", duration: "3h", group: "db" };
  const nightly = { ...every, schedule: "0 2 * * *", group: "db" };
  const lasting: [what: string, prepare: (cores: Cores) => void, says: RegExp][] = [
    [
      "a maintenance that covers all its ticks",
      (cores) => {
        cores.put(nightly);
        cores.set("maintenance", "nightly", whole);
      },
      /^all its coming ticks are in maintenance \("nightly"\), and are skipped$/,
    ],
    [
      "one that covers all ticks of the job after which it runs",
      (cores) => {
        cores.put({ ...nightly, id: "load" });
        cores.put(after("job", "load"));
        cores.set("maintenance", "nightly", whole);
      },
      /^its parents' coming ticks are skipped, and its own with them$/,
    ],
    [
      "a skip of its only tick",
      (cores) => {
        const tick = cores.wall(cores.now) - (cores.wall(cores.now) % hour) + hour;
        cores.put({ ...every, schedule: `@at ${textOf(tick)}` }, { skips: [{ tick, by: "ann", at: 0 }] });
      },
      /^all its coming ticks are to be skipped$/,
    ],
  ];
  for (const [what, prepare, says] of lasting)
    test(`a job that has no tick left because of ${what} says so in its problems and in why`, () => {
      const cores = new Cores(["a"]);
      prepare(cores);
      const state = cores.state("a");
      const shown = jobNow(state, state.now, id);
      assert.deepEqual(
        [shown?.next, shown?.hindrances.map(({ code }) => code)],
        [undefined, ["ALL_SKIPPED"]],
      );
      assert.match(shown?.hindrances[0]?.message ?? "", says);
      assert.match(obstaclesOf(state, state.now, id).join(" "), /Nothing will run: /);
    });

  test("a job has no such problem if a tick will run, if only a failure would run it, or if it is paused for good", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...nightly, schedule: ["0 2 * * *", "0 5 1 * *"] });
    cores.put({ ...nightly, id: "paused" }, { pauses: [{ by: "ann", at: 0 }] });
    cores.put({ ...after("on-failure", "job"), after: { jobs: [id], on: "failure" } });
    cores.put({ id: "by-hand", command: "true", group: "db" });
    cores.set("maintenance", "nightly", whole);
    const state = cores.state("a");
    for (const job of ["job", "paused", "on-failure", "by-hand"] as JobId[])
      assert.deepEqual(jobNow(state, state.now, job)?.hindrances, [], job);
  });

  test("the next tick of a job that runs after another is the next one of that job which runs", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...every, id: "load", schedule: "@every 1m", group: "db" }, {});
    cores.put(after("job", "load"));
    const { end } = maintain(cores, -second, 10 * minute, { group: "db" });
    const state = cores.state("a");
    const next = jobNow(state, state.now, id)?.next;
    assert.equal(next?.startsAt, Math.ceil(end / minute) * minute);
    const skip = { tick: next.startsAt, by: "ann", at: cores.wall(cores.now) };
    cores.put({ ...every, id: "load", schedule: "@every 1m", group: "db" }, { skips: [skip] });
    assert.equal(jobNow(cores.state("a"), state.now, id)?.next?.startsAt, next.startsAt + minute);
  });

  test("a long one has few records of ticks and one range, reported once by one peer", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ ...every, schedule: "* * * * * *" });
    const { begin, end } = maintain(cores, 5 * second, 600 * second);
    cores.pass(660 * second);
    const ranges = skipped(cores).filter(({ range }) => range !== undefined);
    const single = skipped(cores).length - ranges.length;
    assert.ok(ranges.length === 1, `${ranges.length} ranges`);
    const count = (ranges[0]?.range?.count ?? 0) + single;
    assert.equal(count, 600);
    assert.ok(single < 50, `${single} records of single ticks`);
    const ticks = cores.starts.map(({ tick }) => Date.parse(tick));
    assert.ok(ticks.every((tick) => tick < begin || tick >= end));
    assert.ok(ticks.includes(end), "the tick at its end runs");
  });

  test("… and survives a restart of every peer", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...every, schedule: "* * * * * *" });
    const { begin, end } = maintain(cores, second, 300 * second);
    cores.pass(150 * second);
    cores.restart("a", 20 * second);
    cores.pass(200 * second);
    const count = skipped(cores).reduce((sum, { range }) => sum + (range?.count ?? 1), 0);
    assert.equal(count, 300);
    assert.ok(cores.starts.every(({ tick }) => Date.parse(tick) < begin || Date.parse(tick) >= end));
  });

  test("a peer of a version that doesn't know maintenance leaves its jobs to the others from when it is set", () => {
    const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
    cores.put(every);
    cores.pass(30 * second);
    maintain(cores, 60 * second, 60 * second);
    const before = cores.starts.length;
    cores.pass(50 * second);
    assert.ok(cores.starts.length > before && cores.starts.slice(before).every(({ peer }) => peer === "a"));
  });
});
