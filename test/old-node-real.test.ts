/** On a host whose own Node is too old, with a real one if there is one. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { freePort, plainEnv, readReadyFile, root, Started, until } from "./kit/cluster.ts";

const oldNode = (process.env["PATH"] ?? "")
  .split(":")
  .map((folder) => path.join(folder, "node"))
  .find((node) => existsSync(node) && majorOf(node) < 24);
const program = path.join(root, "src", "cicada.mjs");

function majorOf(node: string): number {
  return Number(execFileSync(node, ["-p", "process.versions.node.split('.')[0]"], { encoding: "utf8" }));
}

function underOldNode(script: string, ...words: string[]) {
  return spawnSync(oldNode ?? "", [script, ...words], { encoding: "utf8", env: plainEnv() });
}

describe(
  "under an older Node",
  { skip: oldNode === undefined ? "there is no older Node here" : false },
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), "cicada-old-node-"));
    after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
    test("a clone runs on the Node that npm ci brought, also by the link that npm link makes, and stops by SIGTERM and by SIGQUIT", async () => {
      const link = path.join(folder, "cicada");
      symlinkSync(program, link);
      const { stdout, stderr } = underOldNode(link, "--version");
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/, stderr);
      const data = path.join(folder, "data");
      const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=127.0.0.1:${await freePort()}`];
      for (const signal of ["SIGTERM", "SIGQUIT"] as const) {
        const peer = new Started(oldNode ?? "", [link, "start", ...flags], plainEnv());
        // oxlint-disable-next-line no-await-in-loop -- one start after the other
        await until("the peer is ready", 30_000, () => {
          if (peer.hasEnded) throw new Error(peer.said);
          return readReadyFile(data);
        });
        peer.kill(signal);
        // oxlint-disable-next-line no-await-in-loop
        assert.deepEqual(await peer.ended, { code: 0, signal: null }, peer.said);
      }
    });

    test("without such a Node it says what to do, in a clone and in a package, for one project or for all users", () => {
      for (const [place, inClone, hint] of [
        ["clone", true, /or run `npm ci` in .*\/clone/],
        ["project/node_modules/cicada-cron", false, /or run `npm install node-\S+@24` in .*\/project\.$/m],
        ["usr/lib/node_modules/cicada-cron", false, /first in PATH\.$/m],
      ] as const) {
        const src = path.join(folder, place, "src");
        mkdirSync(src, { recursive: true });
        cpSync(program, path.join(src, "cicada.mjs"));
        if (inClone) writeFileSync(path.join(src, "main.ts"), "");
        const { status, stderr } = underOldNode(path.join(src, "cicada.mjs"), "start");
        assert.equal(status, 1);
        assert.match(stderr, /needs Node 24 or newer; this is \d+\.\d+\.\d+, at \//);
        assert.match(stderr, hint);
      }
    });
  },
);
