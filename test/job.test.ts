/** Which jobs are valid, and what the author of an invalid one is told. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkJob } from "../src/core/checks/job.ts";

const least = { id: "backup", command: "true" };

/** The problems as `pointer: message`. */
function refused(input: unknown, code = "INVALID_JOB"): string[] {
  const check = checkJob(input);
  assert.ok(!check.ok, "it was accepted");
  assert.equal(check.code, code);
  assert.ok(check.problems.length > 0);
  return check.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
}

describe("a job is accepted", () => {
  it("with an id and a command alone", () => {
    assert.deepEqual(checkJob(least), { ok: true, spec: least });
  });
  it("with every field that this version keeps", () => {
    const whole = {
      id: "nightly.backup-2_a",
      schedule: ["0 3 * * *", "@every 90s"],
      timezone: "Europe/Berlin",
      startsAt: "2026-01-01T00:00:00Z",
      endsAt: "2026-12-31T23:59:59+01:00",
      enabled: false,
      executor: "exec",
      argv: ["/usr/bin/rsync", "-a", ""],
      stdin: "a\0b",
      env: { PATH: "/usr/bin:/bin", _x: "" },
      cwd: "/srv",
      user: "www-data",
      umask: "022",
      timeout: "1h30m",
      killGrace: 0,
      overlap: "skip",
      catchUp: { policy: "all", window: "2h", limit: 5 },
      target: { peers: ["rome"] },
      keep: { runs: 10, age: "7d", logBytes: "64KiB" },
      group: "db",
      labels: { "app.kubernetes.io/name": "x" },
      description: "…",
      owner: "me",
    };
    assert.deepEqual(checkJob(whole), { ok: true, spec: whole });
  });
  it("when it is an edited answer of the API: read-only fields are dropped", () => {
    const answer = {
      ...least,
      revision: "r1",
      createdAt: 1,
      state: "ok",
      paused: null,
      nextTick: "x",
      problems: [],
    };
    assert.deepEqual(checkJob(answer), { ok: true, spec: least });
  });
});

describe("a job is refused with the place, the reason and the remedy", () => {
  const table: [title: string, input: object, says: RegExp][] = [
    ["no id", { command: "true" }, /^\/id: the id is missing/],
    [
      "an id with odd characters",
      { ...least, id: "My Job!" },
      /^\/id: an id is 1 to 128 characters from a-z/,
    ],
    [
      "an unknown field, with the nearest name",
      { id: "a", comand: "x" },
      /^\/comand: unknown field "comand": did you mean "command"\?/,
    ],
    [
      "an unknown field inside",
      { ...least, keep: { run: 3 } },
      /^\/keep\/run: unknown field "run": did you mean "runs"\?/,
    ],
    ["a name that needs escaping in a pointer", { ...least, "a/b~c": 1 }, /^\/a~1b~0c: unknown field/],
    ["nothing to run", { id: "a" }, /^: nothing to run: give command/],
    ["two actions", { ...least, argv: ["x"] }, /^\/argv: give either command or argv/],
    ["an empty command", { id: "a", command: " \n" }, /^\/command: the command is empty/],
    ["an empty program", { id: "a", argv: [""] }, /^\/argv\/0: the program's name is empty/],
    ["an empty argv", { id: "a", argv: [] }, /^\/argv: argv is a list of 1 to 1024/],
    [
      "an executor that does not fit",
      { ...least, executor: "exec" },
      /^\/executor: the executor "exec" does not take command/,
    ],
    ["an unknown executor", { ...least, executor: "ssh" }, /^\/executor: the executor is "shell"/],
    [
      "too few fields",
      { ...least, schedule: "0 3 * *" },
      /^\/schedule: too few fields: 4 fields.*\(at character 8\)/,
    ],
    [
      "a bad one in a list",
      { ...least, schedule: ["@daily", "61 * * * *"] },
      /^\/schedule\/1: "61" in the minute field/,
    ],
    [
      "an empty list of schedules",
      { ...least, schedule: [] },
      /^\/schedule: a schedule is a text, or a list/,
    ],
    [
      "an unknown zone",
      { ...least, timezone: "Europe/Berln" },
      /^\/timezone: .*did you mean "Europe\/Berlin"/,
    ],
    ["a bare number for a duration", { ...least, timeout: 30 }, /^\/timeout: a duration has a unit/],
    [
      "a duration without a unit",
      { ...least, catchUp: { window: "60" } },
      /^\/catchUp\/window: "60" is not a duration/,
    ],
    [
      "a duration of centuries",
      { ...least, timeout: "999999d" },
      /^\/timeout: "999999d" is too long: a duration is at most 36500d$/m,
    ],
    [
      "a size without a unit",
      { ...least, keep: { logBytes: "100" } },
      /^\/keep\/logBytes: "100" is not a size/,
    ],
    [
      "a size beyond what is kept",
      { ...least, keep: { logBytes: "2GiB" } },
      /^\/keep\/logBytes: at most 1GiB of a run's output can be kept; 2GiB is more/,
    ],
    [
      "an instant without an offset",
      { ...least, startsAt: "2026-01-01T00:00:00" },
      /^\/startsAt: .*RFC 3339/,
    ],
    [
      "an end before the beginning",
      { ...least, startsAt: "2026-01-02T00:00:00Z", endsAt: "2026-01-01T00:00:00Z" },
      /^\/endsAt: endsAt must be after/,
    ],
    [
      "a word that YAML reads as true",
      { ...least, command: true },
      /^\/command: must be a text: put it in quotes/,
    ],
    ["a text for a yes or no", { ...least, enabled: "yes" }, /^\/enabled: must be true or false/],
    ["too few runs to keep", { ...least, keep: { runs: 0 } }, /^\/keep\/runs: must be at least 1/],
    ["a relative folder", { ...least, cwd: "work" }, /^\/cwd: .*begin with \//],
    ["an odd user", { ...least, user: "root; rm" }, /^\/user: .*can't be a user name/],
    ["an invalid umask", { ...least, umask: "999" }, /^\/umask: a umask is three octal digits/],
    ["an invalid variable name", { ...least, env: { "A-B": "x" } }, /^\/env\/A-B: a variable's name/],
    ["a variable that is a number", { ...least, env: { A: 1 } }, /^\/env\/A: .*put it in quotes/],
    ["an invalid label name", { ...least, labels: { ö: "x" } }, /^\/labels\/ö: a label's name/],
    [
      "an unknown policy",
      { ...least, overlap: "never" },
      /^\/overlap: must be one of queue, queue-all, skip, allow, replace/,
    ],
    ["a limit of zero", { ...least, catchUp: { limit: 0 } }, /^\/catchUp\/limit: /],
    ["a NUL in the command", { id: "a", command: "a\0b" }, /^\/command: .*a NUL byte/],
    ["a NUL in an argument", { id: "a", argv: ["a", "b\0"] }, /^\/argv\/1: .*a NUL byte/],
    ["a NUL in a variable", { ...least, env: { A: "\0" } }, /^\/env\/A: .*a NUL byte/],
    [
      "a variable name that would change the object",
      { ...least, env: JSON.parse('{"__proto__":"x"}') as unknown },
      /^\/env\/__proto__: a variable's name/,
    ],
    [
      "more than fits into a message, though each field is short enough",
      {
        ...least,
        env: Object.fromEntries(["A", "B", "C", "D", "E"].map((name) => [name, "x".repeat(30_000)])),
      },
      /^: the job has 1500\d\d bytes of JSON, and the maximum is 131072: put long texts into a file/,
    ],
    [
      "a value that JSON can't express",
      { ...least, stdin: 1n },
      /^: the job contains a value that JSON can't express/,
    ],
    [
      "a peer without a name",
      { ...least, target: { peers: [" "] } },
      /^\/target\/peers\/0: the peer's name is empty/,
    ],
    [
      "tags that are a list",
      { ...least, target: { tags: ["ssd"] } },
      /^\/target\/tags: tags map at most 32 names/,
    ],
    [
      "exit codes that are a number",
      { ...least, success: { exitCodes: 0 } },
      /^\/success\/exitCodes: exitCodes is a list/,
    ],
    [
      "no exit code of success",
      { ...least, success: { exitCodes: [] } },
      /^\/success\/exitCodes: exitCodes is a list of 1/,
    ],
    [
      "an exit code beyond 255",
      { ...least, success: { skipCodes: [75, 256] } },
      /^\/success\/skipCodes\/1: an exit code is/,
    ],
    [
      "an unknown rule of success",
      { ...least, success: { exitCode: [0] } },
      /^\/success\/exitCode: unknown field .*exitCodes/,
    ],
    ["rules that are no list", { ...least, notify: {} }, /^\/notify: notify is a list of rules/],
    [
      "a rule for an unknown event",
      { ...least, notify: [{ on: ["exploded"], to: ["ops"] }] },
      /^\/notify\/0\/on\/0: on is a list of: failed, recovered/,
    ],
    [
      "a rule that tells nobody",
      { ...least, notify: [{ on: ["failed"], to: [] }] },
      /^\/notify\/0\/to: to is a list of 1 to 16 names of channels/,
    ],
    [
      "an unknown field of a rule",
      { ...least, notify: [{ on: ["failed"], to: ["ops"], after: 3 }] },
      /^\/notify\/0\/after: unknown field "after"/,
    ],
    [
      "a longAfter that is no duration",
      { ...least, longAfter: "soon" },
      /^\/longAfter: "soon" is neither auto/,
    ],
    [
      "a ping that is no address",
      { ...least, ping: { start: "x" } },
      /^\/ping\/start: "x" is not an address/,
    ],
    ["a ping of another kind", { ...least, ping: { end: "x" } }, /^\/ping\/end: unknown field "end"/],
    ["a ping by ftp", { ...least, ping: { start: "ftp://x" } }, /begins with https:\/\/ or http:\/\//],
    ["no weight at all", { ...least, weight: 0 }, /^\/weight: weight is a whole number from 1 to 999999/],
    ["half a weight", { ...least, weight: 1.5 }, /^\/weight: weight is a whole number/],
    ["a weight as a text", { ...least, weight: "2" }, /^\/weight: weight is a whole number/],
    ["a tag that is no text", { ...least, target: { tags: { gpus: 2 } } }, /^\/target\/tags\/gpus: /],
    [
      "a tag that no peer can have",
      { ...least, target: { prefer: { tags: { "a=b": "c" } } } },
      /^\/target\/prefer\/tags\/a=b: a tag's name is 1 to 128 characters without =/,
    ],
    [
      "a preference for something else than tags",
      { ...least, target: { prefer: { peers: ["a"] } } },
      /^\/target\/prefer\/peers: unknown field "peers"/,
    ],
    [
      "a preference that is no object",
      { ...least, target: { prefer: "ssd" } },
      /^\/target\/prefer: prefer is an object/,
    ],
  ];
  for (const [title, input, says] of table) {
    it(title, () => {
      const problems = refused(input);
      assert.ok(
        problems.some((problem) => says.test(problem)),
        problems.join("\n"),
      );
    });
  }
  it("when it is not an object", () => {
    for (const input of [null, undefined, 3, "x", [], [least]])
      assert.match(refused(input)[0] ?? "", /^: a job is an object/);
  });
  it("with all its problems at once", () => {
    const problems = refused({
      id: "A",
      schedul: "@daily",
      timezone: "Berln",
      timeout: "5",
      overlap: "x",
      cwd: "x",
    });
    const pointers = problems.map((problem) => problem.slice(0, problem.indexOf(":")));
    assert.deepEqual(pointers.toSorted(), [
      "",
      "/cwd",
      "/id",
      "/overlap",
      "/schedul",
      "/timeout",
      "/timezone",
    ]);
  });
});

describe("a field by the name that another scheduler gives it", () => {
  for (const [name, meant] of Object.entries({
    zone: "timezone",
    tz: "timezone",
    time_zone: "timezone",
    environment: "env",
    suspend: "enabled",
    concurrencyPolicy: "overlap",
    cmd: "command",
    "working-dir": "cwd",
  })) {
    it(`${name} is refused with a hint to ${meant}`, () => {
      const [problem] = refused({ ...least, [name]: "x" }, "INVALID_JOB");
      assert.equal(problem, `/${name}: unknown field "${name}": did you mean "${meant}"?`);
    });
  }
});

const fieldNames =
  "id schedule timezone startsAt endsAt enabled executor command argv stdin env cwd user umask timeout killGrace overlap catchUp target keep group labels description owner http revision x __proto__ constructor".split(
    " ",
  );

describe("any input", () => {
  it("is either a job or refused with problems, and never breaks the peer", () => {
    const anything = fc.anything({ maxDepth: 3 });
    const field = fc.constantFrom(...fieldNames);
    const value = fc.oneof(
      anything,
      fc.string(),
      fc.constantFrom({ peers: ["a"] }, { runs: 1 }, ["a"], { a: "b" }, 0, "5s", "@daily"),
    );
    const nearlyJob = fc
      .array(fc.tuple(field, value), { maxLength: 6 })
      .map((pairs) => ({ ...least, ...Object.fromEntries(pairs) }));
    fc.assert(
      fc.property(fc.oneof(anything, nearlyJob), (input) => {
        const check = checkJob(input);
        assert.ok(check.ok || check.problems.length > 0);
      }),
      { numRuns: 3_000 },
    );
  });
  it("is checked at a cost in proportion to its size, however hostile", () => {
    // Anything that grows faster than the input would take hours.
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`field-${index}`, index]));
    refused({ ...least, ...many });
    refused({ ...least, timezone: "x".repeat(1_000_000) });
    refused({ ...least, schedule: "1,".repeat(500_000) });
    refused({ ...least, schedule: Array.from({ length: 100_000 }, () => "x") });
    refused({ ...least, keep: { logBytes: "1".repeat(1_000_000) }, timeout: "1".repeat(1_000_000) });
  });
});
