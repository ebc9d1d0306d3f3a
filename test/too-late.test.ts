/**
 * A clock that is ahead for a while, by more than a job's window, takes ticks of the last hours for too late (DESIGN §11). They
 * run once it is right, and so do the jobs that run after them, in cores side by side.
 *
 * The job is due once a day. So no later tick, which would lie ahead once the clock is right, shares the report.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instantOf, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
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
  const records = [...(cores.records.get(id as PeerId)?.values() ?? [])];
  const watermarks = [...(cores.watermarks.get(id as PeerId)?.values() ?? [])];
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
