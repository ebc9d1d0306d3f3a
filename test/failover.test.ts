import assert from "node:assert/strict";
import { test } from "node:test";
import { lineOf, turnOf, type Standing } from "../src/core/members/failover.ts";
import type { PeerId } from "../src/schema/ids.ts";

const peers = ["a", "b", "c", "d"] as PeerId[];
const [a, b, c, d] = peers as [PeerId, PeerId, PeerId, PeerId];

function standing(of: Record<string, Standing>): (peer: PeerId) => Standing {
  return (peer) => of[peer] ?? "alive";
}

test("the first in rank claims ahead, waiting for nobody", () => {
  assert.deepEqual(turnOf(peers, a, standing({})), { rank: 0, waitMs: 0, passed: [] });
});

test("a rank waits 5 s for each before it that is alive and 1 s for each that is suspect", () => {
  const turn = turnOf(peers, d, standing({ b: "suspect" }));
  assert.equal(turn?.waitMs, 5_000 + 1_000 + 5_000);
  assert.equal(turn?.rank, 3);
});

for (const how of ["dead", "left", "declined", "draining", "settling", "clock"] as const) {
  test(`a member that is ${how} is passed over at no cost, and the record will say so`, () => {
    assert.deepEqual(turnOf(peers, b, standing({ a: how })), {
      rank: 1,
      waitMs: 0,
      passed: [{ peer: a, why: how }],
    });
  });
}

test("a member that the job doesn't admit is not in the line at all", () => {
  assert.deepEqual(turnOf(peers, b, standing({ a: "untargeted" })), { rank: 0, waitMs: 0, passed: [] });
});

test("a peer that can't run it itself has no turn", () => {
  assert.equal(turnOf(peers, c, standing({ c: "settling" })), undefined);
  assert.equal(turnOf(peers, "x" as PeerId, standing({})), undefined);
});

test("runner and fall-backs are the living in order of rank", () => {
  assert.deepEqual(lineOf(peers, standing({ a: "dead", c: "suspect" })), [b, d]);
});
