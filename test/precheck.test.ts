/** A job's precheck (core/checks/precheck.ts, core/orders/precheck.ts): when the job itself starts after it, and when not. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { checkJob } from "../src/core/checks/job.ts";
import { judgePrecheck } from "../src/core/checks/precheck.ts";
import type { ChildOutcome } from "../src/ports.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import { Cores, type Start } from "./kit/cores.ts";

const id = "load" as JobId;
const job: JobSpec = { id, schedule: "@every 10s", command: "true", precheck: { command: "test -e /ready" } };

describe("a precheck is refused with the place and the remedy", () => {
  const cases: [string, unknown, RegExp][] = [
    ["nothing to run", {}, /^\/precheck: give its command/],
    ["two commands", { command: "true", argv: ["true"] }, /^\/precheck\/argv: give either/],
    ["an empty command", { command: " " }, /^\/precheck\/command: the command is empty/],
    ["an empty program", { argv: [""] }, /^\/precheck\/argv\/0: the program's name is empty/],
    ["no limit", { command: "true", timeout: 0 }, /^\/precheck\/timeout: a precheck needs a limit/],
    ["a limit without a unit", { command: "true", timeout: "30" }, /^\/precheck\/timeout: .*duration/],
    ["an unknown field", { command: "true", user: "root" }, /^\/precheck\/user: unknown field/],
    ["a text", "true", /^\/precheck: precheck is an object/],
  ];
  for (const [title, precheck, expected] of cases) {
    it(title, () => {
      const check = checkJob({ id, command: "true", precheck });
      assert.ok(!check.ok);
      assert.match(
        check.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join("\n"),
        expected,
      );
    });
  }
});

describe("the end of a precheck", () => {
  const log = { logBytes: 0, logTruncated: false };
  const cases: [string, ChildOutcome, object | undefined][] = [
    ["exit code 0 lets the job start", { kind: "exited", exitCode: 0, ...log }, undefined],
    [
      "any other exit code skips the run",
      { kind: "exited", exitCode: 3, ...log },
      { state: "skipped", reason: "precheck", exitCode: 3 },
    ],
    [
      "one that hangs skips the run with that reason",
      { kind: "timeout", ...log },
      { state: "skipped", reason: "precheck: it did not end within 30s" },
    ],
    [
      "one that is killed skips the run with that reason",
      { kind: "signalled", signal: "SIGKILL", ...log },
      { state: "skipped", reason: "precheck: it was killed by SIGKILL", signal: "SIGKILL" },
    ],
    [
      "one that can't be started skips the run with that reason",
      { kind: "not-started", why: "error", reason: "there is no program x" },
      { state: "skipped", reason: "precheck: not started: there is no program x" },
    ],
  ];
  for (const [title, outcome, expected] of cases) {
    it(title, () => assert.deepEqual(judgePrecheck(outcome, 30_000), expected));
  }
});

function namesOf(starts: readonly Start[]): string[] {
  return starts.map(({ isPrecheck, run }) => `${isPrecheck ? "precheck" : "job"} ${run}`);
}

test("each attempt begins with its precheck, on the same peer and under the same run, and then the job starts", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put(job);
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 10);
  const prechecks = cores.starts.filter(({ isPrecheck }) => isPrecheck);
  for (const { run, peer } of prechecks.slice(0, -1)) {
    const own = cores.starts.filter((start) => start.run === run);
    assert.deepEqual(
      [namesOf(own), own.map((start) => start.peer)],
      [
        [`precheck ${run}`, `job ${run}`],
        [peer, peer],
      ],
    );
  }
  assert.ok(cores.recordsOf("a").some(({ state }) => state === "succeeded"));
});

test("while the precheck is under way the run counts as running, and says so", () => {
  const cores = new Cores(["a", "b"], { runMs: 3_000 });
  cores.put(job);
  while (cores.starts.length === 0) cores.pass(100);
  cores.pass(500);
  const [record] = cores.recordsOf("b");
  assert.deepEqual([record?.state, record?.phase], ["running", "precheck"]);
  cores.pass(3_500);
  const [later] = cores.recordsOf("b");
  assert.deepEqual([later?.state, later?.phase], ["running", undefined]);
});

test("a precheck that fails skips its run on every peer, is not repeated, and the job doesn't start", () => {
  const cores = new Cores(["a", "b"], { exitCode: 3 });
  cores.put({ ...job, retry: { attempts: 3, backoff: "1s" } });
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ isPrecheck }) => isPrecheck));
  assert.equal(new Set(cores.starts.map(({ tick }) => tick)).size, cores.starts.length);
  const over = cores.recordsOf("b").filter(({ state }) => state !== "running" && state !== "claimed");
  assert.ok(over.length >= 4);
  for (const { state, reason, exitCode, startedAt } of over) {
    assert.deepEqual([state, reason, exitCode], ["skipped", "precheck", 3]);
    assert.ok(startedAt !== undefined);
  }
});

describe("a job that may not start any more when its precheck ends isn't started", () => {
  const cases: [string, (cores: Cores) => void, string, RegExp][] = [
    [
      "because it was paused",
      (cores) => cores.put(job, { pauses: [{ by: "ann", at: 1 }] }),
      "skipped",
      /^paused$/,
    ],
    ["because it was deleted", (cores) => cores.remove(id), "cancelled", /deleted while its precheck ran/],
    [
      "because it was disabled",
      (cores) => cores.put({ ...job, enabled: false }),
      "cancelled",
      /disabled while its precheck ran/,
    ],
  ];
  for (const [title, meanwhile, state, reason] of cases) {
    it(title, () => {
      const cores = new Cores(["a"], { runMs: 4_000 });
      cores.put(job);
      while (cores.starts.length === 0) cores.pass(100);
      cores.pass(500);
      meanwhile(cores);
      cores.pass(5_000);
      assert.equal(cores.starts.length, 1);
      const [record] = cores.recordsOf("a");
      assert.equal(record?.state, state);
      assert.match(record?.reason ?? "", reason);
    });
  }
});

test("a peer of a version without prechecks doesn't run a job that has one", () => {
  const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
  cores.pass(10_000);
  cores.put(job);
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 10 && cores.starts.every(({ peer }) => peer === "a"));
});
