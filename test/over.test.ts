/**
 * Orders that are over stay over (DESIGN §7): whatever was edited or pruned, and however long a peer was up, suspended
 * or away, no tick that was started or decided starts again.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EventBody } from "../src/core/events.ts";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { rangeSlot, type RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const hourly = { id: "invoices", schedule: "0 * * * *", command: "true" } as const;

function ticksOf(cores: Cores): string[] {
  return cores.starts.map(({ tick }) => tick);
}

function noneTwice(cores: Cores): void {
  assert.deepEqual(ticksOf(cores).toSorted(), [...new Set(ticksOf(cores))].toSorted());
}

/** Starts a killed peer from what this kit has kept of its disk. It loads only the records of the last hour. */
function startAgain(cores: Cores, peer: string, changes: Parameters<Cores["up"]>[1] = {}): void {
  const records = cores.recordsOf(peer);
  const loadedSince = cores.wall(cores.now) - hour;
  cores.up(peer as PeerId, {
    records: records.filter(
      ({ tick, state }) => instantOf(tick) >= loadedSince || state === "claimed" || state === "running",
    ),
    loadedSince,
    watermarks: cores.watermarksOf(peer),
    lastAlive: cores.wall(cores.now) - minute,
    ...changes,
  });
}

test("a tick that comes due while its peer gets no CPU time for three seconds still runs", () => {
  const cores = new Cores(["a"]);
  cores.put({ ...hourly, schedule: "@every 11s" });
  for (let held = 0; held < 30; held++) {
    cores.pass(11 * second - (cores.wall(cores.now) % (11 * second)) - 2_700);
    cores.pause("a", 3 * second);
    cores.pass(4 * second);
  }
  const first = instantOf(cores.starts[0]?.tick as TickId);
  const due = Array.from({ length: cores.starts.length }, (_, index) => first + index * 11 * second);
  assert.deepEqual(
    cores.starts.map(({ tick }) => instantOf(tick as TickId)),
    due,
  );
  assert.ok(due.length >= 29);
});

describe("a tick that has run does not run again", () => {
  test("when its peer was killed just after the start and had given the tick back before an earlier restart", () => {
    const cores = new Cores(["a"], { capacity: 1, runMs: Infinity, launchMs: hour });
    const again = { ...hourly, catchUp: { policy: "all", window: "6h" } } as const;
    cores.put({ ...again, id: "backup" });
    cores.put(again);
    cores.pass(hour + minute);
    assert.equal(cores.starts.length, 1);
    cores.feed("a" as PeerId, { kind: "drain" });
    cores.pass(5 * minute);
    cores.kill("a");
    const [first] = cores.starts;
    startAgain(cores, "a", { started: new Set(first === undefined ? [] : [first.run]) });
    cores.pass(minute);
    assert.equal(cores.starts.length, 2);
    cores.kill("a");
    startAgain(cores, "a", { started: new Set(cores.starts.map(({ run }) => run)) });
    cores.pass(10 * minute);
    assert.deepEqual(
      cores.starts.map(({ run }) => run),
      [...new Set(cores.starts.map(({ run }) => run))],
    );
  });

  test("when the catch-up window is widened a day later", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...hourly, catchUp: { policy: "latest", window: "1h" } });
    cores.pass(26 * hour);
    const before = cores.starts.length;
    assert.equal(before, 26);
    const createdAt = cores.wall(0);
    cores.put({ ...hourly, catchUp: { policy: "all", window: "7d" } }, { createdAt, scheduledAt: createdAt });
    cores.pass(30 * minute);
    assert.equal(cores.starts.length, before);
    cores.pass(2 * hour);
    assert.equal(cores.starts.length, before + 2);
    noneTwice(cores);
  });

  test("when the whole mesh was restarted before the window was widened", () => {
    const cores = new Cores(["a", "b"]);
    const createdAt = cores.wall(0);
    const made = { createdAt, scheduledAt: createdAt };
    cores.put({ ...hourly, catchUp: { policy: "latest", window: "1h" } }, made);
    cores.pass(28 * hour);
    for (const peer of ["a", "b"]) cores.kill(peer);
    for (const peer of ["a", "b"]) startAgain(cores, peer);
    cores.pass(minute);
    const before = cores.starts.length;
    assert.equal(before, 28);
    cores.put({ ...hourly, catchUp: { policy: "all", window: "7d", limit: 100 } }, made);
    cores.pass(10 * minute);
    assert.equal(cores.starts.length, before);
    const missed = ["a", "b"]
      .flatMap((peer) => cores.recordsOf(peer))
      .filter(({ state }) => state === "missed");
    assert.deepEqual(missed, []);
    noneTwice(cores);
  });

  test("when the policy changes to `latest`, and no tick that ran is reported as missed", () => {
    const cores = new Cores(["a", "b"]);
    const createdAt = cores.wall(0);
    const made = { createdAt, scheduledAt: createdAt };
    cores.put({ ...hourly, catchUp: { policy: "none" } }, made);
    cores.pass(10 * hour);
    cores.put({ ...hourly, catchUp: { policy: "latest", window: "2d" } }, made);
    cores.pass(20 * minute);
    assert.equal(cores.starts.length, 10);
    assert.deepEqual(
      cores.recordsOf("a").filter(({ state }) => state === "missed"),
      [],
    );
  });

  test("when a peer returns after days with an old folder", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ ...hourly, catchUp: { policy: "all", window: "30d", limit: 1_000 } });
    cores.pass(3 * hour);
    cores.kill("c");
    cores.pass(4 * 24 * hour);
    const before = cores.starts.length;
    startAgain(cores, "c");
    cores.pass(30 * minute);
    assert.equal(cores.starts.length, before);
    noneTwice(cores);
  });

  test("when an empty new peer joins, which doesn't ask for pruned records", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...hourly, catchUp: { policy: "all", window: "30d", limit: 1_000 } });
    cores.pass(48 * hour);
    const before = cores.starts.length;
    assert.equal(before, 48);
    // Its neighbour has pruned everything.
    cores.records.get("a" as PeerId)?.clear();
    cores.up("b" as PeerId);
    cores.pass(30 * minute);
    assert.equal(cores.starts.length, before);
    assert.deepEqual(cores.recordsOf("b"), []);
    cores.pass(3 * hour);
    assert.equal(cores.starts.length, before + 3);
  });

  test("when it was pruned, and the peer that ran it starts again", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...hourly, catchUp: { policy: "all", window: "7d", limit: 1_000 } });
    cores.pass(20 * hour + 10 * minute);
    const before = cores.starts.length;
    cores.kill("a");
    cores.records.get("a" as PeerId)?.clear();
    startAgain(cores, "a");
    cores.pass(30 * minute);
    assert.equal(cores.starts.length, before);
  });
});

describe("a tick that has not run", () => {
  test("is caught up after all peers were down, within the window and the limit; all others are one record", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...hourly, catchUp: { policy: "all", window: "5h" } });
    cores.pass(4 * hour + 10 * minute);
    for (const peer of ["a", "b"]) cores.kill(peer);
    cores.pass(20 * hour);
    const before = cores.starts.length;
    for (const peer of ["a", "b"]) startAgain(cores, peer);
    cores.pass(5 * minute);
    assert.equal(cores.starts.length - before, 5);
    const [range, ...more] = cores.recordsOf("a").filter(({ slot }) => slot === rangeSlot);
    assert.deepEqual(
      [range?.state, range?.reason, range?.range?.count, more.length],
      ["missed", "window", 15, 0],
    );
    noneTwice(cores);
  });

  test("that was undecided when the last peer died is still caught up", () => {
    const cores = new Cores(["a"]);
    cores.put({
      id: "beat",
      schedule: "*/10 * * * *",
      command: "true",
      catchUp: { policy: "all", window: "1h" },
    });
    cores.pass(29 * minute + 59 * second);
    cores.kill("a");
    cores.pass(20 * minute);
    startAgain(cores, "a");
    cores.pass(2 * minute);
    assert.equal(new Set(ticksOf(cores)).size, 5);
    noneTwice(cores);
  });
});

/** The ranges of ticks that will not run, as the peer has them: `from to by`. */
function rangesOf(cores: Cores, peer: string): string[] {
  return cores
    .recordsOf(peer)
    .flatMap(({ tick, range, peer: by }) =>
      range === undefined ? [] : [`${tickAt(range.from)} ${tick} ${by}`],
    )
    .toSorted();
}

describe("a tick of a gap is reported once", () => {
  test("not if it waits for capacity while its job is edited", () => {
    for (const policy of ["none", "latest", "all"] as const) {
      const cores = new Cores(["a"], { runMs: 5 * minute, capacity: 1 });
      const spec = {
        ...hourly,
        schedule: "@every 10s",
        overlap: "allow",
        catchUp: { policy, limit: 2 },
      } as const;
      const createdAt = cores.wall(cores.now);
      cores.put(spec);
      cores.pass(118 * second);
      cores.put({ ...spec, description: "of last month" }, { createdAt, scheduledAt: createdAt });
      cores.pass(30 * second);
      const records = cores.recordsOf("a");
      assert.ok(
        records.some(({ state }) => state === "claimed"),
        "one waits for capacity",
      );
      assert.deepEqual(
        records.filter(({ state }) => state === "missed"),
        [],
        policy,
      );
    }
  });

  test("not again by the next peer in rank, if the first one has reported a part of it", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...hourly, schedule: "* * * * *", catchUp: { policy: "none" } });
    cores.pass(minute);
    for (const peer of ["a", "b"]) {
      cores.unheard.add(peer as PeerId);
      cores.pause(peer, 10 * minute);
    }
    cores.pass(10 * minute + 15 * second);
    const [first] = cores.recordsOf("b").filter(({ range }) => range !== undefined);
    assert.ok(first?.range);
    const half: RunRecord = {
      ...first,
      tick: tickAt(first.range.from + 4 * minute),
      range: { ...first.range, count: 5 },
    };
    cores.learn("a" as PeerId, [half]);
    cores.pass(20 * second);
    const toA = rangesOf(cores, "a").map((range) => range.replaceAll(/T|:00Z/g, ""));
    assert.deepEqual(toA, ["2026-11-2002:02 2026-11-2002:06 b", "2026-11-2002:07 2026-11-2002:10 a"]);
  });

  test("not again by a peer whose clock was far behind when another one reported it", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...hourly, id: "j", schedule: "*/5 * * * *", catchUp: { policy: "none" } });
    cores.pass(13 * minute);
    cores.pause("a", 14 * minute);
    cores.pass(5 * minute);
    cores.setClock("b", -365 * 24 * hour);
    cores.pass(12 * minute);
    const byA = ["2026-11-20T02:20:00Z 2026-11-20T02:25:00Z a"];
    assert.deepEqual(rangesOf(cores, "b"), byA);
    cores.kill("a");
    cores.pass(3 * minute);
    cores.setClock("b", 0);
    cores.pass(minute);
    assert.deepEqual(rangesOf(cores, "b"), byA);
  });
});

describe("a gap costs nothing per tick", () => {
  test("three missed days of a job that is due every second are reported in a few records", () => {
    const cores = new Cores(["a"]);
    cores.put({
      id: "beat",
      schedule: "* * * * * *",
      command: "true",
      catchUp: { policy: "all", window: "1h", limit: 50 },
    });
    cores.pass(minute);
    cores.pause("a", 72 * hour);
    cores.pass(72 * hour + minute);
    const records = cores.recordsOf("a");
    const ranges = records.filter(({ slot }) => slot === rangeSlot);
    assert.ok(records.length < 600, `${records.length} records`);
    assert.deepEqual(new Set(ranges.map(({ reason }) => reason)), new Set(["limit", "window"]));
    assert.equal(cores.state("a").jobs.plans.get("beat" as JobId)?.id, "beat");
    noneTwice(cores);
  });
});

describe("the end of a run is final", () => {
  test("its runner doesn't report a succeeded run as lost when an old record of its start comes back", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(hourly);
    cores.pass(2 * hour + minute);
    const [first] = cores.starts;
    assert.ok(first);
    const [own] = cores
      .recordsOf(first.peer)
      .filter(({ tick, peer }) => tick === first.tick && peer === first.peer);
    assert.equal(own?.state, "succeeded");
    cores.pass(30 * hour);
    const {
      finishedAt: _finished,
      exitCode: _code,
      logBytes: _bytes,
      logTruncated: _cut,
      ...rest
    } = own ?? assert.fail();
    const echo: RunRecord = { ...rest, state: "running", version: 2, signature: `${first.peer} 2 running` };
    cores.learn(first.peer, [echo]);
    cores.pass(minute);
    for (const peer of ["a", "b"]) {
      const known: RunRecord | undefined = cores
        .recordsOf(peer)
        .find(({ tick, peer: runner }) => tick === first.tick && runner === first.peer);
      assert.equal(known?.state, "succeeded", `as ${peer} has it`);
    }
  });
});

/** Another peer's record of a tick of the job `far`. */
function farRecord(tick: number, changes: Partial<RunRecord>): RunRecord {
  return {
    job: "far" as JobId,
    tick: tickAt(tick),
    attempt: 1,
    slot: "0",
    peer: "elsewhere" as PeerId,
    state: "missed",
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due: tick,
    view: 2,
    signature: "elsewhere 1",
    ...changes,
  };
}

/** A peer whose book holds one order, for a tick that only another peer may run. */
function waitingPeer(): { cores: Cores; tick: number; size: () => number } {
  const cores = new Cores(["a"]);
  cores.put({ id: "far", schedule: "* * * * *", command: "true", target: { peers: ["elsewhere"] } });
  cores.pass(minute);
  const { orders } = cores.state("a").book;
  const [order] = orders.values();
  assert.ok(order !== undefined);
  return { cores, tick: order.instant, size: () => orders.size };
}

function learned(tick: number, ...changes: Partial<RunRecord>[]): EventBody[] {
  return changes.map((change) => ({ kind: "learned", records: [farRecord(tick, change)], orders: [] }));
}

describe("an order that is over elsewhere leaves the book in the step in which this peer learns of it", () => {
  const heard: [what: string, events: (tick: number) => EventBody[]][] = [
    [
      "a watermark",
      (tick) => {
        const watermark = { job: "far" as JobId, since: tick - hour, at: tick, open: [] };
        return [{ kind: "watermarks", peer: "b" as PeerId, watermarks: [watermark] }];
      },
    ],
    [
      "a range of ticks that no peer will run",
      (tick) => learned(tick, { slot: rangeSlot, range: { from: tick - minute, count: 2 } }),
    ],
    [
      "a record of a later attempt",
      (tick) => learned(tick, { attempt: 2, state: "running", startedAt: tick, epoch: 0 }),
    ],
    [
      "the loss of an attempt that was given back",
      (tick) =>
        learned(
          tick,
          { state: "withdrawn", epoch: 0 },
          { state: "lost", epoch: 0, version: 2, by: "third" as PeerId, signature: "third 2" },
        ),
    ],
  ];
  for (const [what, events] of heard) {
    test(`by ${what}`, () => {
      const { cores, tick, size } = waitingPeer();
      assert.equal(size(), 1);
      for (const event of events(tick)) cores.feed("a" as PeerId, event);
      assert.equal(size(), 0);
    });
  }
});
