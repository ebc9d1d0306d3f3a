/**
 * Simulated time with faults, two worlds side by side: of all seeds of plain worlds that once failed. They are the same on
 * every machine, however fast it is; fresh seeds, and longer times, are for `npm run sim` and `npm run hunt`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeeds } from "./kit/seed/pool.ts";
import type { SeedSummary } from "./kit/seed/summary.ts";
import { failedSeeds, hourOfFive } from "./kit/seed/failed.ts";

const workers = 2;

test(
  "five peers keep every promise through simulated hours of kills, pauses, splits and wrong clocks",
  { timeout: 30 * 60_000 },
  async (t) => {
    const worlds = failedSeeds.map(({ seed, enoughHours: hours = 0.5 }) => ({ ...hourOfFive, seed, hours }));
    const hours = worlds.reduce((sum, world) => sum + world.hours, 0);
    const jobs = worlds.values();
    const summaries: SeedSummary[] = [];
    await runSeeds(
      workers,
      () => jobs.next().value,
      (summary) => summaries.push(summary),
    );
    const starts = summaries.reduce((sum, summary) => sum + summary.starts, 0);
    t.diagnostic(`${summaries.length} seeds, ${hours} h, ${starts} starts`);
    assert.equal(summaries.length, failedSeeds.length);
    assert.ok(starts > hours * 1_000, `only ${starts} starts: the worlds were idle`);
    assert.deepEqual(broken(summaries), [], "replay one with: npm run sim -- --seed N --trace");
  },
);

/** The first breach of each seed that has one. */
function broken(summaries: readonly SeedSummary[]): string[] {
  return summaries.flatMap(({ seed, breaches: [first] }) =>
    first === undefined ? [] : [`seed ${seed}: ${first.rule} ${first.what}`],
  );
}
