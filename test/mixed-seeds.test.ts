/**
 * Mixed worlds in the tests: peers of two versions of the program, with upgrades and downgrades among all other faults
 * (src/sim/faults/mixed.ts). The hunt runs more of them: `npm run hunt -- --world mixed`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mixedSizeOf, type SeedJob } from "./kit/seed/job.ts";
import { runSeeds } from "./kit/seed/pool.ts";
import { summarise, type SeedSummary } from "./kit/seed/summary.ts";

const workers = 2;
const seeds = 10;
/** hours × jobs; larger worlds are the hunt's */
const largest = 10;

test(
  "two versions in one mesh keep every promise, through upgrades and downgrades",
  { timeout: 20 * 60_000 },
  async (t) => {
    let tried = 0;
    let given = 0;
    const next = () => {
      if (given++ >= seeds) return undefined;
      for (;;) {
        const job = mixedSizeOf(`mixed-${++tried}`);
        if (job.hours * job.jobs <= largest) return job;
      }
    };
    const summaries: SeedSummary[] = [];
    await runSeeds(workers, next, (summary) => summaries.push(summary));
    const starts = summaries.reduce((sum, summary) => sum + summary.starts, 0);
    t.diagnostic(`${summaries.length} seeds, ${starts} starts`);
    assert.equal(summaries.length, seeds);
    assert.ok(starts > seeds * 20, `only ${starts} starts: the worlds were idle`);
    const failed = summaries.flatMap(({ seed, breaches: [first] }) =>
      first === undefined ? [] : [`seed ${seed}: ${first.rule} ${first.what}`],
    );
    assert.deepEqual(failed, [], "the hunt tells more of one: npm run hunt -- --world mixed --name SEED");
  },
);

test("two versions without any other fault: the earlier one runs what it knows, and the later one the rest", () => {
  const lines: string[] = [];
  const size = { peers: 5, jobs: 20, hours: 0.3 };
  const calm: SeedJob = { ...size, seed: "calm", faults: "swarm", world: "mixed", keptFaults: [] };
  const summary = summarise(calm, (_at, _host, line) => void lines.push(line));
  assert.deepEqual(summary.breaches, []);
  assert.ok(summary.starts > 50, `${summary.starts} starts`);
  const restarts = lines.filter((line) => line === "STARTED").length - calm.peers;
  assert.ok(restarts > 0, "nobody changed its version");
});
