/** One seed gives one world: nothing in the simulator depends on the machine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { summarise } from "./kit/seed/summary.ts";

const quarter = { peers: 5, jobs: 50, hours: 0.25, faults: "swarm" } as const;

test("one seed gives one trace hash, however often it is run", () => {
  const hashes = [1, 2].map(() => summarise({ ...quarter, seed: "trace" }).traceHash);
  assert.equal(hashes[0], hashes[1]);
  assert.match(hashes[0] ?? "", /^[0-9a-f]{16}$/);
});

test("another seed gives another trace hash", () => {
  const [one, other] = ["trace", "other"].map((seed) => summarise({ ...quarter, seed }).traceHash);
  assert.notEqual(one, other);
});
