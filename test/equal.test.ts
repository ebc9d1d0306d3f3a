/** Which values are equal, so that an edit, a put or an import changes nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sameValue } from "../src/schema/equal.ts";

const cases: readonly [what: string, a: unknown, b: unknown, same: boolean][] = [
  ["texts", "a", "a", true],
  ["a number and its text", 1, "1", false],
  ["null and nothing", null, undefined, false],
  ["lists in another order", ["a", "b"], ["b", "a"], false],
  ["a list and its beginning", ["a", "b"], ["a"], false],
  ["an object and a list with its members", { 0: "a" }, ["a"], false],
  ["members in another order", { a: 1, b: { c: 2, d: [3] } }, { b: { d: [3], c: 2 }, a: 1 }, true],
  ["a member that is undefined", { a: 1, b: undefined }, { a: 1 }, true],
  ["a member under another name", { a: 1, b: undefined }, { c: 1 }, false],
  ["a member that only the prototype has", { toString: 1 }, { a: 1 }, false],
  ["a value deep inside that differs", { a: { b: [{ c: 1 }] } }, { a: { b: [{ c: 2 }] } }, false],
];

for (const [what, a, b, same] of cases) {
  test(`${what} ${same ? "are the same value" : "differ"}`, () => {
    assert.equal(sameValue(a, b), same);
    assert.equal(sameValue(b, a), same, "in either order");
  });
}
