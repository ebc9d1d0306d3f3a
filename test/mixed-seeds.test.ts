/**
 * Mixed worlds: peers of two versions of the program, with upgrades and downgrades among all other faults
 * (src/sim/faults/mixed.ts). `npm run hunt -- --world mixed` runs more of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mixedSizeOf, type SeedJob } from "./kit/seed/job.ts";
import { runDrawnSeeds } from "./kit/seed/drawn.ts";
import { summarise } from "./kit/seed/summary.ts";

const seeds = 6;

test(
  "two versions in one mesh keep every promise, through upgrades and downgrades",
  { timeout: 20 * 60_000 },
  async (t) => {
    const { count, starts, broken } = await runDrawnSeeds(seeds, (number) => mixedSizeOf(`mixed-${number}`));
    t.diagnostic(`${count} seeds, ${starts} starts`);
    assert.equal(count, seeds);
    assert.ok(starts > seeds * 20, `only ${starts} starts: the worlds were idle`);
    assert.deepEqual(broken, [], "to see more of a seed: npm run hunt -- --world mixed --name SEED");
  },
);

test("two versions without any other fault: the earlier one runs what it knows, and the later one the rest", () => {
  const lines: string[] = [];
  const size = { peers: 5, jobs: 20, hours: 0.3 };
  const calm: SeedJob = { ...size, seed: "calm", faults: "swarm", world: "mixed", keptFaults: [] };
  const summary = summarise(calm, (_at, _host, line) => void lines.push(line));
  assert.deepEqual(summary.breaches, []);
  assert.ok(summary.starts > 50, `${summary.starts} starts`);
  assert.ok(restartsIn(lines, calm) > 0, "no peer changed its version");
});

test("two versions keep every promise over weeks in which peers are upgraded and downgraded, jobs edited and history pruned", () => {
  const lines: string[] = [];
  const size = { peers: 3, jobs: 4, hours: 24 * 9 };
  const calm: SeedJob = { ...size, seed: "weeks", faults: "swarm", world: "long-mixed", keptFaults: [] };
  const summary = summarise(calm, (_at, _host, line) => void lines.push(line));
  assert.deepEqual(summary.breaches, []);
  assert.ok(summary.starts > 20, `${summary.starts} starts`);
  assert.ok(restartsIn(lines, calm) > 2, "peers changed their versions");
  assert.ok(
    lines.some((line) => line.includes(": they speak ")),
    "two ranges of the protocol met",
  );
});

function restartsIn(lines: readonly string[], { peers }: SeedJob): number {
  return lines.filter((line) => line === "STARTED").length - peers;
}
