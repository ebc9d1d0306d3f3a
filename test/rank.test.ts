import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rank, memberHashesOf } from "../src/core/job/rank.ts";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";

const job = "backup" as JobId;
const minute = 60_000;
const someTicks = (count: number) =>
  Array.from({ length: count }, (_, i) => tickAt(1_800_000_000_000 + i * minute));
const somePeers = (count: number) => Array.from({ length: count }, (_, i) => `12D3KooW${i}` as PeerId);

test("peers that know the same members agree on the rank, in whatever order they learned of them", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 20 }),
      fc.nat(1_000_000),
      (ids, n) => {
        const tick = tickAt(n * minute);
        const one = rank(job, tick, memberHashesOf(ids as PeerId[]));
        const other = rank(job, tick, memberHashesOf(ids.toReversed() as PeerId[]));
        assert.deepEqual(one, other);
        assert.deepEqual(one.toSorted(), ids.toSorted());
      },
    ),
  );
});

test("when a member leaves, only its own ticks move: the order of the others stays", () => {
  const members = somePeers(9);
  const [gone] = members;
  for (const tick of someTicks(500)) {
    const before = rank(job, tick, memberHashesOf(members)).filter((peer) => peer !== gone);
    assert.deepEqual(rank(job, tick, memberHashesOf(members.slice(1))), before);
  }
});

test("ticks are shared evenly: each member gets its share within 15 %", () => {
  const members = somePeers(5);
  const memberHashes = memberHashesOf(members);
  const counts = new Map<PeerId, number>();
  const ticks = 10_000;
  for (const tick of someTicks(ticks)) {
    const [first] = rank(job, tick, memberHashes);
    assert.ok(first);
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  const share = ticks / members.length;
  for (const member of members) {
    const count = counts.get(member) ?? 0;
    assert.ok(Math.abs(count - share) < 0.15 * share, `${member} got ${count} of ${share}`);
  }
});

test("two jobs with the same schedule are not always run by the same peer", () => {
  const memberHashes = memberHashesOf(somePeers(3));
  const same = someTicks(3_000).filter(
    (tick) => rank(job, tick, memberHashes)[0] === rank("report" as JobId, tick, memberHashes)[0],
  ).length;
  assert.ok(same > 850 && same < 1_150, `${same} of 3,000 together, a third expected`);
});
