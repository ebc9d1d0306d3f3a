/** What an epoch's hash, and so its voters' signatures, stand for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { adoptChain, firstEpoch, hashOfEpoch } from "../src/core/voting/roster.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Epoch } from "../src/schema/vote.ts";

const founder = "ada" as PeerId;
const first = firstEpoch(founder);
const second: Epoch = { ...first, number: 1, from: 10, previous: hashOfEpoch(first) };
const forced: Epoch = { ...second, forced: { by: founder, signature: "s" } };

test("a field of a newer version is part of what an epoch's voters sign, wherever it stands", () => {
  const epochs: Epoch[] = [
    second,
    { ...second, weight: 2 } as Epoch,
    forced,
    { ...forced, weight: 2 } as Epoch,
    { ...forced, forced: { by: founder, signature: "s", weight: 2 } } as Epoch,
  ];
  assert.equal(new Set(epochs.map((epoch) => hashOfEpoch(epoch))).size, epochs.length);
});

test("an epoch with such a field is adopted and handed on with it", () => {
  const signed = { ...second, weight: 2, signatures: { ada: "s" } } as Epoch;
  const bytes = Buffer.from(hashOfEpoch(signed));
  const { chain } = adoptChain([first], [signed], (_peer, said) => bytes.equals(said));
  assert.deepEqual(chain, [first, signed]);
});

test("the first epoch, which nobody signs, may have none", () => {
  assert.deepEqual(adoptChain([], [{ ...first, weight: 2 } as Epoch], () => true).chain, []);
});

test("an epoch that has no canonical form is refused, and no exception", () => {
  const odd = { ...second, weight: Infinity, signatures: { ada: "s" } } as Epoch;
  assert.equal(hashOfEpoch(odd), "");
  assert.deepEqual(adoptChain([first], [odd], () => true).chain, [first]);
});
