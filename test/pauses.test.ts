/** What a pause does to a job's ticks, to what waits in its queue and to what is to be repeated, in cores. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { jobNow, pendingOf } from "../src/core/view.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { Pause } from "../src/schema/job.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const id = "job" as JobId;

const skippedBy = (cores: Cores) =>
  cores.recordsOf("a").filter(({ state, reason }) => state === "skipped" && reason === "paused");

/** A pause that is made now and ends so much later. */
function pausedFor(cores: Cores, ms?: number): Pause {
  const at = cores.wall(cores.now);
  return { by: "ann", at, ...(ms === undefined ? {} : { until: at + ms }) };
}

describe("a pause that ends by itself", () => {
  const minutely = { id: "job", schedule: "@every 10s", command: "true" };

  test("skips the ticks that are due in it, and the first one after it starts on time", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(minutely);
    cores.pass(15 * second);
    const pause = pausedFor(cores, 33 * second);
    cores.put(minutely, { createdAt: 0, scheduledAt: 0, pauses: [pause] });
    const state = cores.state("a");
    const next = Date.parse(jobNow(state, state.now, id)?.next?.tick ?? "");
    assert.ok(next >= (pause.until ?? Infinity) && next < (pause.until ?? 0) + 10 * second);
    const before = cores.starts.length;
    cores.pass(60 * second);
    const after = cores.starts.slice(before);
    assert.equal(Date.parse(after[0]?.tick ?? ""), next, "nothing is caught up");
    for (const { at, tick } of after) assert.ok(cores.wall(at) - Date.parse(tick) < 100, `${tick} is late`);
    assert.equal(skippedBy(cores).length, 3);
  });

  test("counts as long as any other pause does: several must all end", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(minutely, { pauses: [pausedFor(cores, 20 * second), pausedFor(cores, 50 * second)] });
    cores.pass(48 * second);
    assert.equal(cores.starts.length, 0);
    cores.pass(20 * second);
    assert.ok(cores.starts.length > 0);
  });

  test("a tick that is due in its last moments is skipped, even if it is looked at after the end", () => {
    const cores = new Cores(["a"]);
    cores.put(minutely, { pauses: [pausedFor(cores, 50 * second)] });
    cores.pass(5 * second);
    cores.pause("a", 47 * second);
    cores.pass(70 * second);
    const until = cores.wall(2 * second) + 50 * second;
    for (const { tick } of cores.starts) assert.ok(Date.parse(tick) >= until, `${tick} was due in the pause`);
    assert.ok(cores.starts.length > 0);
  });
});

test("of several pauses and maintenances that overlap, a tick is skipped by those that are on when it comes, a pause first", () => {
  const cores = new Cores(["a", "b", "c"]);
  const spec = { id: "job", schedule: "@every 10s", command: "true", group: "db" } as const;
  const minute = 60 * second;
  const from = Math.ceil(cores.wall(cores.now) / minute) * minute;
  const at = (seconds: number): number => from + seconds * second;
  const text = (seconds: number): string => new Date(at(seconds)).toISOString();
  cores.put(spec, {
    pauses: [
      { by: "ann", at: at(0), until: at(45) },
      { by: "bob", at: at(30), until: at(60) },
    ],
  });
  cores.set("maintenance", "once", { from: text(50), to: text(80) });
  cores.set("maintenance", "of-its-group", { schedule: "@every 2m", duration: "15s", group: "db" });
  cores.set("maintenance", "of-another-group", { from: text(0), to: text(600), group: "web" });
  cores.pass(at(205) - cores.wall(cores.now));
  const isInWindow = (tick: number): boolean => tick % (2 * minute) < 15 * second;
  for (let tick = from; tick < at(200); tick += 10 * second) {
    const seconds = (tick - from) / second;
    const isMaintained = (seconds >= 50 && seconds < 80) || isInWindow(tick);
    const reason = seconds < 60 ? "paused" : isMaintained ? "maintenance" : undefined;
    const records = cores.recordsOf("a").filter((record) => Date.parse(record.tick) === tick);
    assert.deepEqual(
      records.map((record) => [record.state, record.reason]),
      [reason === undefined ? ["succeeded", undefined] : ["skipped", reason]],
      new Date(tick).toISOString(),
    );
  }
});

test("what was due before them waits until the last of several pauses and maintenances has ended", () => {
  const cores = new Cores(["a", "b"], { exitCode: 1 });
  const spec = { id: "job", schedule: "@every 10m", command: "true", retry: { attempts: 1, backoff: "5s" } };
  const made = { createdAt: cores.wall(cores.now), scheduledAt: cores.wall(cores.now) };
  cores.put(spec, made);
  while (cores.starts.length === 0) cores.pass(second);
  const now = cores.wall(cores.now);
  const text = (ms: number): string => new Date(now + ms).toISOString();
  cores.put(spec, { ...made, pauses: [pausedFor(cores, 20 * second), pausedFor(cores, 40 * second)] });
  cores.set("maintenance", "first", { from: text(0), to: text(30 * second) });
  cores.set("maintenance", "last", { from: text(35 * second), to: text(90 * second) });
  cores.pass(88 * second);
  assert.equal(cores.starts.length, 1);
  cores.pass(10 * second);
  assert.equal(cores.starts.length, 2);
  assert.ok(cores.wall(cores.starts[1]?.at ?? 0) >= now + 90 * second);
});

describe("what was due before the pause", () => {
  const slow = { id: "job", schedule: "@every 30s", command: "true", overlap: "queue" as const };

  test("waits in the queue until the pause ends, and then runs, whatever the job catches up", () => {
    for (const how of ["until", "resume"] as const) {
      const cores = new Cores(["a", "b"], { runMs: 40 * second });
      const spec = { ...slow, catchUp: { policy: "none" as const } };
      const madeAt = cores.wall(cores.now);
      const made = { createdAt: madeAt, scheduledAt: madeAt };
      cores.put(spec);
      while (cores.starts.length < 1) cores.pass(second);
      cores.pass(31 * second);
      assert.equal(cores.starts.length, 1, "the next tick is queued behind the run");
      const queued = pendingOf(cores.state("a"), cores.state("a").now, id)[0];
      assert.equal(queued?.waitsFor, "overlap");
      cores.put(spec, { ...made, pauses: [pausedFor(cores, how === "until" ? 100 * second : undefined)] });
      cores.pass(99 * second);
      assert.equal(cores.starts.length, 1, "the run has ended, and the queued tick waits for the pause");
      assert.equal(pendingOf(cores.state("b"), cores.state("b").now, id)[0]?.waitsFor, "pause");
      if (how === "resume") cores.put(spec, { ...made, resumedAt: cores.wall(cores.now) });
      cores.pass(2 * second);
      assert.deepEqual(
        cores.starts.slice(1).map(({ tick }) => tick),
        [queued.tick],
        how,
      );
      assert.equal(skippedBy(cores).length, 3);
    }
  });

  test("waits in back-off until the pause ends, for however long that is", () => {
    const cores = new Cores(["a", "b"], { exitCode: 1 });
    const spec = {
      ...slow,
      schedule: "@every 1h",
      catchUp: { window: "1m" },
      retry: { attempts: 1, backoff: "10s" },
    };
    cores.put(spec);
    while (cores.starts.length < 1) cores.pass(60 * second);
    const madeAt = cores.wall(0);
    cores.put(spec, { createdAt: madeAt, scheduledAt: madeAt, pauses: [pausedFor(cores, 600 * second)] });
    cores.pass(595 * second);
    assert.equal(cores.starts.length, 1);
    cores.pass(10 * second);
    assert.equal(cores.starts.length, 2);
    assert.equal(cores.starts[1]?.env["CICADA_ATTEMPT"], "2");
  });
});
