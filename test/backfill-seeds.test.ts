/** Simulated worlds in which people ask for past ticks again, often for the same ones at two peers at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { summarise } from "./kit/seed/summary.ts";

/**
 * Seeds that once broke a rule: the claim of a held tick was given back again and
 * again, two ticks of one backfill overlapped, and the voters of a majority job chose runners for two requests of one tick.
 */
const seeds = [7, 8, 17, 31, 119];
/** Worlds in which a job that runs after two others often follows a backfill of both. */
const joinSeeds = [2, 11, 14];

function breachesOf(seed: number, chains: boolean): readonly unknown[] {
  const size = { peers: 3, jobs: 8, hours: 0.3, faults: "swarm", world: "wide" } as const;
  const { starts, breaches } = summarise({ ...size, seed: String(seed), backfills: true, chains });
  assert.ok(starts > 20, `seed ${seed}: only ${starts} starts`);
  return breaches;
}

test("past ticks that are asked for run once and behind the live ones, through kills, splits and slow links", () => {
  for (const seed of seeds) assert.deepEqual(breachesOf(seed, false), [], `seed ${seed}`);
});

test("a job that runs after several others follows a backfill of all of them once, through kills, splits and slow links", () => {
  for (const seed of joinSeeds) assert.deepEqual(breachesOf(seed, true), [], `seed ${seed}`);
});

test("a backfill of a job on all peers in a pool of one slot, in a maintenance: its claims went to the end of the queue for ever", () => {
  const size = { peers: 3, jobs: 10, hours: 0.3, faults: "swarm", world: "wide" } as const;
  const features = { backfills: true, chains: true, retries: true, pools: true } as const;
  const { starts, breaches } = summarise({ ...size, ...features, seed: "j6" });
  assert.ok(starts > 20, `only ${starts} starts`);
  assert.deepEqual(breaches, []);
});
