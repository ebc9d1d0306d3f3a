/** What a job sees of the environment of the peer that runs it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { hostEnvironment } from "../src/cli/start/host.ts";
import { root } from "./kit/cluster.ts";

const owner = () => ({ name: "ops", home: "/home/ops", shell: "/bin/bash" });

test("a job gets the person's PATH, HOME, USER, LOGNAME, SHELL, LANG, TZ and TMPDIR, and nothing else", () => {
  const env = { PATH: "/bin", HOME: "/home/me", LANG: "C.UTF-8", CICADA_TOKEN: "t", SSH_AUTH_SOCK: "s" };
  const { TMPDIR, ...rest } = hostEnvironment(env, owner);
  assert.ok(TMPDIR);
  assert.deepEqual(rest, {
    PATH: "/bin",
    HOME: "/home/me",
    USER: "ops",
    LOGNAME: "ops",
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
  });
});

test("npm's own folders are not on the PATH of jobs when the peer was started by npm", () => {
  const npm = ["/opt/cicada/node_modules/.bin", "/opt/node_modules/.bin", "/usr/lib/npm/node-gyp-bin"];
  const own = ["/usr/local/bin", "/home/me/node_modules/.bin/mine", "/bin"];
  const env = { PATH: [...npm, ...own].join(":"), npm_execpath: "/usr/lib/npm/cli.js" };
  assert.equal(hostEnvironment(env, owner)["PATH"], own.join(":"));
  const { npm_execpath: _, ...byHand } = env;
  assert.equal(hostEnvironment(byHand, owner)["PATH"], env.PATH);
});

test("for a user without an entry in /etc/passwd the home is / and the name is empty; the program runs, but without --data it refuses to keep keys in /", () => {
  const { HOME, USER, SHELL } = hostEnvironment({}, () => ({}));
  assert.deepEqual([HOME, USER, SHELL], ["/", undefined, "/bin/sh"]);
  if (process.getuid?.() !== 0) return;
  const program = path.join(root, "src", "cicada.mjs");
  const said = spawnSync(process.execPath, [program, "--version"], { uid: 65_500, gid: 65_500, env: {} });
  assert.equal(said.stderr.toString(), "");
  assert.equal(said.status, 0);
  const start = spawnSync(process.execPath, [program, "start"], { uid: 65_500, gid: 65_500, env: {} });
  assert.match(start.stderr.toString(), /this user has no home folder: give --data DIR/);
});
