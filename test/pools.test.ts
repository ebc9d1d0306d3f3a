/**
 * Pools, in cores: a limited number of runs at once of all jobs that name one, first come first, whatever peers and jobs they
 * are of.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkJob } from "../src/core/checks/job.ts";
import { settingProblems } from "../src/core/job/settings.ts";
import { jobNow, pendingOf, poolNow } from "../src/core/view.ts";
import { instantOf, type JobId, type TickId } from "../src/schema/ids.ts";
import { countSteps } from "./kit/fuzz/steps.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;

/** How many runs of all jobs went on at once at most, by what was started. */
function mostAtOnce(cores: Cores, from = 0): number {
  const starts = cores.starts.filter(({ at }) => at >= from);
  return Math.max(
    0,
    ...starts.map(({ at }) => starts.filter((one) => one.at <= at && at < one.at + cores.runMs).length),
  );
}

function putJobs(cores: Cores, count: number, rest: object = {}): void {
  for (let place = 1; place <= count; place++)
    cores.put({ id: `job-${place}`, schedule: "@every 20s", command: "true", pool: "db", ...rest });
}

describe("what may be written", () => {
  test("a job's pool is a name, and a pool has 0 to 10,000 slots", () => {
    const job = { id: "job", command: "true" };
    assert.ok(checkJob({ ...job, pool: "db" }).ok);
    for (const pool of ["", "A B", 3, null, "x".repeat(65)]) {
      const refused = checkJob({ ...job, pool });
      assert.ok(!refused.ok);
      assert.deepEqual(
        refused.problems.map(({ pointer }) => pointer),
        ["/pool"],
      );
    }
    for (const slots of [0, 1, 10_000]) assert.deepEqual(settingProblems("pools", "db", { slots }), []);
    for (const slots of [-1, 1.5, 10_001, "2", undefined])
      assert.equal(settingProblems("pools", "db", { slots })[0]?.pointer, "/slots");
    assert.match(settingProblems("pools", "db", { slot: 2 })[0]?.message ?? "", /slots/);
  });
});

/** The steps in which a lone peer runs a tick of each job, ten at a time. */
function stepsToRun(jobs: number): number {
  const cores = new Cores(["a"], { capacity: 2_000, runMs: 100 });
  cores.set("pools", "db", { slots: 10 });
  putJobs(cores, jobs, { schedule: "@every 1h" });
  const steps = countSteps(() => {
    while (cores.starts.length < jobs && cores.now < 2 * 3_600_000) cores.pass(60 * second);
  });
  assert.equal(cores.starts.length, jobs);
  assert.equal(mostAtOnce(cores), 10);
  return steps;
}

describe("a pool", () => {
  test("has one slot until it is set: due at once on three peers, its jobs run one after the other, each once", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 2 * second });
    putJobs(cores, 6);
    cores.pass(61 * second);
    assert.equal(mostAtOnce(cores), 1);
    const ticks = cores.starts.map(({ run }) => run.slice(0, run.indexOf("~")));
    assert.ok(ticks.length >= 12, `${ticks.length} starts`);
    assert.equal(new Set(ticks).size, ticks.length);
    assert.ok(new Set(cores.starts.map(({ peer }) => peer)).size > 1, "on several peers");
  });

  for (const [overlap, waits] of [
    ["queue", "one tick waits"],
    ["queue-all", "all ticks wait"],
  ] as const)
    test(`while it is stopped, ${waits} of a job with overlap ${overlap}`, () => {
      const cores = new Cores(["a", "b"], { runMs: second });
      cores.set("pools", "db", { slots: 0 });
      putJobs(cores, 1, { schedule: "@every 10s", overlap });
      cores.pass(59 * second - (cores.wall(cores.now) % (10 * second)));
      assert.equal(cores.starts.length, 0);
      const dueBy = cores.wall(cores.now);
      cores.set("pools", "db", { slots: 1 });
      cores.pass(40 * second);
      const late = cores.starts.filter(({ tick }) => instantOf(tick as TickId) <= dueBy);
      assert.ok(overlap === "queue" ? late.length === 1 : late.length >= 5, `${late.length} started late`);
    });

  test("has as many runs at once as it has slots, and uses them all", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 3 * second });
    cores.set("pools", "db", { slots: 3 });
    putJobs(cores, 9);
    cores.pass(61 * second);
    assert.equal(mostAtOnce(cores), 3);
    assert.ok(cores.starts.length >= 18);
  });

  test("serves claims in the order in which they came, whichever jobs they are of", () => {
    const cores = new Cores(["a", "b"], { runMs: 7 * second });
    for (const [place, id] of ["first", "second", "third", "fourth"].entries())
      cores.put({ id, schedule: `${2 + place} * * * * *`, command: "true", pool: "db" });
    while (cores.starts.length < 4) cores.pass(second);
    const ids = cores.starts.map(({ run }) => run.slice(0, run.indexOf("@")));
    const due = cores.starts.map(({ tick }) => Date.parse(tick));
    assert.deepEqual(
      due,
      due.toSorted((a, b) => a - b),
      ids.join(", "),
    );
  });

  test("doesn't hold up jobs without a pool, nor those of another one", () => {
    const cores = new Cores(["a", "b"], { runMs: 15 * second });
    putJobs(cores, 3);
    cores.put({ id: "free", schedule: "@every 5s", command: "true", overlap: "allow" });
    cores.put({ id: "other", schedule: "@every 20s", command: "true", pool: "disk" });
    cores.pass(60 * second);
    const others = cores.starts.filter(({ run }) => !run.startsWith("job-"));
    assert.ok(others.length >= 14, `${others.length} starts`);
    for (const { at, tick, run } of others) assert.ok(cores.wall(at) - Date.parse(tick) < 100, run);
  });

  test("is not held up by what waits for something else: a tick that queues behind one that is to be repeated", () => {
    const cores = new Cores(["a", "b"], { runMs: second });
    cores.exitCodeOf = ({ run }) => (run.startsWith("flaky@") && run.includes("~1") ? 1 : 0);
    const retry = { attempts: 1, backoff: "12s" };
    cores.put({
      id: "flaky",
      schedule: "@every 10s",
      command: "true",
      pool: "db",
      overlap: "queue-all",
      retry,
    });
    cores.put({ id: "other", schedule: "@every 10s", command: "true", pool: "db", overlap: "allow" });
    cores.pass(90 * second);
    const attempts = (what: string) => cores.starts.filter(({ run }) => run.includes(what));
    assert.ok(
      attempts("flaky").filter(({ run }) => run.includes("~2")).length >= 3,
      "what failed is repeated",
    );
    assert.ok(attempts("other@").length >= 8, "and the other job goes on");
    for (const { at, tick } of attempts("other@")) assert.ok(cores.wall(at) - Date.parse(tick) < 4 * second);
    assert.equal(mostAtOnce(cores), 1);
  });

  test("is not held up by a paused job's claims, which join its queue again when the pause ends", () => {
    const cores = new Cores(["a", "b"], { runMs: 8 * second });
    putJobs(cores, 3, { schedule: "@every 30s", overlap: "allow" });
    while (cores.starts.length === 0) cores.pass(second);
    cores.pass(second);
    const waiting = [1, 2, 3]
      .map((place) => `job-${place}`)
      .find((id) => !cores.starts[0]?.run.startsWith(id));
    assert.ok(waiting !== undefined);
    const rest = { schedule: "@every 30s", overlap: "allow", command: "true", pool: "db" } as const;
    const since = { createdAt: 0, scheduledAt: 0 };
    const pauses = [{ by: "ann", at: cores.wall(cores.now) }];
    cores.put({ id: waiting, ...rest }, { ...since, pauses });
    cores.pass(60 * second);
    const ran = (id: string) => cores.starts.filter(({ run }) => run.startsWith(`${id}@`)).length;
    assert.equal(ran(waiting), 0);
    assert.ok(cores.starts.length >= 4, `${cores.starts.length} starts of the others`);
    cores.put({ id: waiting, ...rest }, { ...since, resumedAt: cores.wall(cores.now) });
    cores.pass(60 * second);
    assert.ok(ran(waiting) >= 2, `${ran(waiting)} starts when the pause was over`);
    assert.equal(mostAtOnce(cores), 1);
  });

  test("counts a run whose job was deleted or left the pool meanwhile, on every peer", () => {
    const cores = new Cores(["a", "b"], { runMs: 25 * second });
    putJobs(cores, 3, { schedule: "@every 60s" });
    while (cores.starts.length === 0) cores.pass(second);
    const jobOf = (index: number) => cores.starts[index]?.run.split("@")[0] ?? "";
    cores.remove(jobOf(0));
    while (cores.starts.length < 2) cores.pass(second);
    cores.put({ id: jobOf(1), schedule: "@every 60s", command: "true" });
    while (cores.starts.length < 3) cores.pass(second);
    assert.equal(new Set([jobOf(0), jobOf(1), jobOf(2)]).size, 3);
    assert.equal(mostAtOnce(cores), 1);
  });

  test("counts a run that is with its launcher when its job is deleted", () => {
    const cores = new Cores(["a"], { runMs: Infinity, launchMs: 5_000 });
    for (const id of ["first", "second"])
      cores.put({ id, schedule: "@every 1m", command: "true", pool: "db", catchUp: { policy: "none" } });
    cores.pass(61_000);
    const [handed] = cores.state("a").book.runs.values();
    assert.equal(handed?.record.state, "claimed");
    cores.remove(handed.record.job);
    cores.pass(30_000);
    assert.deepEqual(
      cores.starts.map(({ env }) => env["CICADA_JOB"]),
      [handed.record.job],
    );
  });

  test("gives a second free slot to the next in the queue at once, not when the first one's run has ended", () => {
    const cores = new Cores(["a"], { runMs: 20 * second });
    cores.set("pools", "db", { slots: 0 });
    putJobs(cores, 3, { schedule: "@every 60s" });
    while (cores.now % 60_000 < 50_000) cores.pass(second);
    cores.pass(60 * second);
    assert.equal(cores.starts.length, 0);
    cores.set("pools", "db", { slots: 2 });
    cores.pass(10 * second);
    assert.equal(cores.starts.length, 2);
  });

  test("an order that waits for a slot holds no place of its peer's capacity", () => {
    const cores = new Cores(["a"], { capacity: 3, runMs: 15 * second });
    putJobs(cores, 8);
    cores.put({ id: "free", schedule: "@every 5s", command: "true", overlap: "skip" });
    cores.pass(60 * second);
    assert.ok(cores.starts.filter(({ run }) => run.startsWith("free@")).length >= 3);
    assert.equal(
      Math.max(
        ...cores.starts
          .filter(({ run }) => run.startsWith("job-"))
          .map(
            ({ at }) =>
              cores.starts.filter(
                (one) => one.run.startsWith("job-") && one.at <= at && at < one.at + cores.runMs,
              ).length,
          ),
      ),
      1,
    );
  });

  test("a pending repetition holds no slot", () => {
    const cores = new Cores(["a", "b"], { runMs: second });
    cores.exitCodeOf = ({ run }) => (run.startsWith("flaky@") ? 1 : 0);
    cores.put({
      id: "flaky",
      schedule: "@every 60s",
      command: "false",
      pool: "db",
      retry: { attempts: 1, backoff: "30s" },
    });
    while (cores.starts.length === 0) cores.pass(second);
    cores.put({ id: "other", schedule: "@every 5s", command: "true", pool: "db" });
    cores.pass(25 * second);
    assert.ok(cores.starts.filter(({ run }) => run.startsWith("other@")).length >= 3);
  });

  test("a holder that dies gives its slot back once it is dead, and what it waited for is run by another peer", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 40 * second });
    putJobs(cores, 4);
    while (cores.starts.length === 0) cores.pass(second);
    const [{ peer, at } = { peer: "", at: 0 }] = cores.starts;
    cores.pass(5 * second);
    cores.kill(peer);
    cores.pass(20 * second);
    const next = cores.starts[1];
    assert.ok(
      next !== undefined && next.peer !== peer && next.at < at + 20 * second,
      "no later than it was dead",
    );
    cores.pass(140 * second);
    assert.equal(mostAtOnce(cores, next.at), 1);
    assert.ok(new Set(cores.starts.map(({ run }) => run.split("@")[0])).size === 4);
  });

  test("leaves what runs alone when its slots are lowered, and 0 stops it with a problem until it is raised", () => {
    const cores = new Cores(["a", "b"], { runMs: 10 * second });
    cores.set("pools", "db", { slots: 3 });
    putJobs(cores, 5, { schedule: "@every 60s" });
    while (cores.starts.length < 3) cores.pass(second);
    cores.set("pools", "db", { slots: 0 });
    cores.pass(50 * second);
    assert.equal(cores.starts.length, 3);
    const ended = cores.recordsOf(cores.starts[0]?.peer ?? "");
    assert.ok(
      ended.some(({ state }) => state === "succeeded"),
      "they ended by themselves",
    );
    const state = cores.state("a");
    const now = jobNow(state, state.now, "job-1" as JobId);
    assert.deepEqual(
      now?.hindrances.map(({ code, pointer }) => [code, pointer]),
      [["POOL_STOPPED", "/pool"]],
    );
    cores.set("pools", "db", { slots: 1 });
    cores.pass(25 * second);
    assert.ok(cores.starts.length >= 5, `${cores.starts.length} starts`);
  });

  test("shows who holds it and who waits, on every peer, and why says so", () => {
    const cores = new Cores(["a", "b"], { runMs: 15 * second });
    putJobs(cores, 3);
    while (cores.starts.length === 0) cores.pass(second);
    cores.pass(2 * second);
    for (const peer of ["a", "b"]) {
      const state = cores.state(peer);
      const { jobs, holders, waiting } = poolNow(state, state.now, "db");
      assert.deepEqual(jobs, ["job-1", "job-2", "job-3"]);
      assert.equal(holders.length, 1);
      assert.equal(waiting.length, 2);
      const pending = pendingOf(state, state.now, waiting[0]?.job as JobId)[0];
      assert.equal(pending?.waitsFor, "pool");
      assert.match(pending.why, /waits for a free slot of the pool "db" \(it has 1, held by job-/);
    }
  });

  test("whose slots jobs of other groups hold: why says how many, and not which, because who sees one group may not see another", () => {
    const cores = new Cores(["a", "b"], { runMs: 15 * second });
    cores.pass(second);
    cores.put({ id: "hidden", schedule: "@every 1m", command: "true", pool: "db", group: "other" });
    cores.put({ id: "mine", schedule: "@every 1m", command: "true", pool: "db" });
    while (cores.starts.length === 0) cores.pass(10 * second);
    cores.pass(2 * second);
    const [first] = cores.starts;
    const id = (first?.run.startsWith("hidden@") === true ? "mine" : "hidden") as JobId;
    for (const peer of ["a", "b"]) {
      const state = cores.state(peer);
      assert.match(
        pendingOf(state, state.now, id)[0]?.why ?? "",
        /\(it has 1, held by 1 job of other groups\)$/,
      );
    }
  });

  test("keeps its limit on each side of a split, and in the whole mesh again after it", () => {
    const cores = new Cores(["a", "b", "c", "d"], { runMs: 4 * second });
    putJobs(cores, 8);
    cores.pass(25 * second);
    cores.split(["a", "b"], ["c", "d"]);
    cores.pass(20 * second);
    const splitAt = cores.now;
    cores.pass(60 * second);
    for (const side of [
      ["a", "b"],
      ["c", "d"],
    ]) {
      const here = cores.starts.filter(({ at, peer }) => at >= splitAt && side.includes(peer));
      assert.ok(here.length > 0);
      for (const { at } of here)
        assert.equal(here.filter((one) => one.at <= at && at < one.at + cores.runMs).length, 1);
    }
    cores.heal();
    cores.pass(40 * second);
    const healedAt = cores.now;
    cores.pass(60 * second);
    assert.equal(mostAtOnce(cores, healedAt), 1);
  });

  test("a peer of a version without pools doesn't run its jobs", () => {
    const cores = new Cores(["a", "b"], {
      capabilities: { b: ["executor:process", "majority", "maintenance"] },
    });
    cores.pass(10 * second);
    putJobs(cores, 2);
    cores.pass(60 * second);
    assert.ok(cores.starts.length >= 4 && cores.starts.every(({ peer }) => peer === "a"));
  });

  test("four times as many orders that wait for a slot cost about four times as much, since no free slot makes the peer walk over all of them", () => {
    const few = stepsToRun(75);
    const many = stepsToRun(300);
    assert.ok(many < 8 * few, `${few} steps for 75 orders, ${many} for 300`);
  });
});
