/** What the end of a process means for its run (core/job/success.ts), and that a run that was skipped counts as a run. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judgeEnd, successOf, type ProcessEnd } from "../src/core/job/success.ts";
import { describeTick } from "../src/core/records/why.ts";
import { duplicatesIn, hasStarted, isDecidedAhead, isRecordOfStart } from "../src/core/records/records.ts";
import { Outcomes } from "../src/peer/history/outcomes.ts";
import type { RunQuery } from "../src/ports/disk.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";

function exited(exitCode: number): ProcessEnd {
  return { isTimeout: false, exitCode };
}

describe("a run's state by the end of its process", () => {
  const rules = { exitCodes: [0, 3], skipCodes: [75] };
  const both = { exitCodes: [0, 75], skipCodes: [75] };
  const cases: [string, JobSpec["success"], ProcessEnd, object][] = [
    ["exit code 0 is a success", undefined, exited(0), { state: "succeeded", exitCode: 0 }],
    ["any other exit code is a failure", undefined, exited(3), { state: "failed", exitCode: 3 }],
    [
      "a signal is a failure",
      undefined,
      { isTimeout: false, signal: "SIGKILL" },
      { state: "failed", signal: "SIGKILL" },
    ],
    ["a timeout is a timeout", undefined, { isTimeout: true }, { state: "timeout" }],
    ["one of its exit codes is a success", rules, exited(3), { state: "succeeded", exitCode: 3 }],
    [
      "an exit code that it doesn't list is a failure, with the rule as reason",
      rules,
      exited(4),
      { state: "failed", exitCode: 4, reason: "exit code 4 is not one of success.exitCodes (0, 3)" },
    ],
    [
      "exit code 0 is a failure if it doesn't list it",
      { exitCodes: [1] },
      exited(0),
      { state: "failed", exitCode: 0, reason: "exit code 0 is not one of success.exitCodes (1)" },
    ],
    ["a skip code is a skip", rules, exited(75), { state: "skipped", reason: "exit-code", exitCode: 75 }],
    [
      "a skip code comes before the exit codes",
      both,
      exited(75),
      { state: "skipped", reason: "exit-code", exitCode: 75 },
    ],
    [
      "a skip code comes before the timeout",
      rules,
      { isTimeout: true, exitCode: 75 },
      { state: "skipped", reason: "exit-code", exitCode: 75 },
    ],
    [
      "the timeout comes before the exit codes",
      rules,
      { isTimeout: true, exitCode: 0 },
      { state: "timeout" },
    ],
    [
      "a signal is a failure whatever codes it lists",
      rules,
      { isTimeout: false, signal: "SIGTERM" },
      { state: "failed", signal: "SIGTERM" },
    ],
  ];
  for (const [title, success, end, expected] of cases) {
    test(title, () => {
      assert.deepEqual(judgeEnd(successOf(success === undefined ? {} : { success }), end), expected);
    });
  }
});

const beat: JobSpec = {
  id: "beat" as JobId,
  schedule: "@every 10s",
  command: "true",
  success: { skipCodes: [75] },
};

describe("a run that was skipped by its exit code", () => {
  const cores = new Cores(["a", "b", "c"], { exitCode: 75 });
  cores.put(beat);
  cores.pass(120_000);
  const records = cores.recordsOf("a");
  const [first] = records;
  assert.ok(first !== undefined);

  test("is on every peer's disk with its start, end and exit code, and its tick ran once", () => {
    assert.ok(records.length >= 11);
    for (const { state, reason, exitCode, startedAt, finishedAt } of records) {
      assert.deepEqual([state, reason, exitCode], ["skipped", "exit-code", 75]);
      assert.ok(startedAt !== undefined && finishedAt !== undefined);
    }
    const ticks = cores.starts.map(({ tick }) => tick);
    assert.equal(new Set(ticks).size, ticks.length);
    assert.equal(cores.records.get("b" as PeerId)?.size, records.length);
  });

  test("counts as started: it is never taken for a decision without a run", () => {
    const decided: RunRecord = { ...first, reason: "overlap" };
    delete decided.startedAt;
    assert.deepEqual([hasStarted(first), hasStarted(decided)], [true, false]);
    assert.deepEqual([isRecordOfStart(first), isRecordOfStart(decided)], [true, false]);
    assert.deepEqual([isDecidedAhead(first, 0), isDecidedAhead(decided, 0)], [false, true]);
  });

  test("is a duplicate beside another run of its tick", () => {
    const other: RunRecord = { ...first, peer: "z" as PeerId, state: "succeeded" };
    assert.equal(duplicatesIn([first, other]).length, 2);
  });

  test("is the job's last run and its last tick, also after many ticks that were not run", async () => {
    const skips = Array.from({ length: 19 }, (_, index): RunRecord => {
      const tick = `2026-11-21T${String(23 - index).padStart(2, "0")}:00:00Z` as TickId;
      const { startedAt: _startedAt, ...rest } = first;
      return { ...rest, tick, reason: "overlap" };
    });
    const older: RunRecord = { ...first, tick: "2026-11-19T00:00:00Z" as TickId, state: "failed" };
    const history = [...skips, ...skips.slice(0, 1), first, older];
    const read = async ({ states, started, limit }: RunQuery) => ({
      records: history
        .filter(({ state }) => states?.includes(state) ?? true)
        .filter(({ startedAt }) => started !== true || startedAt !== undefined)
        .slice(0, limit),
    });
    const newest = async (_jobs: readonly JobId[], limit: number) => [history.slice(0, limit)];
    const outcomes = new Outcomes(read, newest, () => true);
    assert.equal((await outcomes.of("beat" as JobId)).lastRun?.tick, first.tick);
    outcomes.take({ ...first, tick: "2026-11-22T00:00:00Z" as TickId });
    const { lastTick, lastRun } = await outcomes.of("beat" as JobId);
    assert.deepEqual([lastTick?.state, lastTick?.reason], ["skipped", "exit-code"]);
    assert.equal(lastRun?.tick, "2026-11-22T00:00:00Z");
  });

  test("is explained as a run that ended, with the rule", () => {
    const { state, why } = describeTick(first.tick, [first], (peer) => peer);
    assert.equal(state, "skipped");
    assert.match(
      why[0] ?? "",
      /started it at .*; it ended with exit code 75 at .*: the job's success\.skipCodes say that there was nothing to do\. It was first in line/,
    );
  });
});

test("what a run's end means is decided by the job as it was when the run started", () => {
  const cores = new Cores(["a"], { exitCode: 3, runMs: 5_000 });
  cores.put({ ...beat, success: { exitCodes: [3] } });
  while (cores.starts.length === 0) cores.pass(1_000);
  cores.put({ ...beat, success: { exitCodes: [0] } });
  cores.pass(6_000);
  const [record] = cores.records.get("a" as PeerId)?.values() ?? [];
  assert.equal(record?.state, "succeeded");
});

test("a peer of a version without success rules doesn't run a job that has them", () => {
  const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
  cores.pass(10_000);
  cores.put(beat);
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
});
