/**
 * Pruned history on two peers that are wired as in production except for their doors: what is removed, what stays, and
 * that nothing comes back.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createJobs } from "../src/core/job/jobs-state.ts";
import { ClockProof } from "../src/core/time/clock-proof.ts";
import { retentionOf } from "../src/core/view.ts";
import { keptFromOf } from "../src/peer/control.ts";
import { Horizons } from "../src/peer/history/horizons.ts";
import { Retention, type RetentionDeps } from "../src/peer/history/retention.ts";
import type { Doors, Executor } from "../src/ports.ts";
import type { Disk, Horizon, PruneRule } from "../src/ports/disk.ts";
import { instantOf, ulid, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import type { Message } from "../src/schema/message.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { everySeconds, noSchedule } from "../src/sim/client/schedules.ts";
import { SimKeys } from "../src/sim/keys.ts";
import { StableStorage } from "../src/sim/disk/storage.ts";
import type { JobRules } from "../src/sim/world/requests.ts";
import { World } from "../src/sim/world/world.ts";
import { encode } from "../src/wire/codec.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const minute = 60_000;
const hour = 60 * minute;
/** Rounds of pruning are ten minutes apart, and the last tick of a round may be a minute old. */
const slackMs = 12 * minute;

class Stage {
  readonly world: World;
  readonly peers: readonly PeerId[];

  constructor(
    seed: string,
    options: { peers?: number; historyMaxBytes?: Partial<Record<string, number>>; lastsMs?: number } = {},
  ) {
    const { lastsMs = 100 } = options;
    this.world = new World({
      ...calmWorld,
      children: { ...calmWorld.children, behaviour: () => ({ lastsMs, exitCode: 0 }) },
      seed: `retention ${seed}`,
      peers: options.peers ?? 2,
      skewMs: 0,
      driftPpm: 0,
      traits: (peer) => {
        const historyMaxBytes = options.historyMaxBytes?.[peer];
        return {
          role: "worker",
          capacity: 10,
          ...(historyMaxBytes === undefined ? {} : { historyMaxBytes }),
        };
      },
    });
    this.peers = this.world.peers;
    for (const peer of this.peers) this.world.hosts.start(peer);
    this.until(minute);
  }

  /** Runs the world until that long after the beginning. */
  until(afterMs: number): void {
    this.world.runUntil(epoch + afterMs);
  }

  get first(): PeerId {
    const [first] = this.peers;
    assert.ok(first !== undefined);
    return first;
  }

  put(id: string, rules: Partial<JobRules> = {}): void {
    this.world.ask(this.first, {
      kind: "put",
      rules: {
        id: id as JobId,
        schedule: everySeconds(60),
        overlap: "allow",
        catchUp: { policy: "none", windowMs: 0 },
        peers: undefined,
        keep: { runs: 5, ageMs: 720 * hour },
        ...rules,
      },
    });
  }

  /** The job's records on the peer's disk, the oldest first. */
  records(peer: PeerId, id: string): RunRecord[] {
    const records = this.world.hosts.get(peer).storage.records(id as JobId);
    return records.toSorted((a, b) => instantOf(a.tick) - instantOf(b.tick));
  }

  /** How long ago the oldest record's tick was, ms. */
  ageOf(peer: PeerId, id: string): number {
    const [oldest] = this.records(peer, id);
    assert.ok(oldest !== undefined, `${peer} has records of ${id}`);
    return this.world.now() - instantOf(oldest.tick);
  }
}

test("ticks beyond a job's number of runs are removed on every peer, and don't come back from another", () => {
  const stage = new Stage("both");
  stage.put("beat");
  for (let at = 2 * hour; at <= 5 * hour; at += 17 * minute) {
    stage.until(at);
    for (const peer of stage.peers) {
      const ageMs = stage.ageOf(peer, "beat");
      assert.ok(ageMs <= hour + slackMs, `${peer} has records of ${ageMs / minute} minutes ago`);
      assert.ok(ageMs >= hour - minute, `${peer} has pruned what is younger than an hour`);
    }
  }
});

test("nothing within the catch-up window and an hour is removed", () => {
  const stage = new Stage("window");
  stage.put("beat", { catchUp: { policy: "latest", windowMs: 2 * hour } });
  stage.until(5 * hour);
  for (const peer of stage.peers) {
    const ageMs = stage.ageOf(peer, "beat");
    assert.ok(ageMs > 3 * hour - minute && ageMs <= 3 * hour + slackMs, `${ageMs / minute} minutes`);
  }
});

test("the history of an idle job is removed by its age, except its last tick and its last success", () => {
  const stage = new Stage("idle");
  stage.put("idle", { keep: { runs: 100, ageMs: 2 * hour } });
  stage.until(20 * minute);
  stage.put("idle", { keep: { runs: 100, ageMs: 2 * hour }, enabled: false });
  stage.until(90 * minute);
  assert.ok(stage.records(stage.first, "idle").length > 10);
  stage.until(3 * hour);
  for (const peer of stage.peers) {
    const [last, ...others] = stage.records(peer, "idle").toReversed();
    assert.equal(last?.state, "succeeded");
    assert.deepEqual(others, []);
  }
});

test("a deleted job is pruned by its own limits even if no peer had pruned while it was there", () => {
  const stage = new Stage("deleted early");
  stage.until(15 * minute);
  for (const peer of stage.peers) stage.world.hosts.stop(peer);
  stage.until(3 * hour);
  for (const peer of stage.peers) stage.world.hosts.start(peer);
  stage.until(3 * hour + minute);
  stage.put("gone", { keep: { runs: 3, ageMs: 2 * hour } });
  stage.until(3.5 * hour);
  stage.world.ask(stage.first, { kind: "delete", id: "gone" as JobId });
  stage.until(5 * hour);
  for (const peer of stage.peers)
    assert.ok(stage.records(peer, "gone").length > 20, "the clocks have yet to prove themselves");
  stage.until(7 * hour);
  for (const peer of stage.peers) assert.deepEqual(stage.records(peer, "gone"), []);
});

test("a peer that has just joined keeps no history because of ticks that the others have forgotten", () => {
  const stage = new Stage("joined late");
  const [, second] = stage.peers;
  assert.ok(second !== undefined);
  stage.world.hosts.kill(second, true);
  stage.put("parent", { schedule: everySeconds(600), keep: { runs: 12, ageMs: 720 * hour } });
  stage.put("child", {
    schedule: noSchedule,
    after: { jobs: ["parent" as JobId], on: "success" },
    keep: { runs: 1, ageMs: 720 * hour },
  });
  stage.until(129 * minute);
  stage.world.hosts.get(second).storage.restore(new StableStorage());
  stage.world.hosts.start(second);
  stage.until(200 * minute);
  const ageMs = stage.ageOf(second, "parent");
  assert.ok(ageMs <= 2 * hour + slackMs, `${ageMs / minute} minutes`);
});

test("the history and outputs of a deleted job are removed by the job's own limits", () => {
  const stage = new Stage("deleted");
  stage.put("gone", { keep: { runs: 3, ageMs: 2 * hour } });
  stage.until(30 * minute);
  stage.world.ask(stage.first, { kind: "delete", id: "gone" as JobId });
  stage.until(2 * hour);
  for (const peer of stage.peers)
    assert.equal(new Set(stage.records(peer, "gone").map(({ tick }) => tick)).size, 3);
  stage.until(3 * hour);
  for (const peer of stage.peers) {
    assert.deepEqual(stage.records(peer, "gone"), []);
    const outputs = [...stage.world.hosts.get(peer).children.logs.keys()];
    assert.deepEqual(
      outputs.filter((run) => run.startsWith("gone@")),
      [],
    );
  }
});

test("a peer that is restarted every nine minutes still prunes", () => {
  const stage = new Stage("restarts", { peers: 1 });
  stage.put("beat");
  for (let at = 9 * minute; at <= 3 * hour; at += 9 * minute) {
    stage.world.at(epoch + at, () => stage.world.hosts.kill(stage.first));
    stage.world.at(epoch + at + 2_000, () => stage.world.hosts.start(stage.first));
  }
  stage.until(3 * hour + 5 * minute);
  assert.ok(stage.ageOf(stage.first, "beat") <= hour + slackMs);
});

test("a peer with a limit on its history removes the oldest first, and the others keep theirs", () => {
  const stage = new Stage("limit", { historyMaxBytes: { "peer-2": 60_000 } });
  stage.put("a", { keep: { runs: 10_000, ageMs: 720 * hour } });
  stage.put("b", { keep: { runs: 10_000, ageMs: 720 * hour }, schedule: everySeconds(180) });
  stage.until(6 * hour);
  const [one, two] = stage.peers;
  assert.ok(one !== undefined && two !== undefined);
  assert.ok(stage.ageOf(one, "a") > 5 * hour && stage.ageOf(one, "b") > 5 * hour);
  for (const id of ["a", "b"]) {
    const ageMs = stage.ageOf(two, id);
    assert.ok(ageMs < 1.7 * hour, `${id} reaches back ${ageMs / minute} minutes`);
    assert.ok(ageMs > hour - minute);
  }
});

test("records that a peer brings back after a long absence don't return to peers that have pruned them", () => {
  const stage = new Stage("away");
  const [one, two] = stage.peers;
  assert.ok(one !== undefined && two !== undefined);
  stage.put("beat");
  stage.until(30 * minute);
  stage.world.hosts.kill(two, true);
  stage.until(4 * hour);
  assert.ok(stage.ageOf(two, "beat") > 3 * hour);
  stage.world.hosts.start(two);
  for (let at = 4 * hour + minute; at <= 5 * hour; at += 3 * minute) {
    stage.until(at);
    assert.ok(stage.ageOf(one, "beat") <= hour + slackMs, `${at / minute} minutes`);
  }
  // It waits for as long as it was away, because its clock might have leapt.
  stage.until(8 * hour);
  assert.ok(stage.ageOf(two, "beat") <= hour + slackMs, "and the other prunes it as well");
});

test("a job that runs after one with a long window keeps what is needed when that one's ticks are caught up", () => {
  const stage = new Stage("chain window");
  const keep = { runs: 100, ageMs: hour };
  stage.put("parent", { schedule: everySeconds(600), catchUp: { policy: "all", windowMs: 4 * hour }, keep });
  stage.put("child", { schedule: noSchedule, after: { jobs: ["parent" as JobId], on: "success" }, keep });
  stage.until(95 * minute);
  const drain = (on: boolean): void => {
    for (const peer of stage.peers) stage.world.ask(peer, { kind: "drain", target: peer, on });
  };
  drain(true);
  stage.until(4 * hour + 5 * minute);
  drain(false);
  stage.until(4.25 * hour);
  const { runs } = stage.world.evidence(stage.world.now(), []);
  const ran = (id: string): string[] => runs.flatMap((run) => (run.job === id ? [run.tick] : []));
  const ticks = ran("parent");
  assert.ok(ticks.length > 15);
  assert.deepEqual(ran("child").toSorted(), ticks.toSorted(), "each tick of the child has run once");
});

/** In minutes. Each job is given with its own window and its parents. */
function windowsOf(all: readonly (readonly [id: string, window: number, parents?: string])[]): number[] {
  const jobs = createJobs();
  for (const [id, window, parents] of all) {
    const catchUp = { policy: "all", window: `${window}m` } as const;
    const after = parents === undefined ? {} : { after: { jobs: parents.split(" ") as JobId[] } };
    jobs.plans.set(id as JobId, planOfJob(storedJob(id, { catchUp, ...after })));
  }
  return all.map(([id]) => (retentionOf({ jobs }, id as JobId)?.windowMs ?? NaN) / minute);
}

describe("how long a job's history is kept for catch-up", () => {
  test("the windows of a job and of those before it add up along the longest way", () => {
    const diamond = windowsOf([
      ["end", 2, "left right"],
      ["left", 10, "begin"],
      ["right", 20, "begin left"],
      ["begin", 100],
    ]);
    assert.deepEqual(diamond, [132, 110, 130, 100]);
  });

  test("a chain may be of thousands of jobs", () => {
    const jobs = createJobs();
    const plan = planOfJob(storedJob("0", { catchUp: { policy: "all", window: "1m" } }));
    for (let place = 0; place < 20_000; place++) {
      const after =
        place === 0 ? undefined : ({ jobs: [String(place - 1) as JobId], on: "success" } as const);
      jobs.plans.set(String(place) as JobId, { ...plan, id: String(place) as JobId, after });
    }
    assert.equal(retentionOf({ jobs }, "19999" as JobId)?.windowMs, 20_000 * minute);
  });
});

const round = epoch + 240 * hour;
const job = "x" as JobId;
const keep = { runs: 3, ageMs: 48 * hour, windowMs: 2 * hour };

/**
 * The rules by which a peer prunes the job in that round and in later ones, ten minutes apart, and the horizons that it
 * drops.
 */
function pruneRounds(
  facts: Partial<RetentionDeps>,
  {
    stored = [],
    prunings = Infinity,
    rounds = 1,
    clockAheadMs = [],
    records = 0,
    outputs = [],
  }: PruneStage = {},
): { rules: PruneRule[]; dropped: JobId[]; warnings: string[] } {
  const rules: PruneRule[] = [];
  const dropped: JobId[] = [];
  const disk: Pick<Disk, "jobsWithRecords" | "prune" | "store" | "measure"> = {
    store: (writes, done) => {
      dropped.push(...writes.flatMap((write) => (write.kind === "drop-horizon" ? [write.job] : [])));
      done();
    },
    jobsWithRecords: (after, _limit, done) => done(after === "" && rules.length < prunings ? [job] : []),
    prune: (given, done) => {
      rules.push(...given);
      done({ runs: [], horizons: [], more: false });
    },
    measure: (_share, done) => done({ bytes: records, instant: 0 }),
  };
  const executor: Pick<Executor, "logBytes" | "freeLogs"> = {
    logBytes: (done) => done(outputs.reduce((sum, bytes) => sum + bytes, 0)),
    freeLogs: (bytes, done) => {
      let freed = 0;
      while (freed < bytes && outputs.length > 0) freed += outputs.shift() ?? 0;
      done(freed);
    },
  };
  const log = { info: () => undefined };
  const horizons = new Horizons({
    settings: {},
    stored,
    exchangeWindowMs: 72 * hour,
    now: () => ({ wall: round, mono: 0 }),
    send: () => undefined,
    onPrunedElsewhere: () => undefined,
  });
  const retention = new Retention({
    // Only these parts of them are used.
    doors: { disk, executor, log } as unknown as Doors,
    horizons,
    historyMaxBytes: Infinity,
    keepOf: () => keep,
    isInTable: () => true,
    mayPrune: () => true,
    hasWarmedUp: () => true,
    openSince: () => Infinity,
    onRound: () => undefined,
    lastRound: undefined,
    clockProof: new ClockProof(undefined, undefined),
    count: () => undefined,
    ...facts,
  });
  for (let number = 0; number < rounds; number++) {
    const passedMs = number * 10 * minute;
    const aheadMs = clockAheadMs[number] ?? 0;
    retention.woke({ wall: round + 1_000 + passedMs + aheadMs, mono: passedMs });
  }
  return { rules, dropped, warnings: retention.warnings() };
}

interface PruneStage {
  /** bytes of the records, which all have to stay */
  records?: number;
  /** bytes of the outputs, the oldest first; those that are removed are taken out */
  outputs?: number[];
  stored?: readonly Horizon[];
  /** after this many prunings there are no records any more */
  prunings?: number;
  rounds?: number;
  /** how far the wall clock is ahead in each round; default: not at all */
  clockAheadMs?: readonly number[];
}

describe("what a round of pruning asks of the disk", () => {
  const onlyNoted = { keep, before: 0, countedBefore: Number.MAX_SAFE_INTEGER };
  const cases: readonly [
    what: string,
    facts: Partial<RetentionDeps>,
    expected: Partial<PruneRule> | undefined,
  ][] = [
    ["a job", {}, { before: round - 3 * hour, olderThan: round - 48 * hour, keepsLast: true }],
    [
      "a job with an open run: nothing from that run on",
      { openSince: () => round - 60 * hour },
      { before: round - 60 * hour },
    ],
    ["a job with a younger open run", { openSince: () => round - hour }, { before: round - 3 * hour }],
    [
      "a deleted job that was never known",
      { keepOf: () => undefined, isInTable: () => false },
      { keep: { runs: 100_000, ageMs: 720 * hour, windowMs: hour }, keepsLast: false },
    ],
    ["a job in the table that can't be read", { keepOf: () => undefined }, undefined],
    [
      "any job right after the clock has leapt ahead by a day: its keep is noted",
      { lastRound: round - 24 * hour },
      onlyNoted,
    ],
    ["a job of a peer that was down for half an hour", { lastRound: round - hour / 2 }, {}],
    ["any job while the clock is not known to be right", { mayPrune: () => false }, onlyNoted],
    [
      "a job in the table that can't be read, after such a leap",
      { lastRound: round - 24 * hour, keepOf: () => undefined },
      undefined,
    ],
    ["any job before the peer has warmed up", { mayPrune: () => false, hasWarmedUp: () => false }, undefined],
  ];
  for (const [what, facts, expected] of cases) {
    test(what, () => {
      const [rule] = pruneRounds(facts).rules;
      if (expected === undefined) assert.equal(rule, undefined);
      else {
        assert.ok(rule !== undefined);
        assert.deepEqual({ ...rule, ...expected }, rule);
        if (expected !== onlyNoted)
          assert.equal(rule.countedBefore, round, "all peers count to the same instant");
      }
    });
  }
});

describe("when the records that have to stay leave too little room for outputs", () => {
  test("the oldest outputs go, until there is room again", () => {
    const outputs = [400, 300, 200, 100];
    const { warnings } = pruneRounds({ historyMaxBytes: 1_000 }, { records: 300, outputs });
    assert.deepEqual(outputs, [300, 200, 100]);
    assert.deepEqual(warnings, []);
  });

  test("and all of them are not enough, people are told how much the records take", () => {
    const mebibyte = 1_048_576;
    const outputs = [3 * mebibyte];
    const { warnings } = pruneRounds({ historyMaxBytes: mebibyte }, { records: 2 * mebibyte, outputs });
    assert.deepEqual(outputs, []);
    assert.match(
      warnings.join(),
      /^history takes 2 MiB, above its limit of 1 MiB: nothing more can be removed/,
    );
  });

  test("nothing goes as long as the limit is kept", () => {
    const outputs = [400, 300];
    pruneRounds({ historyMaxBytes: 1_000 }, { records: 300, outputs });
    assert.deepEqual(outputs, [400, 300]);
  });
});

/** The rounds that prune, in minutes after the first, if the clock is so far ahead in each. */
function prunedWith(clockAheadMs: readonly number[]): number[] {
  return pruneRounds({ lastRound: round - 10 * minute }, { rounds: clockAheadMs.length, clockAheadMs })
    .rules.filter(({ countedBefore }) => countedBefore !== Number.MAX_SAFE_INTEGER)
    .map(({ countedBefore }) => (countedBefore - round) / minute);
}

test("a clock that was a year behind for a round is trusted again as soon as it is right", () => {
  assert.deepEqual(prunedWith([0, 0, 0, 0]), [0, 10, 20, 30]);
  assert.deepEqual(prunedWith([0, -365 * 24 * hour, 0, 0]), [0, 20, 30]);
});

describe("of a deleted job", () => {
  const gone = { keepOf: () => undefined, isInTable: () => false };
  const longAgo = [{ job, before: round - 30 * 24 * hour, keep, starts: [] }];

  test("its limits are known as long as it has records, however old its horizon is", () => {
    const { rules, dropped } = pruneRounds(gone, { stored: longAgo, rounds: 3 });
    assert.deepEqual(
      rules.map((rule) => rule.keep),
      [keep, keep, keep],
    );
    assert.deepEqual(dropped, []);
  });

  test("the horizon is dropped when there are no records any more and no peer can bring old ones", () => {
    assert.deepEqual(pruneRounds(gone, { stored: longAgo, prunings: 1, rounds: 3 }).dropped, [job]);
    const lately = [{ job, before: round - 24 * hour, keep, starts: [] }];
    assert.deepEqual(pruneRounds(gone, { stored: lately, prunings: 1, rounds: 3 }).dropped, []);
  });
});

describe("a clock that has skipped more than an hour removes nothing until it has run for as long", () => {
  /**
   * By how many hours the clock was ahead of the last round, and what then happened: the hours that it ran, or was
   * moved by.
   */
  const cases: readonly [
    what: string,
    skippedHours: number,
    then: readonly ["on" | "moved" | "off", number][],
    isDone: boolean,
  ][] = [
    ["after a night, too early", 16, [["on", 15]], false],
    ["after a night", 16, [["on", 16]], true],
    ["a week's absence is no longer than a day", 168, [["on", 24]], true],
    ["a week's absence, too early", 168, [["on", 23]], false],
    [
      "a laptop that sleeps at night",
      16,
      [
        ["on", 8],
        ["moved", 16],
        ["on", 8],
      ],
      true,
    ],
    [
      "a host that is switched off at night",
      16,
      [
        ["on", 8],
        ["off", 16],
        ["on", 8],
      ],
      true,
    ],
    [
      "a host that is switched off, too early",
      16,
      [
        ["on", 8],
        ["off", 16],
        ["on", 7],
      ],
      false,
    ],
    [
      "one that is off for a weekend as well",
      16,
      [
        ["on", 8],
        ["off", 64],
        ["on", 8],
      ],
      true,
    ],
    [
      "one that is moved by a year while it waits",
      16,
      [
        ["on", 15],
        ["moved", 8_760],
        ["on", 23],
      ],
      false,
    ],
    [
      "one that was a year ahead and has come back",
      8_760,
      [
        ["on", 1],
        ["moved", -8_760],
      ],
      true,
    ],
    ["one that is set back, too early", -5, [["on", 3]], false],
    ["one that is set back", -5, [["on", 4]], true],
    [
      "one that was behind, and is ahead now",
      -6,
      [
        ["on", 2],
        ["moved", 100],
        ["on", 5],
      ],
      false,
    ],
    [
      "one that was behind, and is ahead when it is started again",
      -6,
      [
        ["on", 2],
        ["off", 100],
        ["on", 5],
      ],
      false,
    ],
    ["half an hour", 0.5, [], true],
  ];
  for (const [what, skippedHours, steps, isDone] of cases) {
    test(what, () => {
      let now = { wall: epoch, mono: 7 };
      const lastRound = epoch - skippedHours * hour;
      let proof = new ClockProof(undefined, lastRound);
      const check = (): boolean => proof.isDone(now, now.wall - lastRound);
      let done = check();
      for (const [kind, hours] of steps) {
        const lastAlive = now.wall;
        now = { wall: now.wall + hours * hour, mono: kind === "on" ? now.mono + hours * hour : now.mono };
        if (kind === "off") proof = new ClockProof(proof.leftMs, lastAlive);
        done = check();
      }
      assert.equal(done, isDone);
    });
  }
});

test("a host that is on for eight hours a day removes history, although it is never on for as long as it was off", () => {
  const stage = new Stage("nights", { peers: 1 });
  stage.put("beat", { schedule: everySeconds(600), keep: { runs: 1_000, ageMs: 20 * hour } });
  stage.until(8 * hour);
  for (let day = 1; day <= 3; day++) {
    stage.world.hosts.kill(stage.first, true);
    stage.until(day * 24 * hour);
    stage.world.hosts.start(stage.first);
    stage.until((day * 24 + 8) * hour);
    // After the first night it has waited eight of sixteen hours; after the second, all of them.
    if (day === 1) assert.ok(stage.ageOf(stage.first, "beat") > 30 * hour);
  }
  assert.ok(stage.ageOf(stage.first, "beat") < 33 * hour, `${stage.ageOf(stage.first, "beat") / hour} hours`);
});

test("no history is removed while all clocks are a year ahead for some hours", () => {
  const stage = new Stage("clocks");
  stage.put("beat", { schedule: everySeconds(600), keep: { runs: 1_000, ageMs: 240 * hour } });
  stage.until(3 * hour);
  const before = stage.records(stage.first, "beat").length;
  const backs = stage.peers.map((peer) => stage.world.disturbances.stepClock(peer, 8_760 * hour));
  stage.until(5 * hour);
  for (const back of backs) back();
  stage.until(6 * hour);
  for (const peer of stage.peers) {
    assert.ok(stage.ageOf(peer, "beat") > 5.5 * hour);
    assert.ok(stage.records(peer, "beat").length >= before);
  }
});

test("an open record is over if others have pruned the job's history beyond it", () => {
  const stage = new Stage("open");
  const [one, two] = stage.peers;
  assert.ok(one !== undefined && two !== undefined);
  stage.put("beat");
  stage.until(30 * minute);
  const { storage } = stage.world.hosts.get(two);
  stage.world.hosts.kill(two, true);
  // As if the runner's last record had never reached it.
  const ended = stage.records(two, "beat").find(({ peer, state }) => peer === one && state === "succeeded");
  assert.ok(ended !== undefined);
  storage.remove(ended);
  const { finishedAt: _, exitCode: __, ...begun } = ended;
  storage.write({ kind: "record", record: { ...begun, state: "running", version: 2, signature: "old" } });
  stage.until(5 * hour);
  stage.world.hosts.start(two);
  stage.until(10 * hour);
  assert.deepEqual(
    stage.records(two, "beat").filter(({ state }) => state === "running"),
    [],
  );
  assert.ok(stage.ageOf(two, "beat") <= hour + slackMs);
});

function isManual({ tick }: RunRecord): boolean {
  return tick.startsWith("manual-");
}

test("a request whose run was pruned doesn't come back from a peer that never learned of the run's end and whose clock is a year behind", () => {
  const stage = new Stage("requests");
  const [one, two] = stage.peers;
  assert.ok(one !== undefined && two !== undefined);
  stage.put("beat");
  stage.until(20 * minute);
  stage.world.ask(one, { kind: "run", id: "beat" as JobId });
  stage.until(30 * minute);
  const { storage } = stage.world.hosts.get(two);
  stage.world.hosts.kill(two, true);
  const byHand = stage.records(two, "beat").filter(isManual);
  assert.equal(byHand.length, 1);
  for (const record of byHand) storage.remove(record);
  assert.equal(storage.orders.size, 1, "it still holds the request");
  stage.until(5 * hour);
  stage.world.disturbances.stepClock(two, -365 * 24 * hour);
  stage.world.hosts.start(two);
  for (let at = 5 * hour; at <= 9 * hour; at += 5 * minute) {
    stage.until(at);
    assert.deepEqual([...stage.world.hosts.get(one).storage.orders.values()], [], `${at / minute} minutes`);
    assert.deepEqual(stage.records(one, "beat").filter(isManual), []);
  }
});

test("a request from a time whose history is gone is not carried out: the others would take no record of its run", () => {
  const stage = new Stage("old request");
  const [one, two] = stage.peers;
  assert.ok(one !== undefined && two !== undefined);
  stage.put("beat");
  stage.until(5 * hour);
  stage.put("beat", { catchUp: { policy: "latest", windowMs: 12 * hour } });
  const gossiped = (agoMs: number): RunRecord[] => {
    const requestedAt = stage.world.now() - agoMs;
    const tick = `manual-${ulid(requestedAt, new Uint8Array(16))}` as TickId;
    const order = {
      job: "beat" as JobId,
      tick,
      trigger: "manual",
      requestedAt,
      by: "ann",
      force: true,
    } as const;
    const message: Message = { kind: "runs", records: [], orders: [order], declined: [], cancels: [] };
    const { cluster } = new SimKeys(two, "retention old request");
    const { life } = stage.world.hosts.get(one);
    life?.hear?.(two, "runs", encode({ cluster, sender: two, seq: 1 }, message));
    stage.until(stage.world.now() - epoch + 20_000);
    return stage.records(one, "beat").filter((record) => record.tick === tick);
  };
  assert.deepEqual(gossiped(3 * hour), []);
  assert.equal(gossiped(1_000).length, 1);
});

/** Gossips an order that was asked for so long ago. */
function askedBefore(stage: Stage, seed: string, id: string, agoMs: number): void {
  const [one, two] = stage.peers;
  assert.ok(one !== undefined && two !== undefined);
  const requestedAt = stage.world.now() - agoMs;
  const tick = `manual-${ulid(requestedAt, new Uint8Array(16))}` as TickId;
  const order = { job: id as JobId, tick, trigger: "manual", requestedAt, by: "ann" } as const;
  const message: Message = { kind: "runs", records: [], orders: [order], declined: [], cancels: [] };
  const { cluster } = new SimKeys(two, `retention ${seed}`);
  const { life } = stage.world.hosts.get(one);
  life?.hear?.(two, "runs", encode({ cluster, sender: two, seq: 1 }, message));
}

test("orders of jobs that nobody has are removed: a member can send any number of them", () => {
  const stage = new Stage("no job");
  const orders = () => stage.peers.map((peer) => stage.world.hosts.get(peer).storage.orders.size);
  for (let number = 0; number < 20; number++) askedBefore(stage, "no job", `none-${number}`, 20 * minute);
  stage.until(minute + 20_000);
  assert.ok((orders()[0] ?? 0) > 0, "they are stored, so that a sync doesn't offer them again and again");
  stage.until(5 * hour);
  assert.deepEqual(orders(), [0, 0]);
});

test("a run that was asked for and waits for a pause to end is kept until then", () => {
  const stage = new Stage("paused", { lastsMs: 2 * hour });
  const id = "slow" as JobId;
  stage.put(id, { schedule: everySeconds(86_400), overlap: "queue-all" });
  stage.until(2 * minute);
  stage.world.ask(stage.first, { kind: "run", id });
  stage.until(5 * minute);
  stage.world.ask(stage.first, { kind: "run", id });
  stage.until(10 * minute);
  stage.world.ask(stage.first, { kind: "pause", id });
  stage.until(5 * hour);
  assert.equal(stage.world.hosts.get(stage.first).storage.orders.size, 2);
  stage.world.ask(stage.first, { kind: "resume", id });
  stage.until(7 * hour + minute);
  assert.deepEqual(
    stage.records(stage.first, id).map(({ state }) => state),
    ["succeeded", "succeeded"],
  );
});

test("a peer that joins with an empty folder gets all kept history", () => {
  const stage = new Stage("joins", { peers: 3 });
  const [one, , three] = stage.peers;
  assert.ok(one !== undefined && three !== undefined);
  stage.put("beat");
  stage.put("idle", { keep: { runs: 100, ageMs: 2 * hour } });
  stage.until(10 * minute);
  stage.put("idle", { keep: { runs: 100, ageMs: 2 * hour }, enabled: false });
  stage.world.hosts.kill(three, true);
  stage.until(4 * hour + minute);
  const host = stage.world.hosts.get(three);
  host.storage.restore(new StableStorage());
  stage.world.hosts.start(three);
  stage.until(4 * hour + 2 * minute);
  for (const id of ["beat", "idle"]) {
    const there: string[] = stage.records(three, id).map(({ tick }) => tick);
    assert.deepEqual(
      there,
      stage.records(one, id).map(({ tick }) => tick),
    );
  }
});

test("a job says that earlier runs are not kept only if it was there at that time", () => {
  const [before, createdAt] = [1_000, 500];
  assert.equal(keptFromOf(undefined, { createdAt }), undefined, "nothing was pruned");
  assert.equal(keptFromOf({ before }, { createdAt }), before);
  assert.equal(keptFromOf({ before }, { createdAt: before }), undefined, "it is younger than the horizon");
  assert.equal(keptFromOf({ before }, undefined), before, "a job that this version can't read");
});
