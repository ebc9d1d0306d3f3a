/** What once broke a rule in the simulator breaks none any more. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { summarise } from "../bench/seed-summary.ts";
import { mendedSeeds } from "./wide-seeds.ts";

describe("mended for good", () => {
  for (const { rule, why, ...job } of mendedSeeds) {
    test(`${rule}, seed ${job.seed}: ${why}`, () => {
      assert.deepEqual(summarise({ ...job, faults: "swarm" }).breaches, []);
    });
  }
});
