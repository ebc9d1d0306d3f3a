/** Limits of a job's processes (core/checks/limits.ts): what a job may say, and which peers run it. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { actionOf, equipmentOf } from "../src/core/checks/action.ts";
import { checkJob } from "../src/core/checks/job.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import type { JobId, PeerId, RunId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const id = "load" as JobId;

describe("limits are refused with the place and the remedy", () => {
  const cases: [string, object, RegExp][] = [
    ["too nice", { limits: { nice: 20 } }, /^\/limits\/nice: nice is a whole number from -20/],
    ["memory without a unit", { limits: { memory: "512" } }, /^\/limits\/memory: "512" is not a size/],
    ["no memory", { limits: { memory: "0MiB" } }, /^\/limits\/memory: .* is not a size/],
    ["no processes", { limits: { processes: 0 } }, /^\/limits\/processes: /],
    ["an unknown limit", { limits: { cpu: 1 } }, /^\/limits\/cpu: unknown field/],
    ["another background", { background: "kill" }, /^\/background: must be one of end, leave/],
  ];
  for (const [title, job, expected] of cases) {
    it(title, () => {
      const check = checkJob({ id, command: "true", ...job });
      assert.ok(!check.ok);
      assert.match(
        check.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join("\n"),
        expected,
      );
    });
  }
});

test("a run has exactly the limits that its job names, and none without", () => {
  const limits = { nice: 5, memory: "64MiB", openFiles: 99, processes: 9 };
  assert.partialDeepStrictEqual(actionOf({ id, command: "x", limits, background: "leave" }), {
    limits: { nice: 5, memoryBytes: 67_108_864, openFiles: 99, processes: 9 },
    leavesBackground: true,
  });
  const plain = actionOf({ id, command: "x" });
  assert.ok(plain.kind === "process" && !("limits" in plain) && !("leavesBackground" in plain));
});

test("a run says how many processes were ended with its program", () => {
  const notes: string[] = [];
  for (const leftRunning of [undefined, 1, 3]) {
    const cores = new Cores(["a"], { runMs: Infinity });
    cores.put({ id, command: "x", schedule: "@every 10s" });
    cores.pass(15_000);
    const [{ run } = { run: "" as RunId }] = cores.starts;
    const log = { logBytes: 0, logTruncated: false };
    cores.feed("a" as PeerId, {
      kind: "childEnded",
      run,
      at: cores.wall(cores.now),
      outcome: { kind: "exited", exitCode: 0, leftRunning, ...log },
    });
    const record = cores.recordsOf("a").find(({ state }) => state === "succeeded");
    assert.ok(record);
    notes.push(...(record.notes ?? ["none"]));
  }
  assert.equal(notes[0], "none");
  assert.match(
    notes[1] ?? "",
    /^a process was still running when its program ended, and cicada ended what was left; `background: leave`/,
  );
  assert.match(notes[2] ?? "", /^3 processes were still running/);
});

test("a job needs of its host what it names: also root for a priority below 0, and a user for a limit of processes", () => {
  assert.deepEqual(equipmentOf({ id, command: "x", limits: { nice: -5, processes: 9 } }), [
    "executor:shell",
    "user:",
    "group:default",
    "limits:nice",
    "limits:processes",
    "limits:nice-below-0",
    "limits:processes-of-own-user",
  ]);
  assert.deepEqual(equipmentOf({ id, command: "x", user: "ann", limits: { processes: 9 } }), [
    "executor:shell",
    "user:ann",
    "group:default",
    "limits:processes",
  ]);
});

test("a peer that can't enforce a limit leaves the job to others, and its problem says so where there is none", () => {
  const cores = new Cores(["a", "b"], { lacks: { b: ["limits:memory"] } });
  cores.pass(10_000);
  cores.put({ id, schedule: "@every 10s", command: "true", limits: { memory: "64MiB" } });
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
  const alone = new Cores(["a"], { lacks: { a: ["limits:memory"] } });
  alone.put({ id, schedule: "@every 10s", command: "true", limits: { memory: "64MiB" } });
  alone.pass(30_000);
  assert.equal(alone.starts.length, 0);
  const plan = alone.state("a").jobs.plans.get(id);
  assert.ok(plan !== undefined);
  assert.match(whyBlocked(alone.state("a"), plan)?.message ?? "", /host-a can't enforce limits\.memory/);
});

test("a peer of a version without limits doesn't run a job that has them", () => {
  const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
  cores.pass(10_000);
  cores.put({ id, schedule: "@every 10s", command: "true", limits: { nice: 5 } });
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
});
