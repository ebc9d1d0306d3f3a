/** What a job's weight does against the capacity of peers, in cores: how much runs at once, what waits, what is ineligible. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { jobNow } from "../src/core/view.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const heavyId = "heavy" as JobId;

/** The runs of a job that go on at an instant (ms since the beginning). */
function runningAt(cores: Cores, at: number, job?: string): string[] {
  return cores.starts
    .filter((start) => start.at <= at && at < start.at + cores.runMs)
    .map(({ run }) => run.slice(0, run.indexOf("@")))
    .filter((id) => job === undefined || id === job);
}

test("the weights of a peer's runs never exceed its capacity together", () => {
  const weights: Record<string, number> = { light: 1, middle: 2, heavy: 4 };
  const cores = new Cores(["a"], { capacity: 5, runMs: 700 });
  for (const [id, weight] of Object.entries(weights))
    cores.put({ id, schedule: "* * * * * *", command: "true", overlap: "allow", weight });
  const loads = new Set<number>();
  for (let at = 0; at < 60_000; at += 100) {
    cores.pass(100);
    const load = runningAt(cores, cores.now).reduce((sum, id) => sum + (weights[id] ?? 0), 0);
    assert.ok(load <= 5, `${load} of 5`);
    assert.ok(cores.state("a").book.runningWeight <= 5);
    loads.add(load);
  }
  assert.ok(loads.has(5), "it is used up");
});

test("a heartbeat tells the weight of a peer's runs as its load", () => {
  const cores = new Cores(["a", "b"], { runMs: 30 * second });
  cores.put({ id: "heavy", schedule: "@every 60s", command: "true", weight: 3, target: { peers: ["a"] } });
  while (cores.starts.length === 0) cores.pass(second);
  cores.pass(3 * second);
  assert.equal(cores.state("b").members.byId.get("a" as PeerId)?.heartbeat?.load, 3);
});

describe("a heavy order that waits is not starved", () => {
  test("by light jobs that are due all the time: places that become free are kept for it", () => {
    // Of the light ones 4 to 6 run at any time, and 4 are claimed ahead.
    const cores = new Cores(["a"], { capacity: 12, runMs: 2_500 });
    for (const id of ["light-1", "light-2"])
      cores.put({ id, schedule: "* * * * * *", command: "true", overlap: "allow" });
    cores.pass(10 * second);
    cores.put({ id: "heavy", schedule: "@every 20s", command: "true", weight: 9 });
    cores.pass(60 * second);
    const heavy = cores.starts.filter(({ run }) => run.startsWith("heavy@"));
    assert.ok(heavy.length >= 2, `${heavy.length} starts`);
    for (const { at, tick } of heavy) assert.ok(cores.wall(at) - Date.parse(tick) < 15 * second);
  });

  test("by the backlog of a light job whose runs wait for each other", () => {
    const cores = new Cores(["a"], { capacity: 2, runMs: 1_500 });
    for (const id of ["backlog-1", "backlog-2"])
      cores.put({ id, schedule: "* * * * * *", command: "true", overlap: "queue-all" });
    cores.pass(20 * second);
    cores.put({ id: "heavy", schedule: "@every 20s", command: "true", weight: 2 });
    cores.pass(60 * second);
    assert.ok(cores.starts.filter(({ run }) => run.startsWith("heavy@")).length >= 2);
  });
});

describe("a peer with less capacity than the job weighs", () => {
  const heavy = { id: "heavy", schedule: "@every 10s", command: "true", weight: 6 } as const;

  test("never runs it, and the others run each tick once and on time", () => {
    const cores = new Cores(["a", "b", "c"], { capacity: 6, capacities: { b: 5 } });
    cores.pass(10 * second);
    cores.put(heavy);
    cores.pass(120 * second);
    assert.deepEqual([...new Set(cores.starts.map(({ peer }) => peer))].toSorted(), ["a", "c"]);
    const ticks = cores.starts.map(({ tick }) => tick);
    assert.ok(ticks.length >= 11 && new Set(ticks).size === ticks.length, `${ticks.length} starts`);
    for (const { at, tick } of cores.starts) assert.ok(cores.wall(at) - Date.parse(tick) < second);
  });

  test("is told as the reason when the job is blocked by it", () => {
    const cores = new Cores(["a", "b"], { capacity: 5, capacities: { b: 4 } });
    cores.put(heavy);
    const now = jobNow(cores.state("a"), cores.state("a").now, heavyId);
    assert.equal(now?.state, "blocked");
    assert.deepEqual(now.hindrances, [
      {
        code: "NO_PEER",
        pointer: "/weight",
        message:
          "host-a has a capacity of 5, and the job weighs 6, host-b has a capacity of 4, and the job weighs 6",
      },
    ]);
  });

  test("gives a waiting order back when an edit makes the job heavier than its capacity", () => {
    const cores = new Cores(["a", "b"], { capacity: 6, capacities: { b: 9 }, runMs: 20 * second });
    cores.put({ id: "long", command: "true", schedule: "@every 60s", weight: 6, target: { peers: ["a"] } });
    while (cores.starts.length === 0) cores.pass(second);
    cores.put({ ...heavy, schedule: "@every 5s", weight: 2, target: { peers: ["a"] } });
    cores.pass(8 * second);
    assert.equal(cores.state("a").book.capacityQueue.size > 0, true);
    cores.put({ ...heavy, schedule: "@every 5s", weight: 9 });
    cores.pass(20 * second);
    assert.equal(cores.state("a").book.capacityQueue.size, 0);
    const started = cores.starts.filter(({ run }) => run.startsWith("heavy@"));
    assert.ok(started.length > 0 && started.every(({ peer }) => peer === "b"));
  });
});

test("a peer of a version without weights doesn't run a job that has one", () => {
  const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
  cores.pass(10 * second);
  cores.put({ id: "heavy", schedule: "@every 10s", command: "true", weight: 1 });
  cores.pass(60 * second);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
});
