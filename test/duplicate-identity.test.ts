/**
 * A copied data folder runs beside its original (DESIGN §3): the older process stops taking ticks, and resumes by
 * itself.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instantOf, runId, tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { Heartbeat, Life } from "../src/schema/heartbeat.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { isNewClock } from "../src/core/members/clocks.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import { Cores, signedLife } from "./kit/cores.ts";

const second = 1_000;
const a = "a" as PeerId;
const others = ["b", "c"] as PeerId[];

/** Lets time pass while the others hear copies of a's folder. */
function passBesideCopies(cores: Cores, seconds: number, began: readonly number[]): void {
  for (let passed = 0; passed < seconds; passed++) {
    for (const other of others) {
      const [last] = cores.heartbeats("a");
      assert.ok(last);
      for (const incarnation of began.map((at) => cores.wall(at))) {
        const life = signedLife(a, incarnation);
        const copy: Heartbeat = { ...last, incarnation, life, sentAt: cores.wall(cores.now) };
        cores.feed(other, { kind: "heard", from: a, message: copy });
      }
    }
    cores.pass(second);
  }
}

function passBesideACopy(cores: Cores, seconds: number): void {
  passBesideCopies(cores, seconds, [500_000]);
}

function startsOf(cores: Cores, peer: string, since: number): number {
  return cores.starts.filter((start) => start.peer === peer && start.at >= since).length;
}

function reasonsOf(cores: Cores): string[] {
  return notReady(cores.state("a")).map(({ code }) => code);
}

/** Peers after `a`, which may have begun later than the others, has outlived a copy of its folder. */
function outlived(begunMs = 0): Cores {
  const cores = new Cores(begunMs === 0 ? ["a", "b", "c"] : ["b", "c"]);
  if (begunMs > 0) {
    cores.pass(begunMs);
    cores.up(a);
    cores.pass(2 * second - begunMs);
  }
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  const { incarnation: before } = cores.state("a").members;
  passBesideACopy(cores, 10);
  assert.equal(cores.state("a").members.incarnation, before, "the copy is still heard");
  cores.pass(40 * second);
  assert.ok(cores.state("a").members.incarnation > before);
  return cores;
}

test("while a newer process with its identity is heard, the older one starts nothing and says so", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  cores.pass(30 * second);
  assert.ok(startsOf(cores, "a", 0) > 0);
  passBesideACopy(cores, 5);
  const since = cores.now;
  passBesideACopy(cores, 25);
  assert.equal(startsOf(cores, "a", since), 0);
  assert.ok(reasonsOf(cores).includes("duplicate-identity"));
  const ticks = cores.starts.map(({ tick }) => tick);
  assert.deepEqual(ticks.toSorted(), [...new Set(ticks)].toSorted());
});

for (const [order, latestLast] of [
  ["before", false],
  ["after", true],
] as const) {
  test(`while two newer processes are heard, the latest ${order} the other, the oldest one starts nothing`, () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
    cores.pass(10 * second);
    const first = cores.now;
    passBesideCopies(cores, 15, [first]);
    const since = cores.now;
    // The members hear the copies after the original (5 ms after the second) and before they answer it (10 ms after it).
    cores.pass(7);
    passBesideCopies(cores, 60, latestLast ? [first, since] : [since, first]);
    assert.equal(startsOf(cores, "a", since), 0);
    assert.ok(reasonsOf(cores).includes("duplicate-identity"));
    cores.pass(60 * second);
    assert.ok(startsOf(cores, "a", since) > 0, "both are gone");
  });
}

test("a message from an older process gets no immediate answer, so that two duplicated identities don't answer each other without end", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.pass(5 * second);
  const [newer] = cores.heartbeats("a");
  assert.ok(newer);
  const { incarnation, clock } = newer;
  assert.equal(isNewClock(newer, undefined), true);
  assert.equal(isNewClock(newer, newer), false);
  assert.equal(isNewClock({ ...newer, incarnation: incarnation + 1 }, newer), true);
  assert.equal(isNewClock({ ...newer, incarnation: incarnation - 1 }, newer), false);
  assert.equal(isNewClock({ ...newer, clock: { ...clock, count: clock.count + 1 } }, newer), true);
});

test("while two processes have one identity, neither of them writes to the table", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  cores.pass(10 * second);
  passBesideACopy(cores, 10);
  cores.ask("a", { kind: "pause-job", id: "beat" as JobId, by: "ann" });
  cores.ask("a", { kind: "run-job", id: "beat" as JobId, by: "ann" });
  const codes = cores.answers.map((answer) => (answer.kind === "refused" ? answer.error.code : answer.kind));
  assert.deepEqual(codes, ["DUPLICATE_IDENTITY", "DUPLICATE_IDENTITY"]);
});

test("when the newer process has fallen silent, the older one takes ticks again, each once, without help", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  cores.pass(10 * second);
  passBesideACopy(cores, 25);
  cores.pass(40 * second);
  const since = cores.now;
  assert.deepEqual(
    reasonsOf(cores).filter((code) => code !== "votes-lost"),
    [],
  );
  cores.pass(60 * second);
  assert.ok(startsOf(cores, "a", since) > 5);
  const ticks = cores.starts.map(({ tick }) => tick);
  assert.deepEqual(ticks.toSorted(), [...new Set(ticks)].toSorted());
  for (const other of others) assert.equal(cores.state(other).members.byId.get(a)?.state, "alive");
});

test("an older process that was cut off while a copy came and went takes ticks again, even if the others' clocks were set since", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  cores.pass(10 * second);
  const { incarnation: before } = cores.state("a").members;
  cores.split(["a"], others);
  passBesideACopy(cores, 5);
  cores.pass(30 * second);
  for (const other of others) cores.setClock(other, 1_200);
  cores.pass(30 * second);
  cores.heal();
  cores.pass(60 * second);
  assert.ok(cores.state("a").members.incarnation > before);
  const since = cores.now;
  cores.pass(60 * second);
  assert.ok(startsOf(cores, "a", since) > 5);
});

test("of two processes that outlive a third at the same instant, one is the newer, so that not both carry on", () => {
  const incarnations = [3, 5].map((begunMs) => outlived(begunMs).state("a").members.incarnation);
  assert.notEqual(incarnations[0], incarnations[1]);
});

test("two processes that outlive each other again within ten minutes wait for a person", () => {
  const cores = outlived();
  const { incarnation } = cores.state("a").members;
  for (const other of others) {
    const [last] = cores.heartbeats("a");
    assert.ok(last);
    const later = { incarnation: incarnation + 1_000, life: signedLife(a, incarnation + 1_000) };
    cores.feed(other, { kind: "heard", from: a, message: { ...last, ...later } });
  }
  cores.pass(60 * second);
  assert.equal(cores.state("a").members.incarnation, incarnation);
  assert.ok(reasonsOf(cores).includes("duplicate-identity"));
});

test("a process that has outlived its copy still measures its clock, and takes no ticks once the clock is set wrong", () => {
  const cores = outlived();
  cores.setClock("a", 60 * second);
  cores.pass(20 * second);
  for (const other of others) {
    const offsetMs = cores.state("a").members.byId.get(other)?.clockOffsetMs;
    assert.ok(offsetMs !== undefined && Math.abs(offsetMs + 60 * second) < second, `${other}: ${offsetMs}`);
  }
  const since = cores.now;
  cores.pass(30 * second);
  assert.equal(startsOf(cores, "a", since), 0);
});

/** Member b tells a, in every heartbeat, that it hears another process, and shows it these words. */
function reportLives(cores: Cores, ...lives: readonly Life[]): void {
  for (let times = 0; times < 10; times++) {
    const [last] = cores.heartbeats("b");
    assert.ok(last);
    const message = { ...last, duplicateIdentity: true, lives: [...lives] };
    cores.feed(a, { kind: "heard", from: "b" as PeerId, message });
    cores.pass(second);
  }
}

test("a member that lies about another process takes nobody's vote, no matter what it shows", () => {
  const cores = new Cores(["a", "b", "c"]);
  const { incarnation } = cores.state("a").members;
  const earlier = signedLife(a, incarnation - 5);
  const ofAnother = { ...signedLife("b" as PeerId, incarnation + 5), incarnation: incarnation + 5 };
  const altered = { ...earlier, beside: incarnation };
  for (const lives of [
    [],
    [earlier],
    [signedLife(a, incarnation)],
    [ofAnother],
    [altered],
    [signedLife(a, 5, 7)],
  ]) {
    reportLives(cores, ...lives);
    assert.equal(cores.state("a").members.duplicateIdentity, false);
    assert.notEqual(cores.state("a").voting.voter.memory, "lost");
  }
});

/**
 * Both other members tell a of a newer life. `lives`: what they show of it; `silent`: the members that say by their clock that
 * they last heard it then, while the others have heard it just now.
 */
function reportNewerLife(
  cores: Cores,
  seconds: number,
  incarnation: number,
  lives: readonly Life[],
  silent: Readonly<Record<string, number>> = {},
): void {
  for (let passed = 0; passed < seconds; passed++) {
    for (const from of others) {
      const [last] = cores.heartbeats(from);
      assert.ok(last?.echo);
      const echo = { ...last.echo, incarnation, heardAt: silent[from] ?? last.sentAt };
      // Twice: between its lies the member's true heartbeats arrive.
      const message = { ...last, echo, lives: [...lives] };
      for (let times = 0; times < 2; times++) cores.feed(a, { kind: "heard", from, message });
    }
    cores.pass(second);
  }
}

test("all members together can't invent a newer life, nor a higher one than has signed: the peer goes on", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  const { incarnation } = cores.state("a").members;
  reportNewerLife(cores, 30, incarnation + 5, []);
  reportNewerLife(cores, 30, incarnation + 5, [{ ...signedLife(a, incarnation + 5), signature: "x" }]);
  assert.deepEqual(reasonsOf(cores), []);
  assert.ok(startsOf(cores, "a", 0) > 5);
  reportNewerLife(cores, 10, 2 ** 52, [signedLife(a, incarnation + 5)]);
  assert.equal(cores.state("a").members.newerLife, undefined);
});

test("a member that says for ever that it still hears a process that has gone keeps the peer from nothing", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  const later = cores.state("a").members.incarnation + 5;
  reportNewerLife(cores, 10, later, [signedLife(a, later)]);
  assert.ok(reasonsOf(cores).includes("duplicate-identity"));
  const gone = { b: cores.wall(cores.now) };
  reportNewerLife(cores, 30, later, [signedLife(a, later)], gone);
  assert.ok(cores.state("a").members.incarnation > later);
  const since = cores.now;
  cores.pass(40 * second);
  assert.ok(startsOf(cores, "a", since) > 5);
});

test("a signature on a later life proves another process, and so does an earlier life's that names this one", () => {
  for (const lifeAt of [
    (incarnation: number) => signedLife(a, incarnation + 5),
    (incarnation: number) => signedLife(a, incarnation - 5, incarnation),
  ]) {
    const cores = new Cores(["a", "b", "c"]);
    reportLives(cores, lifeAt(cores.state("a").members.incarnation));
    assert.ok(reasonsOf(cores).includes("duplicate-identity"));
    assert.equal(cores.state("a").voting.voter.memory, "lost");
  }
});

test("a process that has been shown a later life names it in its own word, and no life that it was only told of", () => {
  const cores = new Cores(["a", "b", "c"]);
  const { incarnation } = cores.state("a").members;
  reportLives(cores, { ...signedLife(a, incarnation + 5), signature: "" });
  assert.equal(cores.state("a").members.ownLife?.beside, undefined);
  reportLives(cores, signedLife(a, incarnation + 5));
  assert.deepEqual(cores.state("a").members.ownLife, signedLife(a, incarnation, incarnation + 5));
});

/** Lets time pass while the others hear, beside the process that is known as `a`, an older one that knows of it. */
function passBesideTheOriginal(cores: Cores, incarnation: number, seconds: number): void {
  const newer = cores.state("a").members.incarnation;
  for (let passed = 0; passed < seconds; passed++) {
    for (const other of others) {
      const [last] = cores.heartbeats("a");
      assert.ok(last);
      const life = signedLife(a, incarnation, newer);
      const original: Heartbeat = { ...last, incarnation, life, sentAt: cores.wall(cores.now) };
      cores.feed(other, { kind: "heard", from: a, message: original });
    }
    cores.pass(second);
  }
}

/** What the process that is known as `a` has on its disk of the run. */
function storedOf(cores: Cores, { tick }: { tick: string }): RunRecord | undefined {
  return cores.recordsOf(a).find((record) => record.tick === tick);
}

describe("what a peer with its identity has left open is ended", () => {
  const hourly = { id: "hourly", schedule: "0 * * * *", command: "true" } as const;

  /** Peers after `a` has claimed a tick, and started it if `starts`. */
  function withOpenRecord(starts: boolean): { cores: Cores; open: RunRecord } {
    for (let minutes = 0; minutes < 60; minutes++) {
      const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
      cores.put({ ...hourly, schedule: `${minutes} * * * *` });
      if (cores.runnersOf("hourly", 1)[0]?.[0] !== "a") continue;
      const leftMs = 3_600_000 - ((cores.wall(cores.now) - minutes * 60_000) % 3_600_000);
      cores.pass(leftMs + (starts ? second : -second));
      const [open] = cores.recordsOf(a);
      assert.ok(open);
      assert.equal(open.state, starts ? "running" : "claimed");
      return { cores, open };
    }
    assert.fail("no tick of an hour is a's");
  }

  test("not a run of the original's, by a copy of its folder, while the original is heard", () => {
    const { cores, open } = withOpenRecord(true);
    const original = cores.state("a").members.incarnation;
    cores.kill("a");
    cores.up(a, { records: [open] });
    passBesideTheOriginal(cores, original, 30);
    assert.notEqual(storedOf(cores, open)?.reason, "its peer was restarted");
    assert.deepEqual(cores.swept, []);
    cores.pass(30 * second);
    assert.equal(storedOf(cores, open)?.reason, "its peer was restarted", "the original has fallen silent");
    assert.deepEqual(cores.swept, [runId(open)]);
  });

  for (const starts of [true, false]) {
    const what = starts ? "run" : "claim";
    test(`not a ${what} of the newer process's, by the older one that hears of it`, () => {
      const cores = new Cores(["a", "b", "c"]);
      cores.put(hourly);
      passBesideACopy(cores, 5);
      const tick = tickAt(cores.wall(0));
      const record: RunRecord = {
        job: hourly.id as JobId,
        tick,
        attempt: 1,
        slot: "0",
        peer: a,
        state: starts ? "running" : "claimed",
        version: starts ? 2 : 1,
        claimedAt: instantOf(tick),
        ...(starts ? { startedAt: instantOf(tick) } : {}),
        revision: "r",
        trigger: "schedule",
        rank: 0,
        due: instantOf(tick),
        view: 3,
        signature: "of the copy",
      };
      cores.feed(a, { kind: "learned", records: [record], orders: [] });
      passBesideACopy(cores, 20);
      assert.equal(storedOf(cores, record)?.signature, "of the copy");
      cores.pass(60 * second);
      assert.equal(storedOf(cores, record)?.state, starts ? "lost" : "withdrawn", "the copy is gone");
    });
  }

  test("a run of its own, soon after its peer was killed and restarted", () => {
    const { cores, open } = withOpenRecord(true);
    cores.kill("a");
    cores.up(a, { records: [open] });
    cores.pass(2 * second);
    assert.notEqual(
      storedOf(cores, open)?.reason,
      "its peer was restarted",
      "nobody can have heard another process yet",
    );
    cores.pass(5 * second);
    for (const peer of [a, ...others]) {
      const records = cores.recordsOf(peer);
      assert.deepEqual(
        records.map(({ state, reason }) => [state, reason]),
        [["lost", "its peer was restarted"]],
      );
    }
  });

  test("a run of its own at once, by a peer that hears no other", () => {
    const cores = new Cores(["a"], { runMs: Infinity });
    cores.put({ ...hourly, schedule: "@every 11s" });
    cores.pass(12 * second);
    const [open] = cores.recordsOf(a);
    assert.equal(open?.state, "running");
    cores.kill("a");
    cores.up(a, { records: [open] });
    cores.pass(10);
    assert.equal(storedOf(cores, open)?.state, "lost");
    assert.deepEqual(cores.swept, [runId(open)]);
  });

  test("and a claim that never started is made anew by the restarted peer, on time", () => {
    const { cores, open } = withOpenRecord(false);
    cores.kill("a");
    cores.up(a, { records: [open] });
    cores.pass(5 * second);
    assert.deepEqual(
      cores.starts.map(({ peer, tick }) => [peer, tick]),
      [["a", open.tick]],
    );
  });

  test("but a claim whose run had started is not made anew, and is recorded as running at once, before others step in", () => {
    const { cores, open } = withOpenRecord(false);
    cores.kill("a");
    cores.up(a, { records: [open], started: new Set([runId(open)]) });
    assert.equal(storedOf(cores, open)?.state, "running");
    cores.pass(20 * second);
    assert.deepEqual(cores.starts, []);
    assert.equal(storedOf(cores, open)?.state, "lost");
  });
});
