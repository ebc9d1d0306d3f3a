/** Tables of the command line: they fit a screen of 80 columns, other programs get them whole, and -w follows them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { run } from "../src/main.ts";
import { table } from "../src/cli/terminal/table.ts";
import { jobAnswer, problem, recordingTerminal, runAnswer, StubPeer } from "./kit/cli-stage.ts";

const columns = 80;
const screen = (env: Record<string, string> = {}) =>
  Object.assign(recordingTerminal(env, true), { columns, rows: 10 });

const tooWide = (text: string) => text.split("\n").filter((line) => [...line].length > columns);

const longReason = "not started: this peer runs as nobody and only root can run jobs as postgres";
const failed = runAnswer({
  id: "a-nightly-backup-of-everything@2026-11-20T02:00:00Z~1@aaaaaaaa",
  state: "failed",
  reason: longReason,
  startedAt: null,
  finishedAt: null,
  exitCode: null,
  peerName: "a-host-with-quite-a-long-name.example",
});

function listPeer(stub: StubPeer): StubPeer {
  return stub
    .on("GET /v1/runs", { body: { items: [failed, runAnswer({})], nextCursor: null } })
    .on("GET /v1/jobs", {
      body: {
        items: [
          {
            ...jobAnswer({
              id: "a-nightly-backup-of-everything",
              schedule: "0,15,30,45 3-5 * * mon-fri",
              timezone: "America/Argentina/Buenos_Aires",
            }),
            lastTick: { tick: "2026-11-20T02:00:00Z", state: "failed", reason: longReason, run: null },
            state: "failing",
          },
        ],
        nextCursor: null,
      },
    });
}

describe("on a screen of 80 columns", () => {
  for (const noun of ["runs", "jobs"]) {
    test(`${noun} ls fits, and shows the reason in a column of its own`, async () => {
      await using stub = await StubPeer.open();
      listPeer(stub);
      const terminal = screen({ CICADA_DATA: stub.data });
      assert.equal(await run([noun, "ls"], terminal), 0, terminal.stderr);
      const lines = terminal.stdout.trimEnd().split("\n");
      assert.deepEqual(tooWide(terminal.stdout), []);
      assert.match(lines[0] ?? "", noun === "runs" ? /STATE +STARTED +REASON$/ : /PROBLEM$/);
      assert.match(lines[1] ?? "", / not started.*…$/);
    });
  }

  test("ids that don't fit lose their front, or their end where only the front tells them apart", async () => {
    const same = "-of-the-warehouse".repeat(6);
    for (const [ids, shown] of [
      [[`x${same}-eu`, `x${same}-us`], /\n…\S+-eu  [^]*\n…\S+-us  /],
      [[`a${same}x`, `b${same}x`], /\na-of\S+…  [^]*\nb-of\S+…  /],
    ] as const) {
      await using stub = await StubPeer.open();
      stub.on("GET /v1/jobs", { body: { items: ids.map((id) => jobAnswer({ id })), nextCursor: null } });
      const terminal = screen({ CICADA_DATA: stub.data });
      await run(["jobs", "ls"], terminal);
      assert.match(terminal.stdout, shown);
      assert.deepEqual(tooWide(terminal.stdout), []);
    }
  });

  test("an id is whole as long as another column can be cut or left out", async () => {
    await using stub = await StubPeer.open();
    const id = "a-nightly-backup-of-everything-in-the-warehouse";
    const lastTick = { tick: "2026-11-20T02:00:00Z", state: "failed", reason: longReason, run: null };
    const job = { ...jobAnswer({ id, schedule: "0 3 * * *" }), state: "failing", lastTick };
    const longer = jobAnswer({ id: "x".repeat(128) });
    stub.on("GET /v1/jobs", { body: { items: [job], nextCursor: null } });
    const terminal = screen({ CICADA_DATA: stub.data });
    await run(["jobs", "ls"], terminal);
    assert.match(terminal.stdout, new RegExp(`\\n${id}  failing +in 14h +not started: …\\n`));
    stub.on("GET /v1/jobs", { body: { items: [job, longer], nextCursor: null } });
    const cut = screen({ CICADA_DATA: stub.data });
    await run(["jobs", "ls"], cut);
    assert.deepEqual(tooWide(cut.stdout), []);
    assert.match(cut.stdout, /\n…x+  scheduled/);
  });

  test("who changed what, who gets a new key, and tokens fit", async () => {
    await using stub = await StubPeer.open();
    const name = "a-nightly-backup-of-everything-in-the-warehouse";
    const peer = { id: "12D3KooWLsFpM8kFwjP498vmoixNashKtkpFyJYKoEKYVm7iq4zU", name: "web-1.shop.example" };
    const entry = {
      at: "2026-11-20T02:00:00.123Z",
      actor: "somebody-of-the-night-shift@web-1.shop.example",
      action: "put-job",
      kind: "job",
      name,
      outcome: "refused",
      code: "FORBIDDEN",
      peer,
    };
    const heir = {
      ...peer,
      state: "alive",
      joinedAt: "2026-11-20T02:00:00Z",
      invitation: "a1b2c3d4",
      doubt: "it has not been confirmed by a person since it joined",
    };
    const token = {
      id: "354up6qb344o",
      name: "a-token-of-the-continuous-integration",
      role: "operator",
      groups: ["billing", "warehouse", "etl"],
      expires: "2027-02-27T12:12:03.261Z",
      expired: false,
      createdBy: "admin@web-1.shop.example",
    };
    const rotated = { fingerprint: "x", oldAcceptedUntil: "y", peers: [{ ...peer, has: true }] };
    stub
      .on("GET /v1/audit", { body: { items: [entry], nextCursor: null, peers: [] } })
      .on("GET /v1/tokens", { body: { items: [token], nextCursor: null } })
      .on("GET /v1/key", { body: { peers: [heir] } })
      .on("POST /v1/key/rotate", { body: rotated });
    for (const command of ["audit", "token ls", "key rotate --yes"]) {
      const terminal = screen({ CICADA_DATA: stub.data });
      assert.equal(await run(command.split(" "), terminal), 0, terminal.stderr);
      assert.deepEqual(tooWide(terminal.stdout), [], command);
      assert.match(terminal.stdout, /in-the-warehouse|354up6qb344o|web-1\.shop\.example/);
    }
  });

  test("a run is named without its peer, unless two peers ran the same tick", async () => {
    await using stub = await StubPeer.open();
    const twice = ["aaaaaaaa", "bbbbbbbb"].map((end) =>
      runAnswer({ id: `b@2026-11-20T03:00:00Z~1@${end}`, tick: "2026-11-20T03:00:00Z" }),
    );
    const retried = runAnswer({ id: "b@2026-11-20T04:00:00Z~2@aaaaaaaa", attempt: 2 });
    stub.on("GET /v1/runs", { body: { items: [...twice, retried, runAnswer({})], nextCursor: null } });
    const terminal = screen({ CICADA_DATA: stub.data });
    await run(["runs", "ls"], terminal);
    const names = terminal.stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ")[0]);
    assert.deepEqual(names.slice(1), [
      "b@2026-11-20T03:00:00Z~1@aaaaaaaa",
      "b@2026-11-20T03:00:00Z~1@bbbbbbbb",
      "b@2026-11-20T04:00:00Z~2",
      "backup@2026-11-20T02:00:00Z",
    ]);
  });

  test("ids lose their front, and coloured cells keep their colour", () => {
    const terminal = Object.assign(recordingTerminal({}, true), { columns: 20 });
    const red = "\u001b[31mfailed as planned\u001b[39m";
    table(
      terminal,
      [
        { title: "ID", cut: "front", min: 8 },
        { title: "STATE", min: 8 },
      ],
      [["12D3KooWDEm4Gy1e", red]],
    );
    const [, row = ""] = terminal.stdout.split("\n");
    assert.match(stripVTControlCharacters(row), /^…\S*Gy1e {2}failed a?…?/);
    assert.ok(row.includes("\u001b[31m") && row.includes("\u001b[39m"));
    assert.ok(stripVTControlCharacters(row).length <= 20);
  });
});

describe("in other forms", () => {
  test("a pipe and -o wide get everything", async () => {
    await using stub = await StubPeer.open();
    listPeer(stub);
    const wide = screen({ CICADA_DATA: stub.data });
    await run(["runs", "ls", "-o", "wide"], wide);
    const piped = await stub.cicada("runs", "ls");
    for (const text of [wide.stdout, piped.stdout]) {
      assert.ok(text.includes(longReason), text);
      assert.ok(text.includes("~1@aaaaaaaa"), text);
    }
    const jobs = await stub.cicada("jobs", "ls", "-o", "wide");
    assert.match(jobs.stdout, /GROUP .*NEXT PEER/);
  });

  test("-o name prints what other commands take, one per line", async () => {
    await using stub = await StubPeer.open();
    listPeer(stub).on("GET /v1/peers", {
      body: { items: [{ id: "12D3KooWa", name: "vm·DEm4Gy1e", capacity: 20 }], roster: null },
    });
    assert.equal((await stub.cicada("jobs", "ls", "-o", "name")).stdout, "a-nightly-backup-of-everything\n");
    assert.equal((await stub.cicada("peers", "ls", "-o", "name")).stdout, "vm·DEm4Gy1e\n");
    assert.match(
      (await stub.cicada("runs", "ls", "-o", "name")).stdout,
      /\nbackup@2026-11-20T02:00:00Z~1@aaaaaaaa\n/,
    );
  });
});

describe("filters", () => {
  test("--failed and --since are states and an instant", async () => {
    await using stub = await StubPeer.open();
    listPeer(stub);
    await stub.cicada("runs", "ls", "--failed", "--since", "2h");
    await stub.cicada("runs", "ls", "--since", "yesterday 03:00", "--to", "03:00");
    await stub.cicada("jobs", "ls", "--failed");
    const queries = stub.asked.map(({ query }) => query);
    assert.equal(queries[0]?.["state"], "failed,timeout,lost,missed");
    assert.equal(queries[0]?.["from"], "2026-11-20T10:00:00.000Z");
    assert.equal(queries[1]?.["from"], "2026-11-19T03:00:00.000Z");
    assert.equal(queries[1]?.["to"], "2026-11-20T03:00:00.000Z");
    assert.equal(queries[2]?.["state"], "failing");
    for (const wrong of [
      ["--failed", "--state", "lost"],
      ["--since", "soon"],
      ["--since", "2h", "--from", "03:00"],
    ])
      assert.equal((await stub.cicada("runs", "ls", ...wrong)).code, 2);
  });

  test("a group that doesn't exist is refused, with the nearest one", async () => {
    await using stub = await StubPeer.open();
    const none = { body: { items: [], nextCursor: null } };
    stub
      .on("GET /v1/runs", none)
      .on("GET /v1/groups", { body: { items: [{ name: "etl" }], nextCursor: null } });
    stub.on("GET /v1/jobs", ({ query }) =>
      query["group"] === undefined
        ? { body: { items: [jobAnswer({ id: "x", group: "billing" })], nextCursor: null } }
        : none,
    );
    for (const noun of ["jobs", "runs"]) {
      const said = await stub.cicada(noun, "ls", "--group", "biling");
      assert.equal(said.code, 3);
      assert.match(said.stderr, /no group "biling": did you mean "billing"\?/);
      assert.equal((await stub.cicada(noun, "ls", "--group", "etl")).code, 0);
    }
  });

  test("what the API refuses is named by its flag", async () => {
    await using stub = await StubPeer.open();
    const errors = [{ pointer: "/peer", message: '"vm" could be two' }];
    stub.on("GET /v1/runs", problem(400, "BAD_REQUEST", "x", errors));
    const said = await stub.cicada("runs", "ls", "--on", "vm");
    assert.match(said.stderr, /--on: "vm" could be two/);
    assert.match(said.stderr, /runs ls --help` shows the usage/);
  });
});

describe("a run", () => {
  test("may be named by a time on the job's clock, or as the latest", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs/backup", { body: jobAnswer({ id: "backup", timezone: "Europe/Berlin" }) });
    stub.otherwise(({ path: asked }) =>
      asked.startsWith("/v1/runs/") ? { body: runAnswer({}) } : undefined,
    );
    for (const [named, asked] of [
      ["backup@03:00", "backup@2026-11-20T02:00:00Z"],
      ["backup@yesterday 03:00~2", "backup@2026-11-19T02:00:00Z~2"],
      ["backup@latest", "backup"],
      ["backup~failed", "backup~failed"],
      ["backup@2026-11-20T02:00:00Z~1@aaaaaaaa", "backup@2026-11-20T02:00:00Z~1@aaaaaaaa"],
    ] as const) {
      const said = await stub.cicada("runs", "get", named);
      assert.equal(said.code, 0, said.stderr);
      assert.equal(stub.asked.at(-1)?.path, `/v1/runs/${asked}`);
    }
    assert.equal((await stub.cicada("runs", "get", "backup@noon")).code, 2);
  });

  test("may be pasted from a chat, with the zero-width spaces that keep its id from being formatted there", async () => {
    await using stub = await StubPeer.open();
    stub.otherwise(() => ({ body: runAnswer({}) }));
    const id = "my_backup@2026-11-20T02:00:00Z~1@aaaaaaaa";
    const said = await stub.cicada(
      "runs",
      "get",
      id.replaceAll(/[_~@]/g, (mark) => `${mark}\u200b`),
    );
    assert.equal(said.code, 0, said.stderr);
    assert.equal(stub.asked.at(-1)?.path, `/v1/runs/${id}`);
  });

  test("that never started has no output, and the command gives the reason", async () => {
    await using stub = await StubPeer.open();
    const reason = "not started: the folder /nope doesn't exist";
    stub
      .on("GET /v1/runs/x/log", problem(404, "LOG_NOT_FOUND", "no reachable peer has it"))
      .on("GET /v1/runs/x", { body: runAnswer({ state: "failed", reason, startedAt: null }) });
    const said = await stub.cicada("runs", "log", "x");
    assert.equal(said.code, 3);
    assert.match(said.stderr, /never started; it is failed: not started: the folder/);
  });
});

/** Each answer is the state of x; after the last one the peer is gone. */
async function watch(interactive: boolean, answers: readonly string[]): Promise<string> {
  await using stub = await StubPeer.open();
  let round = 0;
  stub.on("GET /v1/jobs", () => {
    const state = answers[round];
    if (state === undefined) return problem(503, "PEER_UNREACHABLE", "it has gone");
    return {
      body: { items: [{ ...jobAnswer({ id: "x" }), state }, jobAnswer({ id: "y" })], nextCursor: null },
    };
  });
  const terminal = recordingTerminal({ CICADA_DATA: stub.data }, interactive);
  terminal.rest = () => {
    round += 1;
    return Promise.resolve(round <= answers.length);
  };
  assert.equal(await run(["jobs", "ls", "-w"], terminal), 0, terminal.stderr);
  return terminal.stdout;
}

describe("-w", () => {
  test("redraws a screen, and goes on while the peer doesn't answer", async () => {
    const pictures = (await watch(true, ["scheduled", "running"])).split("\u001b[H\u001b[J").slice(1);
    assert.equal(pictures.length, 3);
    assert.match(pictures[0] ?? "", /x .*scheduled/);
    assert.match(pictures[1] ?? "", /x .*running/);
    assert.match(pictures[2] ?? "", /it has gone/);
  });

  test("prints only new lines into a pipe", async () => {
    const lines = (await watch(false, ["scheduled", "scheduled", "running"])).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => line.split(/ +/)[0]),
      ["ID", "x", "y", "x", "No"],
    );
  });

  test("lists nothing again into a pipe when a peer that was away answers, and waits for one that had nothing", async () => {
    await using stub = await StubPeer.open();
    const rounds = [[], undefined, [jobAnswer({ id: "x" })], undefined, [jobAnswer({ id: "x" })]];
    let round = 0;
    stub.on("GET /v1/jobs", () => {
      const items = rounds[round];
      return items === undefined
        ? problem(503, "PEER_UNREACHABLE", "it has gone")
        : { body: { items, nextCursor: null } };
    });
    const terminal = recordingTerminal({ CICADA_DATA: stub.data });
    terminal.rest = () => Promise.resolve((round += 1) < rounds.length);
    assert.equal(await run(["jobs", "ls", "-w", "-o", "name"], terminal), 0, terminal.stderr);
    assert.deepEqual(
      terminal.stdout.split("\n").map((line) => line.split(" ")[0]),
      ["No", "x", "No", ""],
    );
  });

  test("is refused for JSON", async () => {
    await using stub = await StubPeer.open();
    assert.equal((await stub.cicada("jobs", "ls", "-w", "-o", "json")).code, 2);
  });
});
