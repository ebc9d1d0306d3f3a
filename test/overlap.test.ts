import assert from "node:assert/strict";
import { test } from "node:test";
import { overlapVerdict, type Contender } from "../src/core/job/overlap.ts";
import type { overlapPolicies } from "../src/schema/job-vocabulary.ts";

type Policy = (typeof overlapPolicies)[number];

const running: Contender = { running: true, waiting: false, earlier: true, isDue: true };
const runningLater: Contender = { running: true, waiting: false, earlier: false, isDue: true };
const claimedBefore: Contender = { running: false, waiting: false, earlier: true, isDue: true };
const claimedAfter: Contender = { running: false, waiting: false, earlier: false, isDue: false };
const dueAfter: Contender = { ...claimedAfter, isDue: true };
const queuedBefore: Contender = { running: false, waiting: true, earlier: true, isDue: true };
const awaitingSlot: Contender = { ...claimedBefore, awaitsPlace: true };
const queuedAfter: Contender = { running: false, waiting: true, earlier: false, isDue: true };

const table: [circumstance: string, others: Contender[], verdicts: Record<Policy, string>][] = [
  [
    "no other run is going on",
    [],
    { queue: "go", "queue-all": "go", skip: "go", allow: "go", replace: "go" },
  ],
  [
    "an earlier run is going on",
    [running],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "replace" },
  ],
  [
    "a later tick's run is going on, because this one is late",
    [runningLater],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "replace" },
  ],
  [
    "an earlier tick is claimed and about to start",
    [claimedBefore],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "wait" },
  ],
  [
    "only a later tick is claimed",
    [claimedAfter],
    { queue: "go", "queue-all": "go", skip: "go", allow: "go", replace: "go" },
  ],
  [
    "a later tick is claimed and already due",
    [dueAfter],
    { queue: "go", "queue-all": "go", skip: "go", allow: "go", replace: "skip" },
  ],
  [
    "a run is going on and an earlier tick waits for it",
    [running, queuedBefore],
    { queue: "skip", "queue-all": "wait", skip: "skip", allow: "go", replace: "replace" },
  ],
  [
    "a run is going on and a later tick waits for it too",
    [running, queuedAfter],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "skip" },
  ],
  [
    "the run has ended and an earlier tick has been waiting",
    [queuedBefore],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "go" },
  ],
  [
    "an earlier tick waits for a slot of its pool or for a place",
    [awaitingSlot],
    { queue: "skip", "queue-all": "wait", skip: "skip", allow: "go", replace: "wait" },
  ],
];

for (const [circumstance, others, verdicts] of table) {
  for (const [policy, verdict] of Object.entries(verdicts)) {
    test(`overlap ${policy}: when ${circumstance}, the verdict on the due run is ${verdict}`, () => {
      assert.equal(overlapVerdict(policy as Policy, others), verdict);
    });
  }
}
