/** The fault lab's judge must be able to fail: each story here is flawless except for one thing. */
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import { everySeconds, ticksOf } from "../src/sim/client/schedules.ts";
import type { Evidence, Knowledge, Outage, Run } from "../src/sim/world/truth.ts";
import { count, judge, type Injection } from "./kit/fault/judge.ts";
import { readTruth, type LabJob } from "./kit/fault/truth.ts";

const beginning = Date.parse("2026-11-20T00:00:00Z");
const ending = beginning + 180_000;
const [ann, ben, cyd] = ["ann", "ben", "cyd"] as [PeerId, PeerId, PeerId];
const peers = [ann, ben, cyd];
const schedule = everySeconds(2);

const job = (id: string, partition: LabJob["partition"]): LabJob => ({
  rules: {
    id: id as JobId,
    schedule,
    overlap: "allow",
    catchUp: { policy: "all", windowMs: 600_000 },
    peers: undefined,
  },
  partition,
  lastsMs: 0,
});
const jobs = [job("open", "available"), job("strict", "majority")];
const injections: Injection[] = [{ what: "something", from: beginning + 60_000, to: beginning + 70_000 }];
const ninth = beginning + 90_000;

function runAt(instant: number, { rules }: LabJob, changes: Partial<Run> = {}): Run {
  const start = instant + 20;
  return {
    job: rules.id,
    tick: tickAt(instant),
    attempt: 1,
    peer: ann,
    life: 1,
    start,
    end: start + 10,
    ...changes,
  };
}

function story(runs: readonly Run[], outages: readonly Outage[] = []): Evidence {
  const records = runs.map((run) => ({ ...run, state: "succeeded", writing: `${run.tick} ended` }));
  const knowledge: Knowledge[] = peers.map((peer) => ({
    peer,
    jobs: new Map(jobs.map(({ rules }) => [rules.id, "1"])),
    records: new Map(records.map((record) => [`${record.job}@${record.tick}@${record.peer}`, record])),
    complaint: undefined,
  }));
  const asked = { peer: ann, askedAt: beginning, answeredAt: beginning + 10, knownAt: beginning + 20 };
  return {
    peers,
    from: beginning,
    to: ending,
    healedAt: beginning + 70_000,
    runs,
    outages,
    operations: jobs.map(({ rules }) => ({
      ...asked,
      request: { kind: "put", rules },
      accepted: true,
      tick: undefined,
    })),
    cuts: [],
    faultWindows: [],
    clockErrorMs: new Map(),
    convergedViews: [knowledge, knowledge],
    final: knowledge,
  };
}

const ticks = ticksOf(schedule, beginning + 2_000, ending);
const flawless = ticks.flatMap((instant) => jobs.map((one) => runAt(instant, one)));
const without = (instant: number, id: string): Run[] =>
  flawless.filter((run) => run.tick !== tickAt(instant) || run.job !== id);
const rulesIn = (evidence: Evidence): string[] =>
  [...new Set(judge(evidence, jobs, injections).map(({ rule }) => rule))].toSorted();

test("a flawless story passes, and its ticks are counted", () => {
  assert.deepEqual(rulesIn(story(flawless)), []);
  const { available, majority, resumptionsMs } = count(story(flawless), jobs, injections);
  assert.deepEqual(available, { due: majority.due, missed: 0, cutShort: 0, doubled: 0 });
  assert.ok(available.due > 70);
  assert.deepEqual(resumptionsMs, [0]);
});

test("a tick that never ran is found, even one that was due shortly before the lab ended", () => {
  for (const instant of [ninth, ending - 20_000]) {
    const evidence = story(without(instant, "open"));
    assert.ok(rulesIn(evidence).includes("I1"));
    assert.equal(count(evidence, jobs, injections).available.missed, 1);
  }
});

test("a tick that ran twice is found if its job is a majority job, or if no fault explains it", () => {
  const [open, strict] = jobs.map((one) => runAt(ninth, one, { peer: ben }));
  assert.ok(open !== undefined && strict !== undefined);
  assert.ok(rulesIn(story([...flawless, strict])).includes("I2"));
  assert.ok(rulesIn(story([...flawless, open])).includes("I3"));
  const cut = { sender: ann, receiver: ben, from: ninth - 5_000, to: ninth };
  const cuts = [ann, cyd].flatMap((other) => [
    { ...cut, sender: other, receiver: ben },
    { ...cut, sender: ben, receiver: other },
  ]);
  assert.ok(!rulesIn({ ...story([...flawless, open]), cuts }).includes("I3"));
  assert.ok(rulesIn({ ...story([...flawless, strict]), cuts }).includes("I2"));
});

test("a tick that was due just when its runner was killed may have been cut short", () => {
  const killed: Outage[] = [{ peer: ann, kind: "down", from: ninth + 200, to: ninth + 9_000 }];
  const evidence = story(without(ninth, "open"), killed);
  assert.ok(!judge(evidence, jobs, injections).some(({ rule, at }) => rule === "I1" && at === ninth));
  const { available } = count(evidence, jobs, injections);
  assert.deepEqual([available.missed, available.cutShort], [0, 1]);
});

test("a tick that is late 15 s after the last fault is found", () => {
  const late = runAt(ninth, jobs[0] ?? job("open", "available"), { start: ninth + 3_000 });
  const evidence = story([...without(ninth, "open"), late]);
  assert.deepEqual(rulesIn(evidence), ["I9"]);
  assert.deepEqual(count(evidence, jobs, injections).resumptionsMs, [20_000]);
});

test("a tick that a peer started early by its wrong clock is found, if the others' clocks were right", () => {
  const early = runAt(ninth, jobs[0] ?? job("open", "available"), { peer: ben, start: ninth - 20_000 });
  const step = {
    kind: "clock step" as const,
    peer: ben,
    from: ninth - 60_000,
    to: ninth,
    steppedMs: 600_000,
  };
  const evidence = { ...story([...without(ninth, "open"), early]), faultWindows: [step] };
  const clockErrorMs = new Map(peers.map((peer) => [peer, 0]));
  assert.deepEqual(rulesIn({ ...evidence, clockErrorMs }), ["I18"]);
});

test("the jobs' own lines are read as runs, and a run that wrote no end was ended with its peer", (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-truth-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "truth");
  const tick = tickAt(ninth);
  writeFileSync(file, `start open ${tick} 1 ann ${ninth + 5}\nend open ${tick} 1 ann ${ninth + 15}\n`);
  appendFileSync(file, `start open ${tick} 1 ben ${ninth + 7}\n`);
  const lives = new Map([[ann, [beginning, beginning + 10]]]);
  const outages: Outage[] = [{ peer: ben, kind: "down", from: ninth + 100, to: Infinity }];
  assert.deepEqual(readTruth(file, lives, outages), [
    { job: "open", tick, attempt: 1, peer: "ann", life: 2, start: ninth + 5, end: ninth + 15 },
    { job: "open", tick, attempt: 1, peer: "ben", life: 0, start: ninth + 7, end: ninth + 1_100 },
  ]);
  appendFileSync(file, "starts open\n");
  assert.throws(() => readTruth(file, lives, outages), /not a line of a job/);
});
