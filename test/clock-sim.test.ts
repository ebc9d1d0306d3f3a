/** The simulated clock: the contract of every clock, and skew, drift and steps of the hosts' wall clocks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HostClock, SimClock } from "../src/sim/clock.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";
import { Dice } from "../src/sim/random.ts";
import { clockContract } from "./kit/contract/clock.ts";
import { waiting } from "./kit/contract/waiting.ts";

const epoch = Date.parse("2026-11-20T00:00:00Z");

function host(skewMs = 0): { queue: Queue; host: HostClock; process: Process; clock: SimClock } {
  const queue = new Queue();
  const process = new Process("ann", queue);
  const clockOfHost = new HostClock(queue, epoch, skewMs, 5_000);
  return {
    queue,
    host: clockOfHost,
    process,
    clock: new SimClock(queue, clockOfHost, process, new Dice("clock")),
  };
}

clockContract("the simulated clock", () => {
  const { queue, clock } = host();
  return Promise.resolve({ clock, wait: waiting(queue), end: () => Promise.resolve() });
});

test("a wall clock may be wrong, drift and be set without affecting the monotonic clock", () => {
  const { queue, host: wrong, clock } = host(300);
  const { mono } = clock.now();
  assert.equal(clock.now().wall, epoch + 300);
  wrong.drift(1_000);
  queue.runUntil(10_000);
  assert.equal(clock.now().wall, epoch + 10_000 + 300 + 10);
  wrong.step(-5_000);
  assert.equal(clock.now().wall, epoch + 10_000 + 310 - 5_000);
  assert.equal(clock.now().mono, mono + 10_000);
  assert.deepEqual([wrong.worstWander(), wrong.stepped()], [310, -5_000]);
});

test("after a pause everything that had arrived is read before any alarm rings", () => {
  const { queue, process, clock } = host();
  const seen: string[] = [];
  clock.alarm(clock.now().mono + 10, () => seen.push("rang"));
  queue.schedule(20, process, () => seen.push("read"));
  process.pause();
  queue.runUntil(1_000);
  assert.deepEqual(seen, []);
  process.resume();
  queue.runUntil(1_000);
  assert.deepEqual(seen, ["read", "rang"]);
});
