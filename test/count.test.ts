/** Jobs whose ticks have several runs (`target.count`), in cores (INTERFACE, target). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { ranksOfSlot, shareOut } from "../src/core/job/slots.ts";
import { recordsOf as recordsInLedger } from "../src/core/records/ledger.ts";
import { orderKeyOf, storyOf } from "../src/core/records/records.ts";
import { describeTick } from "../src/core/records/why.ts";
import { isTickOver } from "../src/core/claims/slots.ts";
import { jobNow, pendingOf } from "../src/core/view.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import { Cores, type Start } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

describe("the ranks of a slot", () => {
  const cases: [
    what: string,
    slot: number,
    ranks: string,
    away: string,
    holders: string,
    expected: string,
  ][] = [
    ["the first slot begins with the first peer", 0, "abcd", "", "", "abcd"],
    ["slot k begins with the k-th peer", 2, "abcd", "", "", "cdab"],
    ["with more slots than peers they begin again", 5, "abcd", "", "", "bcda"],
    ["a peer that is away is nobody's turn", 1, "abcd", "a", "", "acdb"],
    ["of those that are there the k-th begins", 2, "abcd", "b", "", "bdac"],
    ["a peer with another slot comes last", 0, "abcd", "", "a", "bcda"],
    ["so do several, in their order", 1, "abcd", "", "bc", "dabc"],
    ["if all have one, the k-th begins", 1, "abc", "", "abc", "bca"],
    ["a dead peer's slot goes to the first that has none", 0, "abcd", "a", "bc", "adbc"],
    ["without any peer that is there", 1, "ab", "ab", "", "ab"],
  ];
  for (const [what, slot, ranks, away, holders, expected] of cases) {
    it(what, () => {
      const got = ranksOfSlot(
        [...ranks] as PeerId[],
        slot,
        (peer) => !away.includes(peer),
        (peer) => holders.includes(peer),
      );
      assert.equal(got.join(""), expected);
    });
  }
});

type Spec = Parameters<Cores["put"]>[0];
const beat = "beat" as JobId;
const base: Spec = { id: beat, schedule: "@every 1h", command: "true", target: { count: 3 } };

/** Peers a few seconds before a tick of the job, which is hourly unless the spec says otherwise. */
function beforeTick(
  names: readonly string[],
  spec: Partial<Spec> = {},
  options: ConstructorParameters<typeof Cores>[1] = { runMs: second },
): Cores {
  const cores = new Cores(names, options);
  cores.pass(minute);
  cores.put({ ...base, ...spec });
  cores.pass(hour - (cores.wall(cores.now) % hour) - 5 * second);
  return cores;
}

function slotOf({ env }: Start): string | undefined {
  return env["CICADA_SLOT"];
}

function summary(starts: readonly Start[]): string[] {
  return starts.map((start) => `${slotOf(start)}.${start.env["CICADA_ATTEMPT"]}`).toSorted();
}

test("of two peers that claim one run at the same moment, the first in rank tells the other of its claim, although gossip lost it", () => {
  const cores = beforeTick(["a", "b", "c"], { target: { count: 1 } });
  for (const peer of ["a", "b", "c"]) cores.unheard.add(peer as PeerId);
  cores.pass(4 * second);
  const [claim] = ["a", "b", "c"].flatMap((peer) => cores.recordsOf(peer));
  assert.equal(claim?.state, "claimed");
  const other = claim.peer === "a" ? "b" : "a";
  const heardBy = (peer: string): string[] =>
    [...recordsInLedger(cores.state(peer).ledger, orderKeyOf(claim))].map((record) => record.peer);
  assert.deepEqual(heardBy(other), []);
  cores.learn(claim.peer, [{ ...claim, peer: other as PeerId, rank: 1, signature: "rival" }]);
  cores.pass(second / 2);
  assert.deepEqual(heardBy(other), [claim.peer]);
});

test("a tick of a job with count 3 runs three times, on time, on three different peers", () => {
  const cores = beforeTick(["a", "b", "c", "d"]);
  cores.pass(10 * second);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1"]);
  assert.equal(new Set(cores.starts.map(({ peer }) => peer)).size, 3);
  for (const { at } of cores.starts) assert.ok(cores.wall(at) % hour < 100, "each starts when it is due");
  const ids = cores.starts.map(({ run }) => run.slice(-2)).toSorted();
  assert.deepEqual(ids, ["#0", "#1", "#2"], "each run's id names its slot");
  const keys = new Set(cores.starts.map(({ env }) => env["CICADA_IDEMPOTENCY_KEY"]));
  assert.equal(keys.size, 3, "each run has an idempotency key of its own");
  for (const peer of "abcd") {
    const records = cores.recordsOf(peer);
    assert.deepEqual(records.map(({ slot, of, state }) => `${slot}/${of} ${state}`).toSorted(), [
      "0/3 succeeded",
      "1/3 succeeded",
      "2/3 succeeded",
    ]);
    assert.equal(storyOf(records)?.state, "succeeded");
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
  cores.pass(5 * hour);
  assert.equal(cores.starts.length, 18, "each later tick likewise, and none of them again");
});

test("with fewer peers than runs each run still starts once, and the job's problem says so", () => {
  const cores = beforeTick(["a", "b"], { target: { count: 5 } });
  cores.pass(10 * second);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1", "3.1", "4.1"]);
  assert.equal(new Set(cores.starts.map(({ peer }) => peer)).size, 2);
  const now = jobNow(cores.state("a"), cores.state("a").now, beat);
  assert.equal(now?.state, "scheduled", "it is not blocked");
  assert.deepEqual(now.hindrances, [
    {
      code: "FEW_PEERS",
      pointer: "/target/count",
      message: "it asks for 5 peers, but only 2 can run it: some of its runs share a peer",
    },
  ]);
});

test("the slot of a peer that dies goes to a peer that has none", () => {
  const cores = beforeTick(["a", "b", "c", "d"], { target: { count: 2 } }, { runMs: 10 * minute });
  cores.pass(4 * second);
  const records = cores.recordsOf("a");
  const claimed = records.map(({ peer }) => peer);
  assert.equal(new Set(claimed).size, 2);
  const [victim = ""] = claimed;
  cores.kill(victim);
  cores.pass(20 * second);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1"]);
  const peers = cores.starts.map(({ peer }) => peer);
  assert.ok(!peers.includes(victim as PeerId));
  assert.equal(new Set(peers).size, 2, "the two runs are on different peers");
});

test("the tick succeeds when all its runs do, and fails if one fails", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.exitCodeOf = (start) => (slotOf(start) === "1" ? 3 : 0);
  cores.pass(10 * second);
  for (const peer of "abc") {
    const story = storyOf(cores.recordsOf(peer));
    assert.equal(`${story?.state} ${story?.slot}`, "failed 1");
    const { state, why } = describeTick(story?.tick ?? ("" as TickId), cores.recordsOf(peer), (id) => id);
    assert.equal(state, "failed");
    assert.equal(why[0], "It has 3 runs: 2 succeeded, 1 failed.");
    assert.ok(why.some((sentence) => sentence.startsWith("Run #1: ")));
  }
});

/** A job of three runs and what follows it: after a success, a failure, and always. */
function withChildren(spec: Partial<Spec>): Cores {
  const cores = beforeTick(["a", "b", "c"], spec);
  putChildren(cores);
  return cores;
}

function putChildren(cores: Cores): void {
  for (const on of ["success", "failure", "always"] as const)
    cores.put({ id: on, command: "true", after: { jobs: [beat], on } });
}

function childrenStarted(cores: Cores): string[] {
  const jobs = cores.starts.map(({ run }) => run.split("@")[0] ?? "");
  return jobs.filter((job) => job !== beat).toSorted();
}

function wordOn(cores: Cores, peer: string): { state: string; first: string | undefined } {
  const records = cores.recordsOf(peer).filter(({ job }) => job === beat);
  const { state, why } = describeTick(records[0]?.tick ?? ("" as TickId), records, (id) => id);
  return { state, first: why[0] };
}

test("a run that had nothing to do doesn't keep the tick from succeeding, and what runs after it runs", () => {
  const cores = withChildren({ success: { skipCodes: [75] } });
  cores.exitCodeOf = (start) => (slotOf(start) === "1" ? 75 : 0);
  cores.pass(20 * second);
  for (const peer of "abc")
    assert.deepEqual(wordOn(cores, peer), {
      state: "succeeded",
      first: "It has 3 runs: 2 succeeded, 1 skipped.",
    });
  assert.deepEqual(childrenStarted(cores), ["always", "success"]);
});

test("a tick whose runs all had nothing to do is skipped, and so is what runs after it", () => {
  const cores = withChildren({ success: { skipCodes: [75] } });
  cores.exitCodeOf = (start) => (start.run.startsWith(beat) ? 75 : 0);
  cores.pass(20 * second);
  assert.equal(wordOn(cores, "b").state, "skipped");
  assert.deepEqual(childrenStarted(cores), []);
});

test("a tick with a run that failed and one that had nothing to do has failed", () => {
  const cores = withChildren({ success: { skipCodes: [75] } });
  cores.exitCodeOf = (start) => ({ 0: 1, 1: 75 })[slotOf(start) ?? ""] ?? 0;
  cores.pass(20 * second);
  assert.equal(wordOn(cores, "b").state, "failed");
  assert.deepEqual(childrenStarted(cores), ["always", "failure"]);
});

test("a tick of which one run was missed is missed, and what always runs after it runs, because another of its runs has ended", () => {
  const cores = beforeTick(
    ["a"],
    { target: { count: 2 }, catchUp: { window: "30s" } },
    { capacity: 1, runMs: 2 * second },
  );
  putChildren(cores);
  cores.onEffect = (peer, effect) => {
    if (effect.kind === "gossip" && effect.record.state === "succeeded") cores.kill(peer);
  };
  cores.pass(10 * second);
  cores.onEffect = () => undefined;
  const records = cores.recordsOf("a");
  const watermarks = cores.watermarksOf("a");
  const lastAlive = cores.wall(cores.now);
  cores.pass(2 * minute);
  cores.up("a" as PeerId, { records, watermarks, lastAlive });
  cores.pass(2 * minute);
  assert.deepEqual(wordOn(cores, "a"), { state: "missed", first: "It has 2 runs: 1 succeeded, 1 missed." });
  assert.deepEqual(childrenStarted(cores), ["always"]);
});

test("each run is repeated by itself, and the tick is over when the last of them is", () => {
  const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, backoff: "30s" } });
  cores.exitCodeOf = (start) => (slotOf(start) === "2" && start.env["CICADA_ATTEMPT"] === "1" ? 1 : 0);
  cores.pass(10 * second);
  const tick = cores.starts[0]?.tick as TickId;
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1"]);
  assert.equal(isTickOver(cores.state("a"), beat, tick), false);
  const [pending, ...more] = pendingOf(cores.state("a"), cores.state("a").now, beat);
  assert.deepEqual(more, []);
  assert.equal(pending?.tick, tick);
  assert.match(pending.why, /^1 of its 3 runs are still to come; the first: attempt 2 of 2 begins at /);
  cores.pass(minute);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1", "2.2"]);
  assert.equal(isTickOver(cores.state("a"), beat, tick), true);
  for (const peer of "abc") assert.equal(storyOf(cores.recordsOf(peer))?.state, "succeeded");
});

describe("runs of a tick that are repeated at the same moment", () => {
  const cases: [what: string, choices: Record<string, string>, expected: Record<string, string>][] = [
    ["each gets its first choice", { 0: "ab", 1: "ba" }, { 0: "a", 1: "b" }],
    [
      "of two with the same first choice the second gets another peer",
      { 0: "ab", 1: "ab" },
      { 0: "a", 1: "b" },
    ],
    ["the first gives way to one that has no other choice", { 0: "ab", 1: "a" }, { 0: "b", 1: "a" }],
    ["so do several in a row", { 0: "abc", 1: "ba", 2: "a" }, { 0: "c", 1: "b", 2: "a" }],
    ["what has no free peer of its own gets none", { 0: "a", 1: "a", 2: "" }, { 0: "a" }],
  ];
  for (const [what, choices, expected] of cases) {
    it(`divide the peers among them: ${what}`, () => {
      const peers = Object.entries(choices).map(([slot, may]) => [slot, [...may] as PeerId[]] as const);
      assert.deepEqual(Object.fromEntries(shareOut(new Map(peers))), expected);
    });
  }
  for (const where of ["other", "any"] as const) {
    it(`get a peer each, whichever peer was away before (where: ${where})`, () => {
      const names = ["a", "b", "c"];
      for (const away of names) {
        const target = { count: 2 };
        const cores = beforeTick(names, { target, retry: { attempts: 2, backoff: "10s", where } });
        cores.exitCodeOf = () => 1;
        cores.ask("a", { kind: "drain-peer", peer: away, on: true, by: "ann" });
        cores.pass(8 * second);
        cores.ask("a", { kind: "drain-peer", peer: away, on: false, by: "ann" });
        cores.pass(minute);
        const attempts = Map.groupBy(cores.starts, ({ env }) => env["CICADA_ATTEMPT"]);
        const peers = [...attempts.values()].map((starts) => new Set(starts.map(({ peer }) => peer)).size);
        assert.deepEqual(peers, [2, 2, 2], `${away} was away`);
        assert.equal(cores.starts.length, 6);
      }
    });
  }
});

describe("a tick is one unit", () => {
  const every = { schedule: "@every 10s" } as const;
  for (const overlap of ["queue", "skip", "queue-all"] as const) {
    it(`with overlap: ${overlap} no other tick begins before all its runs have ended`, () => {
      const cores = new Cores(["a", "b", "c"], { capacity: 1, runMs: 14 * second });
      cores.put({ ...base, ...every, overlap, target: { count: 4 } });
      cores.pass(3 * minute);
      const ticks = Map.groupBy(cores.starts, ({ tick }) => tick);
      assert.ok(ticks.size >= 3, `${ticks.size} ticks`);
      const spans = [...ticks.values()].map((starts) => ({
        from: Math.min(...starts.map(({ at }) => at)),
        to: Math.max(...starts.map(({ at }) => at)) + 14 * second,
        count: starts.length,
      }));
      for (const [place, span] of spans.entries()) {
        const next = spans[place + 1];
        if (next === undefined) continue;
        assert.equal(span.count, 4);
        assert.ok(next.from >= span.to, `${next.from} is after ${span.to}`);
      }
    });
  }

  it("with overlap: skip the other ticks are skipped as a whole", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 15 * second });
    cores.put({ ...base, ...every, overlap: "skip" });
    cores.pass(2 * minute);
    const seen = new Set<string>();
    for (const [tick, records] of Map.groupBy(cores.recordsOf("a"), (record) => record.tick)) {
      const states = new Set(records.map(({ state }) => (state === "skipped" ? "skipped" : "ran")));
      assert.equal(states.size, 1, `${tick}: ${records.map(({ state }) => state).join()}`);
      for (const state of states) seen.add(state);
    }
    assert.deepEqual([...seen].toSorted(), ["ran", "skipped"]);
  });

  it("with overlap: replace a newer tick ends what runs of it and what is to come", () => {
    const cores = new Cores(["a", "b"], { capacity: 1, runMs: minute });
    cores.put({ ...base, schedule: "@every 20s", overlap: "replace" });
    cores.pass(90 * second);
    const ticks = Map.groupBy(cores.recordsOf("a"), (record) => record.tick);
    const over = [...ticks.values()].filter((records) => records.length >= 3).slice(0, -1);
    assert.ok(over.length >= 2);
    for (const records of over.slice(1))
      assert.ok(
        records.every(({ state }) => state === "cancelled" || state === "skipped" || state === "missed"),
      );
  });
});

test("the skip of a paused job's tick covers each of its runs, and none is caught up", () => {
  const cores = beforeTick(["a", "b", "c"]);
  const [plan] = cores.state("a").jobs.plans.values();
  assert.ok(plan);
  cores.put(base, { ...plan.job, pauses: [{ by: "ann", at: 0 }] });
  cores.pass(minute);
  cores.put(base, { ...plan.job, resumedAt: cores.wall(cores.now) });
  cores.pass(10 * minute);
  assert.equal(cores.starts.length, 0);
  const states = cores.recordsOf("b").map(({ slot, state, reason }) => `${slot} ${state} ${reason}`);
  assert.deepEqual(states.toSorted(), ["0 skipped paused", "1 skipped paused", "2 skipped paused"]);
});

test("a pause lets a tick's runs that are on go on, and holds back those to come until it ends", () => {
  const cores = beforeTick(["a"], {}, { capacity: 1, runMs: 20 * second });
  cores.pass(10 * second);
  assert.equal(cores.starts.length, 1);
  const [plan] = cores.state("a").jobs.plans.values();
  assert.ok(plan);
  cores.put(base, { ...plan.job, pauses: [{ by: "ann", at: 0 }] });
  cores.pass(2 * hour);
  assert.equal(cores.starts.length, 1);
  cores.put(base, { ...plan.job, resumedAt: cores.wall(cores.now) });
  cores.pass(2 * minute);
  assert.deepEqual(summary(cores.starts.filter(({ tick }) => tick === cores.starts[0]?.tick)), [
    "0.1",
    "1.1",
    "2.1",
  ]);
});

test("a cancel of the tick ends every run of it, on any peer, and those to come", () => {
  const cores = beforeTick(["a", "b"], {}, { capacity: 1, runMs: 10 * minute });
  cores.pass(15 * second);
  assert.equal(cores.starts.length, 2);
  const tick = cores.starts[0]?.tick ?? "";
  cores.ask("a", { kind: "cancel-run", run: `beat@${tick}`, by: "ann", reason: "" });
  cores.pass(20 * minute);
  assert.deepEqual(cores.answers.at(-1), { kind: "done" });
  assert.equal(cores.starts.length, 2);
  for (const peer of "ab") {
    const states = cores.recordsOf(peer, tick).filter(({ state }) => state !== "withdrawn");
    assert.equal(new Set(states.map(({ slot }) => slot)).size, 3);
    assert.ok(states.every(({ state, reason }) => state === "cancelled" && reason === "by ann"));
  }
});

test("a cancel of one run leaves the others alone", () => {
  const cores = beforeTick(["a", "b", "c"], {}, { runMs: 5 * minute });
  cores.pass(10 * second);
  const one = cores.starts.find((start) => slotOf(start) === "1");
  cores.ask("a", { kind: "cancel-run", run: one?.run ?? "", by: "ann", reason: "" });
  cores.pass(10 * minute);
  const states = cores.recordsOf("b").map(({ slot, state }) => `${slot} ${state}`);
  assert.deepEqual(states.toSorted(), ["0 succeeded", "1 cancelled", "2 succeeded"]);
});

test("a run by hand of such a job starts as often, with what the person gave", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.ask("b", { kind: "run-job", id: beat, by: "ann", env: { COLOUR: "red" } });
  cores.pass(3 * second);
  const byHand = cores.starts.filter(({ tick }) => tick.startsWith("manual"));
  assert.deepEqual(summary(byHand), ["0.1", "1.1", "2.1"]);
  assert.equal(new Set(byHand.map(({ peer }) => peer)).size, 3);
  assert.ok(byHand.every(({ env }) => env["COLOUR"] === "red"));
});

test("the voters of a majority job choose a runner for each run", () => {
  const cores = beforeTick(["a", "b", "c"], { partition: "majority" });
  cores.pass(20 * second);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1"]);
  assert.equal(new Set(cores.starts.map(({ peer }) => peer)).size, 3);
});

test("what is over stays over for each run: a lone peer that is restarted half-way starts only the rest", () => {
  const cores = beforeTick(["a"], {}, { capacity: 1, runMs: 20 * second });
  cores.pass(30 * second);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1"]);
  cores.restart("a", 2 * second);
  cores.pass(2 * minute);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1"]);
});

test("a watermark passes a tick whose last run still waits, and a restart long after finds that run on the disk", () => {
  const cores = beforeTick(["a"], { catchUp: { window: "12h" } }, { capacity: 1, runMs: 3 * hour });
  cores.pass(2 * hour);
  const mark = cores.watermarks.get("a" as PeerId)?.get(beat);
  assert.ok(mark !== undefined && mark.at > cores.wall(cores.now) - 5 * minute);
  const tick = cores.starts[0]?.tick ?? "";
  assert.ok(mark.open.includes(Date.parse(tick)), "the tick is kept beside it as open");
  const records = cores.recordsOf("a");
  cores.kill("a");
  cores.pass(second);
  // Only open records are loaded; the others are on the disk.
  const open = records.filter(({ state }) => state === "running" || state === "claimed");
  cores.up("a" as PeerId, {
    records: open,
    watermarks: [mark],
    loadedSince: cores.wall(cores.now) - minute,
    lastAlive: cores.wall(cores.now) - second,
  });
  cores.pass(7 * hour);
  const ofTick = cores.starts.filter((start) => start.tick === tick);
  assert.deepEqual(summary(ofTick), ["0.1", "1.1", "2.1"]);
});

test("an edit of the count leaves a tick that has begun as it is, and changes the next", () => {
  const cores = beforeTick(["a", "b", "c"], { target: { count: 2 } }, { runMs: 2 * minute });
  cores.pass(10 * second);
  const { createdAt, scheduledAt } = [...cores.state("a").jobs.plans.values()][0]?.job ?? {};
  const kept = { createdAt: createdAt ?? 0, scheduledAt: scheduledAt ?? 0 };
  cores.put({ ...base, target: { count: 3 } }, kept);
  cores.pass(10 * minute);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1"]);
  cores.pass(hour);
  assert.deepEqual(summary(cores.starts.slice(2)), ["0.1", "1.1", "2.1"]);
});

test("an edit of the count applies to a tick that waits and has not begun", () => {
  const other = { ...base, id: "other" as JobId, target: { count: 2 } };
  const cores = beforeTick(["a"], {}, { capacity: 1, runMs: 20 * second });
  cores.kill("a");
  cores.pass(second);
  cores.up("a" as PeerId, { jobs: [] });
  cores.put({ ...base, target: { count: 2 } });
  cores.pass(2 * second);
  cores.put(other);
  cores.pass(10 * minute);
  const ofBeat = cores.starts.filter(({ run }) => run.startsWith("beat"));
  assert.deepEqual(summary(ofBeat), ["0.1", "1.1"]);
});

test("a peer of a version without it leaves such a job to the others, and its watermark isn't taken for theirs", () => {
  const older = { c: ["executor:process", "majority"] };
  const cores = new Cores(["a", "b", "c"], { capabilities: older, capacity: 1, runMs: 30 * second });
  cores.pass(10 * second);
  cores.put(base);
  cores.pass(hour - (cores.wall(cores.now) % hour) + 20 * second);
  assert.equal(cores.starts.length, 2);
  const at = cores.wall(cores.now);
  cores.feed("a" as PeerId, {
    kind: "watermarks",
    peer: "c" as PeerId,
    watermarks: [{ job: beat, since: at - 2 * hour, at, open: [] }],
  });
  cores.pass(2 * minute);
  assert.deepEqual(summary(cores.starts), ["0.1", "1.1", "2.1"]);
  assert.ok(cores.starts.every(({ peer }) => peer !== "c"));
});

/** What peers say when a run begins is lost; what they say when it ends is heard. */
function loseBeginnings(cores: Cores): void {
  cores.onEffect = (peer, effect) => {
    if (effect.kind !== "gossip") return;
    if (effect.record.state === "running") cores.unheard.add(peer);
    else cores.unheard.delete(peer);
  };
}

test("runs that end at the same moment end their tick on every peer, though no peer has heard that the others had begun: the child runs, and a failed tick is counted", () => {
  for (const exitCode of [0, 1]) {
    const cores = new Cores(["a", "b"], { runMs: Infinity });
    cores.put({
      id: "two",
      schedule: "@every 1m",
      command: "true",
      target: { count: 2 },
      pauseAfterFailures: 1,
    });
    cores.put({ id: "child", command: "true", after: { jobs: ["two" as JobId], on: "always" } });
    loseBeginnings(cores);
    cores.pass(60_000);
    for (let ended = 0; ended < 2; ended++) cores.end("two", exitCode);
    cores.pass(10_000);
    const children = cores.starts.filter(({ env }) => env["CICADA_JOB"] === "child");
    assert.equal(children.length, 1, `exit code ${exitCode}`);
    assert.equal(cores.pauses.has("two" as JobId), exitCode === 1);
  }
});

test("a tick that queues behind one whose runs end at the same moment starts then, on every peer", () => {
  const cores = new Cores(["a", "b"], { runMs: Infinity });
  cores.put({ id: "two", schedule: "@every 1m", command: "true", target: { count: 2 }, overlap: "queue" });
  loseBeginnings(cores);
  cores.pass(130_000);
  assert.equal(cores.starts.length, 2, "the second tick waits for the first");
  for (let ended = 0; ended < 2; ended++) cores.end("two", 0);
  cores.pass(5_000);
  assert.equal(cores.starts.length, 4);
});
