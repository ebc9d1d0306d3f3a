/** Jobs that run after several others, of which past ticks are asked for again (INTERFACE: a backfill fires chains). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { endThatCounts, tickThatFollows, type PastEnd } from "../src/core/job/chain-past.ts";
import { backfillTick, originalTick } from "../src/schema/backfill.ts";
import { tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import type { RunState } from "../src/schema/run-states.ts";
import { Cores, type Start } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 3_600_000;
const past = Date.UTC(2026, 10, 20, 1);
const asked = Date.UTC(2026, 10, 20, 7);
const [bySchedule, first, later] = [
  tickAt(past),
  backfillTick(asked, past, 0),
  backfillTick(asked + 1, past, 0),
];

function end(tick: TickId, state: RunState, at: number): PastEnd {
  return { tick, state, at };
}

describe("which of a parent's ends counts for a past tick", () => {
  const cases: [title: string, ends: [PastEnd, PastEnd], counts: TickId][] = [
    ["a run before a miss", [end(bySchedule, "missed", 9), end(first, "failed", 5)], first],
    ["a run before a later skip", [end(first, "succeeded", 5), end(later, "skipped", 9)], first],
    ["of two runs the one that ended later", [end(later, "succeeded", 5), end(first, "failed", 9)], first],
    ["of two misses the later", [end(bySchedule, "missed", 5), end(later, "skipped", 9)], later],
    ["of two that ended together the later request", [end(first, "lost", 5), end(later, "failed", 5)], later],
  ];
  for (const [title, [one, two], counts] of cases) {
    it(title, () => {
      assert.equal(endThatCounts(one, two).tick, counts);
      assert.equal(endThatCounts(two, one).tick, counts, "in whatever order they are told");
    });
  }
});

test("the tick that follows has the name of the latest request among its parents' ends, and none without a request", () => {
  assert.equal(tickThatFollows([first, later, bySchedule]), later);
  assert.equal(tickThatFollows([bySchedule, first]), first);
  assert.equal(tickThatFollows([bySchedule]), undefined);
});

const [load, clean, report] = ["load", "clean", "report"] as JobId[] as [JobId, JobId, JobId];
const hourly = { schedule: "0 * * * *", command: "true" } as const;
const both = { id: report, command: "true", after: { jobs: [load, clean] } };
type Spec = Parameters<Cores["put"]>[0];

function meshOf(names: string, specs: readonly Spec[], runMs = second): Cores {
  const cores = new Cores([...names], { runMs });
  for (const spec of specs) cores.put(spec);
  return cores;
}

const plain: readonly Spec[] = [{ id: load, ...hourly }, { id: clean, ...hourly }, both];

/** The last full hours before the cores began, oldest first. */
function hoursAgo(cores: Cores, count: number): number[] {
  const to = Math.floor(cores.wall(0) / hour) * hour;
  return Array.from({ length: count }, (_, place) => to - (count - place) * hour);
}

function ask(cores: Cores, peer: string, job: JobId, ticks: readonly number[], force?: true): void {
  cores.ask(peer, {
    kind: "backfill-job",
    id: job,
    ticks,
    ...(force === undefined ? {} : { force }),
    by: "ann",
  });
}

function startsOf(cores: Cores, job: JobId): Start[] {
  return cores.starts.filter(({ env }) => env["CICADA_JOB"] === job);
}

/** The past ticks for which the job was started, as its processes were told. */
function startedTicks(cores: Cores, job: JobId): string[] {
  return startsOf(cores, job).map(({ env }) => env["CICADA_TICK"] ?? "");
}

function decisionsOf(cores: Cores, peer: string, job: JobId): string[] {
  const records: RunRecord[] = cores.recordsOf(peer);
  return records
    .filter((record) => record.job === job && record.state === "skipped")
    .map(({ tick, reason }) => `${originalTick(tick)} ${reason}`);
}

function assertNothingLeft(cores: Cores, peers: string): void {
  for (const peer of peers) {
    const { book } = cores.state(peer);
    assert.equal(book.orders.size, 0, "no order is left");
    assert.equal(book.chains.size, 0, "no tick of a chain is left");
    assert.equal(book.chainTicks, 0);
    assert.equal(book.chainOutputBytes, 0);
  }
}

describe("a child of several parents", () => {
  for (const [title, other] of [
    ["one after the other at one peer", "a"],
    ["at two peers", "b"],
  ] as const) {
    test(`follows a backfill of all of them, asked for ${title}: once for each past tick, after the last parent`, () => {
      const cores = meshOf("abc", plain);
      const ticks = hoursAgo(cores, 3);
      ask(cores, "a", load, ticks);
      ask(cores, other, clean, ticks);
      cores.pass(minute);
      assert.deepEqual(startedTicks(cores, report).toSorted(), ticks.map(tickAt));
      for (const start of startsOf(cores, report)) {
        assert.equal(start.env["CICADA_TRIGGER"], "chain");
        const parents = cores.starts.filter(
          ({ env }) => env["CICADA_TICK"] === start.env["CICADA_TICK"] && env["CICADA_JOB"] !== report,
        );
        assert.equal(parents.length, 2);
        for (const { at } of parents) assert.ok(start.at >= at + second, "after its parents' ends");
      }
      for (const peer of "abc") assert.deepEqual(decisionsOf(cores, peer, report), []);
      assertNothingLeft(cores, "abc");
    });
  }

  test("runs when the last parent is backfilled, long after the first; until then it is skipped, and says why", () => {
    const cores = meshOf("abc", plain);
    const ticks = hoursAgo(cores, 2);
    ask(cores, "a", load, ticks);
    cores.pass(20 * minute);
    assert.deepEqual(startedTicks(cores, report), []);
    const skipped = ticks.map((tick) => `${tickAt(tick)} parent clean has not run that tick`);
    assert.deepEqual(decisionsOf(cores, "b", report).toSorted(), skipped);
    ask(cores, "b", clean, ticks);
    cores.pass(20 * minute);
    assert.deepEqual(startedTicks(cores, report), ticks.map(tickAt));
    assertNothingLeft(cores, "abc");
  });

  test("is told of the outputs of both, under whatever names they ran", () => {
    const cores = meshOf("ab", plain);
    const [tick = 0] = hoursAgo(cores, 1);
    cores.writtenBy = ({ env }) => `OF=${env["CICADA_JOB"]}\n`;
    ask(cores, "a", load, [tick]);
    cores.pass(minute);
    ask(cores, "a", clean, [tick]);
    cores.pass(minute);
    const [start] = startsOf(cores, report);
    assert.ok(start);
    const parents = JSON.parse(start.parents ?? "{}") as Record<string, { outputs: object }>;
    const outputs = Object.fromEntries(
      Object.entries(parents).map(([parent, { outputs: written }]) => [parent, written]),
    );
    assert.deepEqual(outputs, { load: { OF: load }, clean: { OF: clean } });
  });

  test("a parent that has no such tick: skipped, with that reason", () => {
    const cores = meshOf("ab", [plain[0] as Spec, { id: clean, ...hourly, schedule: "0 1 * * *" }, both]);
    const ticks = [past - hour];
    ask(cores, "a", load, ticks);
    cores.pass(minute);
    assert.deepEqual(decisionsOf(cores, "b", report), [
      `${tickAt(past - hour)} parent clean has no such tick`,
    ]);
    assertNothingLeft(cores, "ab");
  });

  test("a parent whose tick was over: its own end counts, good or bad", () => {
    for (const exitCode of [0, 1]) {
      const cores = meshOf("abc", plain);
      cores.exitCodeOf = ({ env }) => (env["CICADA_JOB"] === clean ? exitCode : 0);
      const tick = Math.ceil(cores.wall(cores.now) / hour) * hour;
      const target = { peers: ["nobody"] };
      cores.put({ id: load, ...hourly, catchUp: { policy: "none" }, target });
      cores.pass(2 * hour - 10 * minute);
      assert.equal(startsOf(cores, load).length, 0);
      assert.ok(startsOf(cores, clean).length > 0);
      cores.put({ id: load, ...hourly });
      ask(cores, "b", load, [tick]);
      cores.pass(minute);
      assert.deepEqual(startedTicks(cores, report), exitCode === 0 ? [tickAt(tick)] : []);
      if (exitCode === 1)
        assert.ok(decisionsOf(cores, "a", report).includes(`${tickAt(tick)} parent clean failed`));
      assertNothingLeft(cores, "abc");
    }
  });

  test("asked for at two peers at once, and again later, runs once", () => {
    const cores = meshOf("abc", plain);
    const ticks = hoursAgo(cores, 3);
    for (const peer of "ab") for (const job of [load, clean]) ask(cores, peer, job, ticks);
    cores.pass(2 * minute);
    for (const job of [load, clean]) ask(cores, "c", job, ticks);
    cores.pass(2 * minute);
    assert.deepEqual(startedTicks(cores, report).toSorted(), ticks.map(tickAt));
    assertNothingLeft(cores, "abc");
  });

  test("forced: each forced repetition of a parent runs it again, and both forced together run it once", () => {
    const cores = meshOf("abc", plain);
    const ticks = hoursAgo(cores, 2);
    for (const job of [load, clean]) ask(cores, "a", job, ticks);
    cores.pass(minute);
    assert.equal(startsOf(cores, report).length, 2);
    ask(cores, "b", load, ticks, true);
    cores.pass(minute);
    assert.equal(startsOf(cores, report).length, 4, "the other parent's last run counts");
    for (const job of [load, clean]) ask(cores, "c", job, ticks, true);
    cores.pass(minute);
    assert.equal(startsOf(cores, report).length, 6);
    assertNothingLeft(cores, "abc");
  });

  test("the peer that was asked dies between the ends of the two parents: another one carries the child on", () => {
    const cores = meshOf("abc", plain, Infinity);
    const [tick = 0] = hoursAgo(cores, 1);
    for (const job of [load, clean]) ask(cores, "a", job, [tick]);
    cores.pass(10 * second);
    const [ofClean] = startsOf(cores, clean);
    assert.ok(ofClean !== undefined && startsOf(cores, load).length === 1);
    cores.end(load, 0);
    cores.pass(second);
    const other = ofClean.peer === "a" ? startsOf(cores, load)[0]?.peer : "a";
    if (other !== ofClean.peer && other !== undefined) cores.kill(other);
    cores.pass(minute);
    cores.end(clean, 0);
    cores.pass(minute);
    assert.deepEqual(startedTicks(cores, report), [tickAt(tick)]);
  });

  test("a peer that was away for both backfills neither repeats nor skips what the others have run", () => {
    const cores = meshOf("abc", plain);
    const ticks = hoursAgo(cores, 3);
    const before = cores.recordsOf("c");
    cores.kill("c");
    cores.pass(minute);
    ask(cores, "a", load, ticks);
    cores.pass(minute);
    ask(cores, "b", clean, ticks);
    cores.pass(minute);
    assert.equal(startsOf(cores, report).length, 3);
    const decided = decisionsOf(cores, "a", report).length;
    cores.up("c" as PeerId, { records: before, lastAlive: cores.wall(minute) });
    cores.pass(10 * minute);
    assert.equal(startsOf(cores, report).length, 3);
    assert.equal(decisionsOf(cores, "a", report).length, decided);
    assertNothingLeft(cores, "abc");
  });

  test("after a restart, with records in memory or only on the disk, what has run doesn't run again", () => {
    for (const isHidden of [false, true]) {
      const cores = meshOf("a", plain);
      const ticks = hoursAgo(cores, 2);
      for (const job of [load, clean]) ask(cores, "a", job, ticks);
      cores.pass(minute);
      assert.equal(startsOf(cores, report).length, 2);
      const records = isHidden ? [] : cores.recordsOf("a");
      cores.kill("a");
      cores.pass(5 * second);
      const loadedSince = isHidden ? cores.wall(cores.now) : -Infinity;
      cores.up("a" as PeerId, { records, loadedSince, lastAlive: cores.wall(cores.now) - 5 * second });
      cores.pass(20 * minute);
      assert.equal(startsOf(cores, report).length, 2);
      assertNothingLeft(cores, "a");
    }
  });

  test("after a restart between the ends of the two parents, of which only the disk knows the first, it follows the last", () => {
    for (const [waiting, done] of [
      [load, clean],
      [clean, load],
    ] as const) {
      const daily = { ...hourly, schedule: "0 1 * * *" };
      const cores = meshOf("a", [{ id: load, ...daily }, { id: clean, ...daily }, both]);
      const [tick = 0] = hoursAgo(cores, 1);
      // The request that came first waits until after the restart, which comes when the other one is no news any more.
      cores.put({ id: waiting, ...daily, target: { peers: ["nobody"] } });
      ask(cores, "a", waiting, [tick]);
      cores.pass(second);
      ask(cores, "a", done, [tick]);
      cores.pass(2 * hour);
      assert.equal(startsOf(cores, done).length, 1);
      const orders = [...cores.state("a").book.orders.values()].flatMap(({ requested }) => requested ?? []);
      cores.kill("a");
      cores.pass(5 * second);
      cores.up("a" as PeerId, {
        loadedSince: cores.wall(cores.now) - hour,
        lastAlive: cores.wall(cores.now) - 5 * second,
        watermarks: cores.watermarksOf("a"),
      });
      cores.feed("a" as PeerId, { kind: "learned", records: [], orders });
      cores.put({ id: waiting, ...daily });
      cores.pass(20 * minute);
      assert.equal(startsOf(cores, waiting).length, 1);
      assert.deepEqual(startedTicks(cores, report), [tickAt(tick)]);
      assertNothingLeft(cores, "a");
    }
  });

  test("after a restart, its next attempt gets the outputs of both parents", () => {
    const daily = { ...hourly, schedule: "0 1 * * *" };
    const retry = { attempts: 1, backoff: "3h", maxBackoff: "3h" };
    const cores = meshOf("a", [
      { id: load, ...daily },
      { id: clean, ...daily },
      { ...both, retry },
    ]);
    cores.exitCodeOf = ({ env }) => (env["CICADA_JOB"] === report ? 1 : 0);
    const [tick = 0] = hoursAgo(cores, 1);
    for (const job of [load, clean]) ask(cores, "a", job, [tick]);
    cores.pass(2 * hour);
    assert.equal(startsOf(cores, report).length, 1);
    const known = cores.recordsOf("a");
    cores.kill("a");
    cores.pass(5 * second);
    cores.up("a" as PeerId, {
      records: known.filter(({ job }) => job === report),
      loadedSince: cores.wall(cores.now) - hour,
      lastAlive: cores.wall(cores.now) - 5 * second,
      watermarks: cores.watermarksOf("a"),
    });
    cores.pass(2 * hour);
    const [, again] = startsOf(cores, report);
    assert.deepEqual(Object.keys(JSON.parse(again?.parents ?? "{}") as object).toSorted(), [clean, load]);
    assertNothingLeft(cores, "a");
  });

  test("parents that share one parent follow its backfill together", () => {
    const after = { jobs: [load] };
    const cores = meshOf("abc", [
      plain[0] as Spec,
      { id: "left", command: "true", after },
      { id: "right", command: "true", after },
      { id: report, command: "true", after: { jobs: ["left", "right"] as JobId[] } },
    ]);
    const ticks = hoursAgo(cores, 3);
    ask(cores, "a", load, ticks);
    cores.pass(2 * minute);
    assert.deepEqual(startedTicks(cores, report).toSorted(), ticks.map(tickAt));
    assertNothingLeft(cores, "abc");
  });

  test("what runs after the child and after a parent waits for both", () => {
    const last = { id: "last", command: "true", after: { jobs: [report, load] } };
    const cores = meshOf("abc", [...plain, last]);
    const ticks = hoursAgo(cores, 2);
    for (const job of [load, clean]) ask(cores, "b", job, ticks);
    cores.pass(2 * minute);
    assert.deepEqual(startedTicks(cores, "last" as JobId).toSorted(), ticks.map(tickAt));
    assertNothingLeft(cores, "abc");
  });

  test("a failed attempt of the child is repeated by its own rule", () => {
    const cores = meshOf("abc", [...plain.slice(0, 2), { ...both, retry: { attempts: 1, backoff: "20s" } }]);
    cores.exitCodeOf = ({ env }) => (env["CICADA_JOB"] === report ? 1 : 0);
    const [tick = 0] = hoursAgo(cores, 1);
    for (const job of [load, clean]) ask(cores, "b", job, [tick]);
    cores.pass(2 * minute);
    assert.deepEqual(startedTicks(cores, report), [tickAt(tick), tickAt(tick)]);
    assertNothingLeft(cores, "abc");
  });
});

test("startsAt and endsAt of a child apply to the past tick, and not to when it was requested", () => {
  const cores = new Cores(["a", "b"], { runMs: second });
  const ticks = hoursAgo(cores, 4);
  const [, from = 0, to = 0] = ticks;
  cores.put({ id: load, ...hourly });
  cores.put({
    id: report,
    command: "true",
    after: { jobs: [load] },
    startsAt: new Date(from).toISOString(),
    endsAt: new Date(to).toISOString(),
  });
  ask(cores, "a", load, ticks);
  cores.pass(minute);
  assert.deepEqual(startedTicks(cores, report), [from, to].map(tickAt));
});
