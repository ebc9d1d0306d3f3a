/** Three real peers, of which the one that was asked for a backfill is killed: judged by what the job itself wrote. */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

const hour = 3_600_000;
const count = 12;

describe("a backfill of the last hours", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;
  let cyd: RunningPeer;
  let starts = "";
  const to = Math.floor(Date.now() / hour) * hour - hour;
  const span = { from: new Date(to - count * hour).toISOString(), to: new Date(to).toISOString() };
  const ticks = Array.from({ length: count }, (_, place) =>
    new Date(to - (count - place) * hour).toISOString().replace(".000", ""),
  );

  before(async () => {
    cluster = new Cluster();
    starts = path.join(cluster.folder, "starts");
    appendFileSync(starts, "");
    const [one, two, three] = await cluster.mesh(["ada", "bob", "cyd"]);
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    [ada, bob, cyd] = [one, two, three];
    await untilMembers([ada, bob, cyd], 3);
    await ada.ask("POST", "/v1/jobs", {
      id: "report",
      schedule: "0 * * * *",
      // No tick of its own comes while the test runs.
      endsAt: span.to,
      command: `${recordingCommand(starts)}; sleep 1`,
    });
    await until(
      "bob knows the job",
      10_000,
      async () => (await bob.call("GET", "/v1/jobs/report")).status === 200,
    );
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("is shown first, and nothing runs before --yes", async () => {
    const shown = await ada.command("jobs", "backfill", "report", "--from", span.from, "--to", span.to);
    assert.equal(shown.code, 0, shown.stderr);
    for (const tick of ticks) assert.match(shown.stdout, new RegExp(`${tick} +would run`));
    assert.match(shown.stdout, /12 ticks would run\. Add --yes/);
    assert.deepEqual(readStarts(starts), []);
  });

  test("runs each tick once, although the peer that was asked is killed while it goes on", async () => {
    const run = await ada.command(
      "jobs",
      "backfill",
      "report",
      "--from",
      span.from,
      "--to",
      span.to,
      "--yes",
    );
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /12 ticks will run/);
    // A start that its peer could not tell anybody of before it died would be made again elsewhere, rightly.
    await until("three ticks have begun, and bob knows it", 60_000, async () => {
      const begun = readStarts(starts);
      const runs = await items<{ backfills: string | null; startedAt: string | null }>(
        bob,
        "/v1/jobs/report/runs?limit=100",
      );
      const known = new Set(
        runs.flatMap(({ backfills, startedAt }) => (startedAt === null ? [] : backfills)),
      );
      return begun.length >= 3 && begun.every(({ tick }) => known.has(tick));
    });
    await ada.crash();
    await until("all ticks have begun", 120_000, () => {
      return new Set(readStarts(starts).map(({ tick }) => tick)).size === count;
    });
    await until("the last one has ended", 30_000, async () => {
      const runs = await items<{ state: string }>(bob, "/v1/jobs/report/runs?limit=100");
      return runs.every(({ state }) => state !== "running" && state !== "claimed");
    });
    assert.deepEqual(
      readStarts(starts)
        .map(({ tick }) => tick)
        .toSorted(),
      ticks,
    );
  });

  test("asked for again, at another peer, leaves out what has run, and says so", async () => {
    const again = await cyd.command(
      "jobs",
      "backfill",
      "report",
      "--from",
      span.from,
      "--to",
      span.to,
      "--yes",
    );
    assert.equal(again.code, 0, again.stderr);
    for (const tick of ticks) assert.match(again.stdout, new RegExp(`${tick} +left out: has run`));
    const runs = await items<{ trigger: string; backfills: string | null }>(
      cyd,
      "/v1/jobs/report/runs?limit=100",
    );
    const made = runs.filter(({ backfills }) => backfills !== null);
    assert.ok(made.length >= count);
    assert.ok(made.every(({ trigger }) => trigger === "backfill"));
    assert.equal(readStarts(starts).length, count);
  });

  test("of too many ticks is refused with their number", async () => {
    const from = new Date(to - 5_000 * hour).toISOString();
    const refused = await cyd.call("POST", "/v1/jobs/report/backfill", { from, to: span.to, dryRun: true });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /has 5000 ticks .*, and the maximum is 1000/);
  });
});

test("a job that runs after two others follows a backfill of both: once for each past tick, also when the peer that was asked is killed in between", async () => {
  await using cluster = new Cluster();
  const file = path.join(cluster.folder, "joined");
  const gate = path.join(cluster.folder, "gate");
  appendFileSync(file, "");
  const [ada, bob, cyd] = await cluster.mesh(["ada", "bob", "cyd"]);
  assert.ok(ada !== undefined && bob !== undefined && cyd !== undefined);
  await untilMembers([ada, bob, cyd], 3);
  const line = `echo "$CICADA_JOB $CICADA_TICK" >> ${file}`;
  const target = { peers: ["bob", "cyd"] };
  const to = Math.floor(Date.now() / hour) * hour - hour;
  const ticks = [2, 1].map((ago) => new Date(to - ago * hour).toISOString().replace(".000", ""));
  const span = { from: ticks[0], to: new Date(to).toISOString() };
  // No tick of their own comes while the test runs.
  const hourly = { schedule: "0 * * * *", endsAt: span.to, target };
  await ada.ask("POST", "/v1/jobs", { id: "load", ...hourly, command: line });
  await ada.ask("POST", "/v1/jobs", {
    id: "clean",
    ...hourly,
    command: `while [ ! -e ${gate} ]; do sleep 0.05; done; ${line}`,
  });
  await ada.ask("POST", "/v1/jobs", {
    id: "sum",
    command: `echo "sum $CICADA_TICK $(cat "$CICADA_PARENTS")" >> ${file}`,
    after: { jobs: ["load", "clean"] },
    target,
  });
  const written = (job: string): string[] =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((one) => one.startsWith(`${job} `));
  for (const job of ["load", "clean"]) {
    for (const peer of [bob, cyd])
      await until(
        `${peer.name} knows ${job}`,
        10_000,
        async () => (await peer.call("GET", `/v1/jobs/${job}`)).status === 200,
      );
    await ada.ask("POST", `/v1/jobs/${job}/backfill`, span);
  }
  await until("one parent has run all, and the other has begun", 60_000, async () => {
    const states = await Promise.all(
      [bob, cyd].map((peer) => items<{ state: string }>(peer, "/v1/jobs/clean/runs?limit=100")),
    );
    return (
      written("load").length === 2 && states.every((runs) => runs.some(({ state }) => state === "running"))
    );
  });
  assert.deepEqual(written("sum"), [], "it waits for the other parent");
  await ada.crash();
  appendFileSync(gate, "");
  await until("it has followed", 90_000, () => written("sum").length >= 2);
  await until("nothing is on", 30_000, async () => {
    const runs = await items<{ state: string }>(bob, "/v1/jobs/sum/runs?limit=100");
    return runs.length >= 2 && runs.every(({ state }) => state === "succeeded");
  });
  const sums = written("sum").map((one) => one.split(" "));
  assert.deepEqual(sums.map(([, tick = ""]) => tick).toSorted(), ticks);
  for (const [, , ...rest] of sums) {
    const parents = JSON.parse(rest.join(" ")) as Record<string, { state: string }>;
    assert.deepEqual(Object.keys(parents).toSorted(), ["clean", "load"]);
    assert.ok(Object.values(parents).every(({ state }) => state === "succeeded"));
  }
});
