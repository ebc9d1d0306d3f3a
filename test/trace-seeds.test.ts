/** One seed gives one world: nothing in the simulator depends on the machine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hourOfFive } from "./kit/seed/failed.ts";
import { summarise } from "./kit/seed/summary.ts";

const short = { ...hourOfFive, hours: 0.1 };

test("one seed gives one trace hash, however often it is run, and another seed another one", () => {
  const [once, again, other] = ["trace", "trace", "other"].map(
    (seed) => summarise({ ...short, seed }).traceHash,
  );
  assert.equal(once, again);
  assert.match(once ?? "", /^[0-9a-f]{16}$/);
  assert.notEqual(once, other);
});
