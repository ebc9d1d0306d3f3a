/** Two real peers and a group with defaults: what its jobs do, and what API and command line show and refuse. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

interface Shown {
  revision: string;
  timezone?: string;
  inherited: Record<string, unknown> | null;
  env?: Record<string, string>;
}

describe("a group with defaults on two real peers", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;

  before(async () => {
    cluster = new Cluster();
    [ada, bob] = await cluster.mesh(["ada", "bob"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("its jobs run with them, on every peer, and show what they have from it", async () => {
    const set = await ada.command(
      "groups",
      "set",
      "etl",
      "--tz",
      "Europe/Berlin",
      "--env",
      "STAGE=prod",
      "--env",
      "A=group",
    );
    assert.equal(set.code, 0, set.stderr);
    assert.match(set.stdout, /group etl set; 0 jobs are in it/);
    const job = { id: "load", group: "etl", command: 'echo "$STAGE $A"', env: { A: "own" } };
    const made = (await ada.ask("POST", "/v1/jobs", job)) as Shown;
    assert.deepEqual(made.inherited, { timezone: "Europe/Berlin", env: { STAGE: "prod" } });
    assert.deepEqual([made.timezone, made.env], [undefined, { A: "own" }]);
    const there = await until("bob has it", 20_000, async () => {
      const reply = await bob.call("GET", "/v1/jobs/load");
      const shown = reply.body as Shown;
      return reply.status === 200 && shown.inherited !== null && shown;
    });
    assert.equal(there.revision, made.revision);
    await bob.ask("POST", "/v1/jobs/load/run", {});
    const [run] = await until("it has run", 30_000, async () => {
      const runs = await items<{ id: string; state: string }>(bob, "/v1/jobs/load/runs");
      return runs[0]?.state === "succeeded" && runs;
    });
    assert.equal(
      (await ada.call("GET", `/v1/runs/${encodeURIComponent(run?.id ?? "")}/log`)).text,
      "prod own\n",
    );
    // What was read can be written back, and takes over nothing from the group.
    const again = (await bob.ask("PUT", "/v1/jobs/load", made)) as Shown;
    assert.equal(again.revision, made.revision);
    const patched = (await bob.ask("PATCH", "/v1/jobs/load", { timezone: "UTC" })) as Shown;
    assert.deepEqual([patched.timezone, patched.inherited], ["UTC", { env: { STAGE: "prod" } }]);
  });

  test("what would make one of its jobs invalid is refused, with the job named, and nothing is changed", async () => {
    await ada.ask("POST", "/v1/jobs", { id: "tick", group: "etl", command: "true", schedule: "@every 30s" });
    const refused = await ada.call("PUT", "/v1/groups/etl", { jitter: "10m" });
    assert.equal(refused.status, 409);
    assert.match(
      refused.text,
      /"pointer":"\/jitter","message":"the job tick would be invalid: .*a jitter of 10m/,
    );
    const shown = (await ada.ask("GET", "/v1/groups/etl")) as { timezone: string; jobs: string[] };
    assert.deepEqual([shown.timezone, shown.jobs], ["Europe/Berlin", ["load", "tick"]]);
    await ada.ask("PUT", "/v1/groups/slow", { jitter: "10m" });
    const moved = await ada.call("PATCH", "/v1/jobs/tick", { group: "slow" });
    assert.equal(moved.status, 422);
    assert.match(moved.text, /with the defaults of its group slow: a jitter of 10m/);
  });

  test("the command line sets them from a file, lists, shows and removes them", async () => {
    const file = path.join(cluster.folder, "group.yaml");
    writeFileSync(file, "timezone: Asia/Tokyo\nretry: {attempts: 2}\n");
    assert.equal((await bob.command("groups", "set", "etl", "-f", file)).code, 0);
    assert.match((await bob.command("groups", "ls")).stdout, /etl +timezone, retry/);
    assert.match((await bob.command("groups", "get", "etl")).stdout, /retry +\{"attempts":2\}/);
    const wrong = await bob.command("groups", "set", "etl", "--schedule", "@daily");
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stderr, /--schedule: a group can't set schedule/);
    assert.equal((await bob.command("groups", "rm", "etl")).code, 0);
    const gone = await bob.call("GET", "/v1/groups/etl");
    assert.equal(gone.status, 404);
    const job = (await bob.ask("GET", "/v1/jobs/load")) as Shown;
    assert.equal(job.inherited, null);
    assert.equal((await bob.call("DELETE", "/v1/groups/etl")).status, 404);
  });
});
