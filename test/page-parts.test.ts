/** Parts of the dashboard that need no browser: the lines and colours of an output, fields from the schema. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJobs } from "../src/cli/terminal/job-text.ts";
import { JobSpecSchema } from "../src/schema/job.ts";
import { firstOf, kindOf, narrowed, withField, type Schema } from "../src/ui/pages/form/schema.ts";
import { readYaml, writeYaml } from "../src/ui/pages/form/yaml.ts";
import {
  storableDrafts,
  storedDrafts,
  withBoth,
  withWritten,
  writtenOver,
  type Writing,
} from "../src/ui/live/stored-drafts.ts";
import { auditText } from "../src/ui/pages/access/audit-words.ts";
import { pointsOf, timeTicks, valueTicks } from "../src/ui/pages/job/scales.ts";
import { readLine, withoutCodes } from "../src/ui/pages/run/ansi.ts";
import { Lines } from "../src/ui/pages/run/lines.ts";
import type { RunState } from "../src/ui/live/types.ts";
import { storyPace } from "../src/ui/pages/mesh/story-pace.ts";
import { tightPools } from "../src/ui/pages/forecast/tight-pools.ts";
import { fieldsText, valueText } from "../src/ui/pages/settings/words.ts";
import { shownText } from "../src/ui/shown-text.ts";
import {
  ableText,
  awayText,
  bytesText,
  durationText,
  exitText,
  lacksText,
  runnersText,
  sentence,
  spreadText,
  wrongTexts,
} from "../src/ui/words.ts";

test("colours of a terminal become spans, last over lines until they are reset, and other codes are dropped", () => {
  const escape = "\u001b";
  const cases: [line: string, before: string, spans: [string, string][], after: string][] = [
    ["plain", "", [["plain", ""]], ""],
    [
      `${escape}[31mred${escape}[0m!`,
      "",
      [
        ["red", "fg-red"],
        ["!", ""],
      ],
      "",
    ],
    [`${escape}[1;32mok`, "", [["ok", "bold fg-green"]], "bold fg-green"],
    ["still", "fg-red", [["still", "fg-red"]], "fg-red"],
    [
      `a${escape}[39mb`,
      "bold fg-red",
      [
        ["a", "bold fg-red"],
        ["b", "bold"],
      ],
      "bold",
    ],
    [`${escape}[92;44mx`, "", [["x", "fg-green bg-blue"]], "fg-green bg-blue"],
    [`${escape}[38;5;9mx`, "", [["x", "fg-red"]], "fg-red"],
    [`${escape}[31;38;5;196mx`, "", [["x", ""]], ""],
    [`${escape}[38;2;1;2;3mx`, "", [["x", ""]], ""],
    [`${escape}[2K${escape}]0;title\u0007done`, "", [["done", ""]], ""],
  ];
  for (const [line, before, spans, after] of cases) {
    const read = readLine(line, before);
    assert.deepEqual(
      read.spans.map(({ text, look }) => [text, look]),
      spans,
      JSON.stringify(line),
    );
    assert.equal(read.after, after);
    assert.equal(withoutCodes(line), spans.map(([text]) => text).join(""));
  }
});

test("an output is the same in whatever pieces it comes, keeps its colours over lines, and is found in", () => {
  const text = "one\n\u001b[31mtwo\nthree\u001b[0m\n10%\r50%\r100%\nlast";
  for (const size of [1, 2, 7, 100]) {
    const lines = new Lines();
    for (let at = 0; at < text.length; at += size) lines.add(text.slice(at, at + size));
    assert.equal(lines.count, 5);
    const shown = Array.from({ length: 5 }, (_, index) =>
      lines
        .at(index)
        .map(({ text: part }) => part)
        .join(""),
    );
    assert.deepEqual(shown, ["one", "two", "three", "100%", "last"]);
    assert.equal(lines.at(2)[0]?.look, "fg-red");
    assert.equal(lines.at(3)[0]?.look, "");
    assert.equal(lines.find("three", 0, 1), 2);
    assert.equal(lines.find("t", 2, -1), 2);
    assert.equal(lines.find("one", 3, 1), 0, "from the end it goes on at the beginning");
    assert.equal(lines.find("none", 0, 1), undefined);
  }
});

test("a line that is very long is cut where it is shown, and says by how much", () => {
  const lines = new Lines();
  lines.add("x".repeat(6_000));
  assert.match(lines.at(0)[0]?.text ?? "", /x … \(1000 more characters\)$/);
});

test("a sentence begins with a capital, but a peer's name stays as it is", () => {
  for (const [text, shown] of [
    ["no peer can run it", "No peer can run it."],
    ["cyd's clock is behind", "cyd's clock is behind."],
    ["cyd turns this peer away.", "cyd turns this peer away."],
    ["cyd-2 is not heard", "Cyd-2 is not heard."],
    ["cydonia is far", "Cydonia is far."],
  ] as const) {
    assert.equal(sentence(text, ["ada", "cyd"]), shown);
  }
});

test("where a job runs next counts the peers of its own target, or of its group's", () => {
  const three = { target: { count: 3 } };
  assert.equal(runnersText({ inherited: null }, "ada"), "ada");
  assert.equal(runnersText({ inherited: three }, "ada"), "ada and up to 2 more");
  assert.equal(runnersText({ target: {}, inherited: three }, "ada"), "ada");
  assert.equal(
    runnersText({ target: { count: "all" }, inherited: null }, "ada"),
    "each peer that may run it",
  );
});

test("every field of the job has its kind in the form, and none is left to the YAML", () => {
  const { properties } = JSON.parse(JSON.stringify(JobSpecSchema)) as { properties: Record<string, Schema> };
  const kinds = new Map(Object.entries(properties).map(([name, schema]) => [name, kindOf(schema)]));
  for (const [name, kind] of [
    ["id", "text"],
    ["schedule", "lines"],
    ["enabled", "switch"],
    ["timeout", "text"],
    ["overlap", "choice"],
    ["weight", "number"],
    ["env", "pairs"],
    ["retry", "parts"],
    ["secrets", "lines"],
    ["notify", "list"],
    ["params", "map"],
  ] as const) {
    assert.equal(kinds.get(name), kind, name);
  }
  const isWritten = (schema: Schema): boolean =>
    kindOf(schema) === "written" || Object.values(schema.properties ?? {}).some(isWritten);
  assert.deepEqual(
    Object.keys(properties).filter((name) => isWritten(properties[name] ?? {})),
    [],
  );
  const { params, notify, retry, http } = properties;
  assert.equal(kindOf(http?.properties?.["headers"] ?? {}), "pairs");
  const [param = {}] = Object.values(params?.patternProperties ?? {});
  assert.deepEqual(firstOf(param), { type: "string" });
  assert.deepEqual(firstOf(notify?.items ?? {}), {});
  assert.equal(kindOf(retry?.properties?.["on"] ?? {}), "several");
  const ofDefault = param.properties?.["default"] ?? {};
  for (const [type, kind] of [
    ["string", "text"],
    ["number", "number"],
    ["boolean", "switch"],
    ["choice", "text"],
    [undefined, "text"],
  ] as const) {
    assert.equal(kindOf(narrowed(ofDefault, { type })), kind, type);
  }
});

test("a field that is emptied goes, and with its last field an object; the order of the others stays", () => {
  assert.deepEqual(withField({ a: 1, b: 2 }, "a", 3), { a: 3, b: 2 });
  assert.deepEqual(Object.keys(withField({ a: 1, b: 2 }, "a", 3) ?? {}), ["a", "b"]);
  assert.deepEqual(withField({ a: 1 }, "b", 2), { a: 1, b: 2 });
  assert.equal(withField({ a: 1 }, "a", undefined), undefined);
  assert.deepEqual(withField(undefined, "a", 1), { a: 1 });
});

test("a job written as YAML is the same when it is read again, also by the command line; what isn't one is told in a line", () => {
  for (const job of [
    {
      id: "a",
      schedule: "30 2 * * *",
      command: "echo 'x: y' # no\necho more",
      env: { A: "1", B: "yes", C: "", D: "0o17", E: "0x1f", F: "~", G: ".inf", H: "1_000", I: "<<", J: "=" },
    },
    {
      id: "1e3",
      schedule: ["@daily", "0 6 1 * *"],
      timezone: "Europe/Berlin",
      except: ["2026-12-24"],
      timeout: 0,
    },
    {
      id: "on",
      description: "2026-01-01",
      retry: { attempts: 2, on: ["failed"] },
      enabled: false,
      umask: "022",
    },
  ]) {
    assert.deepEqual(readYaml(writeYaml(job)), { fields: job });
    assert.deepEqual(parseJobs(writeYaml(job), "a.yaml"), [{ job, where: "a.yaml" }]);
  }
  for (const text of ["command: [", "- a", "text", "", "a: 1\na: 2"]) {
    const read = readYaml(text);
    assert.ok("problem" in read && !read.problem.includes("\n"), text);
  }
});

test("the story of a split is asked for at each run only until its peers have told each other of its runs", () => {
  const endedAt = Date.parse("2026-11-20T02:00:00Z");
  const to = new Date(endedAt).toISOString();
  const minuteMs = 60_000;
  for (const fresh of [storyPace({ to: null }, endedAt), storyPace({ to }, endedAt + 9 * minuteMs)]) {
    assert.ok(fresh.on.includes("run"));
    assert.ok(fresh.everyMs >= 15_000);
  }
  const old = storyPace({ to }, endedAt + 11 * minuteMs);
  assert.ok(!old.on.includes("run"));
  assert.ok(old.everyMs >= minuteMs);
});

test("characters that reorder or hide text are shown as escapes, and all others as they are", () => {
  assert.equal(shownText("\u202eevil\u202c tail"), "\\u202eevil\\u202c tail");
  assert.equal(shownText("a\u0000b\u007f\u0085\u2066"), "a\\u0000b\\u007f\\u0085\\u2066");
  const harmless = "שלום, نسخ\u200f é 日本 👩\u200d💻\t\n";
  assert.equal(shownText(harmless), harmless);
});

const collision = (hour: string, pool: string, wanted: number, jobs: string[]) => ({
  at: instantOf(hour),
  pool,
  wanted,
  slots: 1,
  jobs,
  moreJobs: false,
});
const instantOf = (hour: string): string => `2026-11-29T${hour}:00:00.000Z`;
const stretch = (from: string, to: string) => ({
  from: Date.parse(instantOf(from)),
  to: Date.parse(instantOf(to)),
});

test("a pool that is too small has one line, with the hours put together", () => {
  const found = tightPools([
    collision("05", "db", 2, ["a", "b"]),
    collision("05", "gpu", 2, ["x"]),
    collision("06", "db", 3, ["b", "c"]),
    collision("21", "db", 2, ["a"]),
  ]);
  assert.deepEqual(
    found.map(({ pool, wanted, jobs, stretches }) => ({ pool, wanted, jobs, stretches })),
    [
      { pool: "db", wanted: 3, jobs: ["a", "b", "c"], stretches: [stretch("05", "07"), stretch("21", "22")] },
      { pool: "gpu", wanted: 2, jobs: ["x"], stretches: [stretch("05", "06")] },
    ],
  );
});

test("what a setting says is in words, and no JSON", () => {
  const group = {
    name: "db",
    timezone: "Europe/Berlin",
    retry: { attempts: 3, on: ["failed", "lost"] },
    jobs: [],
  };
  assert.equal(
    fieldsText(group, ["name", "jobs"]),
    "timezone Europe/Berlin · retry attempts 3, on failed, lost",
  );
  assert.equal(valueText(["2026-12-24/2026-12-26", "2027-01-01"]), "2026-12-24 to 2026-12-26, 2027-01-01");
  assert.equal(valueText(true), "yes");
  assert.match(valueText(Array.from({ length: 40 }, (_, index) => index)), /11 and 28 more$/);
});

test("a duration and a size stay on one line", () => {
  const texts = [4, 1_200, 12_000, 491_000, 7_800_000, 100_000_000].map(durationText);
  assert.deepEqual(
    texts.map((text) => text.replaceAll("\u00a0", " ")),
    ["4 ms", "1.2 s", "12 s", "8 min 11 s", "2 h 10 min", "1 d 3 h"],
  );
  for (const text of [...texts, bytesText(12), bytesText(5_000_000)]) assert.doesNotMatch(text, / /);
});

test("runs that took equally long are not shown as a range", () => {
  const cases: [all: number[], text: string][] = [
    [[2_000, 2_010, 2_020], "3 runs, each of them 2.0 s"],
    [[10, 14], "2 runs, from 10 ms to 14 ms"],
    [[10, 14, 20], "3 runs, from 10 ms to 20 ms, half of them under 14 ms"],
  ];
  for (const [all, text] of cases) assert.equal(spreadText(all).replaceAll("\u00a0", " "), text);
});

test("how many jobs can run is said for one, for some and for all", () => {
  const cases = [
    [0, 0, "no job yet"],
    [1, 1, "the only job can run"],
    [0, 1, "the only job can't run"],
    [3, 3, "all 3 jobs can run"],
    [2, 3, "2 of 3 jobs can run"],
  ] as const;
  for (const [able, jobs, text] of cases) assert.equal(ableText(able, jobs), text);
});

test("how often a job went wrong is given as a lower bound if not all of it was counted", () => {
  assert.deepEqual(wrongTexts({ failed: 1, missed: 998 }), ["failed", "missed 998 times"]);
  assert.deepEqual(wrongTexts({ failed: 600, lost: 1, missed: 399 }), [
    "failed at least 600 times",
    "lost at least once",
    "missed at least 399 times",
  ]);
  assert.deepEqual(wrongTexts({ missed: 5_000 }), ["missed at least 5,000 times"]);
});

test("what a peer lacks never names what it has: of a kind that it refuses, that is an exception", () => {
  const users = ["user:*", "user:+ada", "user:+"];
  assert.equal(lacksText(users), "permission for jobs of a user other than ada and its own");
  assert.equal(lacksText(["group:*"]), "permission for jobs of any group");
  assert.equal(
    lacksText(["exec:off", ...users, "unlisted:user:200"]),
    "permission for any jobs (--exec off), 200 users that jobs need",
  );
});

test("a run that was ended for its time limit says so, beside how it ended", () => {
  assert.equal(exitText({ exitCode: null, signal: null, state: "timeout" }), "timed out");
  assert.equal(exitText({ exitCode: 3, state: "timeout" }), "timed out, exit 3");
  assert.equal(exitText({ exitCode: null, signal: "SIGKILL", state: "failed" }), "ended by SIGKILL");
  assert.equal(exitText({ exitCode: null, state: "lost" }), "");
});

test("what has just happened is not said to be ahead, though the page's clock is up to a second behind", () => {
  const cases = [
    [-3_000, "3 s ago"],
    [0, "0 s ago"],
    [400, "0 s ago"],
    [600, "in 1 s"],
    [7_200_000, "in 2 h"],
  ] as const;
  for (const [ms, text] of cases) assert.equal(awayText(ms), text);
});

/** The keys of those that are there again after they were stored. */
function stored(...drafts: Partial<Writing>[]): string[] {
  const all = new Map(drafts.map((draft, index) => [String(index), { fields: {}, removed: [], ...draft }]));
  return storedDrafts(storableDrafts(all)).map(([key]) => key);
}

test("drafts are stored up to a size, the last ones first, and without those that seem to hold a credential", () => {
  const big = { fields: { command: "x".repeat(200_000) } };
  assert.deepEqual(stored(big, big, big), ["1", "2"]);
  for (const fields of [
    { command: "sort --key 2 monkeys", secrets: ["DB_PASSWORD"] },
    { http: { url: "https://example.org:8080/a?b=c@d" } },
  ])
    assert.deepEqual(stored({ fields }), ["0"], JSON.stringify(fields));
  for (const fields of [
    { env: { DB_PASSWORD: "x" } },
    { env: { KEY: "x" } },
    { http: { url: "https://me:x@example.org" } },
    { http: { headers: { "X-Api-Key": "x" } } },
    { params: { token: { type: "string", default: "x" } } },
  ])
    assert.deepEqual(stored({ fields }), [], JSON.stringify(fields));
  assert.deepEqual(stored({ yaml: "env:\n  SIGNING_KEY: x\n  [" }), []);
  for (const text of [null, "", "{}", "[1]", '[["a"]]', '[["a",{}]]', '[["a",{"fields":{}}]]'])
    assert.deepEqual(storedDrafts(text), []);
});

test("of a draft only what was written is kept, and it goes on top of what the job has become", () => {
  const before = { id: "a", command: "true", env: { TOKEN: "x" }, owner: "me" };
  const after = { id: "a", command: "false", env: { TOKEN: "x" }, description: "new" };
  const written = writtenOver(before, after);
  assert.deepEqual(written, { fields: { command: "false", description: "new" }, removed: ["owner"] });
  assert.deepEqual(stored({ revision: "1", ...written }), ["0"]);
  assert.deepEqual(withWritten(before, written), after);
  const now = { id: "a", command: "sleep 1", env: { TOKEN: "y" }, group: "ops", owner: "you" };
  assert.deepEqual(withWritten(now, written), { ...after, env: { TOKEN: "y" }, group: "ops" });
  assert.deepEqual(writtenOver(before, before), { fields: {}, removed: [] });
});

test("what is written in the fields while the YAML stands apart goes on top of it, except where the YAML has changed the same", () => {
  const before = { id: "a", command: "true", owner: "me", umask: "022" };
  const fields = { id: "a", command: "false", description: "new", umask: "022" };
  assert.deepEqual(withBoth(before, fields, before), fields);
  assert.deepEqual(withBoth(before, fields, { id: "b", command: "sleep 1", owner: "me", umask: "022" }), {
    id: "b",
    command: "sleep 1",
    description: "new",
    umask: "022",
  });
  // Each took another one out.
  assert.deepEqual(withBoth(before, fields, { id: "a", command: "true", owner: "me" }), {
    id: "a",
    command: "false",
    description: "new",
  });
  assert.deepEqual(withBoth(before, before, fields), fields);
});

/** The labels of a chart's time axis. */
function timeLabels(from: string, to: string, zone: string): string[] {
  return timeTicks(Date.parse(from), Date.parse(to), zone).map(({ text }) => text);
}

test("a chart's lines are at round durations and round times of its zone, and midnight has the name of its day", () => {
  const minute = 60_000;
  assert.deepEqual(valueTicks(1), [0, 1]);
  assert.deepEqual(valueTicks(70), [0, 50]);
  assert.deepEqual(valueTicks(2_500), [0, 1_000, 2_000]);
  assert.deepEqual(valueTicks(100 * minute), [0, 60 * minute]);
  assert.deepEqual(timeLabels("2026-11-29T23:59:50Z", "2026-11-30T00:00:25Z", "UTC"), [
    "23:59:50",
    "30 Nov",
    "00:00:10",
    "00:00:20",
  ]);
  assert.deepEqual(timeLabels("2026-11-29T14:10:00Z", "2026-11-30T09:00:00Z", "Asia/Kolkata"), [
    "30 Nov",
    "06:00",
    "12:00",
  ]);
  // The night in which the clocks go back has 25 hours, and the one in which they go forward 23.
  const days = ["24 Oct", "25 Oct", "26 Oct", "27 Oct"];
  assert.deepEqual(timeLabels("2026-10-23T20:00:00Z", "2026-10-27T10:00:00Z", "Europe/Berlin"), days);
  const inMarch = timeTicks(
    Date.parse("2026-03-28T06:00:00Z"),
    Date.parse("2026-03-31T06:00:00Z"),
    "Europe/Berlin",
  );
  assert.deepEqual(
    inMarch.map(({ at }) => new Date(at).toISOString().slice(5, 16)),
    ["03-28T23:00", "03-29T22:00", "03-30T22:00"],
  );
  assert.deepEqual(timeLabels("2026-03-28T23:30:00Z", "2026-03-29T02:30:00Z", "Europe/Berlin"), [
    "01:00",
    "03:00",
    "04:00",
  ]);
});

/** A run as its chart needs it. */
function runOf(startedAt: string | null, finishedAt: string | null, state: RunState) {
  return { startedAt, finishedAt, state };
}

test("a chart's points are in the order in which the runs started, also if past ticks were run later", () => {
  const points = pointsOf([
    runOf("2026-11-29T00:00:00Z", "2026-11-29T00:00:02Z", "succeeded"),
    runOf(null, null, "skipped"),
    runOf("2026-11-28T00:00:00Z", "2026-11-28T00:00:01Z", "failed"),
    // A tick of the week before, run afterwards.
    runOf("2026-11-29T12:00:00Z", "2026-11-29T12:00:03Z", "succeeded"),
  ]);
  assert.deepEqual(
    points.map(({ ms, isGood }) => [ms, isGood]),
    [
      [1_000, false],
      [2_000, true],
      [3_000, true],
    ],
  );
});

test("an action of the audit that this version doesn't know, or a refused call, is shown all the same", () => {
  assert.equal(auditText("unforget-peer"), "take in again");
  assert.equal(auditText("move-job"), "move job");
  assert.equal(auditText("POST /v1/jobs/:job/run"), "call POST");
});
