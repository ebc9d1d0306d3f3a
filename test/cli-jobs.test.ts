/** `cicada jobs` and `cicada runs` against a peer's API: what they send, what they print, and their exit codes. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { CicadaError } from "../src/errors.ts";
import { errorTable, type ErrorCode } from "../src/errors/table.ts";
import { explain } from "../src/cli/terminal/failures.ts";
import { jobFlags } from "../src/cli/terminal/job-flag-table.ts";
import { JobSpecSchema } from "../src/schema/job.ts";
import { run as runCommand } from "../src/main.ts";
import {
  cicada,
  jobAnswer,
  problem,
  recordingTerminal,
  runAnswer,
  StubPeer,
  type Asked,
} from "./kit/cli-stage.ts";

/** A peer that takes every job it is sent. */
async function takingPeer(): Promise<StubPeer> {
  const stub = await StubPeer.open();
  return stub.on("POST /v1/jobs", ({ body }: Asked) => ({
    status: 201,
    body: jobAnswer(body as { id: string }),
  }));
}

test("no hint of a refusal mentions calls, headers or fields of the API", () => {
  const terminal = recordingTerminal();
  for (const code of Object.keys(errorTable)) explain(terminal, new CicadaError(code as ErrorCode, "x"), "");
  const api = /`force`|\?\w+=|\b(GET|PUT|POST|PATCH|DELETE) \/|`errors`|Content-Type|If-Match|Idempotency/;
  const hints = terminal.stderr.split("\n").filter((line) => line.startsWith("hint:"));
  assert.ok(hints.length > 20, `${hints.length} hints`);
  assert.deepEqual(
    hints.filter((hint) => api.test(hint)),
    [],
  );
});

describe("a selection that no job fits", () => {
  const bulkAnswer = { body: { items: [] } };
  const one = jobAnswer({ id: "a", group: "billing" });

  async function selectingPeer(): Promise<StubPeer> {
    const stub = await StubPeer.open();
    return stub
      .on("POST /v1/jobs:bulk", bulkAnswer)
      .on("GET /v1/groups", { body: { items: [], nextCursor: null } })
      .on("GET /v1/jobs", ({ query }: Asked) => ({
        body: { items: "group" in query || "label" in query ? [] : [one], nextCursor: null },
      }));
  }

  for (const verb of ["pause", "resume", "run", "rm"]) {
    test(`is an error of jobs ${verb}, and a mistyped group is named with the nearest one`, async () => {
      await using stub = await selectingPeer();
      const group = await stub.cicada("jobs", verb, "--group", "biling");
      assert.deepEqual([group.code, group.stdout], [3, ""]);
      assert.match(group.stderr, /there is no group "biling": did you mean "billing"\?/);
      const label = await stub.cicada("jobs", verb, "--group", "billing", "--label", "a=b");
      assert.deepEqual([label.code, label.stdout], [3, ""]);
      assert.match(label.stderr, /no job fits --group billing --label a=b/);
    });
  }

  test("jobs run shows the API's answer where that is asked for", async () => {
    await using stub = await selectingPeer();
    const item = {
      job: "a",
      ok: true,
      status: 202,
      code: null,
      detail: null,
      tick: "manual-X",
      warnings: [],
    };
    stub.on("POST /v1/jobs:bulk", { body: { items: [item] } });
    const said = await stub.cicada("jobs", "run", "--group", "billing", "-o", "json");
    assert.deepEqual(JSON.parse(said.stdout), { items: [item] });
  });
});

describe("jobs create", () => {
  test("uploads a script as it is, and creates the job with its name; what follows -- are its arguments", async () => {
    await using stub = await takingPeer();
    const sha256 = "a".repeat(64);
    stub.on("PUT /v1/scripts", { status: 201, body: { sha256, bytes: 9 } });
    stub.on("PATCH /v1/jobs/report", ({ body }: Asked) => ({
      body: jobAnswer({ id: "report", ...Object(body) }),
    }));
    const file = path.join(stub.folder, "report.py");
    writeFileSync(file, "print(1)\n");
    const script = ["--script", file, "--interpreter", "python3"];
    const created = await stub.cicada("jobs", "create", "report", ...script, "--", "--day", "today");
    assert.equal(created.code, 0, created.stderr);
    const edited = await stub.cicada("jobs", "edit", "report", "--script", file);
    assert.equal(edited.code, 0, edited.stderr);
    const missing = await stub.cicada(
      "jobs",
      "create",
      "report",
      "--script",
      `${file}.gone`,
      "--interpreter",
      "sh",
    );
    assert.notEqual(missing.code, 0);
    assert.match(missing.stderr, /report\.py\.gone: .*ENOENT|no such file/);
    const written = stub.asked.filter(({ method }) => method !== "GET");
    const said = written.map(({ method, path: called, body }) => [method, called, body]);
    assert.deepEqual(said, [
      ["PUT", "/v1/scripts", "print(1)\n"],
      [
        "POST",
        "/v1/jobs",
        { id: "report", script: { interpreter: "python3", sha256, args: ["--day", "today"] } },
      ],
      ["PUT", "/v1/scripts", "print(1)\n"],
      ["PATCH", "/v1/jobs/report", { script: { sha256 } }],
    ]);
  });

  test("sends a job made from flags, and says when it is due", async () => {
    await using stub = await takingPeer();
    const when = ["--schedule", "0 3 * * *", "--tz", "Europe/Berlin"];
    const what = ["--command", "tar c /", "--env", "A=1", "--env", "B=x=y", "--timeout", "0"];
    const catchUp = ["--catch-up-policy", "all", "--catch-up-limit", "5"];
    const tags = ["--target-tag", "zone=a", "--target-tag", "os=linux", "--prefer-tag", "disk=ssd"];
    const codes = ["--success-code", "0", "--success-code", "3", "--skip-code", "75"];
    const params = ["--params", '{"DAY":{"type":"string","default":"today"}}'];
    const rest = [
      ...params,
      "--target-peer",
      "alder",
      ...tags,
      "--weight",
      "3",
      ...codes,
      "--label",
      "team=ops",
    ];
    const said = await stub.cicada("jobs", "create", "backup", ...when, ...what, ...catchUp, ...rest);
    assert.equal(said.code, 0, said.stderr);
    assert.equal(
      said.stdout,
      "backup created, next tick 2026-11-21T02:00:00Z (Sat 2026-11-21 03:00:00 +01:00, in 14h)\n",
    );
    const [asked] = stub.asked;
    assert.deepEqual(asked?.body, {
      id: "backup",
      schedule: "0 3 * * *",
      timezone: "Europe/Berlin",
      command: "tar c /",
      env: { A: "1", B: "x=y" },
      catchUp: { policy: "all", limit: 5 },
      target: {
        peers: ["alder"],
        tags: { zone: "a", os: "linux" },
        prefer: { tags: { disk: "ssd" } },
      },
      params: { DAY: { type: "string", default: "today" } },
      weight: 3,
      success: { exitCodes: [0, 3], skipCodes: [75] },
      labels: { team: "ops" },
      timeout: "0",
    });
    assert.match(String(asked?.headers["idempotency-key"]), /^[0-9a-f-]{36}$/);
  });

  test("takes a program and its arguments after --, including their flags", async () => {
    await using stub = await takingPeer();
    const said = await stub.cicada("jobs", "create", "ls", "--", "/bin/ls", "-l", "--all");
    assert.equal(said.code, 0, said.stderr);
    assert.deepEqual(stub.asked[0]?.body, { id: "ls", argv: ["/bin/ls", "-l", "--all"] });
  });

  test("takes --tz or --timezone, and several schedules as a list", async () => {
    await using stub = await takingPeer();
    await stub.cicada("jobs", "create", "a", "--timezone", "Asia/Tokyo", "-s", "@daily", "-s", "@hourly");
    assert.deepEqual(stub.asked[0]?.body, {
      id: "a",
      timezone: "Asia/Tokyo",
      schedule: ["@daily", "@hourly"],
    });
  });

  test("has a flag for every field of a job", () => {
    const offered = new Set(jobFlags.map(({ path: [field] }) => field));
    const fields = Object.keys(JobSpecSchema.properties);
    assert.deepEqual(
      fields.filter((field) => !offered.has(field)),
      ["id", "argv"],
      "those two are the command's arguments",
    );
    for (const field of [
      "catchUp",
      "keep",
      "target",
      "success",
      "http",
      "script",
      "precheck",
      "limits",
    ] as const) {
      const inner = Object.keys(JobSpecSchema.properties[field].properties);
      const flags = jobFlags.flatMap(({ path: [outer, name] }) => (outer === field ? [name] : []));
      assert.deepEqual(new Set(flags), new Set(inner), field);
    }
  });

  test("ends with 4 if the job exists, and replaces it with --update", async () => {
    await using stub = await StubPeer.open();
    stub.on("POST /v1/jobs", ({ query, body }) =>
      query["update"] === "true"
        ? { status: 200, body: jobAnswer(body as { id: string }) }
        : problem(409, "JOB_EXISTS", 'there is already a job "a"'),
    );
    const flags = ["jobs", "create", "a", "--command", "true"];
    const taken = await stub.cicada(...flags);
    assert.equal(taken.code, 4);
    assert.match(taken.stderr, /--update/);
    const updated = await stub.cicada(...flags, "--update");
    assert.equal(updated.code, 0);
    assert.match(updated.stdout, /^a updated/);
  });

  test("with --update says whether the job has changed", async () => {
    await using stub = await StubPeer.open();
    const job = jobAnswer({ id: "a", command: "true" });
    stub.on("GET /v1/jobs/a", { body: job });
    stub.on("POST /v1/jobs", ({ body }) => ({
      body: (body as { command: string }).command === "true" ? job : { ...job, revision: "r2" },
    }));
    const update = (command: string) => stub.cicada("jobs", "create", "a", "--update", "--command", command);
    assert.match((await update("true")).stdout, /^a unchanged/);
    assert.match((await update("false")).stdout, /^a updated/);
  });

  test("shows what a job has from its group beside its own fields, and its times in the group's zone", async () => {
    await using stub = await StubPeer.open();
    const inherited = { timezone: "Europe/Berlin", timeout: "5m" };
    const job = {
      ...jobAnswer({ id: "a", command: "true" }),
      schedule: "0 3 * * *",
      group: "web",
      inherited,
    };
    stub.on("GET /v1/jobs/a", { body: job });
    const { stdout } = await stub.cicada("jobs", "get", "a");
    assert.match(stdout, /^timezone +Europe\/Berlin +from the group web$/m);
    assert.match(stdout, /^timeout +5m +from the group web$/m);
    assert.doesNotMatch(stdout, /^inherited/m);
  });

  const without: readonly [object, RegExp][] = [
    [{ state: "manual" }, /to be run by hand/],
    [{ schedule: "@daily", state: "disabled" }, /disabled/],
    [{ schedule: "@at 2020-01-01T00:00:00Z", state: "scheduled" }, /no further tick/],
    [{ schedule: "@daily", state: "blocked" }, /blocked: no peer can run it/],
    [
      {
        schedule: "@daily",
        state: "scheduled",
        problems: [{ code: "ALL_SKIPPED", pointer: "", message: "" }],
      },
      /created, but all its coming ticks are skipped/,
    ],
  ];
  for (const [fields, says] of without) {
    test(`says why there is no next tick of ${JSON.stringify(fields)}`, async () => {
      await using stub = await StubPeer.open();
      const job = { ...jobAnswer({ id: "a", command: "true" }), nextTick: null, ...fields };
      stub.on("POST /v1/jobs", { status: 201, body: job });
      assert.match((await stub.cicada("jobs", "create", "a", "-c", "true")).stdout, says);
    });
  }

  test("names the flag instead of the field if the job was made from flags", async () => {
    await using stub = await StubPeer.open();
    const errors = ["/schedule", "/catchUp/window", "/env/A-B", "/id"].map((pointer) => ({
      pointer,
      message: "x",
    }));
    stub.on("POST /v1/jobs", problem(422, "INVALID_JOB", "bad", errors));
    const said = await stub.cicada("jobs", "create", "a", "-s", "* *");
    assert.match(said.stderr, /\n {2}--schedule: x\n {2}--catch-up-window: x\n {2}--env: x\n {2}ID: x\n/);
  });

  test("reads a file with several documents, and drops read-only fields", async () => {
    await using stub = await takingPeer();
    const file = path.join(stub.folder, "jobs.yaml");
    writeFileSync(
      file,
      "---\nid: a\ncommand: 'true'\nrevision: r7\nstate: scheduled\n---\nid: b\nargv: [ls, -l]\n---\n- {id: c, command: date}\n",
    );
    const said = await stub.cicada("jobs", "create", "-f", file);
    assert.equal(said.code, 0, said.stderr);
    assert.deepEqual(
      stub.asked.map(({ body }) => body),
      [
        { id: "a", command: "true" },
        { id: "b", argv: ["ls", "-l"] },
        { id: "c", command: "date" },
      ],
    );
  });

  test("names the job of a file that is refused, and creates the others", async () => {
    await using stub = await StubPeer.open();
    stub.on("POST /v1/jobs", ({ body }) => {
      const job = body as { id: string };
      if (job.id !== "b") return { status: 201, body: jobAnswer(job) };
      return problem(422, "INVALID_JOB", "bad", [{ pointer: "/schedule", message: "too few fields" }]);
    });
    const file = path.join(stub.folder, "jobs.json");
    writeFileSync(file, JSON.stringify([{ id: "a" }, { id: "b" }, { id: "c" }]));
    const said = await stub.cicada("jobs", "create", "-f", file);
    assert.equal(said.code, 2);
    assert.match(said.stdout, /^a created.*\nc created/);
    assert.match(said.stderr, /refused: .*jobs\.json, item 2 \(b\)/);
    assert.match(said.stderr, /\/schedule: too few fields/);
    assert.match(said.stderr, /2 accepted, 1 refused/);
  });

  const unusable: readonly [string, string, RegExp][] = [
    ["YAML that is broken", "id: [\n", /line 2/],
    ["a text", "hello", /expected a job/],
    ["nothing", "", /it contains no job/],
    ["a list of texts", "- a\n", /item 1: expected a job/],
  ];
  for (const [what, text, says] of unusable) {
    test(`refuses a file that holds ${what} before it asks a peer`, async () => {
      await using stub = await takingPeer();
      const file = path.join(stub.folder, "jobs.yaml");
      writeFileSync(file, text);
      const said = await stub.cicada("jobs", "create", "-f", file);
      assert.equal(said.code, 2);
      assert.match(said.stderr, says);
      assert.deepEqual(stub.asked, []);
    });
  }

  const misused: readonly [string[], RegExp][] = [
    [["jobs", "create"], /name the job, or give a file/],
    [["jobs", "create", "a", "@every 2s", "--", "true"], /@every 2s is a schedule.*--schedule/],
    [["jobs", "create", "a", "0 3 * * *", "true"], /0 3 \* \* \* is a schedule/],
    [["jobs", "create", "a", "--env", "A"], /--env A: give NAME=VALUE/],
    [["jobs", "create", "a", "--keep-runs", "many"], /--keep-runs many: give a whole number/],
    [["jobs", "create", "a", "--overlap", "maybe"], /Allowed choices are queue, queue-all/],
    [["jobs", "create", "a", "--sched", "x"], /Did you mean --schedule/],
    [["jobs", "create", "a", "--notify", "3", "--command", "x"], /write EVENTS=CHANNELS/],
    [["jobs", "create", "a", "--webhook", "3"], /--webhook: did you mean --notify\?/],
    [["jobs", "create", "a", "--suspend"], /did you mean --enabled/],
    [["jobs", "creat", "a"], /Did you mean create/],
    [["jobs", "create", "a", "-f", "x.yaml"], /x\.yaml: there is no such file/],
  ];
  for (const [args, says] of misused) {
    test(`${args.slice(1).join(" ")} is a usage error (2)`, async () => {
      const said = await cicada(args);
      assert.equal(said.code, 2);
      assert.match(said.stderr, says);
    });
  }
});

describe("jobs ls, get, next and why", () => {
  test("ls is an aligned table that shows the outcome of the last tick, even a missed one, and the last success", async () => {
    await using stub = await StubPeer.open();
    const missed = { tick: "2026-11-20T11:58:00Z", state: "missed", reason: "window", run: null };
    const lastSuccess = "2026-11-20T09:00:00.000Z";
    const items = [
      jobAnswer({ id: "backup", schedule: "0 3 * * *", timezone: "Europe/Berlin" }),
      {
        ...jobAnswer({ id: "hourly" }),
        schedule: "@hourly",
        state: "failing",
        lastTick: missed,
        lastSuccess,
      },
    ];
    stub.on("GET /v1/jobs", { body: { items, nextCursor: null } });
    const said = await stub.cicada("jobs", "ls");
    assert.equal(
      said.stdout,
      [
        "ID      SCHEDULE   ZONE           STATE      NEXT TICK (UTC)       NEXT    LAST TICK              LAST SUCCESS",
        "backup  0 3 * * *  Europe/Berlin  scheduled  2026-11-21T02:00:00Z  in 14h  -                      -",
        "hourly  @hourly    UTC            failing    2026-11-21T02:00:00Z  in 14h  missed(window) 2m ago  3h ago",
        "",
      ].join("\n"),
    );
  });

  test("ls says how to make a job if there is none", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs", { body: { items: [], nextCursor: null } });
    assert.match((await stub.cicada("jobs", "ls")).stdout, /cicada jobs create/);
  });

  test("-o json prints the API's answer, and -o yaml the same as YAML", async () => {
    await using stub = await StubPeer.open();
    const job = jobAnswer({ id: "a", command: "true" });
    stub.on("GET /v1/jobs/a", { body: job });
    assert.deepEqual(JSON.parse((await stub.cicada("jobs", "get", "a", "-o", "json")).stdout), job);
    assert.match((await stub.cicada("jobs", "get", "a", "-o", "yaml")).stdout, /^id: a\ncommand: "true"\n/);
  });

  test("get shows the next tick on the clock of the job's own zone", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs/a", {
      body: jobAnswer({ id: "a", schedule: "@daily", timezone: "Europe/Berlin" }),
    });
    const said = await stub.cicada("jobs", "get", "a");
    assert.match(said.stdout, /next tick\s+2026-11-21T02:00:00Z {2}in 14h\n/);
    assert.match(said.stdout, /Sat 2026-11-21 03:00:00 \+01:00/);
  });

  test("next names the runner first, then the peers that step in", async () => {
    await using stub = await StubPeer.open();
    const peers = ["alder", "birch", "cedar"].map((name, rank) => ({ id: name, name, rank }));
    const items = [{ tick: "2026-11-21T02:00:00Z", startsAt: "2026-11-21T02:00:00.000Z", peers }];
    stub.on("GET /v1/jobs/a/next", { body: { items, nextCursor: null } });
    const said = await stub.cicada("jobs", "next", "a", "-n", "1");
    assert.match(said.stdout, /2026-11-21T02:00:00Z {2}in 14h {2}alder +birch, cedar/);
    assert.equal(stub.asked[0]?.query["count"], "1");
  });

  test("get shows why a job is blocked", async () => {
    await using stub = await StubPeer.open();
    const message = "its target dan has been dead since 04:23:10 UTC";
    const problems = [{ code: "NO_PEER", pointer: "/target/peers", message }];
    stub.on("GET /v1/jobs/a", { body: { ...jobAnswer({ id: "a" }), state: "blocked", problems } });
    const said = await stub.cicada("jobs", "get", "a");
    assert.match(said.stdout, /state +blocked\n/);
    assert.match(said.stdout, new RegExp(`problem +${message}\\n`));
  });

  test("create of a job that no living peer can run warns", async () => {
    await using stub = await StubPeer.open();
    const warnings = ["no peer can run it now: its target nosuch is not a member of the mesh"];
    stub.on("POST /v1/jobs", { status: 201, body: { ...jobAnswer({ id: "a" }), warnings } });
    const said = await stub.cicada("jobs", "create", "a", "-c", "true", "--target-peer", "nosuch");
    assert.equal(said.code, 0);
    assert.match(
      said.stderr,
      /^warning: no peer can run it now: its target nosuch is not a member of the mesh$/m,
    );
  });

  test("a warning names commands as this person calls the program", async () => {
    await using stub = await StubPeer.open();
    const warnings = ["no peer has the secret x: `cicada secrets set x`"];
    stub.on("POST /v1/jobs", { status: 201, body: { ...jobAnswer({ id: "a" }), warnings } });
    const args = ["jobs", "create", "a", "-c", "true", "--data", stub.data];
    const said = await cicada(args, { npm_lifecycle_event: "npx" });
    assert.match(said.stderr, /^warning: no peer has the secret x: `npx cicada-cron secrets set x`$/m);
  });

  test("why prints the peer's sentences, and what keeps the next one from running", async () => {
    await using stub = await StubPeer.open();
    const why = ["alder ran it at rank 0.", "It started on time."];
    const obstacles = ["The job is disabled."];
    stub.on("GET /v1/jobs/a/why", {
      body: { tick: "2026-11-20T02:00:00Z", state: "succeeded", why, obstacles },
    });
    const said = await stub.cicada("jobs", "why", "a", "2026-11-20T02:00:00Z");
    for (const sentence of [...why, ...obstacles]) assert.ok(said.stdout.includes(sentence));
  });

  test("why without a tick asks for the last one that went wrong", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs/a/why", { body: { tick: null, obstacles: [] } });
    const said = await stub.cicada("jobs", "why", "a");
    assert.deepEqual(stub.asked[0]?.query, {});
    assert.match(said.stdout, /No tick of a has gone wrong/);
  });

  test("history prints each edit with its fields, and revert says what the job is now", async () => {
    await using stub = await StubPeer.open();
    const fields = [{ pointer: "/env/B", before: null, after: "2" }];
    const at = "2026-11-20T02:00:00.000Z";
    stub.on("GET /v1/jobs/a/history", {
      body: { items: [{ revision: "r2", at, by: "ann@alpha", change: "edited", fields }], nextCursor: null },
    });
    stub.on("POST /v1/jobs/a/revert", { body: jobAnswer({ id: "a" }) });
    const said = await stub.cicada("jobs", "history", "a");
    assert.match(said.stdout, /r2 {2}edited by ann@alpha\n {2}env\/B: none → "2"\n$/);
    assert.equal(said.stderr, "");
    const deletion = {
      revision: "deleted-r2",
      at: "2026-11-20T10:00:00Z",
      by: null,
      change: "deleted",
      fields: [],
    };
    stub.on("GET /v1/jobs/a/history", { body: { items: [deletion], nextCursor: null } });
    assert.match(
      (await stub.cicada("jobs", "history", "a")).stderr,
      /cicada audit --job a` shows who made the edits that have no name here/,
    );
    const reverted = await stub.cicada("jobs", "revert", "a", "r2");
    assert.match(reverted.stdout, /^a reverted, /);
    assert.deepEqual(stub.asked.at(-1)?.body, { revision: "r2" });
  });

  const written: readonly [string[], string][] = [
    [["03:00"], "2026-11-20T02:00:00Z"],
    [["15:00"], "2026-11-19T14:00:00Z"],
    [["yesterday", "03:00"], "2026-11-19T02:00:00Z"],
    [["yesterday 03:00"], "2026-11-19T02:00:00Z"],
    [["2026-07-01T03:00"], "2026-07-01T01:00:00Z"],
    [["2026-11-20T03:00:00+01:00"], "2026-11-20T02:00:00Z"],
    [["2026-11-20T02:00:00Z"], "2026-11-20T02:00:00Z"],
  ];
  for (const [words, tick] of written) {
    test(`why takes the tick ${words.join(" ")} of a job in Berlin as ${tick}, at noon UTC on the 20th`, async () => {
      await using stub = await StubPeer.open();
      stub.on("GET /v1/jobs/a", { body: jobAnswer({ id: "a", timezone: "Europe/Berlin" }) });
      stub.on("GET /v1/jobs/a/why", { body: { tick, state: "succeeded", why: [], obstacles: [] } });
      assert.equal((await stub.cicada("jobs", "why", "a", ...words)).code, 0);
      assert.equal(stub.asked.at(-1)?.query["tick"], tick);
    });
  }

  test("why of an invalid tick says how to write one (2)", async () => {
    await using stub = await StubPeer.open();
    const said = await stub.cicada("jobs", "why", "a", "lunchtime");
    assert.equal(said.code, 2);
    assert.match(said.stderr, /write 03:00/);
  });
});

describe("jobs rm, pause, resume and run", () => {
  test("rm deletes several", async () => {
    await using stub = await StubPeer.open();
    stub.on("DELETE /v1/jobs/a", { status: 204 }).on("DELETE /v1/jobs/b", { status: 204 });
    const said = await stub.cicada("jobs", "rm", "a", "b");
    assert.equal(said.stdout, "a deleted\nb deleted\n");
    assert.equal((await stub.cicada("jobs", "rm", "c")).code, 3);
  });

  test("pause takes a note and an end; resume takes nothing", async () => {
    await using stub = await StubPeer.open();
    const job = jobAnswer({ id: "a", command: "true" });
    stub.on("POST /v1/jobs/a/pause", { body: job }).on("POST /v1/jobs/a/resume", { body: job });
    stub.on("GET /v1/jobs/a", { body: { ...job, paused: { note: null, by: "me", until: null } } });
    const until = "2026-12-24T18:00:00Z";
    assert.equal((await stub.cicada("jobs", "pause", "a", "--note", "n", "--until", until)).code, 0);
    assert.match((await stub.cicada("jobs", "resume", "a")).stdout, /^a resumed, next tick /);
    assert.deepEqual(
      stub.asked.filter(({ method }) => method === "POST").map(({ body }) => body),
      [{ note: "n", until }, {}],
    );
  });

  test("skip and unskip take a tick in the job's zone or a number, and a note", async () => {
    await using stub = await StubPeer.open();
    const job = jobAnswer({ id: "a", command: "true" });
    const tick = "2030-01-01T02:00:00Z";
    stub.on("GET /v1/jobs/a", { body: { ...job, timezone: "Europe/Berlin" } });
    stub.on("POST /v1/jobs/a/skip", { body: { job: "a", ticks: [tick] } });
    stub.on("POST /v1/jobs/a/unskip", { body: { job: "a", ticks: [tick] } });
    const said = await stub.cicada("jobs", "skip", "a", "2030-01-01T03:00", "--note", "n");
    assert.equal(said.stdout, `a: ${tick} is skipped\n`);
    assert.equal((await stub.cicada("jobs", "unskip", "a", "--next", "2")).stdout, `a: ${tick} runs\n`);
    assert.deepEqual(
      stub.asked.filter(({ method }) => method === "POST").map(({ body }) => body),
      [{ tick, note: "n" }, { next: 2 }],
    );
    for (const args of [["a"], ["a", tick, "--next", "1"], ["a", "--next", "all"]])
      assert.equal((await stub.cicada("jobs", "skip", ...args)).code, 2);
  });

  test("skip takes a time without a date as the next such time, because only ticks to come can be skipped", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs/a", {
      body: { ...jobAnswer({ id: "a", command: "true" }), timezone: "Europe/Berlin" },
    });
    stub.on("POST /v1/jobs/a/skip", { body: { job: "a", ticks: [] } });
    stub.on("POST /v1/jobs/a/unskip", { body: { job: "a", ticks: [] } });
    // It is 13:00 in Berlin.
    for (const [text, tick] of [
      ["19:00", "2026-11-20T18:00:00Z"],
      ["03:00", "2026-11-21T02:00:00Z"],
      ["tomorrow 19:00", "2026-11-21T18:00:00Z"],
    ] as const) {
      for (const verb of ["skip", "unskip"]) {
        const said = await stub.cicada("jobs", verb, "a", text);
        assert.equal(said.code, 0, said.stderr);
        assert.deepEqual(stub.asked.at(-1)?.body, { tick });
      }
    }
  });

  test("backfill takes times on the job's clock, and so long ago", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs/a", {
      body: { ...jobAnswer({ id: "a", command: "true" }), timezone: "Europe/Berlin" },
    });
    stub.on("POST /v1/jobs/a/backfill", { body: { job: "a", dryRun: true, ticks: [], leftOut: [] } });
    await stub.cicada("jobs", "backfill", "a", "--from", "yesterday 03:00", "--to", "2h");
    const span = { from: "2026-11-19T02:00:00.000Z", to: "2026-11-20T10:00:00.000Z", dryRun: true };
    assert.deepEqual(stub.asked.at(-1)?.body, span);
    const refused = await stub.cicada("jobs", "backfill", "a", "--from", "soon", "--to", "now");
    assert.match(refused.stderr, /--from soon: write 2h/);
    assert.equal(refused.code, 2);
  });

  test("resume of a job that isn't paused says so", async () => {
    await using stub = await StubPeer.open();
    const job = { body: jobAnswer({ id: "a", command: "true" }) };
    stub.on("GET /v1/jobs/a", job).on("POST /v1/jobs/a/resume", job);
    assert.match((await stub.cicada("jobs", "resume", "a")).stdout, /^a was not paused, /);
  });

  const tick = "manual-01JD00000000000000000000AA";
  test("run orders a run and prints its name", async () => {
    await using stub = await StubPeer.open();
    stub.on("POST /v1/jobs/a/run", { status: 202, body: { job: "a", tick } });
    const said = await stub.cicada(
      "jobs",
      "run",
      "a",
      "-p",
      "DAY=a=b",
      "--param",
      "N=3",
      "--env",
      "A=1",
      "--force",
      "--target-peer",
      "alder",
    );
    assert.equal(said.stdout, `a@${tick} ordered\n`);
    assert.deepEqual(stub.asked[0]?.body, {
      params: { DAY: "a=b", N: "3" },
      env: { A: "1" },
      force: true,
      target: { peers: ["alder"] },
    });
  });

  test("run shows what the answer warns of", async () => {
    await using stub = await StubPeer.open();
    const body = { job: "a", tick, warnings: ["no peer can run it now: its target x is not a member"] };
    stub.on("POST /v1/jobs/a/run", { status: 202, body });
    const said = await stub.cicada("jobs", "run", "a");
    assert.equal(said.stdout, `a@${tick} ordered\n`);
    assert.equal(said.stderr, "warning: no peer can run it now: its target x is not a member\n");
  });

  test("run --wait ends with the job's own exit code", async () => {
    await using stub = await StubPeer.open();
    const states = [
      problem(404, "RUN_NOT_FOUND", "not yet"),
      { body: runAnswer({ state: "running", exitCode: null }) },
      { body: runAnswer({ state: "failed", exitCode: 42 }) },
    ];
    stub.on("POST /v1/jobs/a/run", { status: 202, body: { job: "a", tick } });
    stub.on(`GET /v1/runs/a@${tick}`, () => states.shift() ?? { status: 500 });
    const said = await stub.cicada("jobs", "run", "a", "--wait");
    assert.equal(said.code, 42, said.stderr);
    assert.match(said.stderr, /failed, exit code 42/);
  });
});

describe("runs", () => {
  const endings: readonly [Record<string, unknown>, number][] = [
    [{ state: "succeeded", exitCode: 0 }, 0],
    [{ state: "failed", exitCode: 7 }, 7],
    [{ state: "timeout", exitCode: null, signal: "SIGTERM" }, 124],
    [{ state: "succeeded", exitCode: 3 }, 3],
    [{ state: "skipped", reason: "exit-code", exitCode: 75 }, 75],
    [{ state: "failed", exitCode: null, signal: "SIGKILL" }, 137],
    [{ state: "cancelled", exitCode: null, signal: "SIGTERM" }, 143],
    [{ state: "lost", exitCode: null }, 1],
    [{ state: "skipped", exitCode: null, reason: "overlap" }, 1],
  ];
  for (const [run, code] of endings) {
    test(`wait ends with ${code} when the run is ${JSON.stringify(run)}`, async () => {
      await using stub = await StubPeer.open();
      stub.on("GET /v1/runs/r", { body: runAnswer(run) });
      const said = await stub.cicada("runs", "wait", "r");
      assert.equal(said.code, code, said.stderr);
    });
  }

  test("ls shows each run with its end, its peer and how long it lasted", async () => {
    await using stub = await StubPeer.open();
    const items = [
      runAnswer({ state: "failed", exitCode: 3, duplicate: true }),
      runAnswer({ state: "skipped", reason: "overlap", startedAt: null, finishedAt: null, exitCode: null }),
    ];
    stub.on("GET /v1/runs", { body: { items, nextCursor: null } });
    const said = await stub.cicada("runs", "ls", "--job", "backup", "--on", "alder", "-n", "5");
    assert.match(said.stdout, /backup@2026-11-20T02:00:00Z~1@aaaaaaaa {2}failed +alder .*exit code 3/);
    assert.match(said.stdout, /10h ago +1m +exit code 3, duplicate\n/);
    assert.match(said.stdout, /skipped +alder +- +- +overlap\n/);
    const { state, ...query } = stub.asked[0]?.query ?? {};
    assert.deepEqual(query, { job: "backup", peer: "alder", limit: "5" });
    assert.ok(state !== undefined && state.includes("running"), state);
    assert.ok(!state.includes("claimed"), "claims are of ticks to come");
  });

  test("ls of an unknown job is refused (3), and of a job without runs is empty", async () => {
    await using stub = await StubPeer.open();
    const none = { body: { items: [], nextCursor: null } };
    stub.on("GET /v1/runs", none).on("GET /v1/jobs/idle/runs", none);
    stub.on("GET /v1/jobs/typo/runs", problem(404, "JOB_NOT_FOUND", 'there is no job "typo"'));
    assert.equal((await stub.cicada("runs", "ls", "--job", "typo")).code, 3);
    assert.equal((await stub.cicada("runs", "ls", "--job", "idle")).code, 0);
  });

  test("log prints the output unchanged, and says if its middle was left out", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/runs/r/log", {
      headers: { "content-type": "text/plain", "x-cicada-log-truncated": "true" },
      body: "one\ntwo",
    });
    const said = await stub.cicada("runs", "log", "r");
    assert.equal(said.stdout, "one\ntwo");
    assert.match(said.stderr, /middle of the output is left out/);
  });

  test("log shows control characters as text on a screen, and writes the bytes to a pipe or with --raw", async () => {
    await using stub = await StubPeer.open();
    const body = "\u001b]0;owned\u0007\tone\r\n\u009b31mtwo \u202eeerht\n";
    stub.on("GET /v1/runs/r/log", { headers: { "content-type": "text/plain" }, body });
    assert.equal(
      (await stub.onScreen("runs", "log", "r")).stdout,
      "\\x1b]0;owned\\x07\tone\n\\x9b31mtwo \\x202eeerht\n",
    );
    assert.equal((await stub.cicada("runs", "log", "r")).stdout, body);
    assert.equal((await stub.onScreen("runs", "log", "--raw", "r")).stdout, body);
  });

  test("-o json and -o yaml write no control characters to a screen, without changing the meaning", async () => {
    await using stub = await StubPeer.open();
    const answer = jobAnswer({ id: "a", description: "x\u009b2J\u007f\u202ey\nz", env: { "K\u200f": "v" } });
    stub.on("GET /v1/jobs/a", { body: answer });
    for (const [form, read] of [
      ["json", (text: string): unknown => JSON.parse(text)],
      ["yaml", (text: string): unknown => parse(text)],
    ] as const) {
      const [screen, pipe] = [
        await stub.onScreen("jobs", "get", "a", "-o", form),
        await stub.cicada("jobs", "get", "a", "-o", form),
      ];
      assert.doesNotMatch(screen.stdout, /[^\n\x20-\x7e]/, form);
      assert.deepEqual(read(screen.stdout), answer);
      assert.deepEqual(read(pipe.stdout), answer);
    }
  });

  test("log -f continues where it was until the run has ended", async () => {
    await using stub = await StubPeer.open();
    const pieces = [
      problem(404, "LOG_NOT_FOUND", "none yet"),
      { status: 206, headers: {}, body: "one\n" },
      problem(416, "BAD_RANGE", "nothing new"),
      { status: 206, headers: { "x-cicada-log-complete": "true" }, body: "two\n" },
    ];
    stub.on("GET /v1/runs/r", { body: runAnswer({ state: "running" }) });
    stub.on("GET /v1/runs/r/log", () => pieces.shift() ?? { status: 500 });
    const said = await stub.cicada("runs", "log", "-f", "r");
    assert.equal(said.stdout, "one\ntwo\n");
    const ranges = stub.asked
      .filter((asked) => asked.path.endsWith("/log"))
      .map(({ headers }) => headers.range);
    assert.deepEqual(ranges, ["bytes=0-", "bytes=0-", "bytes=4-", "bytes=4-"]);
  });

  test("cancel sends the request to the peer", async () => {
    await using stub = await StubPeer.open();
    stub.on("POST /v1/runs/r/cancel", { status: 202, body: { run: "r" } });
    const said = await stub.cicada("runs", "cancel", "r");
    assert.equal(said.code, 0);
    assert.match(said.stdout, /r is being cancelled/);
  });
});

test("runs wait goes on for as long as the tick waits, and ends if there is no such tick", async () => {
  await using stub = await StubPeer.open();
  const run = "x@2026-11-20T02:00:00Z";
  let asked = 0;
  let state = "pending";
  stub.on(`GET /v1/runs/${run}`, () => {
    asked += 1;
    return asked < 3 ? problem(404, "RUN_NOT_FOUND", "there is none") : { body: runAnswer({ exitCode: 7 }) };
  });
  stub.on("GET /v1/jobs/x/why", () => ({ body: { tick: null, state, obstacles: [] } }));
  let clock = 0;
  const wait = () =>
    runCommand(
      ["runs", "wait", run],
      Object.assign(recordingTerminal({ CICADA_DATA: stub.data }), { now: () => (clock += 61_000) }),
    );
  assert.equal(await wait(), 7);
  asked = 0;
  state = "missed";
  assert.equal(await wait(), 3);
});

test("runs wait says what keeps a run from starting that has not appeared after 2 s, once", async () => {
  await using stub = await StubPeer.open();
  let asked = 0;
  stub.on("GET /v1/runs/x@2026-11-20T02:00:00Z", () => {
    asked += 1;
    return asked < 4 ? problem(404, "RUN_NOT_FOUND", "there is none") : { body: runAnswer({ exitCode: 0 }) };
  });
  stub.on("GET /v1/jobs/x/why", { body: { tick: null, obstacles: ["No peer can run it.", "Another."] } });
  let clock = 0;
  const terminal = Object.assign(recordingTerminal({ CICADA_DATA: stub.data }), {
    now: () => (clock += 2_000),
  });
  assert.equal(await runCommand(["runs", "wait", "x@2026-11-20T02:00:00Z"], terminal), 0);
  assert.equal(terminal.stderr.match(/It has not started: No peer can run it\.\n/g)?.length, 1);
});
