/** Which slots a tick on all peers has, when peers hear of different ones (core/records/tick-sets.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { slotsInOrder } from "../src/core/job/slots.ts";
import { createHistory } from "../src/core/records/ledger-state.ts";
import { noteInSet, tickSetOf } from "../src/core/records/tick-sets.ts";
import { slotOfPeer, tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import { countMax } from "../src/schema/job.ts";
import type { RunRecord } from "../src/schema/run.ts";

const job = "upgrade" as JobId;
const tick = tickAt(Date.parse("2026-11-20T10:00:00Z"));
const slots = Array.from({ length: 160 }, (_, index) => slotOfPeer(`peer-${index}` as PeerId));

/** A claim of the first of these slots, by a peer that knows of them all. */
function claimOf(set: readonly string[]): RunRecord {
  const [slot = ""] = set;
  const peer = slot as PeerId;
  const [due, trigger] = [Date.parse(tick), "schedule"] as const;
  const state = "claimed";
  const rest = { attempt: 1, version: 1, revision: "r", rank: 0, view: 1, signature: "" };
  return { ...rest, job, tick, slot, set: [...set], peer, state, due, trigger };
}

function after(records: readonly RunRecord[]): readonly string[] {
  const history = createHistory();
  for (const record of records) noteInSet(history, record, false);
  return tickSetOf(history, job, tick)?.slots ?? [];
}

test("of more slots than a tick can have, all peers keep the same ones, in whatever order they hear of them", () => {
  const [a, b, c] = [slots.slice(0, 70), slots.slice(50, 120), slots.slice(90)].map(claimOf);
  assert.ok(a && b && c);
  const orders = [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
    [c, b, c, a, b],
  ];
  const kept = orders.map(after);
  for (const one of kept) assert.deepEqual(one, slotsInOrder(job, tick, slots).slice(0, countMax));
});

test("the slots of a tick are in order of rank, whatever the order in its records", () => {
  const few = slots.slice(0, 5);
  const inOrder = slotsInOrder(job, tick, few);
  assert.deepEqual(after([claimOf(few)]), inOrder);
  assert.deepEqual(after([claimOf(few.slice(2)), claimOf(few.toReversed())]), inOrder);
});
