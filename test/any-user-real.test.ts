/** A peer starts as any user, even one that the host doesn't know, and without HOME, as in containers. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { cicada, freePort, readReadyFile, root, Started, until } from "./kit/cluster.ts";

const program = path.join(root, "src", "cicada.mjs");
const prefix = ["--reuid=61500", "--regid=61500", "--clear-groups", process.execPath, program];
const env = { PATH: "/usr/bin:/bin" };
const skip =
  process.getuid?.() === 0 && spawnSync("setpriv", [...prefix, "--version"], { env }).status === 0
    ? false
    : "needs root, and a clone that every user can read";

describe("a user without an entry in /etc/passwd and without HOME", { skip }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-any-user-"));
  chmodSync(folder, 0o777);
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

  test("starts a peer, which runs jobs as that user and stops", async () => {
    const data = path.join(folder, "data");
    const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=127.0.0.1:${await freePort()}`];
    const peer = new Started("setpriv", [...prefix, "start", ...flags], env);
    try {
      await until("the peer is ready", 60_000, () => {
        if (peer.hasEnded) throw new Error(peer.said);
        return readReadyFile(data);
      });
      const ask = { CICADA_DATA: data };
      const command = 'echo "$(id -u) $PATH $HOME [$USER]"';
      assert.equal((await cicada(["jobs", "create", "who", "--command", command], ask)).code, 0);
      assert.equal((await cicada(["jobs", "run", "who", "--wait"], ask)).code, 0);
      assert.equal((await cicada(["runs", "log", "who"], ask)).stdout, "61500 /usr/bin:/bin / []\n");
      peer.kill("SIGTERM");
      assert.deepEqual(await peer.ended, { code: 0, signal: null }, peer.said);
    } finally {
      peer.kill("SIGKILL");
    }
  });

  test("is asked for a folder, instead of keys in one that is no home", () => {
    const before = readdirSync("/");
    const { status, stderr } = spawnSync("setpriv", [...prefix, "start"], { env, encoding: "utf8" });
    assert.equal(status, 2);
    assert.match(stderr, /no home folder: give --data DIR/);
    assert.deepEqual(readdirSync("/"), before);
  });
});
