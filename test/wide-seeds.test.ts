/**
 * Wide worlds: seeds that once broke a rule don't break one any more, and as many other seeds as time allows.
 * CICADA_WIDE_MINUTES sets the time for these (default: 1 minute); at least 20 are run however long they take.
 * What takes minutes is left to `npm run hunt -- --world mended`.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Breach } from "../src/sim/world/truth.ts";
import { runDrawnSeeds } from "./kit/seed/drawn.ts";
import { isModerate, sizeOf, type SeedJob } from "./kit/seed/job.ts";
import { mendedSeeds } from "./kit/seed/mended.ts";
import { runSeeds } from "./kit/seed/pool.ts";

const workers = 2;
const timeout = 20 * 60_000;

describe("a bug stays fixed", { timeout }, () => {
  const mended = mendedSeeds
    .map(({ rule, why, ...world }) => ({ rule, why, job: { ...world, faults: "swarm" } satisfies SeedJob }))
    .filter(({ job }) => isModerate(job));
  const breaches = new Map<SeedJob, readonly Breach[]>();
  before(
    async () => {
      const jobs = mended.values();
      await runSeeds(
        workers,
        () => jobs.next().value?.job,
        (summary, job) => breaches.set(job, summary.breaches),
      );
    },
    { timeout },
  );
  for (const { rule, why, job } of mended) {
    test(`${rule}, seed ${job.seed}: ${why}`, () => {
      assert.deepEqual(breaches.get(job), []);
    });
  }
});

const minutes = Number(process.env["CICADA_WIDE_MINUTES"] ?? 1);
const seedsAtLeast = 20;

test(
  "majority jobs keep every promise among witnesses, joins, old disks, garbage and triggers",
  { timeout },
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
