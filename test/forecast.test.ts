/** What the mesh is expected to do in the hours to come: in cores, as sums, and over HTTP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as otherEvents } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ForecastSum, hourMs, type ExpectedJob } from "../src/api/show/forecast-sum.ts";
import { expectedOf } from "../src/core/view.ts";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";
import { call, fakeApi } from "./kit/fake-api.ts";

const id = "beat" as JobId;
const minute = 60_000;

/** What peer a expects of the job in the hours after its own; all starts of an hour with up to 60 are listed. */
function expectedAt(cores: Cores, hours: number) {
  const state = cores.state("a");
  const from = Math.floor(state.now.wall / hourMs) * hourMs + hourMs;
  return { from, found: expectedOf(state, state.now, id, from, hours, 60) ?? [] };
}

describe("what a job is expected to do", () => {
  test("is counted by hour, and each tick is its first living peer's", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ id, schedule: "*/30 * * * *", command: "true" });
    cores.pass(1_000);
    const { from, found } = expectedAt(cores, 24);
    assert.equal(found.length, 24);
    const wins = new Map<string, number>();
    for (const { hour, ticks, starts, runs } of found) {
      const begin = from + hour * hourMs;
      assert.equal(ticks, 2);
      assert.deepEqual(starts, [begin, begin + 30 * minute]);
      for (const { peer, count } of runs) wins.set(peer, (wins.get(peer) ?? 0) + count);
    }
    assert.deepEqual([...wins.keys()].toSorted(), ["a", "b", "c"]);
    assert.equal(
      [...wins.values()].reduce((sum, won) => sum + won),
      48,
    );
  });

  test("is a count where ticks are dense, without a list, and falls evenly to the peers that it prefers", () => {
    const cores = new Cores(["a", "b"], { tags: { b: { disk: "ssd" } } });
    cores.put({ id, schedule: "@every 1s", command: "true" });
    cores.pass(1_000);
    const { found } = expectedAt(cores, 3);
    assert.deepEqual(
      found.map(({ ticks, starts }) => [ticks, starts.length]),
      [
        [3_600, 0],
        [3_600, 0],
        [3_600, 0],
      ],
    );
    const sharesAt = () =>
      Object.fromEntries(expectedAt(cores, 1).found[0]?.runs.map(({ peer, count }) => [peer, count]) ?? []);
    assert.deepEqual(sharesAt(), { a: 1_800, b: 1_800 });
    cores.put({ id, schedule: "@every 1s", command: "true", target: { prefer: { tags: { disk: "ssd" } } } });
    cores.pass(1_000);
    assert.deepEqual(sharesAt(), { b: 3_600 });
    cores.put({ id, schedule: "@every 1s", command: "true", target: { count: "all" } });
    cores.pass(1_000);
    assert.deepEqual(sharesAt(), { a: 3_600, b: 3_600 });
  });

  test("leaves out what is skipped, paused or after the end", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(1_000);
    const { from } = expectedAt(cores, 1);
    cores.put({
      id,
      schedule: "*/20 * * * *",
      command: "true",
      except: ["40 * * * *"],
      endsAt: tickAt(from + 3 * hourMs),
    });
    cores.pass(1_000);
    const ticksOf = () => expectedAt(cores, 9).found.map(({ hour, ticks }) => [hour, ticks]);
    assert.deepEqual(ticksOf(), [
      [0, 2],
      [1, 2],
      [2, 2],
      [3, 1],
    ]);
    cores.ask("a", {
      kind: "skip-ticks",
      id,
      which: { tick: from + 20 * minute },
      by: "ann",
    });
    cores.ask("a", { kind: "pause-job", id, until: from + hourMs + 10 * minute, by: "ann" });
    cores.pass(1_000);
    assert.deepEqual(ticksOf(), [
      [1, 1],
      [2, 2],
      [3, 1],
    ]);
  });

  test("has no runner while no living peer can run it, and none of a peer that is away", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ id, schedule: "@hourly", command: "true", target: { tags: { disk: "big" } } });
    cores.pass(1_000);
    assert.deepEqual(
      expectedAt(cores, 2).found.map(({ ticks, runs }) => [ticks, runs]),
      [
        [1, []],
        [1, []],
      ],
    );
    cores.put({ id, schedule: "@hourly", command: "true" });
    cores.kill("b");
    cores.pass(30_000);
    const runners = expectedAt(cores, 24).found.flatMap(({ runs }) => runs.map(({ peer }) => peer));
    assert.deepEqual([...new Set(runners)], ["a"]);
  });
});

const ada = "a" as PeerId;

/** A job all of whose ticks are ada's; `starts` in minutes after the beginning. */
function jobOf(name: string, starts: readonly number[], more: Partial<ExpectedJob> = {}): ExpectedJob {
  const byHour = Map.groupBy(starts, (at) => Math.floor(at / 60));
  const hours = [...byHour].map(([hour, own]) => ({
    hour,
    ticks: own.length,
    starts: own.map((at) => at * minute),
    runs: [{ peer: ada, name: "ada", count: own.length }],
  }));
  return { id: name as JobId, hours, usualMs: 5 * minute, pool: undefined, overlaps: false, ...more };
}

function sumOf(hours: number, ...jobs: ExpectedJob[]): ForecastSum {
  const sum = new ForecastSum(0, hours);
  for (const job of jobs) sum.add(job);
  return sum;
}

const busyMinutes = (sum: ForecastSum) => [...(sum.peers.get(ada)?.busyMs ?? [])].map((ms) => ms / minute);

describe("the sum of what jobs are expected to do", () => {
  test("a run that goes on into the next hour is busy there, too, and counts where it begins", () => {
    const sum = sumOf(3, jobOf("long", [50], { usualMs: 30 * minute }));
    assert.deepEqual(busyMinutes(sum), [10, 20, 0]);
    assert.deepEqual([...(sum.peers.get(ada)?.runs ?? [])], [1, 0, 0]);
  });

  test("a job whose runs don't overlap is never busy for more than all the time", () => {
    const starts = [0, 10, 20, 30, 40, 50];
    const how = { usualMs: 30 * minute };
    assert.equal(busyMinutes(sumOf(2, jobOf("one", starts, how)))[0], 60);
    assert.ok((busyMinutes(sumOf(2, jobOf("many", starts, { ...how, overlaps: true })))[0] ?? 0) > 120);
  });

  test("a job of unknown duration has runs and no load; ticks that nobody could run are counted apart", () => {
    const sum = sumOf(1, jobOf("new", [0, 30], { usualMs: undefined }));
    assert.deepEqual(busyMinutes(sum), [0]);
    assert.equal(sum.ticks[0], 2);
    sum.add({ ...jobOf("no", []), hours: [{ hour: 0, ticks: 3, starts: [], runs: [] }] });
    assert.deepEqual([sum.ticks[0], sum.unplaced[0]], [5, 3]);
  });

  test("a pool collides only in the hours in which more runs want it at once than it has slots", () => {
    const pool = "db";
    const sum = sumOf(
      5,
      jobOf("a", [0, 60, 120, 235], { pool, usualMs: 10 * minute }),
      jobOf("b", [10, 65, 180], { pool, usualMs: 10 * minute }),
      jobOf("c", [240], { pool }),
      jobOf("other", [65], { pool: "none" }),
    );
    const at = (slots: number | undefined) =>
      [0, 1, 2, 3, 4].flatMap((hour) =>
        sum.collisionsAt(hour, (name) => (name === pool ? slots : undefined)),
      );
    assert.deepEqual(at(1), [
      { pool, slots: 1, hour: 1, wanted: 2, jobs: ["a", "b"] },
      { pool, slots: 1, hour: 4, wanted: 2, jobs: ["a", "c"] },
    ]);
    assert.deepEqual(at(2), []);
    assert.deepEqual(at(undefined), [], "a pool that isn't there has no limit");
  });

  test("the quiet hours are the longest stretches, without the hour that has begun", () => {
    const sum = sumOf(8, jobOf("busy", [60, 300], { usualMs: 50 * minute }));
    assert.deepEqual(
      sum.quiet(5).map(({ hour, hours }) => [hour, hours]),
      [
        [2, 3],
        [6, 2],
      ],
    );
  });
});

const of = async (fake: ReturnType<typeof fakeApi>, query = "") =>
  (await call(fake, { url: `/v1/forecast${query}` })).json();
const put = async (fake: ReturnType<typeof fakeApi>, body: object) => {
  const { statusCode, body: text } = await call(fake, { method: "POST", url: "/v1/jobs", body });
  assert.equal(statusCode, 201, text);
};

describe("GET /v1/forecast", () => {
  test("tells each peer's load by hour, from ticks and from how long runs have taken", async () => {
    const fake = fakeApi();
    await put(fake, { id: "often", command: "true", schedule: "@every 10s" });
    await put(fake, { id: "new", command: "true", schedule: "@hourly" });
    await put(fake, { id: "by-hand", command: "true" });
    const tick = tickAt(Date.UTC(2026, 10, 20, 1));
    const startedAt = Date.UTC(2026, 10, 20, 1);
    const often = "often" as JobId;
    fake.control.record({ job: often, tick, startedAt, finishedAt: startedAt + 5_000, exitCode: 0 });
    const { hours, ticks, peers, jobs, quiet } = await of(fake, "?days=1");
    assert.equal(hours, 24);
    assert.equal(ticks[1], 361);
    const [alpha] = peers;
    assert.equal(alpha.name, "alpha");
    assert.equal(alpha.runs[1], 361);
    assert.equal(alpha.busyMs[1], hourMs / 2);
    assert.deepEqual(jobs, { counted: 2, uncounted: 0, unknownDuration: 1, unscheduled: 1, beyond: 0 });
    assert.equal(quiet[0].hours, 23, "all hours are the same");
    assert.equal((await of(fake)).hours, 168);
  });

  test("names the hours in which a pool has too few slots", async () => {
    const fake = fakeApi();
    await call(fake, { method: "PUT", url: "/v1/pools/db", body: { slots: 1 } });
    for (const name of ["a", "b"])
      await put(fake, { id: name, command: "true", schedule: "0 */6 * * *", pool: "db" });
    const { collisions, moreCollisions } = await of(fake, "?days=1");
    assert.ok(collisions.length >= 3);
    const [{ at, ...first }] = collisions;
    assert.equal(new Date(at).getUTCHours() % 6, 0);
    assert.deepEqual(first, { pool: "db", slots: 1, wanted: 2, jobs: ["a", "b"], moreJobs: false });
    assert.equal(moreCollisions, false);
  });

  test("tells what is counted so far, where that is asked for and the disk takes long", async () => {
    const fake = fakeApi();
    for (let number = 0; number < 101; number++)
      await put(fake, { id: `job-${number}`, command: "true", schedule: "@hourly" });
    const { promise: disk, resolve: go } = Promise.withResolvers<void>();
    fake.control.durations = async ({ job }) => {
      // In the second hundred, which is read while the first is counted.
      if (job === "job-100") await disk;
      return [];
    };
    let part = await of(fake, "?days=1&soFar=true");
    // oxlint-disable-next-line no-await-in-loop -- on a busy machine, the first hundred may take longer than an answer waits
    while (part.jobs.counted < 100) part = await of(fake, "?days=1&soFar=true");
    const counts = ({ complete, jobs: { counted, uncounted }, ticks }: Awaited<ReturnType<typeof of>>) => [
      complete,
      counted,
      uncounted,
      ticks[1],
    ];
    assert.deepEqual(counts(part), [false, 100, 1, 100]);
    assert.deepEqual([part.quiet, part.collisions], [[], []]);
    const whole = of(fake, "?days=1");
    go();
    assert.deepEqual(counts(await whole), [true, 101, 0, 101]);
    assert.deepEqual(counts(await of(fake, "?days=1&soFar=true")), [true, 101, 0, 101]);
    assert.equal((await whole).quiet.length, 1);
  });

  test("keeps its answer for a while, and nothing that it was counted from", async () => {
    const fake = fakeApi();
    await put(fake, { id: "a", command: "true", schedule: "@hourly" });
    assert.equal((await of(fake)).jobs.counted, 1);
    const counted = new WeakRef(fake.control.view().jobs.get("a" as JobId) ?? assert.fail());
    await call(fake, { method: "DELETE", url: "/v1/jobs/a" });
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    // V8 holds what a WeakRef was made of until the present event is over.
    await otherEvents();
    gc();
    assert.equal(counted.deref(), undefined);
  });

  test("counts for each caller only the jobs of its groups", async () => {
    const fake = fakeApi();
    await put(fake, { id: "a", command: "true", schedule: "@hourly", group: "web" });
    await put(fake, { id: "b", command: "true", schedule: "@hourly", group: "db" });
    const made = await call(fake, {
      method: "POST",
      url: "/v1/tokens",
      body: { name: "web", role: "viewer", groups: ["web"] },
    });
    const headers = { authorization: `Bearer ${made.json().token}` };
    const limited = await call(fake, { url: "/v1/forecast?days=1", headers });
    assert.deepEqual([limited.json().jobs.counted, limited.json().ticks[1]], [1, 1]);
    assert.deepEqual(
      [(await of(fake, "?days=1")).jobs.counted, (await of(fake, "?days=1")).ticks[1]],
      [2, 2],
    );
  });

  test("refuses other lengths and fields", async () => {
    const fake = fakeApi();
    for (const query of ["?days=0", "?days=8", "?days=x", "?hours=3"])
      assert.equal((await call(fake, { url: `/v1/forecast${query}` })).statusCode, 400, query);
  });
});
