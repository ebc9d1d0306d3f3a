/** `cicada top`: once as a list, or live on a screen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../src/main.ts";
import { jobAnswer, problem, recordingTerminal, runAnswer, StubPeer, type Asked } from "./kit/cli-stage.ts";

const page = (...found: object[]) => ({ body: { items: found, nextCursor: null } });

async function busyPeer(): Promise<StubPeer> {
  const stub = await StubPeer.open();
  const peer = { id: "12D3KooWa", self: true, role: "worker", load: 5, capacity: 20, draining: false };
  const items = [
    { ...peer, name: "alder", state: "alive" },
    { ...peer, name: "birch", state: "dead", self: false },
  ];
  const running = runAnswer({
    state: "running",
    startedAt: "2026-11-20T11:59:58Z",
    finishedAt: null,
    exitCode: null,
  });
  const failed = runAnswer({ id: "bad@2026-11-20T11:30:00Z~1@aaaaaaaa", state: "failed", exitCode: 3 });
  return stub
    .on("GET /v1/peers", { body: { items, nextCursor: null, roster: null } })
    .on("GET /v1/runs", ({ query }) => (query["state"] === "running" ? page(running) : page(failed)))
    .on(
      "GET /v1/jobs",
      page(jobAnswer({ id: "backup" }), { ...jobAnswer({ id: "by-hand" }), nextTick: null }),
    );
}

test("shows peers with their load, what runs, what failed lately, and what comes next", async () => {
  await using stub = await busyPeer();
  const said = await stub.cicada("top");
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stdout, /^2026-11-20T12:00:00Z {2}1 of 2 peers up, 1 running\n/);
  assert.match(said.stdout, /alder \* +alive +5\/20 +█████·+\n/);
  assert.match(said.stdout, /birch +dead +-\n/);
  assert.match(said.stdout, /RUNNING\n.*\nbackup@2026-11-20T02:00:00Z +running +alder +2\.0s/);
  assert.match(said.stdout, /FAILED IN THE LAST HOUR\n.*\nbad@2026-11-20T11:30:00Z +failed .*exit code 3/);
  assert.match(said.stdout, /NEXT\n.*\nbackup +in 14h +2026-11-21T02:00:00Z +alder\n$/);
  assert.ok(!said.stdout.includes("by-hand"));
});

test("asks an older peer for all jobs, which it doesn't sort", async () => {
  await using stub = await busyPeer();
  const jobs = [
    jobAnswer({ id: "later" }),
    { ...jobAnswer({ id: "sooner" }), nextTick: "2026-11-20T12:01:00Z" },
  ];
  stub.on("GET /v1/jobs", ({ query }: Asked) =>
    "sort" in query
      ? problem(400, "BAD_REQUEST", "unknown parameter")
      : { body: { items: jobs, nextCursor: null } },
  );
  const { stdout } = await stub.cicada("top");
  assert.ok(stdout.indexOf("sooner") < stdout.indexOf("later"), stdout);
});

test("shows a job that no peer can run among the next ones", async () => {
  await using stub = await busyPeer();
  const blocked = { ...jobAnswer({ id: "stuck" }), state: "blocked", nextTick: null, nextPeer: null };
  stub.on("GET /v1/jobs", { body: { items: [blocked], nextCursor: null } });
  const { stdout } = await stub.cicada("top");
  assert.match(stdout, /^stuck +- +no peer can$/m);
});

test("is drawn again on a screen, unless --once", async () => {
  await using stub = await busyPeer();
  let rounds = 0;
  const terminal = Object.assign(recordingTerminal({ CICADA_DATA: stub.data }, true), {
    rest: () => Promise.resolve((rounds += 1) < 3),
  });
  assert.equal(await run(["top"], terminal), 0, terminal.stderr);
  assert.equal(terminal.stdout.split("\u001b[H\u001b[J").length, 4);
  const once = recordingTerminal({ CICADA_DATA: stub.data }, true);
  await run(["top", "--once"], once);
  assert.match(once.stdout, /NEXT\n/);
  assert.ok(!once.stdout.includes("\u001b"));
});
