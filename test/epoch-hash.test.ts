/** What an epoch's hash covers, and so its voters' signatures. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { adoptChain, firstEpoch, hashOfEpoch } from "../src/core/voting/roster.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Epoch } from "../src/schema/vote.ts";

const founder = "ada" as PeerId;
const first = firstEpoch(founder);
const second: Epoch = { ...first, number: 1, from: 10, previous: hashOfEpoch(first) };
const forced: Epoch = { ...second, forced: { by: founder, signature: "s" } };

test("the voters of an epoch sign fields of a newer version too, at any depth", () => {
  const epochs: Epoch[] = [
    second,
    { ...second, weight: 2 } as Epoch,
    forced,
    { ...forced, weight: 2 } as Epoch,
    { ...forced, forced: { by: founder, signature: "s", weight: 2 } } as Epoch,
  ];
  assert.equal(new Set(epochs.map((epoch) => hashOfEpoch(epoch))).size, epochs.length);
});

test("an epoch with such a field is adopted and forwarded with the field", () => {
  const signed = { ...second, weight: 2, signatures: { ada: "s" } } as Epoch;
  const bytes = Buffer.from(hashOfEpoch(signed));
  const { chain } = adoptChain([first], [signed], (_peer, said) => bytes.equals(said));
  assert.deepEqual(chain, [first, signed]);
});

test("the first epoch, which is not signed, may have no such field", () => {
  assert.deepEqual(adoptChain([], [{ ...first, weight: 2 } as Epoch], () => true).chain, []);
});

test("an epoch that has no canonical form is refused without an exception", () => {
  const odd = { ...second, weight: Infinity, signatures: { ada: "s" } } as Epoch;
  assert.equal(hashOfEpoch(odd), "");
  assert.deepEqual(adoptChain([first], [odd], () => true).chain, [first]);
});
