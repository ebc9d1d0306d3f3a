/**
 * A real peer answers bad input with a clear error, or drops and counts it. Afterwards the peer still works, nothing is
 * lost, and nothing has run that was not asked for.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type Reply, type RunningPeer } from "./kit/cluster.ts";

/** Every file below a folder, with its size; largest first. */
function filesOf(folder: string): { file: string; bytes: number }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => ({ file, bytes: statSync(file).size }))
    .toSorted((a, b) => b.bytes - a.bytes);
}

function codeOf(reply: Reply): unknown {
  const { body } = reply;
  return typeof body === "object" && body !== null && "code" in body ? body.code : undefined;
}

describe("the API of a real peer", () => {
  let cluster: Cluster;
  let peer: RunningPeer;
  before(async () => {
    cluster = new Cluster();
    peer = await cluster.start({ name: "api" });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const job = { id: "fine", command: "true" };
  const cases: [title: string, status: number, code: string, ask: () => Promise<Reply>][] = [
    ["no token", 401, "UNAUTHORISED", () => peer.call("GET", "/v1/jobs", undefined, { authorization: "" })],
    [
      "a wrong token",
      401,
      "UNAUTHORISED",
      () => peer.call("GET", "/v1/jobs", undefined, { authorization: `Bearer ${"x".repeat(43)}` }),
    ],
    [
      "a foreign Host, as after DNS rebinding",
      403,
      "FOREIGN_HOST",
      () => peer.call("GET", "/v1/jobs", undefined, { host: "cron.example.com" }),
    ],
    [
      "a foreign Origin",
      403,
      "FOREIGN_ORIGIN",
      () => peer.call("POST", "/v1/jobs", job, { origin: "https://example.com" }),
    ],
    ["a body that is not JSON", 400, "BAD_JSON", () => peer.call("POST", "/v1/jobs", '{"id": "fine", ')],
    [
      "a body over the limit",
      413,
      "BODY_TOO_LARGE",
      () => peer.call("POST", "/v1/jobs", " ".repeat(2 << 20)),
    ],
    [
      "another media type",
      415,
      "UNSUPPORTED_MEDIA_TYPE",
      () => peer.call("POST", "/v1/jobs", "id=fine", { "content-type": "text/plain" }),
    ],
    [
      "an unknown field",
      422,
      "INVALID_JOB",
      () => peer.call("POST", "/v1/jobs", { ...job, schedul: "@daily" }),
    ],
    [
      "an unknown zone",
      422,
      "INVALID_JOB",
      () => peer.call("POST", "/v1/jobs", { ...job, schedule: "@daily", timezone: "Mars/Base" }),
    ],
    [
      "an empty command",
      422,
      "INVALID_JOB",
      () => peer.call("POST", "/v1/jobs", { id: "fine", command: "" }),
    ],
    [
      "a schedule with too few fields",
      422,
      "INVALID_JOB",
      () => peer.call("POST", "/v1/jobs", { ...job, schedule: "* * *" }),
    ],
    [
      "an id with odd characters",
      422,
      "INVALID_JOB",
      () => peer.call("POST", "/v1/jobs", { ...job, id: "../etc" }),
    ],
    ["an unknown job", 404, "JOB_NOT_FOUND", () => peer.call("GET", "/v1/jobs/fine")],
  ];
  for (const [title, status, code, ask] of cases) {
    test(`${title} gets ${status} ${code}, with a hint, and changes nothing`, async () => {
      const reply = await ask();
      assert.equal(reply.status, status, reply.text);
      assert.equal(codeOf(reply), code);
      assert.match(String(reply.headers["content-type"]), /^application\/problem\+json/);
      assert.ok(reply.text.includes('"hint"'), reply.text);
      assert.deepEqual(await items(peer, "/v1/jobs"), []);
    });
  }

  test("the refusal of an unknown field names the nearest known one", async () => {
    const reply = await peer.call("POST", "/v1/jobs", { ...job, comand: "true" });
    assert.match(reply.text, /"pointer":"\/comand"/);
    assert.match(reply.text, /command/);
  });
});

/** Connects to the mesh port, sends the bytes, and waits until the peer hangs up or takes no more. */
function sendToMesh(peer: RunningPeer, bytes: Uint8Array): Promise<void> {
  const port = Number(/\/tcp\/(\d+)/.exec(peer.address)?.[1]);
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", () => undefined);
    socket.once("close", () => resolve());
  });
}

describe("garbage on the mesh port of a peer", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  before(async () => {
    cluster = new Cluster();
    peers = await cluster.mesh(["left", "right"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("random bytes, oversized frames and half a greeting don't disturb the mesh and its ticks", async () => {
    const [left, right] = peers;
    assert.ok(left !== undefined && right !== undefined);
    const file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    await left.ask("POST", "/v1/jobs", {
      id: "beat",
      schedule: "@every 1s",
      command: recordingCommand(file),
    });
    await until("the first start", 10_000, () => readStarts(file).length > 0);

    const greeting = Buffer.from("\x13/multistream/1.0.0\n");
    const garbage = [
      randomBytes(64),
      randomBytes(1 << 20),
      Buffer.alloc(4 << 20, 0xff),
      greeting,
      Buffer.concat([greeting, Buffer.from("\x07/noise\n"), randomBytes(70_000)]),
      Buffer.from("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
      new Uint8Array(),
    ];
    const rounds = [1, 2, 3, 4, 5].flatMap(() => garbage);
    await Promise.all(rounds.flatMap((bytes) => peers.map((peer) => sendToMesh(peer, bytes))));

    const seen = readStarts(file).length;
    await until("three more starts", 15_000, () => readStarts(file).length >= seen + 3);
    await untilMembers(peers, 2);
    const ticks = readStarts(file).map(({ tick }) => tick);
    assert.equal(new Set(ticks).size, ticks.length, "a tick ran twice");
    for (const peer of peers) assert.equal(peer.started.hasEnded, false, peer.started.said);
  });
});

describe("a damaged data folder", () => {
  let cluster: Cluster;
  before(() => (cluster = new Cluster()));
  after(() => cluster[Symbol.asyncDispose]());

  /** A peer that has a job and was killed, so that it could not tidy up. */
  async function killedPeer(name: string): Promise<RunningPeer> {
    const peer = await cluster.start({ name });
    await peer.ask("POST", "/v1/jobs", { id: "kept", command: "true" });
    await peer.crash();
    return peer;
  }

  test("a peer starts although its folder has a foreign file and a torn ready.json", async () => {
    const peer = await killedPeer("foreign");
    writeFileSync(path.join(peer.data, "notes.txt"), "mine");
    writeFileSync(path.join(peer.data, "ready.json"), '{"pid": 1, "htt');
    await peer.restart();
    assert.equal((await peer.call("GET", "/v1/jobs/kept")).status, 200);
    assert.equal(existsSync(path.join(peer.data, "notes.txt")), true);
  });

  test("a journal with torn last bytes loses nothing that was acknowledged before", async () => {
    const peer = await killedPeer("torn");
    const journal = filesOf(peer.data).find(({ file, bytes }) => file.endsWith("-wal") && bytes > 0);
    assert.ok(journal !== undefined, "there is no journal to tear");
    appendFileSync(journal.file, randomBytes(1_000));
    await peer.restart();
    assert.equal((await peer.call("GET", "/v1/jobs/kept")).status, 200);
  });

  test("a database that has become unreadable is refused by name, with what to do", async () => {
    const peer = await killedPeer("overwritten");
    const database = filesOf(peer.data).find(({ file }) => /\.(db|sqlite)$/.test(file));
    assert.ok(
      database !== undefined,
      filesOf(peer.data)
        .map(({ file }) => file)
        .join(),
    );
    const journals = filesOf(peer.data).filter(({ file }) => /-(wal|shm)$/.test(file));
    for (const journal of journals) truncateSync(journal.file, 0);
    writeFileSync(database.file, randomBytes(database.bytes));
    await assert.rejects(peer.restart());
    assert.deepEqual(await peer.started.ended, { code: 1, signal: null });
    assert.ok(peer.started.said.includes(path.basename(database.file)), peer.started.said);
    assert.match(peer.started.said, /--join/);
  });
});

describe("three peers give the same answers", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  before(async () => {
    cluster = new Cluster();
    peers = await cluster.mesh(["ann", "ben", "cal"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("a job may be made at one, changed at another and deleted at the third; all of them follow", async () => {
    const [ann, ben, cal] = peers;
    assert.ok(ann !== undefined && ben !== undefined && cal !== undefined);
    const everywhere = (what: string, holds: (reply: Reply) => boolean): Promise<unknown> =>
      until(what, 5_000, async () => {
        const replies = await Promise.all(peers.map((peer) => peer.call("GET", "/v1/jobs/shared")));
        return replies.every(holds);
      });
    await ann.ask("POST", "/v1/jobs", { id: "shared", command: "true", description: "first" });
    await everywhere("made", (reply) => reply.status === 200);
    assert.equal(codeOf(await ben.call("POST", "/v1/jobs", { id: "shared", command: "true" })), "JOB_EXISTS");
    await ben.ask("PATCH", "/v1/jobs/shared", { description: "second" });
    await everywhere("changed", (reply) => reply.text.includes('"second"'));
    const texts = await Promise.all(
      peers.map(async (peer) => (await peer.call("GET", "/v1/jobs/shared")).body),
    );
    assert.deepEqual(texts[1], texts[0]);
    assert.deepEqual(texts[2], texts[0]);
    await cal.ask("DELETE", "/v1/jobs/shared");
    await everywhere("deleted", (reply) => reply.status === 404);
  });

  test("a run's output can be read at any peer", async () => {
    for (const runner of peers) {
      const id = `says-${runner.name}`;
      await runner.ask("POST", "/v1/jobs", {
        id,
        command: 'echo "I am $CICADA_PEER_NAME"',
        target: { peers: [runner.name] },
      });
      await runner.ask("POST", `/v1/jobs/${id}/run`, {});
      for (const asked of peers) {
        await until(`${asked.name} tells what ${runner.name} printed`, 10_000, async () => {
          const listed = await asked.call("GET", `/v1/jobs/${id}`);
          if (listed.status !== 200) return false;
          const [run] = await items<{ id: string; state: string }>(asked, `/v1/jobs/${id}/runs`);
          if (run?.state !== "succeeded") return false;
          const log = await asked.call("GET", `/v1/runs/${encodeURIComponent(run.id)}/log`);
          return log.status === 200 && log.text === `I am ${runner.name}\n`;
        });
      }
    }
  });
});
