/** `cicada demo`: three peers whose sample jobs run, and go on when one of them is killed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import path from "node:path";
import { isBusy } from "../src/cli/start/busy-port.ts";
import { Cluster, freePort, plainEnv, root, Started, until } from "./kit/cluster.ts";

const limitMs = 120_000;
const jobs = ["hello", "slow", "extract", "load", "ledger", "script", "flaky", "everywhere"] as const;

/** The first of six ports that were free a moment ago: three for pages, ten apart, and one above each for the mesh. */
async function freeDemoPort(): Promise<number> {
  return until("free ports for a demo", limitMs, async () => {
    const first = await freePort();
    const ports = [0, 1, 10, 11, 20, 21].map((step) => first + step);
    if (ports.some((port) => port > 65_535)) return false;
    const busy = await Promise.all(ports.map((port) => isBusy({ host: "127.0.0.1", port })));
    return !busy.includes(true) && first;
  });
}

test("a demo shows a chain, a retry, a majority job, a script and a job of all peers, and goes on when a peer is killed", async () => {
  await using cluster = new Cluster();
  const data = path.join(cluster.folder, "demo");
  const program = path.join(root, "src", "cicada.mjs");
  const args = [program, "demo", "--data", data, "--port", String(await freeDemoPort())];
  const demo = new Started(process.execPath, args, plainEnv());
  const ended = (job: string, from = 0): boolean =>
    new RegExp(`succeeded ${job}@`).test(demo.stdout.slice(from));
  try {
    for (const job of jobs) {
      // oxlint-disable-next-line no-await-in-loop -- each has its turn, whatever their order
      await until(`${job} has run`, limitMs, () => {
        assert.ok(!demo.hasEnded, demo.said);
        return ended(job);
      });
    }
    const [, pid] = /kill -9 (\d+)/.exec(demo.stdout) ?? [];
    assert.ok(pid !== undefined);
    const before = demo.stdout.length;
    process.kill(Number(pid), "SIGKILL");
    await until("it says that a peer has ended", limitMs, () => /has ended \(SIGKILL\)/.test(demo.stdout));
    for (const job of ["hello", "load", "ledger"]) {
      // oxlint-disable-next-line no-await-in-loop -- each has its turn, whatever their order
      await until(`${job} goes on`, limitMs, () => ended(job, before));
    }
  } finally {
    demo.kill("SIGTERM");
    await demo.ended;
  }
});
