/**
 * A clock that is ahead for a while, by more than a job's window, takes ticks of the last hours for too late (DESIGN §11). They
 * run once it is right, and so do the jobs that run after them, in cores side by side.
 *
 * The job is due once a day. So no later tick, which would lie ahead once the clock is right, shares the report.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { isPossiblyStale } from "../src/core/orders/runs.ts";
import { isOver } from "../src/core/records/history.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";

const minute = 60_000;
const hour = 60 * minute;
const aheadMs = 3 * hour;
const tick = Date.parse("2026-11-20T04:00:00Z");
const lastAlive = tick - 2 * minute;
const peer = "a" as PeerId;

/** A mesh with a daily job and one that runs after it, two minutes before its tick. */
function meshBefore(peers: readonly string[], changes: { partition?: "majority" } = {}): Cores {
  const cores = new Cores([...peers]);
  const daily = "daily" as JobId;
  const catchUp = { policy: "latest", window: "2h" } as const;
  cores.put({ id: daily, schedule: "0 4 * * *", timezone: "UTC", command: "true", catchUp, ...changes });
  cores.put({ id: "child", after: { jobs: [daily], on: "success" }, command: "true" });
  cores.pass(lastAlive - cores.wall(0));
  return cores;
}

/** Starts a peer on what its disk holds; it was last alive at that time by its clock. */
function startAgain(cores: Cores, id: string, aliveAt: number): void {
  const [records, watermarks] = [cores.recordsOf(id), cores.watermarksOf(id)];
  cores.up(id as PeerId, { records, watermarks, lastAlive: aliveAt });
}

/** Peers that are down when the tick is due, and start with clocks that are ahead. */
function downOverTheTick(peers: readonly string[]): Cores {
  const cores = meshBefore(peers);
  for (const id of peers) cores.kill(id);
  cores.pass(10 * minute);
  for (const id of peers) {
    cores.setClock(id, aheadMs);
    startAgain(cores, id, lastAlive);
  }
  return cores;
}

/** Whether each job has run for the tick once. */
function assertBothRun(cores: Cores): void {
  cores.pass(5 * minute);
  const starts = cores.starts.filter((start) => instantOf(start.tick as TickId) === tick);
  assert.deepEqual(
    starts.map(({ run }) => run.slice(0, run.indexOf("@"))),
    ["daily", "child"],
  );
}

for (const [title, wrongForMs] of [
  ["for 12 s", 12_000],
  ["for 90 s", 90_000],
  ["for 20 minutes", 20 * minute],
] as const) {
  describe(`a tick that is too late by a clock that is ahead ${title} runs once the clock is right`, () => {
    test("if the host was down when it was due", () => {
      const cores = downOverTheTick([peer]);
      cores.pass(wrongForMs);
      cores.setClock(peer, 0);
      assertBothRun(cores);
    });

    test("if all hosts were down when it was due", () => {
      const peers = ["a", "b"];
      const cores = downOverTheTick(peers);
      cores.pass(wrongForMs);
      for (const id of peers) cores.setClock(id, 0);
      assertBothRun(cores);
    });

    test("if the host slept when it was due", () => {
      const cores = meshBefore([peer]);
      cores.pause(peer, 10 * minute);
      cores.setClock(peer, aheadMs);
      cores.pass(10 * minute + wrongForMs);
      cores.setClock(peer, 0);
      assertBothRun(cores);
    });

    test("if a majority job's peer was alone when it was due", () => {
      const cores = meshBefore(["a", "b"], { partition: "majority" });
      cores.kill("b");
      cores.pass(10 * minute);
      cores.setClock(peer, aheadMs);
      cores.pass(wrongForMs);
      cores.setClock(peer, 0);
      cores.pass(minute);
      startAgain(cores, "b", lastAlive);
      assertBothRun(cores);
    });

    test("if the peer is restarted before that", () => {
      const cores = downOverTheTick([peer]);
      cores.pass(wrongForMs);
      cores.kill(peer);
      cores.pass(1_000);
      startAgain(cores, peer, cores.wall(cores.now) + aheadMs - 1_000);
      cores.pass(30_000);
      cores.setClock(peer, 0);
      assertBothRun(cores);
    });

    test("if the peer is down while the clock is set right", () => {
      const cores = downOverTheTick([peer]);
      cores.pass(wrongForMs);
      cores.kill(peer);
      cores.setClock(peer, 0);
      cores.pass(5_000);
      startAgain(cores, peer, cores.wall(cores.now) + aheadMs - 5_000);
      assertBothRun(cores);
    });
  });
}

test("a tick that ran by a clock that was ahead doesn't run again, although those before it were taken for too late", () => {
  const cores = new Cores([peer]);
  const hourly = "hourly" as JobId;
  const catchUp = { policy: "latest", window: "1d" } as const;
  cores.put({ id: hourly, schedule: "@every 1h", command: "true", catchUp });
  cores.pass(2.5 * hour);
  cores.kill(peer);
  cores.pass(7.4 * hour - 2.5 * hour);
  const aliveAt = cores.wall(2.5 * hour);
  cores.setClock(peer, hour);
  startAgain(cores, peer, aliveAt);
  // The tick of the next hour runs too early, and its time comes while the clock is still ahead.
  cores.pass(hour);
  // The disk answers in any order.
  cores.records.set(peer, new Map([...(cores.records.get(peer) ?? [])].toReversed()));
  cores.setClock(peer, 0);
  cores.pass(10 * minute);
  const ticks = cores.starts.map((start) => start.tick);
  assert.deepEqual(ticks.slice(-2), ["2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"]);
  assert.deepEqual(ticks, [...new Set(ticks)]);
});

test("ticks that were taken for too late, and no longer are, don't keep those of the jobs that run after them from running", () => {
  const peers = ["a", "b", "c"];
  const cores = new Cores(peers);
  const parent = "parent" as JobId;
  const catchUp = { policy: "latest", window: "10m" } as const;
  cores.put({ id: parent, schedule: "@every 2h", command: "true", catchUp });
  cores.put({ id: "child", after: { jobs: [parent], on: "success" }, command: "true" });
  cores.pass(2.5 * hour);
  for (const id of peers) cores.kill(id);
  const aliveAt = cores.wall(cores.now);
  // The next tick is ten minutes away, and two others have not run.
  cores.pass(5 * hour + 20 * minute);
  for (const id of peers) cores.setClock(id, hour);
  for (const id of peers) startAgain(cores, id, aliveAt);
  const missed = (): RunRecord[] => cores.recordsOf("a").filter(({ job, range }) => job === parent && range);
  for (let i = 0; i < 100 && missed().length === 0; i++) cores.pass(100);
  assert.deepEqual(
    missed().map(({ range }) => range?.count),
    [3],
  );
  // The jobs that run after it have not been reported yet.
  for (const id of peers) cores.setClock(id, 0);
  cores.pass(20 * minute);
  const runs = cores.starts.filter(({ at }) => cores.wall(at) > aliveAt).map(({ run }) => run.split("@")[0]);
  assert.deepEqual(runs, ["parent", "child"]);
});

test("a tick that is skipped by a clock that is ahead, and whose jitter has not passed when that is set right, runs", () => {
  const cores = new Cores([peer], { runMs: 10_000 });
  const id = "spread" as JobId;
  const catchUp = { policy: "all", window: "1d" } as const;
  // Its ticks are due some minutes after the hour.
  cores.put({ id, schedule: "@every 1h", jitter: "50m", overlap: "skip", command: "true", catchUp });
  cores.kill(peer);
  const aliveAt = cores.wall(cores.now);
  cores.pass(2 * hour + 5_000);
  cores.setClock(peer, aheadMs);
  startAgain(cores, peer, aliveAt);
  cores.pass(15_000);
  const latest = tickAt(cores.wall(2 * hour));
  const [skipped] = cores.recordsOf(peer, latest);
  assert.equal(skipped?.reason, "overlap");
  assert.ok(skipped.due > cores.wall(cores.now), "it is not due yet");
  cores.setClock(peer, 0);
  cores.pass(hour);
  assert.equal(cores.starts.filter((start) => start.tick === latest).length, 1);
});

test("what waits for its turn when a clock that is ahead is set right waits no longer because of that clock", () => {
  const runMs = 4 * minute;
  const cores = new Cores([peer], { runMs });
  const hourly = "hourly" as JobId;
  cores.put({
    id: hourly,
    schedule: "@every 1h",
    command: "true",
    partition: "majority",
    overlap: "queue-all",
    catchUp: { policy: "all", window: "1d" },
  });
  cores.pass(1.5 * hour);
  cores.kill(peer);
  cores.pass(3 * hour);
  cores.setClock(peer, hour);
  startAgain(cores, peer, cores.wall(1.5 * hour));
  cores.pass(30_000);
  cores.setClock(peer, 0);
  // Of the three ticks that were missed, two still wait for the first one's run.
  const before = cores.starts.length;
  cores.pass(3 * runMs);
  assert.equal(cores.starts.length, before + 2);
});

test("a peer whose clock is ahead can't keep others from running a tick by reporting it as missed just before it is due", () => {
  const cores = new Cores(["a", "b"]);
  const hourly = "hourly" as JobId;
  cores.put({ id: hourly, schedule: "@every 1h", command: "true", catchUp: { policy: "none" } });
  const next = Date.parse("2026-11-20T03:00:00Z");
  cores.pass(next - cores.wall(cores.now) - 1_000);
  const report: RunRecord = {
    job: hourly,
    tick: tickAt(next),
    attempt: 1,
    slot: "0",
    peer: "c" as PeerId,
    state: "missed",
    reason: "policy",
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due: next,
    finishedAt: next + hour,
    view: 1,
    signature: "of c",
  };
  for (const id of ["a", "b"] as PeerId[]) {
    cores.feed(id, { kind: "learned", records: [report], orders: [] });
    assert.ok(!isOver(cores.state(id).ledger.history, hourly, report.tick, "0"));
  }
  cores.pass(5_000);
  assert.equal(cores.starts.filter((start) => start.tick === report.tick).length, 1);
});

/** A peer that has run its ticks in their second round, and the withdrawals of their first. */
function ranAndWithdrawn(): { cores: Cores; withdrawn: RunRecord[] } {
  const cores = new Cores([peer]);
  const hourly = "hourly" as JobId;
  const catchUp = { policy: "all", window: "1d" } as const;
  cores.put({ id: hourly, schedule: "@every 1h", command: "true", catchUp });
  cores.pass(4.9 * hour);
  const withdrawn: RunRecord[] = [];
  for (const [key, run] of cores.records.get(peer) ?? []) {
    cores.records.get(peer)?.set(key, { ...run, round: 1 });
    withdrawn.push({ ...run, state: "withdrawn", reason: "clock", version: run.version - 1, round: 1 });
  }
  assert.ok(withdrawn.length >= 4);
  return { cores, withdrawn };
}

describe("ticks that ran after their withdrawal don't run again when a peer that was away passes the withdrawals on", () => {
  test("for the disk is asked about them", () => {
    const { cores, withdrawn } = ranAndWithdrawn();
    const doubted = withdrawn.filter((record) => isPossiblyStale(cores.state(peer), record));
    assert.deepEqual(doubted, withdrawn);
  });

  test("although several come at once, while the disk is asked about the first", () => {
    const { cores, withdrawn } = ranAndWithdrawn();
    cores.feed(peer, { kind: "learned", records: withdrawn, orders: [] });
    cores.pass(5 * minute);
    const ticks = cores.starts.map((start) => start.tick);
    assert.ok(ticks.length >= withdrawn.length);
    assert.deepEqual(ticks, [...new Set(ticks)]);
  });
});
