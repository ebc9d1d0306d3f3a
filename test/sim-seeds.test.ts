/**
 * The tests' seed hunt: simulated hours with faults, two at a time, until the time is up. CICADA_SEED_MINUTES sets the
 * time (default: 4 minutes); at least 16 hours are run however long they take, first those of seeds that once failed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeeds } from "./kit/seed/pool.ts";
import type { SeedSummary } from "./kit/seed/summary.ts";
import { failedSeeds, hourOfFive } from "./kit/seed/failed.ts";

const minutes = Number(process.env["CICADA_SEED_MINUTES"] ?? 4);
const seedsAtLeast = 16;
const workers = 2;

test(
  "five peers keep every promise through simulated hours of kills, pauses, splits and wrong clocks",
  { timeout: 30 * 60_000 },
  async (t) => {
    const until = performance.now() + minutes * 60_000;
    const known = failedSeeds.map(({ seed }) => seed);
    let given = 0;
    const next = () => {
      if (given >= seedsAtLeast && performance.now() > until) return undefined;
      const seed = known[given] ?? `test-${given - known.length + 1}`;
      given++;
      return { ...hourOfFive, seed };
    };
    const summaries: SeedSummary[] = [];
    await runSeeds(workers, next, (summary) => summaries.push(summary));
    const starts = summaries.reduce((sum, summary) => sum + summary.starts, 0);
    t.diagnostic(`${summaries.length} seeds × 1 h, ${starts} starts`);
    assert.ok(summaries.length >= seedsAtLeast, `only ${summaries.length} seeds were run`);
    assert.ok(starts > summaries.length * 1_000, `only ${starts} starts: the worlds were idle`);
    assert.deepEqual(broken(summaries), [], "replay one with: npm run sim -- --seed N --trace");
  },
);

/** The first breach of each seed that has one. */
function broken(summaries: readonly SeedSummary[]): string[] {
  return summaries.flatMap(({ seed, breaches: [first] }) =>
    first === undefined ? [] : [`seed ${seed}: ${first.rule} ${first.what}`],
  );
}
