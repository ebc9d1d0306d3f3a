/**
 * Wide worlds in the tests: what once broke a rule breaks none any more, and as many other seeds as the budget holds.
 * CICADA_WIDE_MINUTES says how long these run (1 minute when not set); at least 30 are run however long they take.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runSeeds } from "./kit/seed/pool.ts";
import { sizeOf, type SeedJob } from "./kit/seed/job.ts";
import { summarise, type SeedSummary } from "./kit/seed/summary.ts";
import { mendedSeeds } from "./kit/seed/mended.ts";

describe("mended for good", () => {
  for (const { rule, why, ...job } of mendedSeeds) {
    test(`${rule}, seed ${job.seed}: ${why}`, () => {
      assert.deepEqual(summarise({ ...job, faults: "swarm" }).breaches, []);
    });
  }
});

const minutes = Number(process.env["CICADA_WIDE_MINUTES"] ?? 1);
const seedsAtLeast = 30;
const workers = 2;
/** hours × jobs; larger worlds are the hunt's */
const largest = 10;

test(
  "majority jobs keep every promise among witnesses, joins, old disks, garbage and triggers",
  { timeout: 20 * 60_000 },
  async (t) => {
    const until = performance.now() + minutes * 60_000;
    let tried = 0;
    const jobs: SeedJob[] = [];
    const next = (): SeedJob | undefined => {
      if (jobs.length >= seedsAtLeast && performance.now() > until) return undefined;
      for (;;) {
        const job = sizeOf(`wide-${++tried}`);
        if (job.hours * job.jobs > largest) continue;
        jobs.push(job);
        return job;
      }
    };
    const summaries: SeedSummary[] = [];
    await runSeeds(workers, next, (summary) => summaries.push(summary));
    const starts = summaries.reduce((sum, summary) => sum + summary.starts, 0);
    const hours = jobs.reduce((sum, job) => sum + job.hours, 0);
    t.diagnostic(`${summaries.length} seeds, ${Math.round(hours)} hours, ${starts} starts`);
    assert.ok(starts > summaries.length * 20, `only ${starts} starts: the worlds were idle`);
    const failed = summaries.flatMap(({ seed, breaches: [first] }) =>
      first === undefined ? [] : [`seed ${seed}: ${first.rule} ${first.what}`],
    );
    assert.deepEqual(failed, [], "the hunt tells more of one: npm run hunt -- --name SEED");
  },
);
