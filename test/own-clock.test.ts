/** A peer checks its clock before relying on it (DESIGN §11), in cores side by side. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { idleUntil } from "../src/core/orders/idle.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import { viewOf } from "../src/core/view.ts";
import { instantOf, orderKey, tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { rangeSlot, type RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";
import { checkedJob } from "../src/core/checks/job.ts";
import { soonestTick } from "../src/core/job/timetable.ts";
import { openOn } from "../src/core/records/ledger.ts";
import { isOver } from "../src/core/records/history.ts";
import { recordKey, isRecordOfStart } from "../src/core/records/records.ts";
import { addToSpans, startsKept } from "../src/core/time/spans.ts";

const hour = 3_600_000;
const minute = 60_000;

/** Every 2 s, on any peer. */
const beat = { id: "beat", schedule: "@every 2s", command: "true", overlap: "allow" } as const;

/** Why the peer takes no ticks; "" = it takes them. */
function reasonsOf(cores: Cores, peer: string): string {
  return notReady(cores.state(peer))
    .map(({ message }) => message)
    .join("; ");
}

interface Story {
  /** ticks that were due while the job was watched */
  due: number;
  lost: string[];
  doubled: string[];
  /** for each early start: by how many ms it was early */
  early: number[];
}

/** What happened to the ticks that were due from `from` to `to`, ms of the test's time. */
function storyOf(cores: Cores, from: number, to: number): Story {
  const starts = Map.groupBy(cores.starts, ({ tick }) => tick);
  const due: string[] = [];
  for (let at = Math.ceil(cores.wall(from) / 2_000) * 2_000; at < cores.wall(to); at += 2_000)
    due.push(new Date(at).toISOString().replace(".000Z", "Z"));
  const early = cores.starts
    .map(({ tick, at }) => instantOf(tick as TickId) - cores.wall(at))
    .filter((ms) => ms > 100);
  return {
    due: due.length,
    lost: due.filter((tick) => !starts.has(tick)),
    doubled: due.filter((tick) => (starts.get(tick)?.length ?? 0) > 1),
    early,
  };
}

/** Records about ticks that were more than 3.6 s ahead of true time when the peer took them in. */
function recordsAhead(cores: Cores, peer: string, at: number): RunRecord[] {
  return cores.recordsOf(peer).filter(({ tick }) => instantOf(tick) > cores.wall(at) + 4_000);
}

describe("when one peer's clock is far off for a while, the others run its ticks too", () => {
  const cases: [names: string[], wrong: string, byMs: number, forMs: number, synchronised: string[]][] = [
    [["a", "b", "c"], "a", 2 * hour, 12_000, []],
    [["a", "b", "c"], "b", -2 * hour, 12_000, []],
    [["a", "b", "c"], "c", 3_000, 12_000, []],
    [["a", "b"], "b", 10 * minute, 20_000, []],
    [["a", "b"], "b", -10 * minute, 20_000, []],
    [["a", "b"], "b", 10 * minute, 20_000, ["a"]],
    [["a", "b"], "a", -10 * minute, 20_000, ["b"]],
  ];
  for (const [names, wrong, byMs, forMs, synchronised] of cases) {
    const how = synchronised.length === 0 ? "" : `, ${synchronised.join()} follows a time server`;
    test(`${names.length} peers, one ${byMs / 1_000} s ahead for ${forMs / 1_000} s${how}`, () => {
      const cores = new Cores(names, { synchronised });
      cores.put(beat);
      cores.pass(20_000);
      cores.setClock(wrong, byMs);
      cores.pass(forMs / 2);
      assert.match(reasonsOf(cores, wrong), /clock is .* (ahead of|behind)/);
      cores.pass(forMs / 2);
      for (const peer of names) {
        if (peer !== wrong) assert.deepEqual(recordsAhead(cores, peer, 22_000 + forMs), []);
      }
      cores.setClock(wrong, 0);
      cores.pass(60_000);
      for (const peer of names) assert.equal(reasonsOf(cores, peer), "");
      const { due, ...rest } = storyOf(cores, 6_000, 72_000 + forMs);
      assert.deepEqual(rest, { lost: [], doubled: [], early: [] });
      assert.ok(due > 30);
    });
  }
});

describe("of two clocks, the one that is ahead is doubted even after its peer's restart", () => {
  test("although the right one had been set wrong and right again before", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(10_000);
    cores.setClock("a", 24 * hour);
    cores.pass(20_000);
    cores.setClock("a", 0);
    cores.pass(20_000);
    cores.kill("b");
    cores.setClock("b", 10 * minute);
    cores.up("b" as PeerId);
    cores.pass(10_000);
    assert.equal(reasonsOf(cores, "a"), "");
    assert.match(reasonsOf(cores, "b"), /clock is .* ahead of/);
  });

  test("although the right one was set wrong and right again meanwhile", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(10_000);
    cores.setClock("b", 10 * minute);
    cores.pass(20_000);
    cores.setClock("a", -2_000);
    cores.pass(20_000);
    cores.setClock("a", 0);
    cores.pass(20_000);
    cores.kill("b");
    cores.up("b" as PeerId);
    cores.pass(10_000);
    assert.equal(reasonsOf(cores, "a"), "");
    assert.match(reasonsOf(cores, "b"), /clock is .* ahead of/);
  });
});

describe("a peer that is alone follows its own clock, however it is set", () => {
  for (const [title, byMs] of [
    ["2 h ahead", 2 * hour],
    ["a day ahead", 24 * hour],
    ["2 h behind", -2 * hour],
    ["2 s ahead", 2_000],
    ["2 s behind", -2_000],
  ] as const) {
    test(`${title} for 12 s: the next tick after the correction starts on time`, () => {
      const cores = new Cores(["a"]);
      cores.put(beat);
      cores.pass(10_000);
      cores.setClock("a", byMs);
      cores.pass(12_000);
      cores.setClock("a", 0);
      cores.pass(30_000);
      assert.equal(reasonsOf(cores, "a"), "");
      assert.deepEqual(storyOf(cores, 24_100, 52_000).lost, []);
    });
  }

  test("2 h ahead for 12 s, twice: the next tick after the correction starts on time, and is recorded correctly", () => {
    const cores = new Cores(["a"]);
    cores.put(beat);
    for (let time = 1; time <= 2; time++) {
      cores.pass(90_000);
      cores.setClock("a", 2 * hour);
      cores.pass(12_000);
      cores.setClock("a", 0);
    }
    cores.pass(30_000);
    assert.deepEqual(storyOf(cores, 206_100, 234_000).lost, []);
    const states = cores
      .recordsOf("a")
      .filter(({ tick }) => instantOf(tick) > cores.wall(206_100) && instantOf(tick) < cores.wall(234_000))
      .map(({ state }) => state);
    assert.deepEqual(new Set(states), new Set(["succeeded"]));
  });

  test("booted in 2098, with a job made then: once the clock is right the job's ticks start", () => {
    const ahead = 72 * 365 * 24 * hour;
    const cores = new Cores(["a"], { clockAhead: { a: ahead } });
    const then = cores.wall(2_000) + ahead;
    cores.put(beat, { createdAt: then, updatedAt: then, scheduledAt: then });
    cores.pass(10_000);
    cores.setClock("a", 0);
    cores.pass(30_000);
    assert.deepEqual(storyOf(cores, 14_100, 40_000).lost, []);
  });

  test("booted in 2098, then set right: the next tick starts on time", () => {
    const cores = new Cores(["a"], { clockAhead: { a: 72 * 365 * 24 * hour } });
    cores.put(beat);
    cores.pass(10_000);
    cores.setClock("a", 0);
    cores.pass(30_000);
    assert.deepEqual(storyOf(cores, 12_100, 40_000).lost, []);
  });
});

/** 3,000 future ticks, from 30 s on, that a member reports as skipped. */
function manyAhead(cores: Cores, from: string): RunRecord[] {
  return Array.from({ length: 3_000 }, (_, index) => {
    const due = Math.ceil(cores.wall(30_000) / 2_000) * 2_000 + index * 2_000;
    const tick = new Date(due).toISOString().replace(".000Z", "Z") as TickId;
    return {
      job: "beat" as JobId,
      tick,
      attempt: 1,
      slot: "0",
      peer: from as PeerId,
      state: "skipped",
      version: 1,
      revision: "r",
      trigger: "schedule",
      rank: 0,
      due,
      finishedAt: due,
      reason: "overlap",
      view: 1,
      signature: `forged ${index}`,
    };
  });
}

test("a decision about a future tick is withdrawn once, although the disk tells of it twice", () => {
  const cores = new Cores(["a"]);
  cores.put(beat);
  const [ahead] = manyAhead(cores, "a").slice(-1);
  assert.ok(ahead);
  for (let times = 0; times < 2; times++)
    cores.feed(ahead.peer, { kind: "lookedUp", job: ahead.job, records: [ahead] });
  const stored = cores.recordsOf(ahead.peer).filter(({ tick }) => tick === ahead.tick);
  assert.deepEqual(
    stored.map(({ state, version }) => [state, version]),
    [["withdrawn", 2]],
  );
});

describe("a past tick whose report its writer withdraws, because its clock had been ahead, is undecided again", () => {
  const tick = "2026-11-20T03:00:00Z" as TickId;
  const single = { slot: "0", due: instantOf(tick), tick };
  const ofRange = { ...single, slot: rangeSlot, range: { from: instantOf(tick), count: 1 } };
  /** A peer that has slept past its tick and heard of c's report. Returns how often it starts it once c has withdrawn that. */
  function startsOf(about: Partial<RunRecord>, waitMs: number, others: readonly RunRecord[] = []): number {
    const cores = new Cores(["a"]);
    cores.put({ ...beat, schedule: "@every 1h", catchUp: { policy: "latest", window: "3h" } });
    cores.pass(instantOf(tick) - cores.state("a").now.wall - 10_000);
    cores.pause("a", 20_000);
    const [ahead] = manyAhead(cores, "c");
    assert.ok(ahead);
    const report: RunRecord = { ...ahead, ...about, state: "missed", reason: "policy" };
    const a = "a" as PeerId;
    cores.learn(a, [report, ...others]);
    cores.pass(waitMs);
    const starts = (): number => cores.starts.filter((start) => start.tick === tick).length;
    assert.equal(starts(), 0);
    const withdrawn = {
      state: "withdrawn",
      reason: "clock",
      round: 1,
      version: 2,
      signature: "c 2",
    } as const;
    cores.learn(a, [{ ...report, ...withdrawn }]);
    cores.pass(minute);
    return starts();
  }

  test("while the report is remembered", () => assert.equal(startsOf(single, 30_000), 1));
  test("after the watermark has passed it", () => assert.equal(startsOf(single, 10 * minute), 1));
  test("as part of a range", () => assert.equal(startsOf(ofRange, 30_000), 1));
  test("as part of a range that the watermark has passed", () =>
    assert.equal(startsOf(ofRange, 10 * minute), 1));
  test("unless another peer has run it", () => {
    const ran = {
      ...single,
      job: beat.id as JobId,
      attempt: 1,
      peer: "d" as PeerId,
      state: "succeeded",
    } as const;
    const times = { startedAt: instantOf(tick), finishedAt: instantOf(tick) + 1_000 };
    const rest = {
      trigger: "schedule",
      rank: 0,
      view: 2,
      revision: "r0",
      version: 3,
      signature: "d 3",
    } as const;
    assert.equal(startsOf(single, 10 * minute, [{ ...ran, ...times, ...rest }]), 0);
  });
});

test("a decision about a future tick that its writer doesn't withdraw counts once the tick has come", () => {
  const cores = new Cores(["a"]);
  cores.put({ ...beat, target: { tags: { role: "printer" } } });
  cores.pass(10_000);
  const ahead = manyAhead(cores, "c")[0];
  assert.ok(ahead);
  const { job, tick } = ahead;
  const a = "a" as PeerId;
  const storedByA = cores.records.get(a) ?? new Map<string, RunRecord>();
  cores.records.set(a, storedByA.set(recordKey(ahead), ahead));
  cores.feed(a, { kind: "lookedUp", job, records: [ahead] });
  cores.pass(instantOf(tick) - cores.state(a).now.wall - 4_000);
  const isOverHere = (): boolean => isOver(cores.state(a).ledger.history, job, tick, "0");
  assert.ok(!isOverHere(), "before its time it doesn't count");
  cores.pass(12_000);
  assert.ok(isOverHere());
  assert.ok(!cores.state(a).book.orders.has(orderKey(job, tick, 1, "0")));
});

describe("no peer accepts another's report about a future tick", () => {
  test("3,000 ticks that a member reports as skipped ahead of time still run, and the member is shown as being ahead", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(beat);
    cores.pass(10_000);
    const records = manyAhead(cores, "c");
    for (const peer of ["a", "b"]) {
      cores.feed(peer as PeerId, {
        kind: "heard",
        from: "c" as PeerId,
        message: { kind: "runs", records, declined: [], orders: [], cancels: [] },
      });
    }
    const view = viewOf(cores.state("a"), cores.state("a").now, new Map(), [], {});
    assert.match(view.warnings.join(), /clock ahead: host-c/);
    cores.pass(60_000);
    assert.deepEqual(storyOf(cores, 6_000, 70_000).lost, []);
  });
});

test("a run that began before the clock was set back ends here too, even if its tick is in the future by this clock", () => {
  const cores = new Cores(["a", "b"], { synchronised: ["a"], runMs: 5_000 });
  cores.put({ ...beat, schedule: "@every 1m", target: { peers: ["b"] } });
  cores.pass(58_500);
  const isOpen = (): boolean => openOn(cores.state("a").ledger, "b" as PeerId).length > 0;
  assert.ok(isOpen());
  cores.setClock("a", -10 * minute);
  cores.pass(10_000);
  assert.equal(reasonsOf(cores, "a"), "");
  assert.ok(!isOpen());
});

/** As pruning does it. */
function removeHistory(cores: Cores, before: number): void {
  const { starts } = cores.pruned.get("beat" as JobId) ?? { starts: [] };
  const started: number[] = [];
  for (const records of cores.records.values()) {
    for (const [key, record] of records) {
      if (instantOf(record.tick) >= before) continue;
      records.delete(key);
      if (isRecordOfStart(record)) started.push(instantOf(record.tick));
    }
  }
  cores.pruned.set("beat" as JobId, { before, starts: addToSpans(starts, started, startsKept) });
}

test("ticks that ran and whose records were pruned don't run again when all clocks are set back", () => {
  const cores = new Cores(["a", "b"]);
  cores.put({ ...beat, schedule: "@every 10m", catchUp: { policy: "all", window: "1h" } });
  cores.pass(6 * hour);
  const removed = cores.wall(cores.now) - 2 * hour;
  removeHistory(cores, removed);
  const ran = cores.starts.length;
  for (const peer of ["a", "b"]) cores.setClock(peer, -4 * hour);
  cores.pass(1.5 * hour);
  assert.equal(cores.starts.length, ran, "before it are two hours of pruned ticks, and two of kept ones");
  cores.pass(4 * hour);
  assert.ok(cores.starts.length > ran + 8, "then new ticks run");
  assert.equal(new Set(cores.starts.map(({ tick }) => tick)).size, cores.starts.length);
});

test("ticks that clocks which were ahead took for skipped run when they are due, though that history has been removed", () => {
  const cores = new Cores(["a", "b"]);
  const job = { ...beat, schedule: "@every 1h", catchUp: { policy: "none", window: "1h" } } as const;
  cores.put(job);
  cores.pass(3.5 * hour);
  const ran = cores.starts.length;
  for (const peer of ["a", "b"]) cores.setClock(peer, 12 * hour);
  // Those of the time between are missed, and one comes due by the wrong clocks.
  cores.pass(hour);
  removeHistory(cores, cores.wall(cores.now) + 12 * hour);
  for (const peer of ["a", "b"]) cores.setClock(peer, 0);
  cores.pass(6 * hour);
  assert.equal(cores.starts.length, ran + 1 + 6);
});

test("what ran and has been removed since doesn't run again when a clock that was a year behind is right again", () => {
  const cores = new Cores(["a"]);
  const job = { ...beat, schedule: "@every 1h", catchUp: { policy: "all", window: "7d" } } as const;
  cores.put(job);
  cores.pass(20.5 * hour);
  removeHistory(cores, cores.wall(cores.now) - 4 * hour);
  cores.setClock("a", -365 * 24 * hour);
  cores.pass(3 * hour);
  // A prune round by the wrong clock.
  cores.pruned.set("beat" as JobId, {
    before: cores.wall(cores.now) - 365 * 24 * hour,
    starts: cores.pruned.get("beat" as JobId)?.starts ?? [],
  });
  cores.setClock("a", 0);
  cores.pass(10 * minute);
  assert.equal(new Set(cores.starts.map(({ tick }) => tick)).size, cores.starts.length);
});

test("a job that was made before its peer's clock was a year behind for a while catches up no tick from before it was made", () => {
  const cores = new Cores(["a"]);
  cores.pass(3 * hour);
  const madeAt = cores.wall(cores.now);
  cores.put({ ...beat, schedule: "@every 1h", catchUp: { policy: "all", window: "7d" } });
  cores.pass(1.5 * hour);
  cores.setClock("a", -365 * 24 * hour);
  cores.pass(3 * hour);
  cores.setClock("a", 0);
  cores.pass(10 * minute);
  assert.ok(
    cores.starts.some(({ at }) => at > 7.5 * hour),
    "it has caught up others",
  );
  const early = cores.starts.filter(({ tick, at }) => instantOf(tick as TickId) < madeAt && at > 7.5 * hour);
  assert.deepEqual(
    early.map(({ tick }) => tick),
    [],
  );
});

test("a tick whose jitter had not passed when all clocks leapt a year ahead still runs once they are right again", () => {
  const cores = new Cores(["a", "b"]);
  cores.put({ ...beat, schedule: "@every 1h", jitter: "50m", catchUp: { policy: "latest", window: "1d" } });
  const tick = (Math.floor(cores.wall(0) / hour) + 1) * hour;
  cores.pass(tick - cores.wall(0) + 2_000);
  for (const peer of ["a", "b"]) cores.setClock(peer, 365 * 24 * hour);
  cores.pass(12_000);
  for (const peer of ["a", "b"]) cores.setClock(peer, 0);
  const startsOfTick = () => cores.starts.filter((start) => instantOf(start.tick as TickId) === tick).length;
  assert.equal(startsOfTick(), 0, "the jitter is long enough");
  cores.pass(hour);
  assert.equal(startsOfTick(), 1);
});

test("a tick that was due while all clocks were a year ahead has a record once they are right again", () => {
  const cores = new Cores(["a", "b"]);
  cores.put({ ...beat, schedule: "@every 1h", catchUp: { policy: "none", window: "1d" } });
  cores.pass(1.5 * hour);
  for (const peer of ["a", "b"]) cores.setClock(peer, 365 * 24 * hour);
  cores.pass(2 * hour);
  for (const peer of ["a", "b"]) cores.setClock(peer, 0);
  cores.pass(10 * minute);
  for (const peer of ["a", "b"] as PeerId[]) {
    const stories = cores.recordsOf(peer).filter(({ state }) => state !== "withdrawn");
    for (const afterMs of [2 * hour, 3 * hour]) {
      const due = Math.floor(cores.wall(afterMs) / hour) * hour;
      const hasRecord = stories.some(
        ({ tick, range }) => instantOf(tick) >= due && (range?.from ?? instantOf(tick)) <= due,
      );
      assert.ok(hasRecord, `${peer}: there is no record of ${new Date(due).toISOString()}`);
    }
  }
});

test("ticks that a clock which was ahead took for missed have a record, also if it was behind before it was right", () => {
  const cores = new Cores(["a"]);
  const job = { id: "j", schedule: "@every 1m", command: "true", catchUp: { policy: "none" } } as const;
  cores.put(job, { createdAt: cores.wall(0), scheduledAt: cores.wall(0) });
  const [day, from] = [24 * hour, 2 * minute];
  cores.pass(from - 30_000);
  // Two ranges of the past and of the future are withdrawn, and looked for on the disk when their time has come.
  cores.setClock("a", -365 * day);
  cores.pass(3 * minute);
  cores.setClock("a", 0);
  cores.pass(2 * minute);
  cores.setClock("a", day);
  cores.pass(5 * minute);
  cores.setClock("a", -day);
  cores.pass(10_000);
  cores.setClock("a", 0);
  const right = cores.now;
  cores.pass(minute);
  const known = cores.recordsOf("a").filter(({ state }) => state !== "withdrawn");
  for (let at = cores.wall(from); at < cores.wall(right); at += minute) {
    const due = Math.ceil(at / minute) * minute;
    const isKnown = known.some(
      ({ tick, range }) => (range?.from ?? instantOf(tick)) <= due && due <= instantOf(tick),
    );
    assert.ok(isKnown, `${new Date(due).toISOString()} has no record`);
  }
});

test("a peer whose clock is doubted doesn't say of a tick that it is over", () => {
  const cores = new Cores(["a", "b"]);
  const catchUp = { policy: "latest", window: "20m" } as const;
  cores.put(
    { id: "j", schedule: "@every 2m", command: "true", catchUp },
    { createdAt: cores.wall(0), scheduledAt: cores.wall(0) },
  );
  cores.pass(3 * minute);
  for (const peer of ["a", "b"]) cores.setClock(peer, 365 * 24 * hour);
  cores.pass(4 * minute);
  // By the watermarks all ticks of a year are over. The one that is right now asks the other about the latest of them.
  cores.setClock("b", 0);
  cores.pass(10_000);
  cores.setClock("a", 20 * minute);
  cores.pass(30_000);
  const due = Math.floor(cores.wall(7 * minute) / (2 * minute)) * 2 * minute;
  assert.match(reasonsOf(cores, "a"), /clock is .* ahead/);
  assert.ok(
    cores.starts.some(({ tick }) => tick === tickAt(due)),
    `${tickAt(due)} was not started`,
  );
});

describe("what a peer has run by a clock that is ahead of another peer's", () => {
  test("the other one doesn't run again, if it joins with that clock and is trusted", () => {
    const cores = new Cores(["a"], { clockAhead: { b: -10 * minute } });
    cores.put({ ...beat, schedule: "@every 10s" });
    cores.pass(12 * minute);
    cores.up("b" as PeerId);
    cores.pass(15 * minute);
    assert.match(reasonsOf(cores, "a"), /clock is .* ahead/);
    assert.ok(
      cores.starts.some(({ peer }) => peer === "b"),
      "b runs the ticks after those",
    );
    assert.equal(new Set(cores.starts.map(({ tick }) => tick)).size, cores.starts.length);
  });

  test("the other one doesn't report as missed once its clock is right", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, schedule: "@every 1m", catchUp: { policy: "none" } });
    cores.pass(90_000);
    cores.kill("a");
    cores.pass(20 * minute);
    cores.setClock("a", -10 * minute);
    cores.up("a" as PeerId, { records: cores.recordsOf("a") });
    cores.pass(30_000);
    assert.match(reasonsOf(cores, "b"), /clock is .* ahead/);
    cores.setClock("a", 0);
    cores.pass(minute);
    assert.equal(reasonsOf(cores, "b"), "");
    const missed = cores.recordsOf("a").filter(({ state }) => state === "missed");
    assert.deepEqual(missed, []);
  });
});

test("a tick that a peer with a doubted clock leaves alone causes no endless work", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ ...beat, schedule: "@every 1h" });
  cores.pass(20_000);
  cores.setClock("a", 2 * hour);
  cores.pass(60_000);
  assert.match(reasonsOf(cores, "a"), /clock is .* ahead/);
  const state = cores.state("a");
  assert.ok((soonestTick(state.jobs) ?? Infinity) < state.now.wall, "such a tick exists");
  assert.ok((idleUntil(state) ?? Infinity) > state.now.wall);
  cores.setClock("a", 0);
  cores.pass(60_000);
  assert.equal(reasonsOf(cores, "a"), "");
  assert.ok((idleUntil(state) ?? -Infinity) <= (soonestTick(state.jobs) ?? Infinity));
});

test("a gap that a peer with a doubted clock can't report causes no endless work", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ ...beat, schedule: "@every 1h", catchUp: { policy: "none" } });
  cores.pass(20_000);
  for (const peer of ["b", "c"]) cores.kill(peer);
  cores.setClock("a", 5 * hour);
  const state = cores.state("a");
  for (let waited = 0; waited < minute && state.upkeep.gaps.size === 0; waited += 100) cores.pass(100);
  for (const peer of ["b", "c"]) cores.up(peer as PeerId);
  cores.pass(minute);
  assert.match(reasonsOf(cores, "a"), /clock is .* ahead/);
  assert.equal(state.upkeep.gaps.size, 1);
  assert.ok((idleUntil(state) ?? -Infinity) > state.now.wall);
});

/** How one of three peers answers, whose clock is ahead by so much. */
function answerOfAhead(aheadMs: number, kind: "run-job" | "put-job" | "pause-job"): string | undefined {
  const cores = new Cores(["a", "b", "c"], { clockAhead: { b: aheadMs } });
  cores.put({ ...beat, schedule: "@daily" });
  const [id, by] = ["beat" as JobId, "ann"];
  const spec = checkedJob({ ...beat, id, schedule: "@hourly" });
  cores.ask("b", kind === "put-job" ? { kind, spec, mode: "replace", by } : { kind, id, by });
  cores.pass(100);
  const [given] = cores.answers;
  return given?.kind === "refused" ? given.error.code : given?.kind;
}

describe("a peer whose clock is far off takes no requests that it would misdate", () => {
  test("ahead: neither run now nor an edit", () => {
    assert.equal(answerOfAhead(2 * hour, "run-job"), "CLOCK_AHEAD");
    assert.equal(answerOfAhead(2 * hour, "pause-job"), "CLOCK_AHEAD");
  });

  test("behind: no run, for it would be old when it is asked for", () => {
    assert.equal(answerOfAhead(-2 * hour, "run-job"), "CLOCK_BEHIND");
    assert.equal(answerOfAhead(-50_000, "run-job"), "ordered");
  });

  test("behind: no job, for ticks from before it was made would be caught up", () => {
    assert.equal(answerOfAhead(-2 * hour, "put-job"), "CLOCK_BEHIND");
  });
});
