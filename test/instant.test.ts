/** The text of an instant. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tickAt } from "../src/schema/ids.ts";
import { formatInstant, formatSecond } from "../src/schema/instant.ts";

const farthestMs = 8.64e15;

test("an instant is written as Date writes it, whichever was written before", () => {
  const edges = [0, -1, 1, 999, 86_399_999, 86_400_000, -86_400_000, 1.5, -0.5, farthestMs, -farthestMs];
  const year = 366 * 86_400_000;
  const instants = fc.oneof(
    fc.constantFrom(...edges),
    fc.integer({ min: 0, max: 100 * year }),
    fc.integer({ min: -farthestMs, max: farthestMs }),
  );
  fc.assert(
    fc.property(fc.array(instants), (all) => {
      for (const instant of all) {
        const text = new Date(instant).toISOString();
        assert.equal(formatInstant(instant), text);
        assert.equal(formatSecond(instant), text.replace(/\.\d{3}Z$/, "Z"));
        assert.equal(tickAt(instant), formatSecond(instant));
      }
    }),
  );
});

test("what no Date can hold has no text, and doesn't spoil the next", () => {
  assert.equal(formatInstant(farthestMs), new Date(farthestMs).toISOString());
  for (const instant of [NaN, Infinity, farthestMs + 1])
    assert.throws(() => formatInstant(instant), RangeError);
  assert.equal(formatInstant(0), "1970-01-01T00:00:00.000Z");
});
