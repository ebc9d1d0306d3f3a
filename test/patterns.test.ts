/** Patterns over output (core/checks/patterns.ts, core/job/success.ts): which rules a job has, and what a broken one means. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { withCheckedPatterns } from "../src/cli/start/checked-patterns.ts";
import { checkJob, checkedJob } from "../src/core/checks/job.ts";
import { patternRulesOf } from "../src/core/checks/patterns.ts";
import { judgeEnd, successOf } from "../src/core/job/success.ts";
import type { Command } from "../src/ports/command.ts";
import type { Control } from "../src/ports/control.ts";
import type { JobId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const id = "report" as JobId;

test("a job has a rule for each of its patterns, over the output or over the answer's body", () => {
  const rules = patternRulesOf({
    success: { mustMatch: "done", mustNotMatch: ["ERROR", "FATAL"] },
    http: { expectBody: "ok" },
  });
  assert.deepEqual(
    rules.map(({ field, pattern, matches, over }) => [field, pattern, matches, over]),
    [
      ["http.expectBody", "ok", true, "body"],
      ["success.mustMatch", "done", true, "output"],
      ["success.mustNotMatch", "ERROR", false, "output"],
      ["success.mustNotMatch", "FATAL", false, "output"],
    ],
  );
  assert.deepEqual(patternRulesOf({}), []);
});

describe("patterns of a job are refused with the place and the remedy", () => {
  const cases: [string, object, RegExp][] = [
    ["an empty one", { success: { mustMatch: "" } }, /^\/success\/mustMatch: a pattern \(RE2\)/],
    [
      "too long a one",
      { success: { mustMatch: "a".repeat(1_025) } },
      /^\/success\/mustMatch: a pattern \(RE2\)/,
    ],
    ["none in the list", { success: { mustNotMatch: [] } }, /^\/success\/mustNotMatch: a pattern/],
    ["a number", { success: { mustNotMatch: 7 } }, /^\/success\/mustNotMatch: a pattern/],
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

describe("a run whose output breaks a rule", () => {
  const success = successOf({ success: { exitCodes: [0, 3], skipCodes: [75] } });
  const broken = 'success.mustNotMatch: the output matches "ERROR"';
  const end = (exitCode: number) => judgeEnd(success, { isTimeout: false, exitCode, broken });
  it("fails, and its reason names the rule", () => {
    assert.deepEqual(end(3), { state: "failed", exitCode: 3, reason: broken });
  });
  it("is skipped or failed by its exit code first", () => {
    assert.deepEqual(end(75), { state: "skipped", reason: "exit-code", exitCode: 75 });
    assert.match(end(4).reason ?? "", /^exit code 4 is not one of success\.exitCodes/);
  });
  it("is timed out first", () => {
    assert.equal(judgeEnd(success, { isTimeout: true, exitCode: 0, broken }).state, "timeout");
  });
});

test("a job's patterns are checked before it is written, with the place of each wrong one; others aren't looked at", async () => {
  const asked: Command[] = [];
  const checked: string[] = [];
  // Only `ask` is used.
  const control = { ask: async (command: Command) => void asked.push(command) } as unknown as Control;
  const guarded = withCheckedPatterns(control, async (patterns) => {
    checked.push(...patterns);
    return patterns.map((pattern) => (pattern.includes("(") ? "missing closing )" : undefined));
  });
  const put = (success: object): Command => ({
    kind: "put-job",
    mode: "create",
    by: "x",
    spec: checkedJob({ id, command: "true", success }),
  });
  const answer = await guarded.ask(put({ mustMatch: "fine", mustNotMatch: ["ok", "a(b"] }));
  assert.ok(answer.kind === "refused");
  assert.equal(answer.error.code, "INVALID_JOB");
  assert.deepEqual(answer.error.problems, [
    {
      pointer: "/success/mustNotMatch/1",
      message: '"a(b" is not a pattern of RE2\'s syntax: missing closing )',
    },
  ]);
  const patch = { http: { expectBody: "(" }, success: null };
  const patched = await guarded.ask({ kind: "patch-job", id, patch, by: "x" });
  assert.equal(patched.kind === "refused" && patched.error.problems[0]?.pointer, "/http/expectBody");
  assert.equal(asked.length, 0);
  const unable = withCheckedPatterns(control, async () => ({ unchecked: "this host has no room" }));
  const refused = await unable.ask(put({ mustMatch: "fine" }));
  assert.equal(refused.kind === "refused" && refused.error.code, "NOT_READY", "that is not the job's fault");
  assert.equal(asked.length, 0);
  checked.length = 0;
  await guarded.ask(put({ exitCodes: [0] }));
  assert.deepEqual([asked.length, checked], [1, []]);
});

test("a run is judged by its job's patterns only where its exit code would be a success, and only by peers that know them", () => {
  const cores = new Cores(["a", "b"], {
    capabilities: { b: ["executor:process", "majority", "field:success"] },
  });
  cores.pass(10_000);
  const success = { exitCodes: [0, 3], skipCodes: [3], mustMatch: "ok" };
  cores.put({ id, schedule: "@every 10s", command: "true", success });
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
  const rules = [{ field: "success.mustMatch", pattern: "ok", matches: true, over: "output" }];
  assert.deepEqual(cores.starts[0]?.patterns, { exitCodes: [0], rules });
});
