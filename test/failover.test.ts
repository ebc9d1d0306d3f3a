import assert from "node:assert/strict";
import { test } from "node:test";
import { runnersInOrder, failoverOf, type Eligibility } from "../src/core/members/failover.ts";
import type { PeerId } from "../src/schema/ids.ts";

const peers = ["a", "b", "c", "d"] as PeerId[];
const [a, b, c, d] = peers as [PeerId, PeerId, PeerId, PeerId];

function eligibility(of: Record<string, Eligibility>): (peer: PeerId) => Eligibility {
  return (peer) => of[peer] ?? "alive";
}

test("the first in rank claims ahead of time without waiting for others", () => {
  assert.deepEqual(failoverOf(peers, a, eligibility({})), { rank: 0, delayMs: 0, skippedPeers: [] });
});

test("a rank waits 5 s for each before it that is alive and 1 s for each that is suspect", () => {
  const failover = failoverOf(peers, d, eligibility({ b: "suspect" }));
  assert.equal(failover?.delayMs, 5_000 + 1_000 + 5_000);
  assert.equal(failover?.rank, 3);
});

for (const how of ["dead", "left", "declined", "draining", "warming-up", "clock"] as const) {
  test(`a member that is ${how} is skipped without delay, and the record will say so`, () => {
    assert.deepEqual(failoverOf(peers, b, eligibility({ a: how })), {
      rank: 1,
      delayMs: 0,
      skippedPeers: [{ peer: a, why: how }],
    });
  });
}

test("a member that the job doesn't admit is not ranked", () => {
  assert.deepEqual(failoverOf(peers, b, eligibility({ a: "untargeted" })), {
    rank: 0,
    delayMs: 0,
    skippedPeers: [],
  });
});

test("a peer that can't run it itself has no failover", () => {
  assert.equal(failoverOf(peers, c, eligibility({ c: "warming-up" })), undefined);
  assert.equal(failoverOf(peers, "x" as PeerId, eligibility({})), undefined);
});

test("the runner and those who step in are the living members in order of rank", () => {
  assert.deepEqual(runnersInOrder(peers, eligibility({ a: "dead", c: "suspect" })), [b, d]);
});
