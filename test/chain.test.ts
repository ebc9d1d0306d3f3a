/** Chains: which ends of the parents run a job, when, where and how often (INTERFACE, `after` and "Where features meet"). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { chainVerdict, type After, type ParentTick } from "../src/core/job/chain.ts";
import { storyOf } from "../src/core/records/records.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import type { RunState } from "../src/schema/run-states.ts";
import { Cores, type Start } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
function outcomeOf(on: After["on"], ticks: Readonly<Record<string, ParentTick>>): string {
  const jobs = Object.keys(ticks) as JobId[];
  const verdict = chainVerdict({ jobs, on }, (job) => ticks[job] ?? "absent");
  if (verdict === undefined) return "waits";
  return verdict.kind === "run" ? `runs, due at ${verdict.due}` : `skipped: ${verdict.reason}`;
}

describe("the rule for one parent", () => {
  const cases: [state: RunState, success: string, failure: string, always: string][] = [
    ["succeeded", "runs, due at 5", "skipped: parent a succeeded", "runs, due at 5"],
    ["failed", "skipped: parent a failed", "runs, due at 5", "runs, due at 5"],
    ["timeout", "skipped: parent a timed out", "runs, due at 5", "runs, due at 5"],
    ["lost", "skipped: parent a was lost", "runs, due at 5", "runs, due at 5"],
    ["cancelled", "skipped: parent a was cancelled", "skipped: parent a was cancelled", "runs, due at 5"],
    ["skipped", ...repeat("skipped: parent a was skipped")],
    ["missed", ...repeat("skipped: parent a was missed")],
  ];
  for (const [state, ...expected] of cases) {
    for (const [place, on] of (["success", "failure", "always"] as const).entries()) {
      it(`${state}, and it runs after ${on}: ${expected[place]}`, () => {
        assert.equal(outcomeOf(on, { a: { state, at: 5 } }), expected[place]);
      });
    }
  }
});

describe("a parent of several runs, one of which was skipped or missed and another has ended", () => {
  for (const [state, words] of [
    ["skipped", "was skipped"],
    ["missed", "was missed"],
  ] as const)
    it(`fulfils always alone: ${state}`, () => {
      const parent: ParentTick = { state, at: 5, hasRun: true };
      assert.deepEqual(
        (["success", "failure", "always"] as const).map((on) => outcomeOf(on, { a: parent })),
        [`skipped: parent a ${words}`, `skipped: parent a ${words}`, "runs, due at 5"],
      );
      assert.equal(outcomeOf("always", { a: parent, b: "undecided" }), "waits");
      assert.equal(
        outcomeOf("always", { a: parent, b: { state: "missed", at: 6 } }),
        "skipped: parent b was missed",
      );
    });
});

function repeat(text: string): [string, string, string] {
  return [text, text, text];
}

function ok(at: number): ParentTick {
  return { state: "succeeded", at };
}

describe("the rule for several parents", () => {
  const bad: ParentTick = { state: "failed", at: 9 };
  const cases: [
    circumstance: string,
    on: After["on"],
    ticks: Record<string, ParentTick>,
    expected: string,
  ][] = [
    ["all succeeded: due when the last one ended", "success", { a: ok(5), b: ok(8) }, "runs, due at 8"],
    ["one has not ended", "success", { a: ok(5), b: "undecided" }, "waits"],
    ["one failed, and the other has not ended", "success", { a: bad, b: "undecided" }, "waits"],
    ["one of them failed", "success", { a: ok(5), b: bad }, "skipped: parent b failed"],
    ["not all failed", "failure", { a: bad, b: ok(5) }, "skipped: parent b succeeded"],
    [
      "one was skipped: at once",
      "success",
      { a: "undecided", b: { state: "skipped", at: 3 } },
      "skipped: parent b was skipped",
    ],
    [
      "one was missed: at once",
      "failure",
      { a: "undecided", b: { state: "missed", at: 3 } },
      "skipped: parent b was missed",
    ],
    [
      "one has no such tick: at once",
      "always",
      { a: ok(3), b: "absent" },
      "skipped: parent b has no such tick",
    ],
    ["all have ended somehow", "always", { a: bad, b: { state: "cancelled", at: 10 } }, "runs, due at 10"],
  ];
  for (const [circumstance, on, ticks, expected] of cases) {
    it(`${circumstance}, and it runs after ${on}: ${expected}`, () =>
      assert.equal(outcomeOf(on, ticks), expected));
  }
});

const parent = { id: "load", schedule: "@every 1h", command: "true" } as const;
const child = { id: "report", command: "true", after: { jobs: [parent.id as JobId] } };
type Spec = Parameters<Cores["put"]>[0];

/** Peers just before the first tick of an hourly job, and jobs that run after it. */
function beforeTick(
  names: readonly string[],
  specs: readonly Spec[] = [parent, child],
  options: ConstructorParameters<typeof Cores>[1] = {},
): Cores {
  const cores = new Cores(names, { runMs: second, ...options });
  cores.pass(minute);
  for (const spec of specs) cores.put(spec);
  cores.pass(hour - (cores.wall(cores.now) % hour) - 5 * second);
  return cores;
}

function jobOf({ run }: Start): string {
  return run.slice(0, run.indexOf("@"));
}

function startsOf(cores: Cores, job: string): Start[] {
  return cores.starts.filter((start) => jobOf(start) === job);
}

function recordsOf(cores: Cores, peer: string, job: string): RunRecord[] {
  return cores.recordsOf(peer).filter((record) => record.job === job);
}

function storyAt(cores: Cores, peer: string, job: string): string {
  const story = storyOf(recordsOf(cores, peer, job));
  if (story === undefined) return "none";
  return story.state === "skipped" ? `skipped(${story.reason})` : story.state;
}

function assertNothingLeft(cores: Cores, peers: string): void {
  for (const peer of peers) {
    const { book } = cores.state(peer);
    assert.equal(book.orders.size, 0, "no order is left");
    assert.equal(book.chains.size, 0, "no tick of a chain is left");
  }
}

test("a child runs once after its parent has succeeded, at its parent's tick, with the trigger chain", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.pass(30 * minute);
  const [first, ...others] = startsOf(cores, "report");
  const [ofParent] = startsOf(cores, "load");
  assert.ok(first && ofParent);
  assert.deepEqual(others, []);
  assert.equal(first.tick, ofParent.tick);
  assert.equal(first.env["CICADA_TRIGGER"], "chain");
  const lateMs = first.at - (ofParent.at + second);
  assert.ok(lateMs >= 0 && lateMs < 500, `${lateMs} ms after its parent's end`);
  for (const peer of "abc") assert.equal(storyAt(cores, peer, "report"), "succeeded");
  assertNothingLeft(cores, "abc");
  cores.pass(3 * hour);
  assert.equal(startsOf(cores, "report").length, startsOf(cores, "load").length);
});

test("a child that runs after a failure is skipped when its parent succeeds, and the story names the parent", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, { ...child, after: { ...child.after, on: "failure" } }]);
  cores.pass(30 * minute);
  assert.deepEqual(startsOf(cores, "report"), []);
  for (const peer of "abc") assert.equal(storyAt(cores, peer, "report"), "skipped(parent load succeeded)");
  assertNothingLeft(cores, "abc");
});

test("if the parent fails, the failure branch runs and the success branch is skipped", () => {
  const failure = {
    id: "alarm",
    command: "true",
    after: { jobs: [parent.id as JobId], on: "failure" as const },
  };
  const cores = beforeTick(["a", "b", "c"], [parent, child, failure]);
  cores.exitCodeOf = (start) => (jobOf(start) === "load" ? 1 : 0);
  cores.pass(30 * minute);
  assert.equal(startsOf(cores, "alarm").length, 1);
  assert.equal(startsOf(cores, "report").length, 0);
  for (const peer of "abc") assert.equal(storyAt(cores, peer, "report"), "skipped(parent load failed)");
});

test("the tick's final word counts, and not each attempt's", () => {
  const retried = { ...parent, retry: { attempts: 2, backoff: "30s" } };
  const failure = {
    id: "alarm",
    command: "true",
    after: { jobs: [parent.id as JobId], on: "failure" as const },
  };
  const cores = beforeTick(["a", "b", "c"], [retried, child, failure]);
  cores.exitCodeOf = (start) => (jobOf(start) === "load" && start.env["CICADA_ATTEMPT"] !== "3" ? 1 : 0);
  cores.pass(30 * minute);
  assert.equal(startsOf(cores, "load").length, 3);
  assert.equal(startsOf(cores, "alarm").length, 0);
  const [run, ...more] = startsOf(cores, "report");
  assert.deepEqual(more, []);
  assert.ok(run && run.at > (startsOf(cores, "load")[2]?.at ?? Infinity));
});

test("a child may itself be a parent", () => {
  const grandchild = { id: "mail", command: "true", after: { jobs: ["report" as JobId] } };
  const cores = beforeTick(["a", "b", "c"], [parent, child, grandchild]);
  cores.pass(30 * minute);
  assert.equal(startsOf(cores, "mail").length, 1);
  assert.equal(startsOf(cores, "mail")[0]?.tick, startsOf(cores, "load")[0]?.tick);
  assertNothingLeft(cores, "abc");
});

test("when the success branch is skipped, what runs after it is skipped too", () => {
  const grandchild = {
    id: "mail",
    command: "true",
    after: { jobs: ["report" as JobId], on: "failure" as const },
  };
  const cores = beforeTick(["a", "b", "c"], [parent, child, grandchild]);
  cores.exitCodeOf = (start) => (jobOf(start) === "load" ? 1 : 0);
  cores.pass(30 * minute);
  assert.equal(startsOf(cores, "mail").length, 0);
  for (const peer of "abc") assert.equal(storyAt(cores, peer, "mail"), "skipped(parent report was skipped)");
  assertNothingLeft(cores, "abc");
});

describe("several parents", () => {
  const slow = { id: "slow", schedule: "@every 1h", command: "true" } as const;
  const both = { ...child, after: { jobs: [parent.id as JobId, slow.id as JobId] } };

  it("the child waits for all of them, and runs once", () => {
    const cores = beforeTick(["a", "b", "c"], [parent, slow, both], { runMs: Infinity });
    cores.pass(10 * second);
    cores.end("load", 0);
    cores.pass(10 * minute);
    assert.equal(startsOf(cores, "report").length, 0);
    cores.end("slow", 0);
    cores.pass(minute);
    assert.equal(startsOf(cores, "report").length, 1);
    cores.end("report", 0);
    cores.pass(minute);
    assertNothingLeft(cores, "abc");
  });

  it("waits on after a restart of all peers, and runs when the last parent ends", () => {
    const cores = beforeTick(["a"], [parent, slow, both], { runMs: Infinity });
    cores.pass(10 * second);
    cores.end("load", 0);
    cores.pass(10 * minute);
    cores.restart("a", 5 * second);
    cores.pass(minute);
    // The restart has ended the other parent's run, which is lost.
    assert.equal(storyAt(cores, "a", "report"), "skipped(parent slow was lost)");
    assertNothingLeft(cores, "a");
  });

  it("a parent that has no such tick: skipped at once", () => {
    const rare = { id: "slow", schedule: "@every 2h", command: "true" } as const;
    const cores = beforeTick(["a", "b", "c"], [parent, rare, both]);
    cores.pass(2 * hour);
    const stories = recordsOf(cores, "b", "report").map(({ state, reason }) => `${state} ${reason ?? ""}`);
    assert.equal(startsOf(cores, "report").length, 1, "where both have a tick");
    assert.ok(stories.includes("skipped parent slow has no such tick"), stories.join());
    assertNothingLeft(cores, "abc");
  });

  it("a deleted parent has no such tick", () => {
    const cores = beforeTick(["a", "b", "c"], [parent, slow, both]);
    cores.remove("slow");
    cores.pass(minute);
    assert.equal(storyAt(cores, "c", "report"), "skipped(parent slow has no such tick)");
    assertNothingLeft(cores, "abc");
  });

  it("a run by hand of one of them fires no child", () => {
    const cores = beforeTick(["a", "b", "c"], [parent, slow, both]);
    cores.ask("b", { kind: "run-job", id: parent.id as JobId, by: "ann" });
    cores.pass(3 * second);
    assert.equal(startsOf(cores, "load").length, 1);
    assert.deepEqual(recordsOf(cores, "b", "report"), []);
    assert.equal(cores.state("b").book.chains.size, 0);
  });

  it("a run by hand of their common parent reaches the child through both", () => {
    const left = { id: "left", command: "true", after: { jobs: [parent.id as JobId] } };
    const right = { id: "right", command: "true", after: { jobs: [parent.id as JobId] } };
    const join = { id: "join", command: "true", after: { jobs: ["left", "right"] as JobId[] } };
    const cores = beforeTick(["a", "b", "c"], [parent, left, right, join]);
    cores.ask("b", { kind: "run-job", id: parent.id as JobId, by: "ann" });
    cores.pass(30 * minute);
    const byHand = startsOf(cores, "join").filter(({ tick }) => tick.startsWith("manual"));
    assert.equal(byHand.length, 1);
    assert.equal(startsOf(cores, "join").length, 2, "and once by the schedule");
    assertNothingLeft(cores, "abc");
  });

  it("a child of a job and of that job's child waits for both", () => {
    const middle = { id: "middle", command: "true", after: { jobs: [parent.id as JobId] } };
    const last = { id: "last", command: "true", after: { jobs: [parent.id, "middle"] as JobId[] } };
    const cores = beforeTick(["a", "b", "c"], [last, parent, middle]);
    cores.pass(30 * minute);
    assert.equal(startsOf(cores, "last").length, 1);
    assertNothingLeft(cores, "abc");
  });
});

test("a run by hand of the only parent fires the child at the same manual tick", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.ask("b", { kind: "run-job", id: parent.id as JobId, by: "ann" });
  cores.pass(4 * second);
  const [run, ...others] = startsOf(cores, "report");
  assert.deepEqual(others, []);
  assert.equal(run?.tick, startsOf(cores, "load")[0]?.tick);
  assert.equal(run?.env["CICADA_TRIGGER"], "chain");
});

test("a run by hand of the child itself needs no parent", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.ask("b", { kind: "run-job", id: child.id as JobId, by: "ann" });
  cores.pass(4 * second);
  assert.equal(startsOf(cores, "report").length, 1);
  assert.equal(startsOf(cores, "report")[0]?.env["CICADA_TRIGGER"], "manual");
});

test("a child that fails is repeated as its own rule says", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, { ...child, retry: { attempts: 1, backoff: "20s" } }]);
  cores.exitCodeOf = (start) => (jobOf(start) === "report" ? 1 : 0);
  cores.pass(30 * minute);
  assert.deepEqual(
    startsOf(cores, "report").map(({ env }) => `${env["CICADA_ATTEMPT"]} ${env["CICADA_TRIGGER"]}`),
    ["1 chain", "2 retry"],
  );
  assertNothingLeft(cores, "abc");
});

test("a child of a run by hand that fails is repeated, too", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, { ...child, retry: { attempts: 1, backoff: "20s" } }]);
  cores.exitCodeOf = (start) => (jobOf(start) === "report" ? 1 : 0);
  cores.ask("b", { kind: "run-job", id: parent.id as JobId, by: "ann" });
  cores.pass(30 * minute);
  const byHand = startsOf(cores, "report").filter(({ tick }) => tick.startsWith("manual"));
  assert.equal(byHand.length, 2);
  assertNothingLeft(cores, "abc");
});

test("when the peer that ran the parent dies just after its end, another peer runs the child, once", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, { ...child, target: { peers: ["a", "b", "c"] } }]);
  cores.pass(5 * second + second + 10);
  const [ofParent] = startsOf(cores, "load");
  assert.ok(ofParent);
  assert.equal(startsOf(cores, "report").filter(({ peer }) => peer !== ofParent.peer).length, 0);
  cores.kill(ofParent.peer);
  cores.pass(5 * minute);
  const alive = startsOf(cores, "report").filter(({ peer }) => peer !== ofParent.peer);
  const there = startsOf(cores, "report").filter(({ peer }) => peer === ofParent.peer);
  assert.equal(alive.length + there.length, 1);
});

test("the voters of a majority child choose its runner", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, { ...child, partition: "majority" as const }]);
  cores.pass(30 * minute);
  assert.equal(startsOf(cores, "report").length, 1);
  assert.ok(recordsOf(cores, "a", "report").some(({ epoch }) => epoch !== undefined));
});

test("while a child is paused its ticks are skipped as paused, and are not caught up", () => {
  const cores = beforeTick(["a", "b", "c"]);
  const job = cores.state("a").jobs.plans.get("report" as JobId)?.job;
  assert.ok(job);
  cores.put(child, { ...job, pauses: [{ by: "ann", at: 0 }] });
  cores.pass(10 * minute);
  assert.equal(startsOf(cores, "report").length, 0);
  assert.equal(storyAt(cores, "b", "report"), "skipped(paused)");
  cores.put(child, { ...job, resumedAt: cores.wall(cores.now) });
  cores.pass(10 * minute);
  assert.equal(startsOf(cores, "report").length, 0);
  assertNothingLeft(cores, "abc");
});

function pauseUntil(cores: Cores, until: number): void {
  const job = cores.state("a").jobs.plans.get("report" as JobId)?.job;
  assert.ok(job);
  cores.put(child, { ...job, pauses: [{ by: "ann", at: 0, until }] });
}

function maintainUntil(cores: Cores, until: number): void {
  cores.pass(minute);
  const [from, to] = [cores.wall(cores.now), until].map((at) => new Date(at).toISOString());
  cores.set("maintenance", "upgrade", { from, to });
}

/** What became of a child's tick whose parent ran for ten minutes, when the child was stopped for so many minutes. */
function storyIfStopped(minutes: number, stopUntil: (cores: Cores, until: number) => void): string {
  const cores = beforeTick(["a", "b", "c"], [parent, child], { runMs: 10 * minute });
  stopUntil(cores, cores.wall(cores.now) + minutes * minute);
  cores.pass(40 * minute);
  assertNothingLeft(cores, "abc");
  return storyAt(cores, "b", "report");
}

test("a child's tick comes when its parents have ended: a pause or a maintenance that is over by then doesn't affect it, and one that is on then skips it", () => {
  assert.equal(storyIfStopped(5, pauseUntil), "succeeded");
  assert.equal(storyIfStopped(15, pauseUntil), "skipped(paused)");
  assert.equal(storyIfStopped(5, maintainUntil), "succeeded");
  assert.equal(storyIfStopped(15, maintainUntil), "skipped(maintenance)");
});

test("… and so it is under a jitter of the child's, which may start it long after its parents' end", () => {
  const jittered = { ...child, jitter: "1h", group: "reports" };
  const cores = beforeTick(["a", "b"], [parent, jittered]);
  cores.pass(10 * second);
  const [order] = cores.state("a").book.byJob.get("report" as JobId) ?? [];
  assert.ok(order !== undefined && order.due - cores.wall(cores.now) > 5 * minute, "it starts later");
  const stopFor = (ms: number, from = cores.wall(cores.now)): void =>
    cores.set("maintenance", "upgrade", {
      from: new Date(from).toISOString(),
      to: new Date(from + ms).toISOString(),
      group: "reports",
    });
  stopFor(minute);
  cores.pass(hour - 10 * second);
  assert.equal(startsOf(cores, "report").length, 1, "one that begins after that end leaves it alone");
  const tick = Math.ceil(cores.wall(cores.now) / hour) * hour;
  stopFor(minute, tick - 30 * second);
  cores.pass(tick + hour - 10 * second - cores.wall(cores.now));
  const last = recordsOf(cores, "b", "report").find((record) => Date.parse(record.tick) === tick);
  assert.deepEqual([last?.state, last?.reason], ["skipped", "maintenance"], "one that is on then skips it");
});

test("a child that is made while its parent runs, runs after it; ends from before are not looked back at", () => {
  const cores = beforeTick(["a", "b", "c"], [parent], { runMs: minute });
  cores.pass(30 * second);
  cores.put(child);
  cores.pass(5 * minute);
  assert.equal(startsOf(cores, "report").length, 1);
  cores.put({ ...child, id: "later" });
  cores.pass(5 * minute);
  assert.equal(startsOf(cores, "later").length, 0);
  assertNothingLeft(cores, "abc");
});

test("an edit of after decides about ends from then on", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, child], { runMs: minute });
  cores.pass(30 * second);
  cores.put({ ...child, after: { ...child.after, on: "failure" } });
  cores.pass(5 * minute);
  assert.equal(storyAt(cores, "a", "report"), "skipped(parent load succeeded)");
  cores.put(child);
  cores.pass(5 * minute);
  assert.equal(startsOf(cores, "report").length, 0, "what is over stays over");
  assertNothingLeft(cores, "abc");
});

test("a lone peer that is killed after the parent's end and before the child's start runs the child when it is back", () => {
  const cores = beforeTick(["a"], [parent, child], { capacity: 1, runMs: Infinity });
  cores.pass(10 * second);
  cores.end("load", 0);
  cores.restart("a", 5 * second);
  cores.pass(minute);
  assert.equal(startsOf(cores, "report").length, 1);
});

test("a child that has run never runs again after a restart, with records in memory or only on the disk", () => {
  for (const hidden of [false, true]) {
    const cores = beforeTick(["a"], [parent, child]);
    cores.pass(5 * minute);
    assert.equal(startsOf(cores, "report").length, 1);
    cores.restart(
      "a",
      5 * second,
      hidden ? { records: [], loadedSince: cores.wall(cores.now), watermarks: [] } : {},
    );
    cores.pass(20 * minute);
    assert.equal(startsOf(cores, "report").length, 1, hidden ? "on the disk" : "loaded");
  }
});

test("a parent's record that comes back from a sync a day later fires nothing", () => {
  const cores = beforeTick(["a", "b"]);
  cores.pass(5 * minute);
  const old = recordsOf(cores, "a", "load").find(({ state }) => state === "succeeded");
  assert.ok(old);
  cores.pass(26 * hour);
  const before = startsOf(cores, "report").length;
  const again = { ...old, version: old.version + 7, signature: `${old.peer} again` };
  for (const peer of "ab") cores.feed(peer as PeerId, { kind: "learned", records: [again], orders: [] });
  cores.pass(10 * minute);
  assert.equal(startsOf(cores, "report").length, before);
  assertNothingLeft(cores, "ab");
});

test("a parent's run that counted as lost and turns out to have succeeded fires nothing more", () => {
  const alarm = {
    id: "alarm",
    command: "true",
    after: { jobs: [parent.id as JobId], on: "failure" as const },
  };
  const cores = beforeTick(["a", "b", "c"], [parent, child, alarm], { runMs: Infinity });
  cores.pass(10 * second);
  const [ofParent] = startsOf(cores, "load");
  assert.ok(ofParent);
  const others = [..."abc"].filter((peer) => peer !== ofParent.peer);
  cores.kill(ofParent.peer);
  cores.pass(2 * minute);
  assert.equal(startsOf(cores, "alarm").length, 1);
  for (const peer of others) assert.equal(storyAt(cores, peer, "report"), "skipped(parent load was lost)");
  const lost = recordsOf(cores, others[0] ?? "", "load").find(({ state }) => state === "lost");
  assert.ok(lost);
  const { by: _, reason: _reason, ...rest } = lost;
  const own: RunRecord = {
    ...rest,
    state: "succeeded",
    exitCode: 0,
    version: lost.version + 1,
    signature: "own end",
  };
  for (const peer of others) cores.feed(peer as PeerId, { kind: "learned", records: [own], orders: [] });
  cores.pass(10 * minute);
  assert.equal(startsOf(cores, "alarm").length, 1);
  assert.equal(startsOf(cores, "report").length, 0);
});

test("a child that was made after its parent's end is not run because others took that run for lost later", () => {
  const cores = beforeTick(["a", "b", "c"], [parent], { runMs: Infinity });
  cores.pass(10 * second);
  const [ofParent] = startsOf(cores, "load");
  assert.ok(ofParent);
  const others = [..."abc"].filter((peer) => peer !== ofParent.peer);
  cores.split([ofParent.peer], others);
  const endedAt = cores.wall(cores.now);
  cores.pass(second);
  const target = { peers: ["nobody"] };
  const after = { jobs: [parent.id as JobId], on: "always" as const };
  cores.put({ id: "report", command: "true", after, target });
  cores.pass(minute);
  for (const peer of others) assert.equal(cores.state(peer).book.orders.size, 1, "it waits for a peer");
  const lost = recordsOf(cores, others[0] ?? "", "load").find(({ state }) => state === "lost");
  assert.ok(lost);
  const { by: _, reason: _reason, ...rest } = lost;
  const own = {
    ...rest,
    state: "succeeded",
    finishedAt: endedAt,
    version: lost.version + 1,
    signature: "own",
  };
  const records = [own as RunRecord];
  for (const peer of others) cores.feed(peer as PeerId, { kind: "learned", records, orders: [] });
  cores.pass(second);
  assertNothingLeft(cores, others.join(""));
  cores.pass(10 * minute);
  assert.deepEqual(recordsOf(cores, others[0] ?? "", "report"), []);
});

test("each side of a split runs the child once after its own parent's run, and neither again after the heal", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.pass(second);
  cores.split(["a"], ["b", "c"]);
  cores.pass(5 * minute);
  assert.equal(startsOf(cores, "load").length, startsOf(cores, "report").length);
  const before = startsOf(cores, "report").length;
  cores.heal();
  cores.link("a" as PeerId);
  cores.pass(10 * minute);
  assert.equal(startsOf(cores, "report").length, before);
});

test("if no peer could run the child for too long, it is missed", () => {
  const cores = beforeTick(
    ["a", "b"],
    [parent, { ...child, target: { peers: ["nobody"] }, catchUp: { window: "10m" } }],
  );
  cores.pass(30 * minute);
  assert.equal(startsOf(cores, "report").length, 0);
  assert.equal(storyAt(cores, "a", "report"), "missed");
  assertNothingLeft(cores, "ab");
});

test("the child's window runs from its parents' end, and not from its tick", () => {
  const cores = beforeTick(["a", "b"], [parent, { ...child, catchUp: { window: "1m" } }], {
    runMs: Infinity,
  });
  cores.pass(20 * minute);
  cores.end("load", 0);
  cores.pass(minute);
  assert.equal(startsOf(cores, "report").length, 1);
});

test("a parent's ticks that were missed in one range are skipped in one range for the child", () => {
  const often = { ...parent, schedule: "@every 1m", catchUp: { policy: "none" as const } };
  const cores = beforeTick(["a"], [often, child]);
  cores.pass(3 * minute);
  cores.restart("a", 10 * minute);
  cores.pass(2 * minute);
  const [missed] = recordsOf(cores, "a", "load").filter(({ range }) => range !== undefined);
  const [skipped, ...more] = recordsOf(cores, "a", "report").filter(({ range }) => range !== undefined);
  assert.ok(missed && skipped);
  assert.deepEqual(more, []);
  assert.deepEqual(skipped.range, missed.range);
  assert.equal(`${skipped.state} ${skipped.reason}`, "skipped parent load was missed");
  assertNothingLeft(cores, "a");
});

test("a majority child whose tick is older than voters remember is missed at once", () => {
  const cores = beforeTick(["a", "b", "c"], [parent, { ...child, partition: "majority" as const }], {
    runMs: Infinity,
  });
  cores.pass(25 * hour);
  cores.end("load", 0);
  cores.pass(minute);
  const [old] = recordsOf(cores, "b", "report").filter(({ reason }) => reason === "too-old-to-vote");
  assert.equal(old?.state, "missed");
});
