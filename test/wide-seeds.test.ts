/**
 * Wide worlds: seeds that once broke a rule don't break one any more, and neither do 8 others. They are the same on
 * every machine, however fast it is; fresh seeds are for `npm run hunt`, and old ones that are dear for
 * `npm run hunt -- --world mended`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
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
    .filter(({ heldBy }) => heldBy === undefined)
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

test("a world that is left out here is held by a test of the checker that had judged it wrongly", () => {
  const files = ["checkers.test.ts", "vote-checkers.test.ts"];
  const tests = files.map((file) => readFileSync(path.join(import.meta.dirname, file), "utf8")).join("");
  const left = mendedSeeds.flatMap(({ heldBy }) => (heldBy === undefined ? [] : [heldBy]));
  assert.ok(left.length > 0);
  assert.deepEqual(
    left.filter((title) => !tests.includes(`test("${title}"`)),
    [],
  );
});

const others = 8;
const kept: ReadonlySet<string> = new Set(mendedSeeds.map(({ seed }) => seed));

test(
  "majority jobs keep every promise among witnesses, joins, old disks, garbage and triggers",
  { timeout },
  async (t) => {
    const { count, hours, starts, broken } = await runDrawnSeeds(
      others,
      (number) => sizeOf(`wide-${number}`),
      ({ seed }) => !kept.has(seed),
    );
    t.diagnostic(`${count} seeds, ${Math.round(hours)} hours, ${starts} starts`);
    assert.ok(starts > count * 20, `only ${starts} starts: the worlds were idle`);
    assert.deepEqual(broken, [], "to see more of a seed: npm run hunt -- --name SEED");
  },
);
