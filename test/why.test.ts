import assert from "node:assert/strict";
import { test } from "node:test";
import { describeTick } from "../src/core/records/why.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";

const tick = "2026-11-20T02:00:00Z" as TickId;
const due = Date.parse(tick);

function record(peer: string, state: RunRecord["state"], more: Partial<RunRecord> = {}): RunRecord {
  return {
    job: "backup" as JobId,
    tick,
    attempt: 1,
    slot: "0",
    peer: peer as PeerId,
    state,
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due,
    view: 3,
    signature: `${peer} ${state}`,
    ...more,
  };
}

function explained(...records: RunRecord[]): { state: string; why: string } {
  const story = describeTick(tick, records, (peer) => peer);
  return { state: story.state, why: story.why.join(" ") };
}

test("the story of a run says who ran it, when, how it ended and what the runner saw", () => {
  const { state, why } = explained(
    record("alder", "failed", { startedAt: due + 12, finishedAt: due + 60_000, exitCode: 3 }),
  );
  assert.equal(state, "failed");
  assert.match(why, /alder started it at 2026-11-20T02:00:00\.012Z; it failed with exit code 3/);
  assert.match(why, /It was first in line; 3 peers were up\./);
});

test("the story of a failover names the skipped peers and why they were skipped, and how late the run started", () => {
  const passed = [
    { peer: "birch" as PeerId, why: "dead" as const },
    { peer: "cedar" as PeerId, why: "silent" as const },
  ];
  const { why } = explained(
    record("alder", "succeeded", { rank: 2, passed, startedAt: due + 5_300, finishedAt: due + 6_000 }),
  );
  assert.match(
    why,
    /It was third in line; .* Ahead of it in line: birch was dead; cedar was up but did not start it in time/,
  );
  assert.match(why, /It started 5 s after it was due\./);
});

test("the story of a run whose process could not be started doesn't say that it started", () => {
  const reason = "not started: the folder /nope is not there";
  const { why } = explained(record("alder", "failed", { startedAt: due, finishedAt: due + 1, reason }));
  assert.match(why, /^alder was to run it and could not start it: the folder \/nope is not there\. /);
});

test("the story of duplicates in a split says what each side saw", () => {
  const story = describeTick(
    tick,
    [
      record("alder", "succeeded", { startedAt: due, finishedAt: due + 10, view: 1 }),
      record("birch", "succeeded", { startedAt: due + 5_000, finishedAt: due + 5_010, view: 2 }),
    ],
    (peer) => peer,
  );
  assert.equal(story.duplicate, true);
  assert.match(
    story.why.join(" "),
    /started 2 times, on alder \(it saw no other peer\) and on birch \(2 peers were up\)/,
  );
});

test("a run wins over a skip, and a skip over a miss, in whatever order they arrive", () => {
  const run = record("alder", "succeeded", { startedAt: due, finishedAt: due + 1 });
  const skip = record("birch", "skipped", { reason: "no-quorum" });
  const miss = record("cedar", "missed", { reason: "window" });
  for (const records of [
    [run, skip, miss],
    [miss, skip, run],
    [skip, run, miss],
  ]) {
    assert.equal(explained(...records).state, "succeeded");
  }
  assert.equal(explained(miss, skip).state, "skipped");
});

test("a tick without a quorum, a lost run and a chosen runner that is gone are explained in plain words", () => {
  assert.match(
    explained(record("alder", "skipped", { reason: "no-quorum" })).why,
    /no majority of the voters/,
  );
  const lost = { by: "birch" as PeerId, finishedAt: due + 9_000, epoch: 2 };
  assert.match(
    explained(record("alder", "lost", { ...lost, startedAt: due, reason: "its peer died" })).why,
    /alder started it .* how it ended isn't known, as birch found: the peer that ran it died\. It is not repeated\./,
  );
  assert.match(
    explained(record("alder", "lost", { ...lost, reason: "chosen and gone" })).why,
    /alder was to run it; whether it started it isn't known/,
  );
});

test("the story of what never started doesn't say that it started, and says whether it is repeated", () => {
  const cancelled = { reason: "by ann: enough", finishedAt: due + 9_000 };
  assert.match(
    explained(record("alder", "cancelled", cancelled)).why,
    /^alder recorded that it was cancelled before it was started: by ann: enough\./,
  );
  const failed = record("alder", "failed", { startedAt: due, retryAt: due + 60_000 });
  const { state, why } = explained(failed, record("birch", "cancelled", { ...cancelled, attempt: 2 }));
  assert.equal(state, "failed");
  assert.match(why, /birch recorded that it is not repeated: by ann: enough\./);
  const lost = { by: "birch" as PeerId, startedAt: due, reason: "its peer died", retryAt: due + 60_000 };
  assert.doesNotMatch(explained(record("alder", "lost", lost)).why, /not repeated/);
});

test("a tick without records, or whose claim was withdrawn, is pending", () => {
  assert.equal(explained().state, "pending");
  assert.equal(explained(record("alder", "withdrawn", { reason: "draining" })).state, "pending");
});

test("a tick that an edit or a deletion of its job removed is withdrawn, not pending", () => {
  const { state, why } = explained(
    record("alder", "withdrawn", { reason: "out-claimed" }),
    record("birch", "withdrawn", { reason: "job-changed" }),
  );
  assert.equal(state, "withdrawn");
  assert.match(why, /birch claimed it and gave the claim back: the job was edited, disabled or deleted/);
});

test("a gap is explained once for all its ticks, with their number and the reason", () => {
  const range = { from: due - 4_319 * 60_000, count: 4_320 };
  const { state, why } = explained(record("alder", "missed", { slot: "range", range, reason: "window" }));
  assert.equal(state, "missed");
  assert.match(
    why,
    /alder recorded the 4320 ticks from 2026-11-17T02:01:00\.000Z to 2026-11-20T02:00:00\.000Z as missed/,
  );
});

test("a tick of a gap that ran nevertheless is explained by its run", () => {
  const range = { from: due - 60_000, count: 2 };
  const gap = record("birch", "missed", { slot: "range", range, reason: "window" });
  const { state } = explained(
    gap,
    record("alder", "succeeded", { startedAt: due, finishedAt: due + 1, exitCode: 0 }),
  );
  assert.equal(state, "succeeded");
});
