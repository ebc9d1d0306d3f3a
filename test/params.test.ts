/** A job's parameters: what may be declared, which values a run gets (core/checks/params.ts), and where they are shown. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkJob } from "../src/core/checks/job.ts";
import { paramsOfRun, type Params } from "../src/core/checks/params.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import type { ParamValues } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";

const report = { id: "report", command: "true" };

describe("a job's parameters are refused, with the field", () => {
  const cases: [string, object, RegExp][] = [
    ["that are a list", { params: ["DAY"] }, /^\/params: params maps names to objects/],
    ["that are no objects", { params: { DAY: "today" } }, /^\/params\/DAY: a parameter is an object/],
    ["without a type", { params: { DAY: {} } }, /^\/params\/DAY\/type: must be one of string, number/],
    [
      "of an unknown type",
      { params: { DAY: { type: "date" } } },
      /^\/params\/DAY\/type: must be one of string/,
    ],
    [
      "with an unknown field",
      { params: { DAY: { type: "string", choice: ["a"] } } },
      /^\/params\/DAY\/choice: unknown field .*"choices"/,
    ],
    [
      "whose name can't be a variable's",
      { params: { "A-B": { type: "string" } } },
      /^\/params\/A-B: a parameter's name is/,
    ],
    [
      "that choose from nothing",
      { params: { DAY: { type: "choice" } } },
      /^\/params\/DAY\/choices: a choice needs choices/,
    ],
    [
      "with choices of a number",
      { params: { N: { type: "number", choices: ["1"] } } },
      /^\/params\/N\/choices: only a parameter of the type choice/,
    ],
    [
      "with a default that is no choice",
      { params: { DAY: { type: "choice", choices: ["a", "b"], default: "c" } } },
      /^\/params\/DAY\/default: "c" is not one of a, b/,
    ],
    [
      "with a default of another type",
      { params: { N: { type: "number", default: "many" } } },
      /^\/params\/N\/default: "many" is not a number/,
    ],
    [
      "with a number as a text",
      { params: { N: { type: "number", default: "3" } } },
      /^\/params\/N\/default: the default of a number is not a text/,
    ],
    [
      "with larger defaults than a record holds",
      { params: { A: { type: "string", default: "x".repeat(4_096) } } },
      /^\/params: the values of a run can have at most 4096 bytes/,
    ],
    [
      "that are required without a default, if it has a schedule",
      { schedule: "@daily", params: { DAY: { type: "string", required: true } } },
      /^\/params\/DAY: a scheduled run would have no value for it/,
    ],
  ];
  for (const [title, fields, says] of cases) {
    test(title, () => {
      const check = checkJob({ ...report, ...fields });
      assert.ok(!check.ok);
      const problems = check.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
      assert.ok(problems.length === 1 && says.test(problems[0] ?? ""), problems.join("\n"));
    });
  }

  test("but are taken if required ones have a default, or if the job has no schedule", () => {
    const day = { type: "string", required: true };
    assert.ok(checkJob({ ...report, params: { DAY: day } }).ok);
    assert.ok(checkJob({ ...report, schedule: "@daily", params: { DAY: { ...day, default: "today" } } }).ok);
  });
});

const params: Params = {
  DAY: { type: "string", required: true },
  COUNT: { type: "number", default: 3 },
  DRY: { type: "boolean", default: false },
  SIZE: { type: "choice", choices: ["small", "large"] },
};

describe("the values of a run", () => {
  const cases: [string, ParamValues | undefined, ParamValues | string][] = [
    [
      "are those given, and the defaults of the others",
      { DAY: "monday" },
      { DAY: "monday", COUNT: 3, DRY: false },
    ],
    [
      "are read from texts",
      { DAY: "5", COUNT: "-1.5e3", DRY: "true", SIZE: "small" },
      { DAY: "5", COUNT: -1500, DRY: true, SIZE: "small" },
    ],
    ["may be an empty text", { DAY: "" }, { DAY: "", COUNT: 3, DRY: false }],
    ["must include the required ones", { COUNT: 1 }, "/params/DAY: it is required, and has no default"],
    [
      "must include the required ones if none are given",
      undefined,
      "/params/DAY: it is required, and has no default",
    ],
    [
      "must be declared",
      { DAY: "x", COUNTS: 3 },
      '/params/COUNTS: unknown parameter "COUNTS": did you mean "COUNT"?',
    ],
    [
      "must be declared by the job itself",
      { DAY: "x", toString: "x" },
      '/params/toString: unknown parameter "toString"',
    ],
    ["must be numbers", { DAY: "x", COUNT: "many" }, '/params/COUNT: "many" is not a number'],
    ["must be finite numbers", { DAY: "x", COUNT: "1e999" }, '/params/COUNT: "1e999" is not a number'],
    ["must not be empty numbers", { DAY: "x", COUNT: "" }, '/params/COUNT: "" is not a number'],
    ["must be true or false", { DAY: "x", DRY: 1 }, "/params/DRY: 1 is neither true nor false"],
    ["must be texts", { DAY: 5 }, "/params/DAY: 5 is not a text"],
    ["must not contain a NUL", { DAY: "a\0" }, '/params/DAY: "a\\u0000" is not a text'],
    [
      "must be one of the choices",
      { DAY: "x", SIZE: "huge" },
      '/params/SIZE: "huge" is not one of small, large',
    ],
    [
      "must fit into a record",
      { DAY: "x".repeat(4_090) },
      "/params: the values of a run can have at most 4096 bytes of JSON, and these have 4122",
    ],
  ];
  for (const [title, given, expected] of cases) {
    test(title, () => {
      const read = paramsOfRun(params, given);
      const problems = read.ok ? [] : read.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
      assert.deepEqual(read.ok ? read.values : problems.join("\n"), expected);
    });
  }

  test("of a job without parameters are none", () => {
    assert.deepEqual(paramsOfRun(undefined), { ok: true, values: {} });
    const read = paramsOfRun(undefined, { DAY: "x" });
    assert.deepEqual(read.ok ? [] : read.problems, [
      { pointer: "/params/DAY", message: 'unknown parameter "DAY": the job has no parameters' },
    ]);
  });
});

const withDefault: JobSpec = {
  id: "report" as JobId,
  schedule: "@every 10s",
  command: "true",
  env: { CICADA_PARAM_DAY: "not this" },
  params: { DAY: { type: "string", default: "today" }, DRY: { type: "boolean" } },
};

test("a run of the schedule gets the defaults, and a run by hand what is given, on any peer; both records say so", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put(withDefault);
  cores.pass(30_000);
  cores.ask("b", { kind: "run-job", id: withDefault.id, params: { DAY: "monday", DRY: "true" }, by: "ann" });
  cores.pass(10_000);
  const manual = cores.starts.find(({ tick }) => tick.startsWith("manual-"));
  const scheduled = cores.starts.find(({ tick }) => !tick.startsWith("manual-"));
  assert.equal(scheduled?.env["CICADA_PARAM_DAY"], "today", "it wins over the job's environment");
  assert.ok(scheduled !== undefined && !Object.hasOwn(scheduled.env, "CICADA_PARAM_DRY"));
  assert.deepEqual([manual?.env["CICADA_PARAM_DAY"], manual?.env["CICADA_PARAM_DRY"]], ["monday", "true"]);
  for (const peer of ["a", "c"] as PeerId[]) {
    const records = cores.recordsOf(peer);
    const paramsOf = (tick: string | undefined) => records.find((record) => record.tick === tick)?.params;
    assert.deepEqual(paramsOf(manual?.tick), { DAY: "monday", DRY: true });
    assert.deepEqual(paramsOf(scheduled.tick), { DAY: "today" });
  }
});

test("a run by hand with a wrong parameter is refused with the parameter, and nothing starts", () => {
  const cores = new Cores(["a"]);
  cores.put({ ...withDefault, schedule: "@yearly" });
  cores.ask("a", { kind: "run-job", id: withDefault.id, params: { DRY: "maybe" }, by: "ann" });
  const answer = cores.answers.at(-1);
  assert.ok(answer?.kind === "refused");
  assert.equal(answer.error.code, "UNPROCESSABLE");
  assert.deepEqual(answer.error.problems, [
    { pointer: "/params/DRY", message: '"maybe" is neither true nor false' },
  ]);
  cores.pass(10_000);
  assert.deepEqual(cores.starts, []);
});

test("a peer of a version without parameters doesn't run a job that has them", () => {
  const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
  cores.pass(10_000);
  cores.put(withDefault);
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
});
