/**
 * A crontab of thirty lines is imported by its owner, listed, and run by two real peers. The test waits for the
 * minutely lines, so it takes up to a minute and a quarter.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

interface Listed {
  id: string;
  revision: string;
  overlap: string;
  cwd: string;
}

describe("a crontab of thirty lines", () => {
  let cluster: Cluster;
  let peer: RunningPeer;
  let other: RunningPeer;
  let crontab = "";
  let out = "";

  before(async () => {
    cluster = new Cluster();
    const peers = await cluster.mesh(["old-host", "new-host"]);
    assert.ok(peers[0] !== undefined && peers[1] !== undefined);
    [peer, other] = [peers[0], peers[1]];
    out = path.join(cluster.folder, "out");
    mkdirSync(out);
    crontab = path.join(cluster.folder, "crontab");
    const text = readFileSync(path.join(import.meta.dirname, "fixtures", "crontab-to-run"), "utf8");
    writeFileSync(crontab, text.replace("OUT=/nowhere", `OUT=${out}`));
  });
  after(() => cluster[Symbol.asyncDispose]());

  const listed = () => items<Listed>(peer, "/v1/jobs?limit=200");
  const revisions = async () => (await listed()).map((job) => `${job.id} ${job.revision}`).toSorted();

  test("a dry run shows which jobs would be made, and makes none", async () => {
    const dry = await peer.command("import", "crontab", crontab, "--dry-run");
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /berlin-morning/);
    assert.deepEqual(await listed(), []);
  });

  test("the import makes thirty jobs, and says what it can't import and that cron still runs them", async () => {
    const done = await peer.command("import", "crontab", crontab);
    assert.equal(done.code, 0, done.stderr);
    const said = done.stdout + done.stderr;
    assert.match(said, /MAILTO/);
    assert.match(said, /still/);
    assert.match(said, /Any peer may run these jobs/);
    assert.equal((await listed()).length, 30);
  });

  test("every job behaves as under cron: it may overlap, and starts in its owner's home", async () => {
    for (const job of await listed()) {
      assert.equal(job.overlap, "allow", job.id);
      assert.equal(job.cwd, homedir(), job.id);
    }
  });

  test("both peers list every job with the same next tick and the same runner", async () => {
    for (const { id } of await listed()) {
      const target = `/v1/jobs/${id}/next?count=1`;
      const [next] = await items<{ tick: string; peers: { name: string }[] }>(peer, target);
      assert.ok(next !== undefined, id);
      assert.equal(next.peers.length, 2, id);
      await until(`both announce the same runner of ${id}`, 5_000, async () => {
        const answers = await Promise.all([peer, other].map((asked) => asked.ask("GET", target)));
        return JSON.stringify(answers[0]) === JSON.stringify(answers[1]);
      });
    }
  });

  test("importing it again changes nothing", async () => {
    const earlier = await revisions();
    const again = await peer.command("import", "crontab", crontab);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await revisions(), earlier);
  });

  test("the minutely lines run as cron would run them", { timeout: 120_000 }, async () => {
    const written: [file: string, text: string][] = [
      ["every-minute", "minute one\n"],
      ["every-minute", "minute two\n"],
      ["percent", "a first line\na second line"],
      ["escaped", "100% done\n"],
      ["home", `${homedir()}\n`],
      ["shell", "/bin/sh\n"],
    ];
    for (const [name, text] of written) {
      const file = path.join(out, name);
      await until(`${name} holds ${JSON.stringify(text)}`, 75_000, () => {
        return existsSync(file) && readFileSync(file, "utf8").includes(text);
      });
    }
  });
});
