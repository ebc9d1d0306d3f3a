/** What a job's state and hindrances are said to be, in cores: a job that can't run is never shown as fine. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  blockedJobs,
  soleRunnerOf,
  obstaclesOf,
  jobNow,
  nextTicks,
  pendingOf,
  viewOf,
  whyNoTick,
} from "../src/core/view.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const beat = { id: "beat", schedule: "@every 10s", command: "true" } as const;
const beatId = "beat" as JobId;

function nowAt(cores: Cores, peer: string, job = beatId) {
  const state = cores.state(peer);
  const found = jobNow(state, state.now, job);
  assert.ok(found, "there is such a job");
  return found;
}

function obstaclesAt(cores: Cores, peer: string): string {
  const state = cores.state(peer);
  return obstaclesOf(state, state.now, beatId).join(" ");
}

function pendingAt(cores: Cores, peer: string) {
  const state = cores.state(peer);
  return pendingOf(state, state.now, beatId);
}

describe("ticks that a job leaves out", () => {
  test("are shown among the coming ones, and are never the next tick", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ id: "beat", schedule: "* * * * *", command: "true", except: ["1-59/2 * * * *"] });
    cores.pass(second);
    const { now } = cores.state("a");
    const coming = nextTicks(cores.state("a"), now, beatId, 6) ?? [];
    assert.equal(coming.length, 6);
    for (const { tick, skipped, peers } of coming) {
      const isOdd = new Date(tick).getUTCMinutes() % 2 === 1;
      assert.deepEqual([skipped, peers.length], isOdd ? ["except", 0] : [undefined, 2]);
    }
    assert.equal(nowAt(cores, "a").next?.tick, coming.find(({ skipped }) => skipped === undefined)?.tick);
    const [leftOut] = coming.filter(({ skipped }) => skipped === "except");
    assert.ok(leftOut);
    assert.equal(whyNoTick(cores.state("a"), now, beatId, leftOut.startsAt), "its `except` leaves it out");
  });

  test("end the job when there are no others", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, except: ["@every 5s"] });
    cores.pass(second);
    const { state, next } = nowAt(cores, "a");
    assert.deepEqual([state, next], ["ended", undefined]);
    cores.pass(60 * second);
    assert.deepEqual(cores.starts, []);
    assert.match(obstaclesAt(cores, "a"), /no further tick/);
  });
});

describe("a job that no living peer can run is blocked, with the reason", () => {
  test("when its target is dead, since when; and is scheduled again when the target is back", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ ...beat, target: { peers: ["host-c"] } });
    assert.equal(nowAt(cores, "a").state, "scheduled");
    cores.kill("c");
    cores.pass(20 * second);
    const { state, hindrances, next } = nowAt(cores, "a");
    assert.equal(state, "blocked");
    assert.equal(hindrances[0]?.code, "NO_PEER");
    assert.match(hindrances[0]?.message ?? "", /^its target host-c has been dead since \d\d:\d\d:\d\d UTC$/);
    assert.deepEqual(next?.peers, [], "nobody is named who would run it");
    const { now } = cores.state("a");
    assert.deepEqual(
      blockedJobs(cores.state("a"), now).map(({ id }) => id),
      ["beat"],
    );
    assert.match(obstaclesAt(cores, "a"), /^No peer can run it: its target host-c has been dead since /);
    cores.up("c" as Parameters<Cores["up"]>[0]);
    cores.pass(5 * second);
    assert.equal(nowAt(cores, "a").state, "scheduled");
    assert.deepEqual(blockedJobs(cores.state("a"), cores.state("a").now), []);
  });

  test("and before that it is known which peer alone can run it, whenever its next tick is, or by hand", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(beat);
    cores.put({ id: "monthly", command: "true", schedule: "0 6 1 * *", target: { peers: ["host-c"] } });
    cores.put({ id: "by-hand", command: "true", target: { peers: ["host-c"] } });
    cores.put({
      id: "off",
      command: "true",
      schedule: "@daily",
      enabled: false,
      target: { peers: ["host-c"] },
    });
    const soleOf = (id: string) => soleRunnerOf(cores.state("a"), cores.state("a").now, id as JobId);
    assert.deepEqual(["beat", "monthly", "by-hand", "off"].map(soleOf), [undefined, "c", "c", undefined]);
    cores.kill("b");
    cores.kill("c");
    cores.pass(20 * second);
    assert.deepEqual(["beat", "monthly"].map(soleOf), ["a", undefined]);
  });

  test("when its target may be a member that has not been heard since this peer started", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ ...beat, target: { peers: ["host-c"] } });
    cores.kill("c");
    cores.pass(20 * second);
    cores.kill("a");
    cores.up("a" as PeerId, { expected: ["b", "c"] });
    cores.pass(20 * second);
    const { state, hindrances } = nowAt(cores, "a");
    assert.equal(state, "blocked");
    assert.equal(
      hindrances[0]?.message,
      "its target host-c is not a member that has been heard since this peer started",
    );
  });

  test("when its target is not a member", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, target: { peers: ["nosuch"] } });
    const { state, hindrances } = nowAt(cores, "a");
    assert.equal(state, "blocked");
    assert.equal(hindrances[0]?.message, "its target nosuch is not a member of the mesh");
    assert.equal(hindrances[0]?.pointer, "/target/peers");
  });

  test("when all its targets are drained or dead, each with its own reason", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ ...beat, target: { peers: ["host-b", "c"] } });
    cores.ask("a", { kind: "drain-peer", peer: "b", on: true, by: "ops" });
    cores.kill("c");
    cores.pass(20 * second);
    assert.match(
      nowAt(cores, "a").hindrances[0]?.message ?? "",
      /^of its targets, host-b is drained, host-c has been dead since /,
    );
    assert.match(nowAt(cores, "b").hindrances[0]?.message ?? "", /host-b is drained/);
  });

  test("when its target is a witness, which runs nothing", () => {
    const cores = new Cores(["a"]);
    cores.up("w" as Parameters<Cores["up"]>[0], { role: "witness" });
    cores.pass(2 * second);
    cores.put({ ...beat, target: { peers: ["host-w"] } });
    assert.equal(
      nowAt(cores, "a").hindrances[0]?.message,
      "its target host-w is a witness, which runs nothing",
    );
  });

  test("when every peer is drained", () => {
    const cores = new Cores(["a"]);
    cores.put(beat);
    cores.ask("a", { kind: "drain-peer", peer: "a", on: true, by: "ops" });
    cores.pass(second);
    assert.equal(nowAt(cores, "a").hindrances[0]?.message, "host-a is drained");
  });

  test("but not while its target is only suspect, full, or has just started", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, target: { peers: ["host-b"] } });
    cores.pause("b", 8 * second);
    cores.pass(7 * second);
    assert.equal(cores.state("a").members.byId.get("b" as never)?.state, "suspect");
    assert.notEqual(nowAt(cores, "a").state, "blocked");
  });
});

/** Two of the three voters are dead. */
function halved(): Cores {
  const cores = new Cores(["a", "b", "c"]);
  for (const peer of ["b", "c"]) {
    cores.ask("a", { kind: "promote-peer", peer, by: "ops" });
    cores.pass(20 * second);
  }
  cores.kill("b");
  cores.kill("c");
  cores.pass(20 * second);
  return cores;
}

const codes = (cores: Cores) => notReady(cores.state("a")).map(({ code }) => code);
const nextOf = (cores: Cores) => nowAt(cores, "a").next?.startsAt;

describe("voters without a majority", () => {
  test("block majority jobs, and make the peer not ready if there are such jobs", () => {
    const cores = halved();
    cores.put(beat);
    assert.deepEqual(codes(cores), [], "without majority jobs nothing is lost");
    cores.put({ ...beat, partition: "majority" });
    const { state, hindrances, next } = nowAt(cores, "a");
    assert.equal(state, "blocked");
    assert.deepEqual(hindrances[0], {
      code: "NO_QUORUM",
      pointer: "/partition",
      message: "1 of 3 voters are in reach, and majority jobs need 2",
    });
    assert.deepEqual(next?.peers, []);
    assert.deepEqual(codes(cores), ["no-quorum"]);
    cores.put({ ...beat, partition: "majority", enabled: false });
    assert.deepEqual(codes(cores), []);
  });

  test("are shown at once as what a due tick of such a job waits for", () => {
    const cores = halved();
    cores.put({ ...beat, partition: "majority" });
    cores.pass(10.2 * second);
    const [pending] = pendingAt(cores, "a");
    assert.equal(pending?.waitsFor, "voters");
    assert.match(pending?.why ?? "", /1 of 3 voters are in reach/);
  });
});

describe("a job that will not run has no next tick and no runner", () => {
  const by = "ops";

  test("while it is paused; if the pause has an end, the next tick is the first one after it", () => {
    const cores = new Cores(["a"]);
    const at = cores.wall(0);
    cores.put(beat, { pauses: [{ by, at, note: "migration" }] });
    assert.equal(nowAt(cores, "a").state, "paused");
    assert.equal(nextOf(cores), undefined);
    assert.deepEqual(nextTicks(cores.state("a"), cores.state("a").now, beatId, 3), []);
    assert.match(
      obstaclesAt(cores, "a"),
      /^The job is paused until it is resumed; ops paused it at .*: migration\.$/,
    );
    const until = at + 125 * second;
    cores.put(beat, {
      pauses: [
        { by, at, until },
        { by, at, until: at + 20 * second },
      ],
    });
    assert.equal(nextOf(cores), at + 130 * second);
  });

  test("but has them again when a pause has ended", () => {
    const cores = new Cores(["a"]);
    cores.put(beat, { pauses: [{ by, at: cores.wall(0), until: cores.wall(1 * second) }] });
    cores.pass(5 * second);
    assert.equal(nowAt(cores, "a").state, "scheduled");
  });

  test("when it is disabled, or its schedule has no further tick", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...beat, enabled: false });
    assert.deepEqual([nowAt(cores, "a").state, nextOf(cores)], ["disabled", undefined]);
    assert.match(obstaclesAt(cores, "a"), /^The job is disabled; test last edited it at /);
    cores.put({ ...beat, schedule: "@at 2020-01-01T00:00:00Z" });
    assert.deepEqual([nowAt(cores, "a").state, nextOf(cores)], ["ended", undefined]);
    assert.match(obstaclesAt(cores, "a"), /no further tick/);
  });
});

describe("a due tick that is undecided is pending at once, with what it waits for", () => {
  test("capacity", () => {
    const cores = new Cores(["a"], { capacity: 1, runMs: 60 * second });
    cores.put({ id: "long", schedule: "@every 10s", command: "true", overlap: "skip" });
    cores.pass(10.5 * second);
    cores.put(beat);
    cores.pass(10 * second);
    const [pending] = pendingAt(cores, "a");
    assert.equal(pending?.waitsFor, "capacity");
    assert.equal(nowAt(cores, "a").state, "waiting");
    assert.match(
      obstaclesAt(cores, "a"),
      /is due and waits: host-a has claimed it and waits for a free place\./,
    );
  });

  test("a run by hand has no instant that a person could read, so it isn't named", () => {
    const cores = new Cores(["a"], { capacity: 1, runMs: 60 * second });
    cores.put({ id: "long", schedule: "@every 10s", command: "true", overlap: "skip" });
    cores.pass(10.5 * second);
    cores.put({ id: beat.id, command: "true" });
    cores.ask("a", { kind: "run-job", id: beatId, by: "eve" });
    cores.pass(second);
    assert.match(
      obstaclesAt(cores, "a"),
      /^A run that was asked for is due and waits: host-a has claimed it/,
    );
  });

  test("an earlier run of the job", () => {
    const cores = new Cores(["a"], { runMs: 15 * second });
    cores.put(beat);
    cores.pass(22 * second);
    const [pending] = pendingAt(cores, "a");
    assert.equal(pending?.waitsFor, "overlap");
    assert.equal(nowAt(cores, "a").state, "running");
  });

  test("a peer that can run it", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, target: { peers: ["nosuch"] } });
    cores.pass(10.2 * second);
    const [pending] = pendingAt(cores, "a");
    assert.equal(pending?.waitsFor, "peer");
    assert.equal(pending?.why, "its target nosuch is not a member of the mesh");
  });

  test("of a run by hand: a peer of those that it was asked to run on; the answer says so", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ id: "beat", command: "true", target: { peers: ["nosuch"] } });
    cores.ask("a", { kind: "run-job", id: beatId, peers: ["nobody"], by: "eve" });
    cores.pass(5 * second);
    const message = "its target nobody is not a member of the mesh";
    const hindrance = { code: "NO_PEER", pointer: "/target/peers", message };
    assert.partialDeepStrictEqual(cores.answers[0], { kind: "ordered", hindrances: [hindrance] });
    assert.equal(pendingAt(cores, "a")[0]?.why, message);
    cores.ask("a", { kind: "run-job", id: beatId, peers: ["host-b"], by: "eve" });
    cores.pass(5 * second);
    assert.partialDeepStrictEqual(cores.answers[1], { kind: "ordered", hindrances: [] });
    assert.equal(cores.starts.length, 1);
  });

  test("and nothing is pending when all ticks are decided", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(beat);
    cores.pass(35 * second);
    assert.deepEqual(pendingAt(cores, "a"), []);
  });
});

test("for an instant that is not a tick of the job, the reason is given", () => {
  const cores = new Cores(["a"]);
  const why = (instant: number) => whyNoTick(cores.state("a"), cores.state("a").now, beatId, instant);
  cores.put(beat);
  const created = cores.wall(2 * second);
  assert.match(why(created - 60 * second) ?? "", /^its ticks count from .* on, when it was created/);
  assert.match(why(created + 61 * second) ?? "", /^its current schedule has no tick then/);
  assert.equal(why(Math.ceil(created / 10_000) * 10_000 + 10 * second), undefined);
  cores.put({ ...beat, enabled: false });
  assert.match(why(created + 60 * second) ?? "", /^it is disabled \(test last edited it/);
});

test("a voter of a future epoch says from when it votes", () => {
  const cores = new Cores(["a", "b"]);
  const b = () =>
    viewOf(cores.state("a"), cores.state("a").now, new Map(), [], {}).members.find(({ id }) => id === "b");
  assert.deepEqual([b()?.voter, b()?.votesFrom], [false, undefined]);
  cores.ask("a", { kind: "promote-peer", peer: "b", by: "ops" });
  cores.pass(2 * second);
  const from = b()?.votesFrom ?? 0;
  assert.ok(from > cores.state("a").now.wall, "the epoch begins later");
  assert.equal(b()?.voter, false);
  cores.pass(from - cores.state("a").now.wall + second);
  assert.deepEqual([b()?.voter, b()?.votesFrom], [true, from]);
});
