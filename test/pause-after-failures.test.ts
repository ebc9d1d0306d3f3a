/** `pauseAfterFailures`: what counts as a failed tick, who pauses the job and when, and that a person resumes it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { failedInARow } from "../src/core/job/failures.ts";
import { checkJob } from "../src/core/checks/job.ts";
import { obstaclesOf, jobNow } from "../src/core/view.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { RunState } from "../src/schema/run-states.ts";
import { checkFailurePauses } from "../src/sim/checkers/failures.ts";
import { checkLoss } from "../src/sim/checkers/loss.ts";
import { everyMinute, ticksOf } from "../src/sim/client/schedules.ts";
import { tickAt, type PeerId } from "../src/schema/ids.ts";
import type { JobRules } from "../src/sim/world/requests.ts";
import type { Evidence, Run } from "../src/sim/world/truth.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const id = "flaky" as JobId;
const job = { id: "flaky", schedule: "@every 10s", command: "false", pauseAfterFailures: 3 };

describe("failed ticks in a row", () => {
  const cases: readonly [says: string, states: readonly RunState[], count: number][] = [
    ["none", [], 0],
    ["failed, timed out and lost ticks count", ["failed", "timeout", "lost"], 3],
    ["a success ends the row", ["failed", "succeeded", "failed", "failed"], 2],
    ["the last one succeeded", ["failed", "failed", "succeeded"], 0],
    [
      "a skipped, missed or cancelled one counts neither way",
      ["failed", "skipped", "missed", "cancelled", "failed"],
      2,
    ],
  ];
  for (const [says, states, count] of cases) {
    test(`${says}: ${count}`, () => {
      const ticks = states.map((state, instant) => ({ instant, state }));
      assert.equal(failedInARow(ticks).length, count);
      assert.equal(failedInARow(ticks.toReversed()).length, count, "in whatever order they are read");
    });
  }
});

test("pauseAfterFailures is a whole number from 0 to 100, and anything else is refused by its pointer", () => {
  for (const right of [0, 1, 100]) assert.ok(checkJob({ ...job, pauseAfterFailures: right }).ok);
  for (const wrong of [-1, 1.5, 101, "3", null]) {
    const refused = checkJob({ ...job, pauseAfterFailures: wrong });
    assert.ok(!refused.ok);
    assert.deepEqual(
      refused.problems.map(({ pointer }) => pointer),
      ["/pauseAfterFailures"],
    );
    assert.match(refused.problems[0]?.message ?? "", /0 \(never\) to 100/);
  }
});

describe("a job whose ticks fail", () => {
  test("is paused after that many of them, once for all peers, and why says so", () => {
    const cores = new Cores(["a", "b", "c"], { exitCode: 1 });
    cores.put(job);
    cores.pass(120 * second);
    assert.equal(cores.starts.length, 3);
    const pauses = [...(cores.pauses.get(id)?.values() ?? [])];
    assert.equal(pauses.length, 1);
    assert.equal(pauses[0]?.by, "cicada");
    assert.match(pauses[0].note ?? "", /^3 ticks in a row have failed, the last 2026-/);
    for (const peer of ["a", "b", "c"]) {
      const state = cores.state(peer);
      assert.equal(jobNow(state, state.now, id)?.state, "paused");
      assert.match(
        obstaclesOf(state, state.now, id)[0] ?? "",
        /cicada paused it at .*: 3 ticks in a row have failed/,
      );
    }
    const skipped = cores.recordsOf("a").filter(({ reason }) => reason === "paused");
    assert.ok(skipped.length >= 8 && skipped.every(({ state }) => state === "skipped"));
  });

  test("is not paused while some of them succeed in between", () => {
    const cores = new Cores(["a", "b"]);
    cores.exitCodeOf = () => (cores.starts.length % 3 === 0 ? 0 : 1);
    cores.put(job);
    cores.pass(120 * second);
    assert.ok(cores.starts.length >= 11, `${cores.starts.length} starts`);
    assert.equal(cores.pauses.size, 0);
  });

  test("counts a tick with all its attempts once", () => {
    const cores = new Cores(["a", "b"], { exitCode: 1 });
    cores.put({ ...job, schedule: "@every 30s", retry: { attempts: 2, backoff: "1s" } });
    cores.pass(200 * second);
    assert.equal(cores.starts.length, 3 * 3);
    assert.equal(cores.pauses.get(id)?.size, 1);
  });

  test("is paused by another peer if the one that reports the tick dies just when it has failed", () => {
    const cores = new Cores(["a", "b", "c"], { exitCode: 1 });
    cores.put({ ...job, pauseAfterFailures: 1 });
    // The first tick's runner reports it too, and dies between the end of the run and the answer of its disk.
    while (cores.starts.length === 0) cores.pass(100);
    const runner = cores.starts[0]?.peer ?? "";
    cores.full.add(runner as PeerId);
    cores.pass(cores.runMs + 2);
    cores.kill(runner);
    cores.full.clear();
    cores.pass(40 * second);
    assert.ok((cores.pauses.get(id)?.size ?? 0) >= 1);
  });

  test("is not paused again by ticks that had failed before a person resumed it", () => {
    const cores = new Cores(["a", "b"], { exitCode: 1 });
    cores.put(job);
    cores.pass(60 * second);
    const failed = cores.starts.length;
    assert.equal(failed, 3);
    const resumedAt = cores.wall(cores.now);
    cores.pauses.clear();
    cores.put(job, { resumedAt, failuresFrom: resumedAt });
    cores.pass(60 * second);
    assert.equal(cores.starts.length, failed + 3, "as many more have to fail");
    assert.equal(cores.pauses.get(id)?.size, 1);
  });

  test("runs for ever with 0", () => {
    const cores = new Cores(["a"], { exitCode: 1 });
    cores.put({ ...job, pauseAfterFailures: 0 });
    cores.pass(120 * second);
    assert.ok(cores.starts.length >= 11);
  });

  test("is left to others by a peer whose version doesn't know the rule", () => {
    const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
    cores.pass(10 * second);
    cores.put(job);
    cores.pass(60 * second);
    assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
  });
});

describe("the simulator's checkers", () => {
  const minute = 60_000;
  const beginning = Date.parse("2026-11-20T00:00:00Z");
  const peers = ["ann", "ben"] as PeerId[];
  const rules: JobRules = {
    id,
    schedule: everyMinute,
    overlap: "allow",
    catchUp: { policy: "latest", windowMs: 10 * minute },
    peers: undefined,
    pauseAfterFailures: 3,
  };
  const ticks = ticksOf(everyMinute, beginning + minute, beginning + 20 * minute);
  const runs = (outcomeOf: (place: number) => Run["outcome"]): Run[] =>
    ticks.map((instant, place) => {
      const outcome = outcomeOf(place);
      const [start, end] = [instant + 5, instant + 500];
      const run = {
        job: id,
        tick: tickAt(instant),
        attempt: 1,
        peer: peers[0] as PeerId,
        life: 1,
        start,
        end,
      };
      return outcome === undefined ? run : { ...run, outcome };
    });
  const evidence = (all: readonly Run[]): Evidence => ({
    peers,
    from: beginning,
    to: beginning + 20 * minute,
    healedAt: beginning + 10 * minute,
    operations: [
      {
        request: { kind: "put", rules },
        peer: peers[0] as PeerId,
        askedAt: beginning + second,
        answeredAt: beginning + second,
        accepted: true,
        tick: undefined,
      },
    ],
    outages: [],
    cuts: [],
    faultWindows: [],
    clockErrorMs: new Map(),
    convergedViews: [],
    final: [],
    runs: all,
  });
  const failing = (from: number, to: number) =>
    runs((place) => (place >= from && place < to ? "failed" : "succeeded"));

  test("find a job that goes on after that many failed ticks", () => {
    assert.deepEqual(checkFailurePauses(evidence(failing(3, 5))), []);
    assert.ok(checkFailurePauses(evidence(failing(3, 6))).some(({ rule }) => rule === "I5"));
  });

  test("find a job that stops after fewer", () => {
    assert.deepEqual(checkLoss(evidence(failing(3, 6).slice(0, 6))), []);
    assert.ok(checkLoss(evidence(failing(3, 5).slice(0, 5))).some(({ rule }) => rule === "I1"));
  });
});
