/** Retries: what is repeated, when, where and how often, and that a tick counts as in progress meanwhile (INTERFACE). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { planJob, type Plan } from "../src/core/job/plan.ts";
import { dueOf } from "../src/core/job/jitter.ts";
import { retryAt, type RetryRule } from "../src/core/job/retry.ts";
import { storyOf } from "../src/core/records/records.ts";
import { jobNow, obstaclesOf, openSince, pendingOf } from "../src/core/view.ts";
import { instantOf, isManual, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import type { RunRecord } from "../src/schema/run.ts";
import type { RunState } from "../src/schema/run-states.ts";
import { Cores, type Start } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

const rule: RetryRule = {
  attempts: 3,
  backoffMs: 10 * second,
  factor: 2,
  maxBackoffMs: 30 * second,
  on: ["failed", "timeout"],
  where: "any",
};

describe("the rule", () => {
  const cases: [circumstance: string, attempt: number, ended: RunState, afterMs: number | undefined][] = [
    ["the first attempt fails", 1, "failed", 10 * second],
    ["the second attempt fails: the pause has doubled", 2, "failed", 20 * second],
    ["the third attempt fails: the pause is the longest", 3, "failed", 30 * second],
    ["the last attempt fails", 4, "failed", undefined],
    ["it timed out", 1, "timeout", 10 * second],
    ["it was lost, and only failures and timeouts are repeated", 1, "lost", undefined],
    ["it was cancelled", 1, "cancelled", undefined],
    ["it succeeded", 1, "succeeded", undefined],
  ];
  for (const [circumstance, attempt, ended, afterMs] of cases) {
    it(`${circumstance}: ${afterMs === undefined ? "no other follows" : `the next is due after ${afterMs / second} s`}`, () => {
      assert.equal(retryAt(rule, attempt, ended, 0), afterMs);
    });
  }
});

const often = { attempts: 2, backoff: "10s" };
const hourly = { id: "beat", schedule: "@every 1h", command: "true", retry: often } as const;

/** Peers just before the first tick of an hourly job, whose runs fail. */
function beforeTick(
  names: readonly string[],
  spec: Partial<Parameters<Cores["put"]>[0]> = {},
  runMs = second,
): Cores {
  const cores = new Cores(names, { runMs });
  cores.pass(minute);
  cores.exitCodeOf = () => 1;
  cores.put({ ...hourly, ...spec });
  cores.pass(hour - (cores.wall(cores.now) % hour) - 5 * second);
  return cores;
}

function stateOf(cores: Cores, peer: string): string {
  const story = storyOf(cores.recordsOf(peer));
  return `${story?.state ?? "none"} ${story?.attempt ?? 0}`;
}

function attempts(starts: readonly Start[]): string[] {
  return starts.map(({ env }) => `${env["CICADA_ATTEMPT"]} ${env["CICADA_TRIGGER"]}`);
}

test("a tick that is to be repeated hours later is not pruned before, although newer ones are kept in its place", () => {
  const cores = beforeTick(["a", "b"], { retry: { attempts: 1, backoff: "3h", maxBackoff: "3h" } });
  cores.pass(10 * second);
  assert.deepEqual(attempts(cores.starts), ["1 schedule"]);
  const [first] = cores.starts;
  cores.pass(150 * minute);
  for (const peer of ["a", "b"])
    assert.equal(openSince(cores.state(peer), "beat" as JobId), instantOf(first?.tick as TickId), peer);
});

for (const [how, jitter] of [
  ["", {}],
  [", with its jitter", { jitter: "10m" }],
] as const)
  test(`a tick that was begun hours too early by clocks that were ahead is repeated when it is due${how}, once`, () => {
    const peers = ["a", "b"];
    const cores = beforeTick(peers, jitter, 20 * second);
    for (const peer of peers) cores.setClock(peer, 2 * hour);
    cores.pass(15 * second);
    for (const peer of peers) cores.setClock(peer, 0);
    cores.pass(3 * hour);
    const tick = (cores.starts[0]?.tick ?? "") as TickId;
    const ofTick = cores.starts.filter((start) => start.tick === tick);
    assert.deepEqual(
      ofTick.map(({ env }) => env["CICADA_ATTEMPT"]),
      ["1", "2", "3"],
    );
    const [first, again] = ofTick.map(({ at }) => cores.wall(at));
    assert.ok((first ?? Infinity) < instantOf(tick) - hour / 2, "hours too early");
    assert.equal(again, dueOf(planOf(cores), instantOf(tick)));
  });

test("a run that a person asked for is repeated although its clock was a year ahead for some minutes meanwhile", () => {
  const cores = beforeTick(["a"], {}, 5 * minute);
  cores.ask("a", { kind: "run-job", id: "beat" as JobId, by: "ada" });
  cores.pass(second);
  assert.deepEqual(attempts(cores.starts), ["1 manual"]);
  cores.setClock("a", 365 * 24 * hour);
  cores.pass(3 * minute);
  cores.setClock("a", 0);
  cores.pass(4 * minute);
  const byHand = cores.starts.filter(({ tick }) => tick === cores.starts[0]?.tick);
  assert.deepEqual(attempts(byHand), ["1 manual", "2 retry"]);
});

test("a run that failed while its peer's clock was hours ahead is repeated after its pause, and not hours later", () => {
  const cores = beforeTick(["a"], { overlap: "allow", retry: { attempts: 1, backoff: "1m" } });
  cores.setClock("a", 5 * hour);
  cores.pass(20 * second);
  cores.ask("a", { kind: "run-job", id: "beat" as JobId, by: "ada" });
  cores.pass(10 * second);
  cores.setClock("a", 0);
  const setAt = cores.now;
  cores.pass(2 * minute);
  const byHand = cores.starts.filter(({ tick }) => isManual(tick as TickId));
  assert.deepEqual(attempts(byHand), ["1 manual", "2 retry"]);
  const pausedMs = (byHand[1]?.at ?? 0) - setAt;
  assert.ok(pausedMs >= minute, "its pause begins when the clock is right");
});

test("a run that was declared lost by a clock that was hours ahead is repeated after its pause, and not hours later", () => {
  const retry: JobSpec["retry"] = { attempts: 1, backoff: "1m", on: ["lost"] };
  const cores = beforeTick(["a", "b"], { overlap: "allow", retry }, 12 * hour);
  for (const peer of ["a", "b"]) cores.setClock(peer, 5 * hour);
  cores.pass(20 * second);
  cores.ask("a", { kind: "run-job", id: "beat" as JobId, by: "ada" });
  cores.pass(10 * second);
  const byHand = (): Start[] => cores.starts.filter(({ tick }) => isManual(tick as TickId));
  const [begun] = byHand();
  assert.ok(begun !== undefined);
  const other = begun.peer === "a" ? "b" : "a";
  cores.kill(begun.peer);
  cores.pass(30 * second);
  const record = cores.recordsOf(other).find(({ tick }) => tick === begun.tick);
  assert.equal(record?.state, "lost");
  cores.setClock(other, 0);
  cores.pass(2 * minute);
  assert.deepEqual(attempts(byHand()), ["1 manual", "2 retry"]);
});

test("a run that could not start by a clock that was ahead doesn't seem to have started once that clock is right", () => {
  const cores = new Cores(["a"], { launchMs: minute });
  cores.pass(minute);
  cores.put({ ...hourly, retry: { attempts: 1, backoff: "10m" } });
  cores.setClock("a", 5 * hour);
  cores.pass(20 * second);
  cores.ask("a", { kind: "run-job", id: "beat" as JobId, by: "ada" });
  cores.pass(5 * second);
  const [asked] = cores.starts;
  assert.ok(asked !== undefined);
  const outcome = { kind: "not-started", why: "error", reason: "no such program" } as const;
  const at = cores.wall(cores.now) + 5 * hour;
  cores.feed("a" as PeerId, { kind: "childEnded", run: asked.run, at, outcome });
  cores.setClock("a", 0);
  cores.pass(20 * second);
  const failed = cores.recordsOf("a").find(({ attempt, state }) => attempt === 1 && state === "failed");
  assert.ok((failed?.finishedAt ?? Infinity) <= cores.wall(cores.now), "it is restated by the right clock");
  assert.equal(failed?.startedAt, undefined);
});

test("a run that fails is repeated with growing pauses, as often as the job says, and never again", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.pass(50 * minute);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry", "3 retry"]);
  const [first = 0, ...pauses] = cores.starts.map(({ at }, place) => at - (cores.starts[place - 1]?.at ?? 0));
  assert.ok(first > 0);
  for (const [place, ms] of [11 * second, 21 * second].entries())
    assert.ok(Math.abs((pauses[place] ?? 0) - ms) < 100, `${pauses[place]} ms`);
  for (const peer of "abc") assert.equal(stateOf(cores, peer), "failed 3");
  for (const peer of "abc") assert.equal(cores.state(peer).book.orders.size, 0);
  cores.exitCodeOf = () => 0;
  cores.pass(26 * hour);
  const ofFirst = cores.starts.filter(({ tick }) => tick === cores.starts[0]?.tick);
  assert.equal(ofFirst.length, 3, "a day later the tick is still over");
  assert.equal(cores.starts.length, 3 + 26);
});

test("all attempts of a tick are spans of one trace, and the next tick begins another", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.pass(50 * minute);
  const spans = cores.starts.map(({ env }) => env["TRACEPARENT"] ?? "");
  assert.equal(spans.length, 3);
  const form = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;
  const traces = new Set(spans.map((span) => form.exec(span)?.[1]));
  assert.equal(traces.size, 1);
  assert.equal(new Set(spans.map((span) => form.exec(span)?.[2])).size, 3);
  cores.pass(hour);
  const later = cores.starts.slice(3).map(({ env }) => form.exec(env["TRACEPARENT"] ?? "")?.[1]);
  assert.ok(later.length > 0 && later.every((trace) => trace !== undefined && !traces.has(trace)));
});

test("a repetition that succeeds ends the tick", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.exitCodeOf = ({ env }) => (env["CICADA_ATTEMPT"] === "2" ? 0 : 1);
  cores.pass(50 * minute);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry"]);
  for (const peer of "abc") assert.equal(stateOf(cores, peer), "succeeded 2");
});

test("a run that succeeds is not repeated", () => {
  const cores = beforeTick(["a", "b"]);
  cores.exitCodeOf = () => 0;
  cores.pass(50 * minute);
  assert.equal(cores.starts.length, 1);
});

test("if the peer whose run failed dies, another one repeats it when it is due", () => {
  const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, backoff: "20s" } });
  cores.pass(8 * second);
  const [first] = cores.starts;
  assert.ok(first);
  cores.kill(first.peer);
  cores.pass(minute);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry"]);
  assert.notEqual(cores.starts[1]?.peer, first.peer);
});

test("a lone peer that is restarted in the pause carries on", () => {
  const cores = beforeTick(["a"], { overlap: "allow", retry: { attempts: 1, backoff: "1m" } });
  cores.pass(10 * second);
  assert.equal(cores.starts.length, 1);
  cores.restart("a", 5 * second);
  cores.pass(2 * minute);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry"]);
});

test("an attempt that all peers have declined, because they were full, runs soon after one has a place, though nobody heard the others decline", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity, capacity: 1 });
  cores.pass(minute);
  cores.put({ ...hourly, retry: { attempts: 1, backoff: "30s" } });
  for (const place of [1, 2, 3]) cores.put({ id: `long-${place}`, command: "true" });
  cores.pass(hour - (cores.wall(cores.now) % hour) + second);
  cores.end("beat", 1);
  for (const place of [1, 2, 3]) cores.ask("a", { kind: "run-job", id: `long-${place}` as JobId, by: "ann" });
  cores.pass(20 * second);
  assert.equal(cores.starts.length, 4, "all are full");
  for (const peer of ["a", "b", "c"] as PeerId[]) cores.unheard.add(peer);
  cores.pass(30 * second);
  cores.unheard.clear();
  for (const place of [1, 2, 3]) cores.end(`long-${place}`, 0);
  cores.pass(minute);
  assert.deepEqual(attempts(cores.starts.slice(4)), ["2 retry"]);
});

test("another run waits for the word on how an attempt ended, if its runner only says that it is over", () => {
  const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, backoff: "1m" } }, Infinity);
  cores.pass(10 * second);
  const runner = cores.starts[0]?.peer;
  const other = ["a", "b", "c"].find((peer) => peer !== runner);
  assert.ok(runner !== undefined && other !== undefined);
  cores.ask(other, { kind: "run-job", id: "beat" as JobId, by: "ann", peers: [`host-${other}`] });
  cores.pass(2 * second);
  // The record is lost on its way; the next heartbeats don't name the run any more.
  cores.unheard.add(runner);
  cores.end("beat", 1);
  cores.pass(3 * second);
  assert.equal(cores.heartbeats(runner)[0]?.open.count, 0);
  // An edit has what waits looked at again.
  cores.put({ ...hourly, retry: { attempts: 1, backoff: "1m" }, description: "edited" });
  cores.pass(second);
  assert.equal(cores.starts.length, 1);
  cores.unheard.delete(runner);
  for (const peer of ["a", "b", "c"] as PeerId[]) cores.link(peer);
  cores.pass(2 * minute);
  cores.end("beat", 0);
  cores.pass(10 * second);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry", "1 manual"]);
});

test("a run that is lost is repeated only if the job says so", () => {
  for (const [on, count] of [[["failed"], 1] as const, [["failed", "lost"], 2] as const]) {
    const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, on: [...on] } });
    cores.pass(5_500);
    const [first] = cores.starts;
    assert.ok(first);
    cores.kill(first.peer);
    cores.pass(5 * minute);
    assert.equal(cores.starts.length, count, on.join());
  }
});

test("the voters of a majority job choose a runner for each attempt", () => {
  const cores = beforeTick(["a", "b", "c"], { partition: "majority" });
  cores.pass(50 * minute);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry", "3 retry"]);
  for (const peer of "abc") assert.equal(stateOf(cores, peer), "failed 3");
});

function failsOnce({ env, tick }: Start, first: string): number {
  return tick === first && env["CICADA_ATTEMPT"] === "1" ? 1 : 0;
}

describe("while a repetition is pending, its tick is in progress", () => {
  const every = { schedule: "@every 10s", retry: { attempts: 1, backoff: "25s" } } as const;
  for (const overlap of ["queue", "queue-all", "skip"] as const) {
    it(`with overlap: ${overlap} no other tick of the job starts before it has ended`, () => {
      const cores = new Cores(["a", "b", "c"], { runMs: second });
      cores.put({ ...hourly, ...every, overlap });
      cores.pass(minute);
      const begun = cores.starts.length;
      const next = new Date(Math.ceil((cores.wall(cores.now) + 1) / 10_000) * 10_000);
      const tick = `${next.toISOString().slice(0, -5)}Z`;
      cores.exitCodeOf = (start) => failsOnce(start, tick);
      cores.pass(2 * minute);
      const since = cores.starts.slice(begun).filter((start) => Date.parse(start.tick) >= next.getTime());
      assert.equal(since[0]?.tick, tick);
      assert.equal(since[1]?.tick, tick, "the repetition is next");
      assert.equal(since[1]?.env["CICADA_TRIGGER"], "retry");
      assert.ok(since.length > 5, "then the job goes on");
    });
  }

  it("with overlap: allow the others start", () => {
    const cores = beforeTick(["a", "b"], { ...every, overlap: "allow" });
    cores.pass(30 * second);
    assert.ok(new Set(cores.starts.map(({ tick }) => tick)).size >= 3);
  });

  it("with overlap: replace a newer tick ends it, and says so", () => {
    const cores = beforeTick(["a", "b"], { ...every, overlap: "replace" });
    cores.pass(20 * second);
    const [first] = cores.starts;
    assert.ok(first);
    cores.exitCodeOf = () => 0;
    cores.pass(minute);
    assert.ok(cores.starts.every(({ env }) => env["CICADA_TRIGGER"] === "schedule"));
    const ends = cores.recordsOf("b").filter(({ reason }) => reason === "replaced");
    assert.ok(ends.length > 0);
    assert.ok(ends.every(({ state, attempt }) => state === "cancelled" && attempt === 2));
  });
});

test("a tick that waits for a repetition runs when that turns out to be over elsewhere, also if it hears of other ends before", () => {
  const cores = new Cores(["a", "b"], { runMs: second });
  cores.pass(minute);
  const retry = { attempts: 1, backoff: "2h", maxBackoff: "2h" };
  cores.put({ ...hourly, retry, overlap: "queue", catchUp: { policy: "latest", window: "6h" } });
  cores.ask("b", { kind: "drain-peer", peer: "b", on: true, by: "ada" });
  cores.pass(hour - (cores.wall(cores.now) % hour) - minute);
  cores.split(["a"], ["b"]);
  cores.pass(2 * minute);
  assert.equal(cores.starts.length, 1);
  cores.exitCodeOf = () => 1;
  cores.pass(hour);
  cores.exitCodeOf = () => 0;
  assert.equal(cores.starts.length, 2);
  cores.pass(hour + 5 * minute);
  assert.equal(cores.starts.length, 2, "the next tick waits for the repetition");
  const missed = cores.recordsOf("b").filter(({ state }) => state === "missed");
  assert.ok(missed.length >= 2, "the drained peer takes the ticks for missed");
  cores.heal();
  cores.pass(minute);
  cores.learn("a" as PeerId, missed);
  cores.pass(5 * second);
  assert.equal(cores.starts.length, 3, "it waits no longer");
  cores.pass(3 * hour);
  assert.equal(cores.starts.length, 6, "and the job goes on");
});

test("a pause holds a repetition back until it ends, however long it lasts", () => {
  const cores = beforeTick(["a", "b"], { retry: { attempts: 1, backoff: "20s" } });
  cores.pass(8 * second);
  assert.equal(cores.starts.length, 1);
  const { job } = planOf(cores);
  cores.put(
    { ...hourly, retry: { attempts: 1, backoff: "20s" } },
    { ...job, pauses: [{ by: "ann", at: 0 }] },
  );
  cores.pass(3 * hour);
  assert.equal(cores.starts.length, 1);
  const resumedAt = cores.wall(cores.now);
  cores.put({ ...hourly, retry: { attempts: 1, backoff: "20s" } }, { ...job, resumedAt });
  cores.pass(10 * second);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry"]);
});

function planOf(cores: Cores): Plan {
  const [plan] = cores.state("a").jobs.plans.values();
  assert.ok(plan !== undefined && !Array.isArray(planJob(plan.job)));
  return plan;
}

test("an edit that takes the repetitions away ends the tick with the attempts that it has had", () => {
  const cores = beforeTick(["a", "b"], { retry: { attempts: 2, backoff: "1m" } });
  cores.pass(10 * second);
  const { createdAt, scheduledAt } = planOf(cores).job;
  cores.put({ ...hourly, retry: { attempts: 0 } }, { createdAt, scheduledAt });
  cores.pass(5 * minute);
  assert.equal(cores.starts.length, 1);
  for (const peer of "ab") {
    assert.equal(stateOf(cores, peer), "failed 1");
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
});

test("a cancel of the tick ends it while it waits to be repeated, on any peer", () => {
  const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 2, backoff: "1m" } });
  cores.pass(10 * second);
  const [first] = cores.starts;
  assert.ok(first);
  const other = [..."abc"].find((peer) => peer !== first.peer) ?? "";
  const cancel = { kind: "cancel-run", run: `beat@${first.tick}`, by: "ann", reason: "enough" } as const;
  cores.ask(other, cancel);
  cores.pass(5 * minute);
  assert.deepEqual(cores.answers.at(-1), { kind: "done" });
  assert.equal(cores.starts.length, 1);
  for (const peer of "abc") {
    assert.ok(
      cores.recordsOf(peer).some(({ state, reason }) => state === "cancelled" && reason === "by ann: enough"),
    );
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
  cores.ask(other, cancel);
  cores.pass(second);
  assert.equal(cores.answers.at(-1)?.kind, "refused");
});

test("an edit of the schedule leaves a repetition alone", () => {
  const cores = beforeTick(["a", "b"], { overlap: "allow", retry: { attempts: 1, backoff: "1m" } });
  cores.pass(10 * second);
  cores.put({ ...hourly, schedule: "30 3 * * *", retry: { attempts: 1 } });
  cores.pass(5 * minute);
  assert.deepEqual(attempts(cores.starts), ["1 schedule", "2 retry"]);
});

function peersOf(cores: Cores): string[] {
  return cores.starts.map(({ peer }) => peer);
}

describe("where", () => {
  it("same: the repetition runs on the same peer", () => {
    const cores = beforeTick(["a", "b", "c"], { retry: { ...often, where: "same" } });
    cores.pass(10 * minute);
    assert.equal(cores.starts.length, 3);
    assert.equal(new Set(peersOf(cores)).size, 1);
  });
  it("other: it runs on another peer than the attempt before", () => {
    const cores = beforeTick(["a", "b", "c"], { retry: { ...often, where: "other" } });
    cores.pass(10 * minute);
    const [first, then, last] = peersOf(cores);
    assert.ok(first !== then && then !== last && cores.starts.length === 3);
  });
  it("same, and that peer has died: the tick ends as failed, with the reason", () => {
    const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, backoff: "1m", where: "same" } });
    cores.pass(10 * second);
    const [first] = cores.starts;
    assert.ok(first);
    cores.kill(first.peer);
    cores.pass(5 * minute);
    assert.equal(cores.starts.length, 1);
    const other = [..."abc"].find((peer) => peer !== first.peer) ?? "";
    assert.equal(stateOf(cores, other), "failed 1");
    assert.ok(cores.recordsOf(other).some(({ reason }) => reason === "retry-nowhere"));
  });
  it("same, and a person has drained that peer: why, problems and the pending tick name it, and the tick ends as failed when the pause is over", () => {
    const retry = { attempts: 1, backoff: "1m", where: "same" } as const;
    const cores = beforeTick(["a", "b", "c"], { retry });
    cores.pass(10 * second);
    const [first] = cores.starts;
    assert.ok(first);
    cores.ask("a", { kind: "drain-peer", peer: first.peer, on: true, by: "ann" });
    cores.pass(2 * second);
    const name = `host-${first.peer}`;
    const says = `may run on ${name} alone, as retry.where says, and ${name} is drained`;
    for (const peer of "abc") {
      const state = cores.state(peer);
      const [pending] = pendingOf(state, state.now, "beat" as JobId);
      assert.equal(pending?.waitsFor, "retry");
      assert.ok(pending.why.endsWith(`; as things are, it ${says}`), pending.why);
      assert.deepEqual(jobNow(state, state.now, "beat" as JobId)?.hindrances, [
        { code: "NO_PEER", pointer: "/retry/where", message: `attempt 2 of its tick ${first.tick} ${says}` },
      ]);
      assert.ok(obstaclesOf(state, state.now, "beat" as JobId).some((why) => why.includes(says)));
    }
    cores.pass(2 * minute);
    assert.equal(cores.starts.length, 1);
    for (const peer of "abc") {
      assert.equal(stateOf(cores, peer), "failed 1");
      assert.equal(cores.state(peer).book.orders.size, 0, "the job goes on with its next tick");
    }
    assert.ok(cores.recordsOf("a").some(({ reason }) => reason === "retry-nowhere"));
  });
  it("same, and that peer is undrained before the pause is over: it repeats it", () => {
    const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, backoff: "1m", where: "same" } });
    cores.pass(10 * second);
    const peer = cores.starts[0]?.peer ?? "";
    cores.ask("a", { kind: "drain-peer", peer, on: true, by: "ann" });
    cores.pass(10 * second);
    cores.ask("a", { kind: "drain-peer", peer, on: false, by: "ann" });
    cores.pass(2 * minute);
    assert.deepEqual(peersOf(cores), [peer, peer]);
  });
  it("any, and a person has drained every peer: the repetition waits until one takes ticks again", () => {
    const cores = beforeTick(["a", "b"], { retry: { attempts: 1, backoff: "1m" } });
    cores.pass(10 * second);
    for (const peer of ["a", "b"]) cores.ask("a", { kind: "drain-peer", peer, on: true, by: "ann" });
    cores.pass(5 * minute);
    assert.equal(cores.starts.length, 1);
    cores.ask("a", { kind: "drain-peer", peer: "b", on: false, by: "ann" });
    cores.pass(minute);
    assert.deepEqual(peersOf(cores).slice(1), ["b"]);
  });
  it("other, and all others are drained: the tick ends as failed, with the reason", () => {
    const cores = beforeTick(["a", "b"], { retry: { attempts: 1, backoff: "1m", where: "other" } });
    cores.pass(10 * second);
    const first = cores.starts[0]?.peer ?? "";
    const peer = first === "a" ? "b" : "a";
    cores.ask("a", { kind: "drain-peer", peer, on: true, by: "ann" });
    cores.pass(2 * second);
    const [problem] = jobNow(cores.state("a"), cores.state("a").now, "beat" as JobId)?.hindrances ?? [];
    assert.match(
      problem?.message ?? "",
      new RegExp(`may run on any peer but host-${first}, .* and host-${peer} is drained$`),
    );
    cores.pass(2 * minute);
    assert.equal(stateOf(cores, "a"), "failed 1");
  });
  it("other, and there is no other peer: likewise", () => {
    const cores = beforeTick(["a"], { retry: { attempts: 1, where: "other" } });
    cores.pass(5 * minute);
    assert.equal(cores.starts.length, 1);
    assert.equal(stateOf(cores, "a"), "failed 1");
    assert.equal(cores.state("a").book.orders.size, 0);
  });
});

test("what was asked for by hand is repeated with the same environment", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.ask("b", { kind: "run-job", id: planOf(cores).id, by: "ann", env: { COLOUR: "red" } });
  cores.pass(4 * minute);
  const byHand = cores.starts.filter(({ tick }) => tick.startsWith("manual"));
  assert.deepEqual(attempts(byHand), ["1 manual", "2 retry", "3 retry"]);
  assert.ok(byHand.every(({ env }) => env["COLOUR"] === "red"));
});

test("if an earlier attempt turns out to have succeeded after all, the pending ones are dropped", () => {
  const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 3, backoff: "30s" } });
  cores.pass(minute);
  assert.equal(cores.starts.length, 2);
  const failed = cores.recordsOf("b").find(({ attempt, state }) => attempt === 1 && state === "failed");
  assert.ok(failed);
  const { retryAt: _, ...rest } = failed;
  const record: RunRecord = {
    ...rest,
    state: "succeeded",
    version: 9,
    signature: `${failed.peer} 9 succeeded`,
  };
  for (const peer of "abc") cores.feed(peer as PeerId, { kind: "learned", records: [record], orders: [] });
  cores.pass(10 * minute);
  assert.equal(cores.starts.length, 2);
});

test("a tick in progress is not reported as missed with the ticks around it", () => {
  const spec = { schedule: "@every 1m", retry: { attempts: 1, backoff: "10m" }, overlap: "allow" } as const;
  const cores = beforeTick(["a"], { ...spec, catchUp: { policy: "none" } });
  cores.pass(3 * minute);
  const records = cores.recordsOf("a");
  const started = new Set(cores.starts.map(({ tick }) => tick));
  cores.kill("a");
  cores.pass(5 * minute);
  cores.up("a" as PeerId, { records, watermarks: [], lastAlive: cores.wall(cores.now) - 5 * minute });
  cores.pass(minute);
  const ranges = cores.recordsOf("a").filter(({ range }) => range !== undefined);
  assert.ok(ranges.length > 0, "what came due meanwhile was missed");
  assert.ok(started.size > 0);
  for (const { tick, range } of ranges) {
    for (const ran of started)
      assert.ok(
        Date.parse(ran) < (range?.from ?? 0) || ran > tick,
        `${ran} is in a range that ends with ${tick}`,
      );
  }
});

test("a peer that no longer remembers a tick's first attempts repeats the last one, and never begins anew", () => {
  const cores = beforeTick(["a", "b"], { retry: { attempts: 3, backoff: "30s" } });
  cores.pass(minute);
  const failed = cores.recordsOf("a").find(({ attempt, retryAt: at }) => attempt === 2 && at !== undefined);
  assert.ok(failed, "the second attempt has failed, and another one is to follow");
  cores.kill("b");
  cores.up("b" as PeerId, { records: [], watermarks: [], expected: [] });
  cores.feed("b" as PeerId, { kind: "learned", records: [failed], orders: [] });
  const orders = [...cores.state("b").book.orders.values()].filter(({ tick }) => tick === failed.tick);
  assert.deepEqual(
    orders.map(({ attempt }) => attempt),
    [3],
  );
});
