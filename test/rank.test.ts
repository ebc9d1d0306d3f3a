import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { memberHashesOf, rank, rankKey, type MemberHashes } from "../src/core/job/rank.ts";
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

/** As the head of rank.ts defines it, in the words of a sort. */
function plainRank(key: string, { ids, hashes }: MemberHashes): PeerId[] {
  const hash = createHash("sha256").update(key).digest().readUInt32LE(0);
  const score = (index: number): number => {
    let h = Math.imul(hash, 31) ^ (hashes[index] ?? 0);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  };
  const places = ids.map((id, index) => ({ id, index, score: score(index) }));
  return places.toSorted((a, b) => b.score - a.score || b.index - a.index).map(({ id }) => id);
}

test("the order is that of the scores, and of equal scores that of the later id, however many members there are", () => {
  for (const count of [0, 1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 100, 129, 1_024, 1_500]) {
    const members = memberHashesOf(Array.from({ length: count }, (_, index) => `peer-${index}` as PeerId));
    for (const [name, hashes] of [
      ["all hashes differ", members.hashes],
      ["many are equal", members.hashes.map((hash) => hash % 3)],
      ["all are equal", members.hashes.map(() => 7)],
    ] as const) {
      for (let tick = 0; tick < 20; tick++) {
        const [key, some] = [`backup@${tick}`, { ids: members.ids, hashes }];
        assert.deepEqual(rankKey(key, some), plainRank(key, some), `${count} members, ${name}`);
      }
    }
  }
});
