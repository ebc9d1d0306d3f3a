import assert from "node:assert/strict";
import { test } from "node:test";
import { overlapVerdict, type Contender } from "../src/core/job/overlap.ts";
import type { overlapPolicies } from "../src/schema/job.ts";

type Policy = (typeof overlapPolicies)[number];

const running: Contender = { running: true, waiting: false, earlier: true, isDue: true };
const runningLater: Contender = { running: true, waiting: false, earlier: false, isDue: true };
const claimedBefore: Contender = { running: false, waiting: false, earlier: true, isDue: true };
const claimedAfter: Contender = { running: false, waiting: false, earlier: false, isDue: false };
const dueAfter: Contender = { ...claimedAfter, isDue: true };
const queuedBefore: Contender = { running: false, waiting: true, earlier: true, isDue: true };
const queuedAfter: Contender = { running: false, waiting: true, earlier: false, isDue: true };

const table: [circumstance: string, others: Contender[], verdicts: Record<Policy, string>][] = [
  ["nothing else is on", [], { queue: "go", "queue-all": "go", skip: "go", allow: "go", replace: "go" }],
  [
    "an earlier run is on",
    [running],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "replace" },
  ],
  [
    "a later tick's run is on, for this one comes late",
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
    "a later one is claimed and due already",
    [dueAfter],
    { queue: "go", "queue-all": "go", skip: "go", allow: "go", replace: "skip" },
  ],
  [
    "a run is on and an earlier tick waits for it",
    [running, queuedBefore],
    { queue: "skip", "queue-all": "wait", skip: "skip", allow: "go", replace: "replace" },
  ],
  [
    "a run is on and a later tick waits for it too",
    [running, queuedAfter],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "skip" },
  ],
  [
    "the run is over and an earlier tick has waited",
    [queuedBefore],
    { queue: "wait", "queue-all": "wait", skip: "skip", allow: "go", replace: "go" },
  ],
];

for (const [circumstance, others, verdicts] of table) {
  for (const [policy, verdict] of Object.entries(verdicts)) {
    test(`overlap ${policy}: when ${circumstance}, the run that is due is told to ${verdict}`, () => {
      assert.equal(overlapVerdict(policy as Policy, others), verdict);
    });
  }
}
