/**
 * Three real peers and jobs that share a pool: judged by what the jobs themselves wrote, a line when each began and ended.
 */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

interface ShownPool {
  slots: number;
  jobs: string[];
  holders: { job: string; peerName: string }[];
  waiting: { job: string }[];
}

const jobs = ["one", "two", "three", "four"];

describe("jobs of one pool on three peers", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "lines");
    appendFileSync(file, "");
    peers = await cluster.mesh(["ada", "bob", "cyd"]);
    for (const id of jobs) {
      await peers[0]?.ask("POST", "/v1/jobs", {
        id,
        schedule: "@every 8s",
        command: `echo "begin $CICADA_RUN $CICADA_PEER_NAME $$ $(date +%s%3N)" >> ${file}; sleep 0.7; echo "end $CICADA_RUN $CICADA_PEER_NAME $$ $(date +%s%3N)" >> ${file}`,
        pool: "db",
        catchUp: { policy: "all" },
      });
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** The lines so far; the most that were between their begin and their end. */
  const read = (since = 0): { begun: { run: string; peer: string; at: number }[]; most: number } => {
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    const open = new Set<string>();
    let most = 0;
    const begun = [];
    for (const line of lines) {
      const [what = "", run = "", peer = "", , at = ""] = line.split(" ");
      if (Number(at) < since) continue;
      if (what === "begin") {
        open.add(run);
        begun.push({ run, peer, at: Number(at) });
      } else open.delete(run);
      most = Math.max(most, open.size);
    }
    return { begun, most };
  };

  test("run one after the other, each tick once, and any peer shows who holds the slot and who waits", async () => {
    const [, bob] = peers;
    assert.ok(bob !== undefined);
    const seen = await until("bob shows a holder and one that waits", 40_000, async () => {
      const pool = (await bob.ask("GET", "/v1/pools/db")) as ShownPool;
      return pool.holders.length > 0 && pool.waiting.length > 0 && pool;
    });
    assert.equal(seen.slots, 1);
    assert.deepEqual(seen.jobs, jobs.toSorted());
    await until("eight ticks have run", 60_000, () => read().begun.length >= 8);
    const { begun, most } = read();
    assert.equal(most, 1);
    const ticks = begun.map(({ run }) => run.slice(0, run.indexOf("~")));
    assert.equal(new Set(ticks).size, ticks.length, "each once");
  });

  test("with three slots run side by side, on any peers", async () => {
    const [ada] = peers;
    assert.ok(ada !== undefined);
    const set = await ada.command("pools", "set", "db", "--slots", "3");
    assert.equal(set.code, 0, set.stderr);
    assert.match(set.stdout, /pool db has 3 slots/);
    const since = Date.now() + 1_000;
    await until("three run at once", 60_000, () => read(since).most === 3);
    assert.match((await ada.command("pools", "ls")).stdout, /db +3 /);
    assert.equal((await ada.command("pools", "set", "db", "--slots", "1")).code, 0);
  });

  test("go on when the peer that holds the slot is killed", async () => {
    const holder = await until("somebody holds it", 40_000, async () => {
      const pool = (await peers[0]?.ask("GET", "/v1/pools/db")) as ShownPool;
      return pool.holders[0]?.peerName;
    });
    const killed = peers.find(({ name }) => name === holder);
    assert.ok(killed !== undefined);
    await killed.crash();
    const since = Date.now() + 12_000;
    await until("others run four more", 90_000, () => read(since).begun.length >= 4);
    assert.equal(read(since).most, 1);
    await killed.restart();
    await untilMembers(peers, 3);
  });

  test("stop with 0 slots, and say so", async () => {
    const [ada, bob] = peers;
    assert.ok(ada !== undefined && bob !== undefined);
    await ada.ask("PUT", "/v1/pools/db", { slots: 0 });
    const job = await until("bob says so", 10_000, async () => {
      const shown = (await bob.ask("GET", "/v1/jobs/one")) as {
        problems: { code: string; message: string }[];
      };
      return shown.problems.find(({ code }) => code === "POOL_STOPPED");
    });
    assert.match(job.message, /0 slots/);
    const since = Date.now() + 3_000;
    await until("a tick waits", 30_000, async () => {
      const pool = (await bob.ask("GET", "/v1/pools/db")) as ShownPool;
      return Date.now() > since && pool.waiting.length > 0 && pool.holders.length === 0;
    });
    assert.equal(read(since).begun.length, 0);
    await ada.ask("PUT", "/v1/pools/db", { slots: 1 });
    await until("it runs again", 30_000, () => read(since).begun.length > 0);
    const refused = await ada.call("PUT", "/v1/pools/db", { slots: -1 });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /"pointer":"\/slots"/);
  });
});
