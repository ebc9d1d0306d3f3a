/**
 * Simulated hours with faults, two at a time: of all seeds that once failed, and of three others. They are the same on
 * every machine, however fast it is; fresh seeds are for `npm run sim` and `npm run hunt`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeeds } from "./kit/seed/pool.ts";
import type { SeedSummary } from "./kit/seed/summary.ts";
import { failedSeeds, hourOfFive } from "./kit/seed/failed.ts";

const others = ["test-1", "test-2", "test-3"];
const workers = 2;

test(
  "five peers keep every promise through simulated hours of kills, pauses, splits and wrong clocks",
  { timeout: 30 * 60_000 },
  async (t) => {
    const seeds = [...failedSeeds.map(({ seed }) => seed), ...others];
    const jobs = seeds.map((seed) => ({ ...hourOfFive, seed })).values();
    const summaries: SeedSummary[] = [];
    await runSeeds(
      workers,
      () => jobs.next().value,
      (summary) => summaries.push(summary),
    );
    const starts = summaries.reduce((sum, summary) => sum + summary.starts, 0);
    t.diagnostic(`${summaries.length} seeds × 1 h, ${starts} starts`);
    assert.equal(summaries.length, seeds.length);
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
