/** Three real peers, of which the one that was asked for a backfill is killed: judged by what the job itself wrote. */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
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
      const told = await items<{ backfills: string | null; startedAt: string | null }>(
        bob,
        "/v1/jobs/report/runs?limit=100",
      );
      const known = new Set(
        told.flatMap(({ backfills, startedAt }) => (startedAt === null ? [] : backfills)),
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
    assert.match(refused.text, /has 5000 ticks .*, and 1000 are the most/);
  });
});
