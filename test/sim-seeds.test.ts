/**
 * The tests' seed hunt: simulated hours with faults, two at a time, until the time is up. CICADA_SEED_MINUTES sets the
 * time (default: 4 minutes); at least 30 hours are run however long they take.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeeds } from "./kit/seed/pool.ts";
import type { SeedSummary } from "./kit/seed/summary.ts";
import { failedLongSeeds, failedSeeds } from "./kit/seed/failed.ts";

const minutes = Number(process.env["CICADA_SEED_MINUTES"] ?? 4);
const seedsAtLeast = 30;
const workers = 2;
const longHours = 6;
const hourOf = { peers: 5, jobs: 50, hours: 1, faults: "swarm" } as const;

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
      return { ...hourOf, seed };
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

test("bugs that worlds of six hours have shown stay fixed", { timeout: 30 * 60_000 }, async () => {
  const worlds = failedLongSeeds.map(({ seed, peers, jobs }) => {
    return { seed, peers, jobs, hours: longHours, faults: "swarm" as const };
  });
  const summaries: SeedSummary[] = [];
  await runSeeds(
    workers,
    () => worlds.shift(),
    (summary) => summaries.push(summary),
  );
  assert.equal(summaries.length, failedLongSeeds.length);
  assert.deepEqual(
    broken(summaries),
    [],
    "replay one with: npm run sim -- --seed N --peers P --jobs J --hours 6 --trace",
  );
});

/** The first breach of each seed that has one. */
function broken(summaries: readonly SeedSummary[]): string[] {
  return summaries.flatMap(({ seed, breaches: [first] }) =>
    first === undefined ? [] : [`seed ${seed}: ${first.rule} ${first.what}`],
  );
}
