/** The heap behind the timetable and the queue of orders (core/job/heap.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IndexedHeap } from "../src/core/job/heap.ts";

test("entries come out in order of instant, then key, whatever was added, moved and removed before", () => {
  const action = fc.oneof(
    fc.record({
      kind: fc.constant("set"),
      key: fc.integer({ min: 0, max: 20 }),
      at: fc.integer({ min: 0, max: 9 }),
    }),
    fc.record({ kind: fc.constant("remove"), key: fc.integer({ min: 0, max: 20 }), at: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const heap = new IndexedHeap<number>((a, b) => a < b);
      const model = new Map<number, number>();
      for (const { kind, key, at } of actions) {
        if (kind === "set") {
          heap.set(key, at);
          model.set(key, at);
        } else {
          heap.remove(key);
          model.delete(key);
        }
        assert.equal(heap.size, model.size);
      }
      const expected = [...model]
        .map(([key, at]) => ({ key, at }))
        .toSorted((a, b) => a.at - b.at || a.key - b.key);
      const out: { key: number; at: number }[] = [];
      for (let top = heap.peek(); top !== undefined; top = heap.peek()) {
        out.push({ ...top });
        heap.remove(top.key);
      }
      assert.deepEqual(out, expected);
    }),
    { numRuns: 500 },
  );
});
