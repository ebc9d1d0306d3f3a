/** Instants that are remembered in bounded memory (core/time/spans.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addToSpans, isInSpans, readSpans, writeSpans } from "../src/core/time/spans.ts";
import type { Span } from "../src/schema/run.ts";

const instant = fc.integer({ min: 0, max: 1_000 });
const batches = fc.array(fc.array(instant, { maxLength: 20 }), { maxLength: 10 });
const most = fc.integer({ min: 1, max: 8 });

function spansOf(all: readonly (readonly number[])[], limit: number): readonly Span[] {
  let spans: readonly Span[] = [];
  for (const some of all) spans = addToSpans(spans, some, limit);
  return spans;
}

test("whatever was added stays in, and there are never more spans than the limit", () => {
  fc.assert(
    fc.property(batches, most, (all, limit) => {
      const spans = spansOf(all, limit);
      assert.ok(spans.length <= limit);
      for (const added of all.flat()) assert.ok(isInSpans(spans, added));
      assert.deepEqual(readSpans(writeSpans(spans)), spans);
    }),
  );
});

test("within the limit nothing else gets in", () => {
  fc.assert(
    fc.property(batches, instant, (all, other) => {
      assert.equal(isInSpans(spansOf(all, 1_000), other), all.flat().includes(other));
    }),
  );
});

test("beyond the limit the largest gaps stay", () => {
  const hours = Array.from({ length: 50 }, (_, index) => index);
  const yearAhead = hours.map((hour) => hour + 8_760);
  assert.deepEqual(spansOf([hours, yearAhead], 2), [
    { from: 0, to: 49 },
    { from: 8_760, to: 8_809 },
  ]);
});
