/** The outcomes that are shown of a job: its last finished tick, its last run, and when it last succeeded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outcomes } from "../src/peer/history/outcomes.ts";
import type { RunQuery } from "../src/ports/disk.ts";
import { backfillTick } from "../src/schema/backfill.ts";
import { instantOf, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";

const job = "backup" as JobId;
const [first, second, third] = ["01", "02", "03"].map((hour) => `2026-11-20T${hour}:00:00Z` as TickId);

function record(
  tick: TickId | undefined,
  state: RunRecord["state"],
  more: Partial<RunRecord> = {},
): RunRecord {
  assert.ok(tick !== undefined);
  const due = instantOf(tick);
  const ran = state === "missed" || state === "skipped" || state === "claimed" ? {} : { startedAt: due };
  const ended = state === "running" || state === "claimed" ? {} : { finishedAt: due + 5_000 };
  return {
    job,
    tick,
    attempt: 1,
    slot: "0",
    peer: "alder" as PeerId,
    state,
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due,
    view: 3,
    signature: `${tick} ${state}`,
    ...ran,
    ...ended,
    ...more,
  };
}

const isOver = () => true;

/** A history on disk, newest first, and the queries that it got. */
function historyOf(...records: RunRecord[]) {
  const asked: (RunQuery | readonly JobId[])[] = [];
  const read = async (query: RunQuery) => {
    asked.push(query);
    const fitting = records.filter(({ state }) => query.states?.includes(state) ?? true);
    return { records: fitting.slice(0, query.limit) };
  };
  const readNewest = async (jobs: readonly JobId[], limit: number) => {
    asked.push(jobs);
    return jobs.map((id) => records.filter((one) => one.job === id).slice(0, limit));
  };
  return { asked, outcomes: new Outcomes(read, readNewest, isOver) };
}

test("the last tick is the newest finished one, whatever its outcome; a running or claimed one doesn't count", async () => {
  const { outcomes } = historyOf(
    record(third, "running"),
    record(second, "missed", { reason: "window" }),
    record(first, "succeeded"),
  );
  const { lastTick, lastRun, lastSuccess } = await outcomes.of(job);
  assert.deepEqual([lastTick?.tick, lastTick?.state], [second, "missed"]);
  assert.deepEqual([lastRun?.tick, lastRun?.state], [third, "running"]);
  assert.equal(lastSuccess, instantOf(first ?? ("" as TickId)) + 5_000);
});

test("an attempt that is repeated is not the last tick's outcome; the tick's last attempt is", async () => {
  const retryAt = instantOf(second ?? ("" as TickId)) + 60_000;
  const { outcomes } = historyOf(
    record(second, "failed", { retryAt, exitCode: 3, startedAt: 1 }),
    record(first, "succeeded"),
  );
  assert.equal((await outcomes.of(job)).lastTick?.tick, first);
  outcomes.take(record(second, "missed", { attempt: 2, reason: "retry-nowhere" }));
  const { lastTick } = await outcomes.of(job);
  assert.deepEqual([lastTick?.tick, lastTick?.state, lastTick?.exitCode], [second, "failed", 3]);
  const stored = historyOf(
    record(second, "missed", { attempt: 2, reason: "retry-nowhere" }),
    record(second, "failed", { retryAt, exitCode: 3, startedAt: 1 }),
  );
  assert.equal((await stored.outcomes.of(job)).lastTick?.state, "failed");
});

test("of the ticks of one backfill, which were all asked for at the same moment, the last one is the latest, whichever ended last", async () => {
  const [one, two, three] = [first, second, third].map((tick) =>
    backfillTick(Date.parse("2026-11-21T00:00:00Z"), instantOf(tick ?? ("" as TickId)), 0),
  );
  const records = [record(three, "failed"), record(two, "succeeded"), record(one, "failed")];
  for (const known of [records, records.toReversed(), []]) {
    const { outcomes } = historyOf(...known);
    await outcomes.of(job);
    if (known.length === 0) for (const later of [...records, record(two, "succeeded")]) outcomes.take(later);
    const { lastTick, lastRun } = await outcomes.of(job);
    assert.deepEqual([lastTick?.tick, lastTick?.state, lastRun?.tick], [three, "failed", three]);
  }
});

test("records that change later are noted without reading the disk", async () => {
  const { outcomes, asked } = historyOf(record(first, "succeeded"));
  await outcomes.of(job);
  const before = asked.length;
  outcomes.take(record(second, "running"));
  assert.equal((await outcomes.of(job)).lastTick?.tick, first);
  outcomes.take(record(second, "failed", { version: 2, exitCode: 28 }));
  const { lastTick, lastRun } = await outcomes.of(job);
  assert.deepEqual([lastTick?.state, lastRun?.state, lastRun?.exitCode], ["failed", "failed", 28]);
  assert.equal(asked.length, before);
});

test("a run wins over another peer's skip of the same tick, and the runner's own end wins over another's lost", async () => {
  const { outcomes } = historyOf();
  await outcomes.of(job);
  outcomes.take(record(first, "skipped", { reason: "no-quorum" }));
  assert.equal((await outcomes.of(job)).lastTick?.state, "skipped");
  const birch = { peer: "birch" as PeerId };
  outcomes.take(record(first, "lost", { ...birch, by: "alder" as PeerId, version: 3 }));
  assert.equal((await outcomes.of(job)).lastTick?.state, "lost");
  outcomes.take(record(first, "succeeded", { ...birch, version: 2 }));
  assert.equal((await outcomes.of(job)).lastTick?.state, "succeeded");
});

test("an older tick that is caught up later doesn't replace a newer one", async () => {
  const { outcomes } = historyOf(record(second, "succeeded"));
  await outcomes.of(job);
  outcomes.take(record(first, "failed"));
  assert.equal((await outcomes.of(job)).lastTick?.tick, second);
});

test("many ticks without a run don't hide the last run and the last success", async () => {
  const skips = Array.from({ length: 30 }, (_, i) => {
    const tick = `2026-11-21T${String(23 - (i % 24)).padStart(2, "0")}:00:00Z` as TickId;
    return record(tick, "skipped", { reason: "overlap", attempt: 1 + Math.floor(i / 24) });
  });
  const { outcomes } = historyOf(...skips, record(second, "failed"), record(first, "succeeded"));
  const { lastTick, lastRun, lastSuccess } = await outcomes.of(job);
  assert.equal(lastTick?.state, "skipped");
  assert.equal(lastRun?.tick, second);
  assert.equal(lastSuccess, instantOf(first ?? ("" as TickId)) + 5_000);
});

test("jobs that are asked about together are read together, and one whose last tick has more records than that again", async () => {
  const retried = "retried" as JobId;
  const attempts = [6, 5, 4, 3, 2, 1].map((attempt) =>
    record(second, attempt === 3 ? "succeeded" : "failed", { job: retried, attempt }),
  );
  const { outcomes, asked } = historyOf(record(second, "failed"), record(first, "succeeded"), ...attempts);
  const [plain, long, none] = await Promise.all([job, retried, "none" as JobId].map((id) => outcomes.of(id)));
  assert.deepEqual(asked, [[job, retried, "none"], { job: retried, limit: 20 }]);
  assert.deepEqual(
    [plain?.lastTick?.state, plain?.lastSuccess],
    ["failed", instantOf(first as TickId) + 5_000],
  );
  assert.equal(long?.lastSuccess, instantOf(second as TickId) + 5_000);
  assert.deepEqual(none, { lastTick: undefined, lastRun: undefined, lastSuccess: undefined });
});

test("a failed read is repeated the next time", async () => {
  let fails = true;
  const known = [record(first, "succeeded")];
  const readNewest = async () => {
    if (fails) throw new Error("the disk is gone");
    return [known];
  };
  const outcomes = new Outcomes(async () => ({ records: known }), readNewest, isOver);
  await assert.rejects(outcomes.of(job));
  fails = false;
  assert.equal((await outcomes.of(job)).lastTick?.tick, first);
});

test("a tick of two runs is over when the last claim on it is given back, and its last run doesn't say so before", async () => {
  let isTickOver = true;
  const known = [record(first, "failed", { of: 2 })];
  const outcomes = new Outcomes(
    async () => ({ records: known }),
    async () => [known],
    () => isTickOver,
  );
  await outcomes.of(job);
  isTickOver = false;
  outcomes.take(record(second, "succeeded", { of: 2 }));
  outcomes.take(record(second, "succeeded", { of: 2, slot: "1", peer: "birch" as PeerId }));
  assert.equal((await outcomes.of(job)).lastTick?.tick, first);
  isTickOver = true;
  const claim = { of: 2, slot: "1", peer: "cedar" as PeerId, reason: "out-claimed" };
  outcomes.take(record(second, "withdrawn", claim));
  const { lastTick } = await outcomes.of(job);
  assert.deepEqual([lastTick?.tick, lastTick?.state], [second, "succeeded"]);
});
