/** Checks of values by their schema. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { checkOf } from "../src/schema/check.ts";

const PairSchema = Type.Object({ key: Type.String({ maxLength: 3 }), count: Type.Number() });

test("a value is accepted, or refused with each fault and its place", () => {
  const check = checkOf(PairSchema);
  assert.equal(check.accepts({ key: "a", count: 1 }), true);
  assert.deepEqual(check.errors({ key: "a", count: 1 }), []);
  assert.equal(check.accepts({ key: "long", count: "1" }), false);
  assert.deepEqual(
    check.errors({ key: "long", count: "1" }).map(({ keyword, instancePath }) => [keyword, instancePath]),
    [
      ["maxLength", "/key"],
      ["type", "/count"],
    ],
  );
});

test("a check costs nothing before it is used: its schema isn't read", () => {
  let reads = 0;
  const schema = new Proxy(PairSchema, {
    get: (target, name) => {
      reads += 1;
      return Reflect.get(target, name) as unknown;
    },
  });
  const check = checkOf(schema);
  assert.equal(reads, 0);
  assert.equal(check.accepts({}), false);
  const readsOfFirst = reads;
  assert.ok(readsOfFirst > 0);
  assert.equal(check.accepts({ key: "a", count: 1 }), true);
  assert.equal(reads, readsOfFirst, "it is compiled once");
});
