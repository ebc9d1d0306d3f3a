/** Backfill: past ticks that a person asks for again. Each runs once, oldest first, behind the live ticks of its job. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { planBackfill } from "../src/peer/history/backfill-plan.ts";
import { ticksToBackfill } from "../src/core/operator/backfill.ts";
import { isBackfillOn, overlapOfBackfill } from "../src/core/job/overlap.ts";
import { CicadaError } from "../src/errors.ts";
import type { BackfillTicks } from "../src/ports/control.ts";
import { backfilledInstant, backfillTick, isForcedBackfill, originalTick } from "../src/schema/backfill.ts";
import { instantOf, isManual, tickAt, ulid, type JobId, type TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";
import { countSteps } from "./kit/fuzz/steps.ts";

const id = "job" as JobId;
const second = 1_000;
const hour = 3_600_000;
const by = "ann";

describe("the name of a tick that is asked for again", () => {
  test("says when it was asked for, as that of every manual tick, and which tick it makes up for", () => {
    const asked = Date.UTC(2026, 10, 29, 7);
    for (const instant of [0, Date.UTC(2026, 10, 20, 2), Date.UTC(1999, 11, 31, 23, 59, 59)]) {
      const tick = backfillTick(asked, instant, 0);
      assert.ok(isManual(tick));
      assert.equal(instantOf(tick), asked);
      assert.equal(backfilledInstant(tick), instant);
      assert.equal(originalTick(tick), tickAt(instant));
      assert.equal(isForcedBackfill(tick), false);
      assert.equal(isForcedBackfill(backfillTick(asked, instant, 32_767)), true);
    }
  });

  test("orders the ticks of a request by time, and no other tick is taken for one", () => {
    const [early, late] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 5, 1)].map((at) => backfillTick(1e12, at, 0));
    assert.ok(early !== undefined && late !== undefined && early < late);
    assert.equal(backfilledInstant("2026-11-20T02:00:00Z" as TickId), undefined);
    assert.equal(backfilledInstant(`manual-${ulid(1e12, new Uint8Array(16).fill(7))}` as TickId), undefined);
    assert.equal(originalTick("2026-11-20T02:00:00Z" as TickId), "2026-11-20T02:00:00Z");
  });
});

function ticksOf(cores: Cores, from: number, to: number): number[] {
  const found = ticksToBackfill(cores.state("a"), id, from, to);
  assert.ok(!(found instanceof CicadaError), found instanceof CicadaError ? found.detail : "");
  return [...found.ticks];
}

function ask(cores: Cores, peer: string, ticks: readonly number[], force?: true): void {
  cores.ask(peer, { kind: "backfill-job", id, ticks, ...(force === undefined ? {} : { force }), by });
}

/** The ticks of the starts as their processes were told them. */
const startedTicks = (cores: Cores): string[] => cores.starts.map(({ env }) => env["CICADA_TICK"] ?? "");

const job = { id, schedule: "0 * * * *", command: "true" } as const;

/** The last hours before the cores begin, which is at 02:00:00. */
function past(cores: Cores, hours: number): { from: number; to: number } {
  const to = Math.floor(cores.wall(0) / hour) * hour;
  return { from: to - hours * hour, to };
}

const oclock = (hours: number): number => Date.UTC(2026, 10, 20, hours);

describe("which ticks", () => {
  test("from is in and to is out, also before the job was made, without those that it leaves out", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...job, except: ["0 23 * * *"] });
    const { from, to } = past(cores, 5);
    const ticks = ticksOf(cores, from, to);
    assert.deepEqual(
      ticks.map((tick) => new Date(tick).getUTCHours()),
      [21, 22, 0, 1],
    );
    assert.equal(ticks[0], from);
  });

  test("neither those to come nor any outside of startsAt and endsAt", () => {
    const cores = new Cores(["a"]);
    const { from, to } = past(cores, 5);
    cores.put({
      ...job,
      startsAt: new Date(from + hour).toISOString(),
      endsAt: new Date(to - 2 * hour).toISOString(),
    });
    assert.deepEqual(ticksOf(cores, from, to + 100 * hour), [from + hour, from + 2 * hour, from + 3 * hour]);
  });

  const refused: readonly [title: string, spec: object, code: string, says: RegExp][] = [
    [
      "more than may be asked for at once",
      { ...job, schedule: "* * * * *" },
      "TOO_MANY_TICKS",
      /has 1440 ticks from .*, and the maximum is 1000/,
    ],
    ["a job without a schedule", { id, command: "true" }, "NO_SCHEDULE", /no schedule/],
    [
      "a job that runs after others",
      { id, command: "true", after: { jobs: ["other"] } },
      "NO_SCHEDULE",
      /backfill that, and it follows/,
    ],
    [
      "a job whose calendar is missing",
      { ...job, except: ["calendar:none"] },
      "NO_SCHEDULE",
      /calendar "none"/,
    ],
  ];
  for (const [title, spec, code, says] of refused) {
    test(`${title} is refused`, () => {
      const cores = new Cores(["a"]);
      cores.put(spec as Parameters<Cores["put"]>[0]);
      const { from, to } = past(cores, 24);
      const found = ticksToBackfill(cores.state("a"), id, from, to);
      assert.ok(found instanceof CicadaError);
      assert.equal(found.code, code);
      assert.match(found.detail, says);
    });
  }

  const record = (tick: TickId, state: RunRecord["state"], startedAt?: number): RunRecord =>
    ({ job: id, tick, state, ...(startedAt === undefined ? {} : { startedAt }) }) as RunRecord;
  const known: BackfillTicks = {
    ticks: [0, 1, 2, 3, 4, 5, 6].map(oclock),
    pending: [oclock(6)],
    backfilled: [oclock(4)],
  };
  const records = [
    record(tickAt(oclock(0)), "failed", 1),
    record(tickAt(oclock(1)), "missed"),
    record(tickAt(oclock(2)), "skipped"),
    record(backfillTick(oclock(12), oclock(3), 0), "succeeded", 1),
  ];

  test("what has run, is pending or was asked for before is left out; what was missed or skipped runs", () => {
    const { ticks, leftOut } = planBackfill(known, records, [{ from: oclock(5), to: oclock(5) }], false);
    assert.deepEqual(ticks, [oclock(1), oclock(2)].map(tickAt));
    assert.deepEqual(
      leftOut.map(({ tick, why, run }) => [new Date(tick).getUTCHours(), why, run?.state]),
      [
        [0, "has-run", "failed"],
        [3, "has-run", "succeeded"],
        [4, "asked-before", undefined],
        [5, "has-run", undefined],
        [6, "pending", undefined],
      ],
    );
  });

  test("forced, all run except those that are pending", () => {
    const { ticks, leftOut } = planBackfill(known, records, [], true);
    assert.equal(ticks.length, 6);
    assert.deepEqual(
      leftOut.map(({ why }) => why),
      ["pending"],
    );
  });
});

test("what a job has in the order book is looked through once for a request of a thousand ticks, and not for each of them", () => {
  const cores = new Cores(["a"], { runMs: Infinity });
  cores.put({ id: "job", schedule: "@every 1m", command: "true", overlap: "queue-all" });
  cores.pass(20 * second);
  const to = cores.wall(cores.now);
  const lookUp = (): number => countSteps(() => void ticksOf(cores, to - 999 * 60 * second, to));
  const alone = lookUp();
  for (let asked = 0; asked < 500; asked++) {
    cores.ask("a", { kind: "run-job", id, by });
    cores.pass(1);
  }
  cores.pass(second);
  assert.ok(cores.state("a").book.orders.size >= 499);
  const among = lookUp();
  assert.ok(among < alone + 100_000, `${alone} steps, and ${among} beside 500 orders`);
});

describe("a backfill", () => {
  test("runs each tick once, oldest first and one at a time; the process is told the tick that is made up for", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 2 * second });
    cores.put(job);
    const { from, to } = past(cores, 5);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    cores.pass(40 * second);
    assert.deepEqual(startedTicks(cores), ticks.map(tickAt));
    const starts = cores.starts.map(({ at }) => at);
    assert.ok(starts.every((at, place) => place === 0 || at - (starts[place - 1] ?? 0) >= 2 * second));
    for (const { env } of cores.starts) {
      assert.equal(env["CICADA_TRIGGER"], "backfill");
      assert.equal(env["CICADA_IDEMPOTENCY_KEY"], `job@${env["CICADA_TICK"]}`);
    }
    assert.ok(cores.answers.some((answer) => answer.kind === "backfilled" && answer.ticks.length === 5));
  });

  test("asked for again, at another peer, or at two peers at once, runs nothing twice", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(job);
    const { from, to } = past(cores, 4);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    ask(cores, "b", ticks);
    cores.pass(30 * second);
    ask(cores, "c", ticks);
    cores.pass(30 * second);
    assert.deepEqual(startedTicks(cores).toSorted(), ticks.map(tickAt));
  });

  test("of a job whose ticks have several runs gives each tick all of them, one tick after the other", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 2 * second });
    cores.put({ ...job, target: { count: 2 } });
    const { from, to } = past(cores, 4);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    ask(cores, "b", ticks);
    cores.pass(60 * second);
    assert.deepEqual(
      startedTicks(cores),
      ticks.flatMap((tick) => [tickAt(tick), tickAt(tick)]),
    );
  });

  test("forced, repeats what has run", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(job);
    const { from, to } = past(cores, 2);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    cores.pass(20 * second);
    ask(cores, "b", ticks, true);
    cores.pass(20 * second);
    assert.deepEqual(startedTicks(cores), [...ticks, ...ticks].map(tickAt));
  });

  test("is carried on when the peer that was asked dies", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: 3 * second });
    cores.put(job);
    const { from, to } = past(cores, 8);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    cores.pass(8 * second);
    cores.kill("a");
    cores.pass(120 * second);
    const ended = new Set(startedTicks(cores));
    assert.deepEqual([...ended].toSorted(), ticks.map(tickAt), "each tick has run");
    assert.equal(cores.starts.length, ticks.length, "none twice");
  });

  test("goes behind the live ticks of its job, and none of these is skipped because of it", () => {
    for (const overlap of ["skip", "queue", "replace"] as const) {
      const cores = new Cores(["a", "b"], { runMs: 4 * second });
      cores.put({ ...job, schedule: "@every 10s", overlap });
      const now = Math.floor(cores.wall(cores.now) / 10_000) * 10_000;
      const ticks = Array.from({ length: 6 }, (_, place) => now - hour + 10_000 * place);
      ask(cores, "a", ticks);
      cores.pass(120 * second);
      const live = cores.starts.filter(({ env }) => env["CICADA_TRIGGER"] === "schedule").length;
      assert.ok(live >= 11, `${live} live ticks ran under ${overlap}`);
      const made = cores.starts.filter(({ env }) => env["CICADA_TRIGGER"] === "backfill").length;
      assert.equal(made, 6, overlap);
    }
  });

  test("fires the job's children, with the tick that is made up for", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(job);
    cores.put({ id: "child", command: "true", after: { jobs: [id] } });
    const { from, to } = past(cores, 2);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    cores.pass(30 * second);
    const children = cores.starts.filter(({ env }) => env["CICADA_JOB"] === "child");
    assert.deepEqual(
      children.map(({ env }) => env["CICADA_TICK"]),
      ticks.map(tickAt),
    );
  });

  test("of a paused or disabled job is refused unless it is forced", () => {
    const cores = new Cores(["a"]);
    cores.put({ ...job, enabled: false });
    const { from, to } = past(cores, 2);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    const [answer] = cores.answers;
    assert.ok(answer?.kind === "refused" && answer.error.code === "JOB_PAUSED");
    ask(cores, "a", ticks, true);
    cores.pass(20 * second);
    assert.equal(cores.starts.length, 2);
  });

  for (const [title, target, runs] of [
    ["one run", {}, 1],
    ["two runs", { count: 2 }, 2],
    ["a run on every peer", { count: "all" }, 3],
  ] as const) {
    test(`of a job in a pool of one slot, each of whose ticks has ${title}, gets through the pool's queue`, () => {
      const cores = new Cores(["a", "b", "c"], { runMs: 500 });
      cores.put({ ...job, pool: "one", target });
      const { from, to } = past(cores, 4);
      const ticks = ticksOf(cores, from, to);
      ask(cores, "a", ticks);
      cores.pass(60 * second);
      assert.deepEqual(
        startedTicks(cores),
        ticks.flatMap((tick) => Array.from({ length: runs }, () => tickAt(tick))),
      );
      const starts = cores.starts.map(({ at }) => at);
      assert.ok(starts.every((at, place) => place === 0 || at - (starts[place - 1] ?? 0) >= 500));
    });
  }

  test("waits as a whole while its job is paused, by a person or for its failures, and goes on when the pause ends", () => {
    const cores = new Cores(["a", "b"]);
    cores.exitCodeOf = () => 1;
    cores.put({ ...job, pauseAfterFailures: 2 });
    cores.pass(second);
    const { from, to } = past(cores, 6);
    const ticks = ticksOf(cores, from, to);
    ask(cores, "a", ticks);
    cores.pass(30 * second);
    assert.deepEqual(startedTicks(cores), ticks.slice(0, 2).map(tickAt));
    const decided = cores.recordsOf("b").filter(({ state }) => state === "skipped");
    assert.deepEqual(decided, [], "none of them is skipped");
    cores.exitCodeOf = () => 0;
    cores.put({ ...job, pauseAfterFailures: 2 }, { resumedAt: cores.wall(cores.now), pauses: [] });
    cores.pass(30 * second);
    assert.deepEqual(startedTicks(cores), ticks.map(tickAt));
  });

  test("ends when its job is deleted", () => {
    const cores = new Cores(["a", "b"], { runMs: 3 * second });
    cores.put(job);
    const { from, to } = past(cores, 8);
    ask(cores, "a", ticksOf(cores, from, to));
    cores.pass(8 * second);
    const before = cores.starts.length;
    assert.ok(before > 0);
    cores.remove("job");
    cores.pass(60 * second);
    assert.equal(cores.starts.length, before);
  });
});

describe("what a queued tick of a backfill waits for", () => {
  const other = { running: false, waiting: false, earlier: false, isDue: false };
  const cases: readonly [title: string, policy: "allow" | "queue", others: object[], verdict: string][] = [
    ["nothing", "queue", [], "go"],
    ["a run of the job", "queue", [{ running: true }], "wait"],
    ["a live tick that is due", "queue", [{ isDue: true }], "wait"],
    ["not for a live tick to come", "queue", [{ earlier: true }], "go"],
    ["an earlier tick of a backfill", "queue", [{ isBackfill: true, earlier: true }], "wait"],
    ["not for a later one", "queue", [{ isBackfill: true, isDue: true }], "go"],
    ["not for live runs where runs may overlap", "allow", [{ running: true }, { isDue: true }], "go"],
    ["but one at a time there too", "allow", [{ isBackfill: true, running: true }], "wait"],
  ];
  for (const [title, policy, others, verdict] of cases) {
    test(title, () =>
      assert.equal(
        overlapOfBackfill(
          policy,
          others.map((one) => ({ ...other, ...one })),
        ),
        verdict,
      ),
    );
  }
});

test("a live tick waits for a backfill that runs or is about to, not for one that is held or to come", () => {
  const one = { running: false, waiting: false, earlier: true, isDue: true, isBackfill: true };
  assert.equal(isBackfillOn(one), true);
  assert.equal(isBackfillOn({ ...one, isDue: false, running: true }), true);
  assert.equal(isBackfillOn({ ...one, waiting: true }), false);
  assert.equal(isBackfillOn({ ...one, isDue: false }), false);
  assert.equal(isBackfillOn({ ...one, isBackfill: false }), false);
});
