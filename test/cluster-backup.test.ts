/**
 * Backups of real peers: one is made while the peer runs, and a new peer is made of it, in the mesh that is still there and in
 * one of its own. Judged by what the jobs themselves write: no tick runs twice, and nothing that was deleted comes back.
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { cicada, Cluster, items, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

interface Run {
  tick: string;
  state: string;
  peer: string;
}

describe("a backup of a running mesh", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;
  let backup = "";
  let file = "";
  const lines = (job: string): string[] =>
    (existsSync(file) ? readFileSync(file, "utf8") : "")
      .split("\n")
      .filter((line) => line.startsWith(`${job} `));
  const job = (id: string, schedule: string, more: object = {}) => ({
    id,
    schedule,
    command: `echo "${id} $CICADA_TICK" >> ${file}`,
    ...more,
  });

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "lines");
    backup = path.join(cluster.folder, "mesh.backup");
    [ada, bob] = await cluster.mesh(["ada", "bob"]);
    const catchUp = { policy: "all", window: "1h" };
    await ada.ask("POST", "/v1/jobs", job("kept", "@every 1s", { overlap: "queue-all", catchUp }));
    await ada.ask("POST", "/v1/jobs", job("gone", "@every 1s"));
    await until("both jobs have run", 30_000, () => lines("kept").length > 3 && lines("gone").length > 3);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("is one private file without keys and tokens, which is not replaced unasked", async () => {
    const said = await ada.command("backup", backup);
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /2 jobs, [\d,]+ records/);
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    const bytes = readFileSync(backup, "latin1");
    for (const name of ["cluster.key", "peer.key", "admin.token"]) {
      const secret = readFileSync(path.join(ada.data, name), "utf8").trim();
      assert.ok(!bytes.includes(secret), name);
    }
    const again = await ada.command("backup", backup);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /--force/);
    assert.equal(existsSync(`${backup}.new`), false);
  });

  test("is refused for a used folder, and a file that is no backup makes no folder", async () => {
    const used = await cicada(["restore", backup, "--data", bob.data]);
    assert.equal(used.code, 4, used.stderr);
    const keyAlone = path.join(cluster.folder, "key-alone");
    mkdirSync(keyAlone);
    copyFileSync(path.join(bob.data, "peer.key"), path.join(keyAlone, "peer.key"));
    const second = await cicada(["restore", backup, "--data", keyAlone]);
    assert.equal(second.code, 4, "a peer that has lost its database is not made anew under its old identity");
    const data = path.join(cluster.folder, "nowhere");
    const cut = path.join(cluster.folder, "cut.backup");
    writeFileSync(cut, readFileSync(backup).subarray(0, 20_000));
    const other = path.join(cluster.folder, "other.backup");
    writeFileSync(other, "no database at all");
    for (const wrong of [
      cut,
      other,
      path.join(ada.data, "cicada.db"),
      path.join(cluster.folder, "missing"),
    ]) {
      const said = await cicada(["restore", wrong, "--data", data]);
      assert.equal(said.code, 2, said.stderr);
      assert.ok(said.stderr.includes(wrong), said.stderr);
    }
    assert.equal(existsSync(data), false);
  });

  test("can be restored again into the same folder when it failed half-way", async () => {
    const data = path.join(cluster.folder, "twice");
    // In the way of the database that is written first.
    mkdirSync(path.join(data, "cicada.db.new"), { recursive: true });
    const failed = await cicada(["restore", backup, "--data", data, "--new-mesh", "--yes"]);
    assert.notEqual(failed.code, 0, failed.stdout);
    assert.deepEqual(
      ["peer.key", "cluster.key", "cicada.db"].filter((name) => existsSync(path.join(data, name))),
      [],
    );
    rmSync(path.join(data, "cicada.db.new"), { recursive: true });
    const again = await cicada(["restore", backup, "--data", data, "--new-mesh", "--yes"]);
    assert.equal(again.code, 0, again.stderr);
  });

  test("becomes a peer of the living mesh, which runs nothing before a person says so, and revives no deleted job", async () => {
    await bob.ask("DELETE", "/v1/jobs/gone");
    const data = path.join(cluster.folder, "cyd");
    const shown = await cicada(["restore", backup, "--data", data, "--dry-run"]);
    assert.match(shown.stdout, /JOB +WOULD RUN/);
    assert.match(shown.stdout, /kept .*Z/);
    assert.equal(existsSync(data), false);
    const said = await cicada(["restore", backup, "--data", data]);
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /peers undrain/);
    const goneBefore = lines("gone").length;
    const cyd = await cluster.start({ name: "cyd", data, join: ada });
    await untilMembers([ada, bob], 3);
    const [self] = await items<{ id: string; drained: boolean }>(cyd, "/v1/peers");
    assert.equal(self?.drained, true);
    await until(
      "it has the mesh's table",
      20_000,
      async () => (await cyd.call("GET", "/v1/jobs/gone")).status === 404,
    );
    const seen = lines("kept").length;
    await until("the mesh goes on", 20_000, () => lines("kept").length > seen + 3);
    const runs = async () => await items<Run>(ada, `/v1/runs?peer=cyd&limit=50`);
    assert.deepEqual(await runs(), []);
    await ada.ask("POST", "/v1/peers/cyd/undrain", {});
    await until("it runs ticks", 30_000, async () =>
      (await runs()).some(({ state }) => state === "succeeded"),
    );
    assert.equal(new Set(lines("kept")).size, lines("kept").length, "no tick ran twice");
    assert.equal(lines("gone").length, goneBefore);
  });

  test("becomes a mesh of its own when no peer is left, after it has shown what it would catch up", async () => {
    const last = path.join(cluster.folder, "last.backup");
    for (const name of ["ci", "old"])
      assert.equal((await ada.command("token", "create", name, "--role", "viewer")).code, 0);
    assert.equal((await ada.command("token", "rm", "old")).code, 0);
    assert.equal((await ada.command("backup", last)).code, 0);
    await Promise.all(cluster.peers.map((peer) => peer.stop()));
    const written = lines("kept").length;
    const data = path.join(cluster.folder, "dan");
    const asked = await cicada(["restore", last, "--data", data, "--new-mesh"]);
    assert.equal(asked.code, 2);
    assert.match(asked.stderr, /--yes/);
    assert.equal(existsSync(data), false);
    const said = await cicada(["restore", last, "--data", data, "--new-mesh", "--yes"]);
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /These tokens are valid again in the new mesh[^\n]*: ci\.\n/);
    const first = /kept +(\S+Z)/.exec(said.stdout)?.[1];
    assert.ok(first !== undefined, said.stdout);
    const dan = await cluster.start({ name: "dan", data });
    await until("it runs the job", 30_000, () => lines("kept").length > written + 5);
    const caughtUp = lines("kept").slice(written);
    for (const line of caughtUp) assert.ok(line >= `kept ${first}`, `${line} is before ${first}`);
    const known = await items<Run>(dan, "/v1/jobs/kept/runs?limit=200");
    assert.ok(
      known.some(({ peer }) => peer === ada.ready.peerId),
      "it has the history",
    );
  });
});
