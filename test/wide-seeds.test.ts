/**
 * Wide worlds: seeds that once broke a rule don't break one any more, and as many other seeds as time allows.
 * CICADA_WIDE_MINUTES sets the time for these (default: 1 minute); at least 20 are run however long they take.
 * What takes minutes is left to `npm run hunt -- --world mended`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runDrawnSeeds } from "./kit/seed/drawn.ts";
import { isModerate, sizeOf, type SeedJob } from "./kit/seed/job.ts";
import { summarise } from "./kit/seed/summary.ts";
import { mendedSeeds } from "./kit/seed/mended.ts";

describe("a bug stays fixed", () => {
  for (const { rule, why, ...world } of mendedSeeds) {
    const job: SeedJob = { ...world, faults: "swarm" };
    if (!isModerate(job)) continue;
    test(`${rule}, seed ${job.seed}: ${why}`, () => {
      assert.deepEqual(summarise(job).breaches, []);
    });
  }
});

const minutes = Number(process.env["CICADA_WIDE_MINUTES"] ?? 1);
const seedsAtLeast = 20;

test(
  "majority jobs keep every promise among witnesses, joins, old disks, garbage and triggers",
  { timeout: 20 * 60_000 },
  async (t) => {
    const until = performance.now() + minutes * 60_000;
    const { count, hours, starts, broken } = await runDrawnSeeds(
      (number) => sizeOf(`wide-${number}`),
      (begun) => begun >= seedsAtLeast && performance.now() > until,
    );
    t.diagnostic(`${count} seeds, ${Math.round(hours)} hours, ${starts} starts`);
    assert.ok(starts > count * 20, `only ${starts} starts: the worlds were idle`);
    assert.deepEqual(broken, [], "to see more of a seed: npm run hunt -- --name SEED");
  },
);
