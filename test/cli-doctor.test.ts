/** What `cicada doctor` finds in a mesh, with the mend of each finding, and what it says that it can't know. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { describe, test } from "node:test";
import { run } from "../src/main.ts";
import { cicada, jobAnswer, problem, recordingTerminal, StubPeer } from "./kit/cli-stage.ts";

interface Shown {
  check: string;
  level: string;
  found: string;
  mend?: string;
}

const self = "12D3KooWself";

function peer(name: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: `12D3KooW${name}`,
    name,
    self: name === "self",
    state: "alive",
    role: "worker",
    tags: {},
    load: 1,
    capacity: 20,
    draining: false,
    drained: false,
    clockOffsetMs: 0,
    clockSynchronised: true,
    version: "0.1.0",
    tzdata: "2026a",
    addresses: [],
    hears: [self],
    ...more,
  };
}

const votersOf = (...voters: string[]) => ({
  epoch: 1,
  voters: voters.map((name) => `12D3KooW${name}`),
  from: "2026-11-20T02:00:00.000Z",
  forced: [],
});

async function meshOf(peers: Record<string, unknown>[], roster: object | null = null): Promise<StubPeer> {
  const stub = await StubPeer.open();
  writeFileSync(path.join(stub.data, "cluster.key"), "x", { mode: 0o600 });
  return stub
    .on("GET /v1/peers/self", { body: peers[0] })
    .on("GET /v1/peers", { body: { items: peers, nextCursor: null, roster } })
    .on("GET /readyz", { body: { ready: true, reasons: [], warnings: [] } })
    .on("GET /v1/jobs", { body: { items: [], nextCursor: null } });
}

async function findings(stub: StubPeer): Promise<Shown[]> {
  const said = await stub.cicada("doctor", "-o", "json");
  return JSON.parse(said.stdout) as Shown[];
}

async function found(stub: StubPeer, check: string): Promise<Shown> {
  const one = (await findings(stub)).find((finding) => finding.check === check);
  assert.ok(one !== undefined, `nothing about ${check}`);
  return one;
}

test("each finding that is not ok says what to do, and the exit code counts only broken ones", async () => {
  const peers = [
    peer("self", { load: 20, addresses: ["/ip4/127.0.0.1/tcp/1"] }),
    peer("bob", {
      hears: [],
      clockOffsetMs: 900,
      tzdata: "2024a",
      version: "0.0.9",
      state: "alive",
      load: 20,
    }),
    peer("cyd", { state: "dead", addresses: ["/ip4/127.0.0.1/tcp/1"] }),
  ];
  await using stub = await meshOf(peers, votersOf("self", "bob", "cyd"));
  stub.on("GET /v1/jobs", ({ query }) => ({
    body: { items: query["state"] === "blocked" ? [jobAnswer({ id: "stuck" })] : [], nextCursor: null },
  }));
  const said = await stub.cicada("doctor", "-o", "json");
  assert.equal(said.code, 0, said.stdout);
  const all = JSON.parse(said.stdout) as Shown[];
  const wrong = all.filter(({ level }) => level !== "ok");
  for (const { check, mend } of wrong) assert.ok((mend ?? "") !== "", `${check} has no mend`);
  assert.deepEqual(
    wrong.map(({ check }) => check).filter((check) => check !== "disk" && check !== "limits"),
    [
      "ports",
      "members",
      "heard",
      "clock",
      "zones",
      "versions",
      "majority",
      "capacity",
      "reach",
      "reach",
      "jobs",
    ],
  );
});

for (const [code, why, mend] of [
  [
    "forgotten",
    /cyd, bob refuse this peer, because the mesh has forgotten it/,
    /peers unforget self` at one/,
  ],
  ["key-superseded", /cyd, bob refuse this peer, because the mesh's key was rotated/, /--join/],
] as const) {
  test(`a peer that its members refuse (${code}) is told the way back, and never to forget them`, async () => {
    const others = [peer("cyd", { state: "dead" }), peer("bob", { state: "suspect" })];
    await using stub = await meshOf([peer("self"), ...others], votersOf("cyd"));
    stub.on("GET /readyz", {
      status: 503,
      body: { ready: false, codes: [code], reasons: ["why"], warnings: [] },
    });
    const members = await found(stub, "members");
    assert.equal(members.level, "failure");
    assert.match(members.found, why);
    assert.match(members.mend ?? "", mend);
    assert.equal((await found(stub, "majority")).level, "unknown");
    for (const { mend: advice = "" } of await findings(stub)) assert.doesNotMatch(advice, /peers forget/);
  });
}

describe("the way to the others and back", () => {
  test("is tried: a port that answers is open, another is named with its port", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const open = `/ip4/127.0.0.1/tcp/${port}/p2p/12D3KooWx`;
    await using stub = await meshOf([
      peer("self", { addresses: ["/ip4/127.0.0.1/tcp/2"] }),
      peer("bob", { addresses: ["/ip4/127.0.0.1/tcp/1", open] }),
    ]);
    assert.deepEqual(await found(stub, "reach"), {
      check: "reach",
      level: "ok",
      found: `bob at 127.0.0.1:${port}`,
    });
    await using alone = await meshOf([peer("self", { addresses: [open] })]);
    assert.match((await found(alone, "ports")).found, /on loopback only/);
    server.close();
    await once(server, "close");
    const gone = await found(stub, "reach");
    assert.equal(gone.level, "unknown");
    assert.match(gone.found, /bob is heard, but can't be dialled/);
  });

  test("doesn't lead back: another host's loopback address with this peer's own port proves nothing", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const own = `/ip4/127.0.0.1/tcp/${port}/p2p/12D3KooWself`;
    const bobs = `/ip4/127.0.0.1/tcp/${port}/p2p/12D3KooWbob`;
    await using stub = await meshOf([
      peer("self", { addresses: [own] }),
      peer("bob", { addresses: [bobs, "/ip4/127.0.0.2/tcp/1"] }),
    ]);
    const reach = await found(stub, "reach");
    assert.equal(reach.level, "unknown");
    assert.match(reach.found, /bob is heard, but can't be dialled from here: 127\.0\.0\.2:1: /);
    await using silent = await meshOf([
      peer("self", { addresses: [own] }),
      peer("bob", { addresses: [bobs] }),
    ]);
    assert.match((await found(silent, "reach")).found, /bob: no address of it is known here/);
    server.close();
    await once(server, "close");
  });

  test("back is what the others say", async () => {
    await using deaf = await meshOf([peer("self"), peer("bob", { hears: ["12D3KooWcyd"] })]);
    assert.match((await found(deaf, "heard")).found, /bob does not hear this peer/);
    await using older = await meshOf([peer("self"), peer("bob", { hears: undefined })]);
    assert.equal((await found(older, "heard")).level, "unknown");
  });
});

describe("voters", () => {
  const cases: readonly [string, string[], string, RegExp][] = [
    ["a lost majority is broken", ["self", "cyd", "dan"], "failure", /1 of 3 voters up, 2 needed/],
    ["the last majority is worth a look", ["self", "bob", "cyd"], "warning", /one more is lost/],
    ["a single voter among several peers, too", ["self"], "warning", /that one peer/],
    ["three of three are fine", ["self", "bob", "eve"], "ok", /3 of 3/],
  ];
  for (const [title, voters, level, text] of cases) {
    test(title, async () => {
      const peers = [peer("self"), peer("bob"), peer("eve"), peer("cyd", { state: "dead" })];
      await using stub = await meshOf(peers, votersOf(...voters));
      const one = await found(stub, "majority");
      assert.equal(one.level, level);
      assert.match(one.found, text);
      assert.equal((await stub.cicada("doctor")).code, level === "failure" ? 1 : 0);
    });
  }
});

test("a voter that has lost its votes is not counted, and the peer itself says that it doesn't vote", async () => {
  const peers = [peer("self"), peer("bob", { votesLost: true }), peer("cyd", { state: "dead" })];
  await using stub = await meshOf(peers, votersOf("self", "bob", "cyd"));
  const majority = await found(stub, "majority");
  assert.equal(majority.level, "failure");
  assert.match(majority.found, /^1 of 3 voters up, 2 needed \(bob can't vote: votes-lost\): majority jobs/);
  stub.on("GET /readyz", {
    status: 503,
    body: { ready: false, codes: ["votes-lost", "disk"], reasons: ["why", "it is full"], warnings: [] },
  });
  const ready = (await findings(stub)).filter(({ check }) => check === "ready");
  assert.deepEqual(
    ready.map((one) => one.found),
    ["this peer doesn't vote on the ticks of majority jobs: why", "ticks are not being kept: it is full"],
  );
});

test("if a neighbour answers no sync, doctor says what may be missing here, and which peer to restart", async () => {
  await using stub = await meshOf([peer("self"), peer("bob")]);
  const reasons = ["not in sync with bob: it doesn't say how much of the job table it has"];
  stub.on("GET /readyz", { status: 503, body: { ready: false, codes: ["sync"], reasons, warnings: [] } });
  const ready = await found(stub, "ready");
  assert.match(
    ready.found,
    /^jobs and runs that other peers know of may be missing here: not in sync with bob/,
  );
  assert.match(
    ready.mend ?? "",
    /^restart the peer that is named if doctor says the same of it at other peers/,
  );
});

test("a voter that can't vote is worth a look while the others are a majority", async () => {
  const peers = [peer("self"), peer("bob", { votesLost: true }), peer("eve")];
  await using stub = await meshOf(peers, votersOf("self", "bob", "eve"));
  const majority = await found(stub, "majority");
  assert.equal(majority.level, "warning");
  assert.match(majority.mend ?? "", /peers forget bob/);
});

test("what can't be looked at is said to be unknown", async () => {
  await using stub = await meshOf([peer("self", { clockSynchronised: null })]);
  stub.on("GET /v1/jobs", problem(403, "FORBIDDEN", "this token reads metrics only"));
  assert.equal((await found(stub, "ntp")).level, "unknown");
  assert.equal((await found(stub, "jobs")).level, "unknown");
  const remote = await cicada(["doctor", "--peer", stub.url, "--token", "t"]);
  for (const check of ["folder", "disk", "ports", "limits"])
    assert.ok(!remote.stdout.includes(` ${check} `), check);
});

test("a mend that doesn't fit the screen has a line of its own", async () => {
  await using stub = await meshOf([peer("self"), peer("bob", { tzdata: "2024a" })]);
  const terminal = Object.assign(recordingTerminal({ CICADA_DATA: stub.data }, true), { columns: 80 });
  await run(["doctor"], terminal);
  assert.match(terminal.stdout, /warn {2}zones .*\n {17}→ install the same version of Node/);
});
