/** Real peers on hosts that can't run anything, or that allow few open files. Ticks run elsewhere, and each peer says why. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { assertEachOnce, readStarts, recordingCommand, untilEachStarted } from "./kit/cluster-judge.ts";
import { Cluster, items, root, type RunningPeer, until, untilMembers } from "./kit/cluster.ts";

interface Run {
  id: string;
  state: string;
}

describe("two peers when one can't write its runs' outputs", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    peers = await cluster.mesh(["ada", "bob"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("no tick is missed, doubled or failed; readyz is red with the reason, and turns green by itself", async () => {
    const [ada, bob] = peers;
    assert.ok(ada !== undefined && bob !== undefined);
    rmSync(path.join(ada.data, "logs"), { recursive: true });
    await ada.ask("POST", "/v1/jobs", {
      id: "beat",
      schedule: "@every 2s",
      command: recordingCommand(file),
    });
    const created = Date.now();
    await until("ada's readyz is red because of its host", 30_000, async () => {
      const { status, text } = await ada.call("GET", "/readyz?verbose");
      return status === 503 && /could not start a run: .*logs.* can't be written/.test(text);
    });
    assert.equal((await bob.call("GET", "/readyz")).status, 200);
    const span = { from: created, to: created + 10_000 };
    await untilEachStarted(file, 2_000, span, 20_000);
    // Bob learns of the tick that failed on ada when ada gives it back.
    assertEachOnce(readStarts(file), 2_000, span, 2_000);
    const runs = await items<Run>(bob, "/v1/jobs/beat/runs");
    assert.deepEqual(
      runs.filter(({ state }) => state === "failed" || state === "missed"),
      [],
    );
    mkdirSync(path.join(ada.data, "logs"), { mode: 0o700 });
    await until("ada is ready again", 60_000, async () => (await ada.call("GET", "/readyz")).status === 200);
  });
});

/** Of a process that, with all that it starts, may have only so many files open. */
function withFiles(files: number): readonly string[] {
  return ["/bin/sh", "-c", `ulimit -n ${files}; exec "$@"`, "sh"];
}

describe("a peer that may have few files open", () => {
  test("takes no ticks with very few, and says so in its log and in readyz; the others run its ticks", async () => {
    await using cluster = new Cluster();
    const ada = await cluster.start({ name: "ada" });
    const bob = await cluster.start({
      name: "bob",
      join: ada,
      flags: ["--capacity=20"],
      prefix: withFiles(96),
    });
    await until("bob is linked", 30_000, async () =>
      (await items<{ state: string }>(bob, "/v1/peers")).every(({ state }) => state === "alive"),
    );
    const { status, text } = await bob.call("GET", "/readyz?verbose");
    assert.equal(status, 503);
    assert.match(
      text,
      /this peer may have only 96 files open, and \d+ are wanted for 20 runs at once: it takes no/,
    );
    assert.match(bob.started.said, /may have only 96 files open/);
    const file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    await bob.ask("POST", "/v1/jobs", { id: "beat", schedule: "@every 1s", command: recordingCommand(file) });
    await until("five ticks have run", 30_000, () => readStarts(file).length >= 5);
    assert.deepEqual(new Set(readStarts(file).map(({ peer }) => peer)), new Set(["ada"]));
  });

  test("doesn't start with hardly any, and says why in one sentence, as does every other command", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "cicada-few-files-"));
    const data = path.join(folder, "data");
    // Opens all but one.
    const hog = `import { closeSync, openSync } from "node:fs";
      let last;
      try { for (;;) last = openSync("/dev/null"); } catch { closeSync(last); }`;
    const hogging = `--import=data:text/javascript,${encodeURIComponent(hog)}`;
    try {
      for (const [files, flags, command, says] of [
        [
          48,
          [],
          ["start", `--data=${data}`],
          /^error: The limit of open files is too low: 48, and a peer needs at least 64/,
        ],
        [128, [hogging], ["jobs", "ls"], /^error: The limit of open files is too low: not even/],
      ] as const) {
        const words = [...flags, path.join(root, "src", "cicada.mjs"), ...command];
        const shell = ["-c", `ulimit -n ${files}; exec "$@"`, "sh", process.execPath, ...words];
        const { status, stderr } = spawnSync("/bin/sh", shell, { encoding: "utf8", timeout: 30_000 });
        assert.equal(status, 1, stderr);
        assert.match(stderr, says);
        assert.match(stderr, /\nhint: {2}Raise LimitNOFILE= in the unit, or ulimit -n before the start\.\n$/);
        assert.equal(stderr.split("\n").length, 3);
      }
      assert.ok(!existsSync(data));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("with fewer than its runs want, isn't used up by strangers at both ports", async () => {
    await using cluster = new Cluster();
    const ada = await cluster.start({ name: "ada" });
    const bob = await cluster.start({
      name: "bob",
      join: ada,
      flags: ["--capacity=20"],
      prefix: withFiles(256),
    });
    await untilMembers([ada, bob], 2);
    const [, mesh = ""] = /tcp\/(\d+)/.exec(bob.address) ?? [];
    const ports = [Number(new URL(bob.ready.http).port), Number(mesh)];
    const strangers: Socket[] = [];
    for (const port of ports) {
      for (let number = 0; number < 250; number++) {
        const socket = connect(port, "127.0.0.1").on("error", () => undefined);
        strangers.push(socket);
        // oxlint-disable-next-line no-await-in-loop -- one after the other, so that none is lost in the backlog
        await once(socket, "connect");
      }
    }
    const file = path.join(cluster.folder, "starts");
    const job = { id: "here", command: recordingCommand(file), target: { peers: ["bob"] } };
    await bob.ask("POST", "/v1/jobs", job);
    await bob.ask("POST", "/v1/jobs/here/run", {});
    await until(
      "bob runs the job all the same",
      30_000,
      () => existsSync(file) && readStarts(file).length > 0,
    );
    for (const socket of strangers) socket.destroy();
    await untilMembers([ada, bob], 2);
  });
});
