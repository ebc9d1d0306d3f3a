/** A mesh in which a member runs another version of this program, and lacks a capability that some jobs need. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ownCapabilities } from "../src/schema/protocol.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const beat = { id: "beat", schedule: "@every 10s", command: "true" } as const;
const votedBeat = { ...beat, partition: "majority" } as const;
const names = ["a", "b", "c"];
const periodMs = 10_000;

/** Starts of the ticks of two minutes, after the voters have been chosen. */
function startsOf(
  cores: Cores,
  job: Parameters<Cores["put"]>[0],
): { peer: PeerId; lateMs: number; tick: string }[] {
  cores.pass(60_000);
  cores.put(job);
  const from = cores.now;
  cores.pass(12 * periodMs);
  return cores.starts
    .filter(({ at }) => at >= from)
    .map(({ peer, at, tick }) => ({ peer, tick, lateMs: cores.wall(at) - Date.parse(tick) }));
}

for (const [job, capabilities] of [
  [beat, ["majority"]],
  [votedBeat, ["executor:process"]],
] as const) {
  const what = job === votedBeat ? "majority" : "executor:process";
  test(`a peer without ${what} never runs a job that needs it; the others run each tick once, on time`, () => {
    const cores = new Cores(names, { capabilities: { c: [...capabilities, "of another version"] } });
    const starts = startsOf(cores, job);
    assert.ok(starts.length >= 11, `${starts.length} starts`);
    assert.equal(new Set(starts.map(({ tick }) => tick)).size, starts.length);
    assert.deepEqual(
      starts.filter(({ peer, lateMs }) => peer === "c" || lateMs > 100),
      [],
    );
    assert.ok(starts.some(({ peer }) => peer === "a") && starts.some(({ peer }) => peer === "b"));
    const recorded = cores.recordsOf("a");
    assert.ok(recorded.length >= starts.length);
    assert.ok(!recorded.some(({ passed, peer }) => peer === "c" || passed?.some((one) => one.peer === "c")));
    assert.equal(cores.records.get("c" as PeerId)?.size, recorded.length, "it still stores the records");
  });
}

test("a peer that can't run majority jobs still votes: when one of the other two voters dies, the ticks still run", () => {
  const cores = new Cores(names, { capabilities: { c: ["executor:process"] } });
  startsOf(cores, votedBeat);
  cores.kill("b");
  cores.pass(30_000);
  const from = cores.now;
  cores.pass(3 * periodMs);
  const after = cores.starts.filter(({ at }) => at >= from).map(({ peer }) => peer);
  assert.deepEqual(new Set(after), new Set(["a"]));
  assert.ok(after.length >= 2);
});

test("a peer that names no capabilities counts as having those of the first version", () => {
  const cores = new Cores(names);
  const heard = cores.state("a").members.byId.get("c" as PeerId)?.heartbeat;
  assert.deepEqual(heard?.capabilities, ownCapabilities);
  if (heard !== undefined) delete heard.capabilities;
  cores.put(beat);
  const plan = cores.state("a").jobs.plans.get("beat" as JobId) ?? assert.fail();
  assert.equal(whyBlocked(cores.state("a"), plan), undefined);
});

test("a peer of a version that doesn't know what a job leaves out is not asked to run it", () => {
  const first = ["executor:process", "majority"];
  const cores = new Cores(names, { capabilities: { a: first } });
  cores.pass(30_000);
  cores.put({ ...beat, except: ["2026-12-24"] });
  cores.pass(20 * periodMs);
  const runners = new Set(cores.starts.map(({ peer }) => peer));
  assert.deepEqual(runners, new Set(["b", "c"]));
});

test("a job that no living peer can run says so, and its ticks are reported as missed after their window", () => {
  const older = ["executor:process"];
  const cores = new Cores(names, { capabilities: { a: older, b: older, c: older } });
  assert.deepEqual(startsOf(cores, votedBeat), []);
  const plan = cores.state("a").jobs.plans.get("beat" as JobId) ?? assert.fail();
  assert.equal(
    whyBlocked(cores.state("a"), plan)?.message,
    "host-a, host-b and host-c run a version of cicada that doesn't know what the job needs (majority)",
  );
  cores.pass(2 * 3_600_000);
  const recorded = cores.recordsOf("a");
  assert.ok(
    recorded.length > 300 && recorded.every(({ state }) => state === "missed"),
    `${recorded.length} records`,
  );
  for (const name of names) assert.ok(cores.state(name).book.orders.size < 400);
});
