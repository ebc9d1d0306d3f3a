/** The API's client: which peer it asks, with which token, and how it reports failures to people and scripts. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { cicada, jobAnswer, problem, StubPeer } from "./kit/cli-stage.ts";

const noJobs = { body: { items: [], nextCursor: null } };

/** An address at which a server listened a moment ago. */
async function closedUrl(): Promise<string> {
  await using stub = await StubPeer.open();
  return stub.url;
}

describe("the peer that is asked", () => {
  test("is the local one by default, found by its ready.json, with the token of its tokenFile", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs", noJobs);
    const said = await stub.cicada("jobs", "ls");
    assert.equal(said.code, 0, said.stderr);
    assert.equal(stub.asked[0]?.headers.authorization, "Bearer the-token");
  });

  for (const [url, isRefused] of [
    ["http://cron.invalid:7400", true],
    ["cron.invalid:7400", true],
    ["http://127.0.0.1.nip.invalid:7400", true],
    ["https://0.0.0.0:1", false],
    ["http://127.0.0.1:1", false],
    ["http://[::1]:1", false],
    ["http://localhost:1", false],
  ] as const) {
    test(`is ${isRefused ? "not sent" : "sent"} a token at ${url}${isRefused ? " without --insecure" : ""}`, async () => {
      const said = await cicada(["jobs", "ls", "--peer", url, "--token", "t"]);
      assert.equal(said.code, isRefused ? 2 : 5, said.stderr);
      if (isRefused) assert.match(said.stderr, /over plain http the token can be read/);
    });
  }

  test("is sent a token over plain http with --insecure", async () => {
    const said = await cicada(["jobs", "ls", "--peer", "http://0.0.0.0:1", "--token", "t", "--insecure"]);
    assert.equal(said.code, 5, said.stderr);
  });

  test("is the one that --peer or CICADA_PEER_URL names, with --token or CICADA_TOKEN", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs", noJobs);
    const nowhere = path.join(stub.folder, "nowhere");
    const flags = await cicada(["jobs", "ls", "--peer", stub.url, "--token", "t1", "--data", nowhere]);
    const variables = { CICADA_PEER_URL: stub.url, CICADA_TOKEN: "t2", CICADA_DATA: nowhere };
    const env = await cicada(["jobs", "ls"], variables);
    assert.deepEqual([flags.code, env.code], [0, 0], flags.stderr + env.stderr);
    assert.deepEqual(
      stub.asked.map(({ headers }) => headers.authorization),
      ["Bearer t1", "Bearer t2"],
    );
  });

  test("never gets the local peer's admin token if it is another peer", async () => {
    await using local = await StubPeer.open();
    await using other = await StubPeer.open();
    other.on("GET /v1/jobs", noJobs);
    const said = await local.cicada("jobs", "ls", "--peer", other.url);
    assert.equal(said.code, 7);
    assert.match(said.stderr, /no --token for http/);
    assert.deepEqual(
      other.asked.map(({ path: asked, headers }) => [asked, headers.authorization]),
      [["/livez", undefined]],
    );
  });

  test("is reported as unreachable before a token is asked for", async () => {
    const said = await cicada(["jobs", "ls", "--peer", await closedUrl(), "--data", "/nonexistent"]);
    assert.equal(said.code, 5);
    assert.match(said.stderr, /no program listens there/);
  });

  test("is missing if none was started: exit 5, and the message names the folder", async () => {
    const said = await cicada(["jobs", "ls"], { CICADA_DATA: "/nonexistent/cicada" });
    assert.equal(said.code, 5);
    assert.match(said.stderr, /no peer is up in \/nonexistent\/cicada/);
    assert.equal(said.stdout, "");
  });

  test("is unreachable if nothing listens there: exit 5", async () => {
    const said = await cicada(["jobs", "ls", "--peer", await closedUrl(), "--token", "t"]);
    assert.equal(said.code, 5);
    assert.match(said.stderr, /no program listens there/);
    assert.match(said.stderr, /hint:/);
  });

  test("may have an unreadable token file: exit 7, and the message names its owner", async () => {
    await using stub = await StubPeer.open();
    rmSync(path.join(stub.data, "admin.token"));
    const said = await stub.cicada("jobs", "ls");
    assert.equal(said.code, 7);
    assert.match(said.stderr, /admin\.token: there is no such file/);
  });
});

describe("a refusal of the peer", () => {
  const cases = [
    { answer: problem(404, "JOB_NOT_FOUND", 'there is no job "x"'), exit: 3 },
    { answer: problem(409, "JOB_EXISTS", "x"), exit: 4 },
    { answer: problem(412, "REVISION_CONFLICT", "x"), exit: 4 },
    { answer: problem(422, "INVALID_JOB", "x"), exit: 2 },
    { answer: problem(401, "UNAUTHORISED", "x"), exit: 7 },
    { answer: problem(403, "FOREIGN_HOST", "x"), exit: 6 },
    { answer: problem(500, "INTERNAL", "x"), exit: 1 },
    { answer: problem(404, "A_CODE_OF_A_LATER_VERSION", "x"), exit: 3 },
    { answer: { status: 502, body: "<html>" }, exit: 1 },
  ];
  for (const { answer, exit } of cases) {
    const { status } = answer;
    test(`${status} ${JSON.stringify(answer.body).slice(0, 60)} ends with exit code ${exit}`, async () => {
      await using stub = await StubPeer.open();
      stub.on("GET /v1/jobs/x", answer);
      const said = await stub.cicada("jobs", "get", "x");
      assert.equal(said.code, exit);
      assert.equal(said.stdout, "", "what failed prints no answer");
      assert.match(said.stderr, /^error: .*\n(  .*\n)*hint: .*\n/);
    });
  }

  test("is printed field by field", async () => {
    await using stub = await StubPeer.open();
    const errors = [{ pointer: "/schedule", message: "too few fields" }];
    stub.on("POST /v1/jobs", problem(422, "INVALID_JOB", "the job is not valid", errors));
    const said = await stub.cicada("jobs", "create", "x", "--schedule", "* *", "--command", "true");
    assert.equal(said.code, 2);
    assert.match(said.stderr, /--schedule: too few fields/);
  });

  test("is printed without control characters", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs/x", problem(404, "JOB_NOT_FOUND", "\u001b]0;gotcha\u0007\u001b[2J"));
    const said = await stub.cicada("jobs", "get", "x");
    assert.match(said.stderr, /gotcha/);
    assert.ok(!said.stderr.includes("\u001b"));
  });
});

test("a list is read to its last page", async () => {
  await using stub = await StubPeer.open();
  stub.on("GET /v1/jobs", ({ query }) => ({
    body:
      query["cursor"] === undefined
        ? { items: [jobAnswer({ id: "a", command: "true" })], nextCursor: "two" }
        : { items: [jobAnswer({ id: "b", command: "true" })], nextCursor: null },
  }));
  const said = await stub.cicada("jobs", "ls", "-o", "json");
  assert.equal(said.code, 0, said.stderr);
  const { items, nextCursor } = JSON.parse(said.stdout) as { items: { id: string }[]; nextCursor: null };
  assert.deepEqual(
    items.map(({ id }) => id),
    ["a", "b"],
  );
  assert.equal(nextCursor, null);
});

test("a redirect is not followed, because the token is for that peer alone", async () => {
  await using stub = await StubPeer.open();
  await using other = await StubPeer.open();
  stub.on("GET /v1/jobs", { status: 302, headers: { location: `${other.url}/v1/jobs` } });
  const said = await stub.cicada("jobs", "ls");
  assert.equal(said.code, 5, said.stderr);
  assert.match(said.stderr, /redirect/);
  assert.equal(other.asked.length, 0);
});
