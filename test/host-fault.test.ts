/** A peer whose host can't start runs: its orders go to others at once, it takes no ticks for a while, and it says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { storyOf } from "../src/core/records/records.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;

function beat(cores: Cores): void {
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
}

function hostReasons(cores: Cores, peer: string): string[] {
  return notReady(cores.state(peer))
    .filter(({ code }) => code === "host")
    .map(({ message }) => message);
}

test("a tick that a host can't start runs on another peer within a second, once, and is not shown as a failed run", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.starved.add("a");
  beat(cores);
  cores.pass(20 * second);
  assert.equal(cores.refusals.length, 1, "after the first failure this peer takes no more ticks");
  const ticks = cores.starts.map(({ tick }) => tick);
  assert.equal(new Set(ticks).size, ticks.length);
  assert.ok(ticks.length >= 8);
  for (const { tick, at } of cores.starts) assert.ok(cores.wall(at) - Date.parse(tick) < second, tick);
  const records = cores.recordsOf("b");
  assert.ok(records.length >= 8);
  for (const { state } of records) assert.notEqual(state, "failed");
});

test("the peer says in readyz what is wrong with its host, and when it tries again", () => {
  const cores = new Cores(["a", "b"]);
  cores.starved.add("a");
  beat(cores);
  cores.pass(20 * second);
  assert.match(
    hostReasons(cores, "a").join(),
    /could not start a run: too many files are open; the peer tries again in \d+ s/,
  );
  assert.deepEqual(hostReasons(cores, "b"), []);
});

test("a host that has recovered takes ticks again by itself", () => {
  const cores = new Cores(["a", "b"]);
  cores.starved.add("a");
  beat(cores);
  cores.pass(20 * second);
  cores.starved.delete("a");
  cores.pass(60 * second);
  assert.deepEqual(hostReasons(cores, "a"), []);
  assert.ok(cores.starts.some(({ peer, at }) => peer === "a" && at > 40 * second));
});

test("a majority job's tick that chosen runners can't start is one attempt, and is reported after eight of them", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.pass(60 * second);
  cores.put({ id: "beat", schedule: "@every 1h", command: "true", partition: "majority" });
  for (const peer of ["a", "b", "c"]) cores.starved.add(peer);
  cores.pass(3_600 * second);
  assert.equal(cores.refusals.length, 8);
  for (const peer of ["a", "b", "c"] as PeerId[]) {
    const records = cores.recordsOf(peer);
    assert.ok(records.every(({ attempt }) => attempt === 1));
    assert.equal(storyOf(records)?.state, "missed", `as ${peer} has it`);
    assert.equal(storyOf(records)?.reason, "given-back");
  }
  cores.starved.clear();
  cores.pass(3_600 * second);
  assert.deepEqual(
    cores.starts.map(({ env }) => env["CICADA_ATTEMPT"]),
    ["1"],
    "the next tick runs",
  );
});

test("while its starts keep failing, a peer waits longer each time, up to five minutes", () => {
  const cores = new Cores(["a", "b"]);
  cores.starved.add("a");
  beat(cores);
  cores.pass(30 * 60 * second);
  const tries = cores.refusals.map(({ at }) => at);
  const pauses = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
  const longer = [30, 60, 120, 240, 300, 300];
  for (const [index, pause] of longer.entries()) {
    const found = pauses.filter((ms) => ms > second)[index] ?? 0;
    assert.ok(found >= pause * second && found < (pause + 15) * second, `pause ${index}: ${found} ms`);
  }
});

test("when no peer can start anything, the order waits and is retried every ten seconds", () => {
  const cores = new Cores(["a", "b"]);
  for (const peer of ["a", "b"]) cores.starved.add(peer);
  cores.put({ id: "hourly", schedule: "@every 1h", command: "true" });
  cores.ask("a", { kind: "run-job", id: "hourly" as never, by: "eve" });
  cores.pass(60 * second);
  assert.equal(cores.starts.length, 0);
  assert.ok(cores.refusals.length >= 5 && cores.refusals.length <= 14, `${cores.refusals.length} tries`);
  cores.starved.clear();
  cores.pass(15 * second);
  assert.equal(cores.starts.length, 1);
});

test("an order that only one peer may run is retried there every ten seconds, even if the other peers are well", () => {
  const cores = new Cores(["a", "b"]);
  cores.starved.add("a");
  beat(cores);
  cores.pass(5 * 60 * second);
  cores.put({ id: "here", schedule: "@at 2026-11-20T02:06:00Z", command: "true", target: { peers: ["a"] } });
  cores.pass(55 * second);
  const before = cores.refusals.length;
  cores.pass(40 * second);
  assert.ok(cores.refusals.length >= before + 3, `${cores.refusals.length - before} tries`);
  cores.starved.clear();
  cores.pass(15 * second);
  const starts = cores.starts.filter(({ run }) => run.startsWith("here@"));
  assert.deepEqual(
    starts.map(({ peer }) => peer),
    ["a"],
  );
});

test("a run whose output its host could not judge is lost and not failed, and the peer takes no ticks for a while", () => {
  const cores = new Cores(["a", "b"]);
  cores.hostFaultOf = ({ peer }) =>
    peer === "a" ? "the patterns could not be matched: no thread" : undefined;
  beat(cores);
  cores.pass(20 * second);
  const ofA = cores.recordsOf("b").filter(({ peer }) => peer === "a");
  const ended = ofA.filter(({ state }) => state !== "withdrawn");
  assert.deepEqual(
    ended.map(({ state, reason }) => [state, reason]),
    [["lost", "the patterns could not be matched: no thread"]],
  );
  assert.match(hostReasons(cores, "a").join(), /could not finish a run: the patterns .* no thread; the peer/);
  const ticks = cores.starts.map(({ tick }) => tick);
  assert.equal(new Set(ticks).size, ticks.length, "it is not repeated");
});

test("a job that its host can't start after its precheck is lost and not failed, and its next attempt runs elsewhere", () => {
  const cores = new Cores(["a", "b"], { runMs: 3 * second });
  const precheck = { command: "true" };
  cores.put({
    id: "beat",
    schedule: "@every 1h",
    command: "true",
    precheck,
    retry: { attempts: 1, backoff: "1s" },
  });
  cores.ask("a", { kind: "run-job", id: "beat" as never, by: "eve" });
  while (cores.starts.length === 0) cores.pass(100);
  const { peer, tick } = cores.starts[0] ?? assert.fail();
  cores.starved.add(peer);
  cores.pass(30 * second);
  const records = cores.recordsOf(peer).filter((one) => one.tick === tick);
  const [lost, next, ...more] = records.toSorted((a, b) => a.attempt - b.attempt);
  assert.deepEqual([lost?.state, lost?.peer], ["lost", peer]);
  assert.equal(next?.state, "succeeded");
  assert.notEqual(next?.peer, peer);
  assert.deepEqual(more, []);
  assert.match(lost?.reason ?? "", /^not started: too many files/);
});
