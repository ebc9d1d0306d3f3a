/** What is asked of all jobs at once over HTTP: their states, their order, how their last ticks went, what comes next. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { Overview } from "../src/api/show/overview.ts";
import type { Run } from "../src/api/show/show-run.ts";
import { call, fakeApi, type FakeApi } from "./kit/fake-api.ts";
import { member } from "./kit/fake-control.ts";

const tick = "2026-11-20T01:00:00Z" as TickId;
const at = (minutes: number) => tickAt(instantOf(tick) + minutes * 60_000);

async function withJobs(...specs: object[]): Promise<FakeApi> {
  const fake = fakeApi();
  for (const spec of specs) {
    const { statusCode, body } = await call(fake, { method: "POST", url: "/v1/jobs", body: spec });
    assert.equal(statusCode, 201, body);
  }
  return fake;
}

const ids = (items: { id: string }[]) => items.map(({ id }) => id);

test("the summary counts jobs by state and group, and peers", async () => {
  const fake = await withJobs(
    { id: "a", command: "true", group: "db" },
    { id: "b", command: "true", schedule: "@hourly" },
    { id: "c", command: "true", schedule: "@hourly", enabled: false },
  );
  fake.control.statuses.set("b" as JobId, { state: "failing" });
  fake.control.quarantined = [{ id: "d", problems: [] }];
  const { jobs, states, groups, peers } = (await call(fake, { url: "/v1/summary" })).json();
  assert.equal(jobs, 4);
  assert.equal(states.failing, 1);
  assert.equal(states.disabled, 1);
  assert.equal(states.invalid, 1);
  assert.equal(states.running, 0);
  assert.deepEqual(groups, [
    { name: "db", jobs: 1 },
    { name: "default", jobs: 2 },
  ]);
  assert.deepEqual(peers, { alive: 2, known: 2 });
});

test("a job that is written while the jobs are read is in the next reading, and there is one reading at a time", async () => {
  const { control } = await withJobs({ id: "a", command: "true" }, { id: "b", command: "true" });
  let now = 0;
  const overview = new Overview(control, () => now);
  const first = overview.entries();
  control.statuses.set("a" as JobId, { state: "failing" });
  control.notify({ kind: "job", id: "a" as JobId, change: "written" });
  now += 60_000;
  assert.equal(overview.entries(), first, "the reading is still going on");
  await first;
  now += 101 + 60_000;
  assert.equal((await overview.entries()).get("a" as JobId)?.state, "failing");
});

test("a disk that takes long to read doesn't make the states last longer", async () => {
  const { control } = await withJobs({ id: "a", command: "true" });
  let now = 0;
  const overview = new Overview(control, () => now);
  const first = overview.entries();
  now += 60_000;
  await first;
  control.statuses.set("a" as JobId, { state: "failing" });
  now += 501;
  assert.equal((await overview.entries()).get("a" as JobId)?.state, "failing");
});

test("jobs come by what needs a person first, or by what is due first, page by page, each once", async () => {
  const fake = await withJobs(
    { id: "a", command: "true", schedule: "0 0 1 1 *" },
    { id: "b", command: "true" },
    { id: "c", command: "true", schedule: "@minutely" },
    { id: "d", command: "true", schedule: "0 0 1 1 *" },
  );
  fake.control.statuses.set("d" as JobId, { state: "failing" });
  fake.control.statuses.set("c" as JobId, { state: "running" });
  fake.control.quarantined = [{ id: "e", problems: [] }];
  for (const [order, expected] of [
    ["attention", ["e", "d", "a", "b", "c"]],
    ["next", ["c", "a", "d", "b", "e"]],
    ["id", ["a", "b", "c", "d", "e"]],
  ] as const) {
    const found: string[] = [];
    for (let cursor = ""; ;) {
      const url = `/v1/jobs?sort=${order}&limit=2${cursor}`;
      const { items, nextCursor } = (await call(fake, { url })).json();
      found.push(...ids(items));
      if (nextCursor === null) break;
      cursor = `&cursor=${nextCursor}`;
    }
    assert.deepEqual(found, expected, order);
  }
  const { nextCursor } = (await call(fake, { url: "/v1/jobs?sort=next&limit=1" })).json();
  const mixed = await call(fake, { url: `/v1/jobs?sort=attention&cursor=${nextCursor}` });
  assert.equal(mixed.statusCode, 422, "a cursor of another order is refused");
});

test("a list tells how each job's last ticks went and how long they usually take, and follows new runs", async () => {
  const fake = await withJobs({ id: "a", command: "true" }, { id: "b", command: "true" });
  const { control } = fake;
  const job = "a" as JobId;
  const from = instantOf(tick);
  for (const [minutes, ms] of [
    [0, 1_000],
    [1, 3_000],
    [2, 2_000],
  ] as const) {
    const startedAt = from + minutes * 60_000;
    control.record({ job, tick: at(minutes), startedAt, finishedAt: startedAt + ms, exitCode: 0 });
  }
  control.record({ job, tick: at(3), state: "missed", reason: "window" });
  const recentOf = async () => (await call(fake, { url: "/v1/jobs?recent=true" })).json().items[0].recent;
  const recent = await recentOf();
  assert.equal(recent.usualMs, 2_000);
  assert.deepEqual(
    recent.ticks.map(({ state, ms }: { state: string; ms: number | null }) => [state, ms]),
    [
      ["missed", null],
      ["succeeded", 2_000],
      ["succeeded", 3_000],
      ["succeeded", 1_000],
    ],
  );
  const record = control.record({ job, tick: at(4), state: "failed", exitCode: 1 });
  control.notify({ kind: "run", record });
  assert.equal((await recentOf()).ticks[0].state, "failed");
  const { items } = (await call(fake, { url: "/v1/jobs" })).json();
  assert.equal(items[0].recent, undefined, "only where it is asked for");
});

test("each job that went wrong lately is listed once, with its last failure, how often and how it is now", async () => {
  const fake = await withJobs({ id: "often", command: "true" }, { id: "once", command: "true" });
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  const fails = (job: string, minutes: number, fields = {}): void =>
    void fake.control.record({
      job: job as JobId,
      tick: tickAt(minute - minutes * 60_000),
      state: "failed",
      ...fields,
    });
  for (let minutes = 1; minutes <= 700; minutes++) fails("often", minutes);
  fails("once", 900);
  fails("once", 800, { retryAt: minute });
  fails("gone", 1_000, { state: "lost" });
  fails("once", 2_000);
  fake.control.statuses.set("often" as JobId, { state: "failing" });
  const { items, total } = (await call(fake, { url: "/v1/failures" })).json();
  assert.deepEqual(
    items.map(({ job, state, counts, last }: { job: string; state: string; counts: object; last: Run }) => [
      job,
      state,
      counts,
      last.tick,
    ]),
    [
      ["often", "failing", { failed: 700 }, tickAt(minute - 60_000)],
      ["once", "manual", { failed: 1 }, tickAt(minute - 900 * 60_000)],
      ["gone", null, { lost: 1 }, tickAt(minute - 1_000 * 60_000)],
    ],
  );
  assert.equal(total, 3);
  const cut = (await call(fake, { url: "/v1/failures?hours=24&limit=1" })).json();
  assert.deepEqual([cut.items.length, cut.total], [1, 3]);
});

test("the next ticks of all jobs are listed without reading the state of any", async () => {
  const fake = await withJobs({ id: "a", command: "true", schedule: "@minutely" });
  fake.control.status = () => assert.fail("a state was read");
  const { items } = (await call(fake, { url: "/v1/coming?minutes=2" })).json();
  assert.deepEqual(new Set(items.map(({ job }: { job: string }) => job)), new Set(["a"]));
});

test("the next ticks of all jobs come soonest first, at most 12 of one job, and only within the time", async () => {
  const fake = await withJobs(
    { id: "often", command: "true", schedule: "@every 1s" },
    { id: "hourly", command: "true", schedule: "@hourly" },
    { id: "yearly", command: "true", schedule: "@yearly" },
  );
  const { items, more, completeUntil, often } = (await call(fake, { url: "/v1/coming?minutes=61" })).json();
  const jobs = items.map(({ job }: { job: string }) => job);
  assert.equal(jobs.filter((job: string) => job === "often").length, 12);
  assert.ok(jobs.includes("hourly"));
  assert.ok(!jobs.includes("yearly"));
  assert.equal(more, true);
  assert.deepEqual(often, ["often"]);
  assert.equal(completeUntil, items.filter(({ job }: { job: string }) => job === "often").at(-1).startsAt);
  const starts = items.map(({ startsAt }: { startsAt: string }) => startsAt);
  assert.deepEqual(starts, starts.toSorted());
  const cut = (await call(fake, { url: "/v1/coming?minutes=61&limit=5" })).json();
  assert.deepEqual([cut.items.length, cut.more], [5, true]);
  assert.equal(cut.completeUntil, cut.items.at(-1).startsAt, "later ones are not listed");
  assert.equal((await call(fake, { url: "/v1/coming?minutes=100000" })).statusCode, 400);
});

test("a coming tick says how many peers run it", async () => {
  const schedule = "@hourly";
  const fake = await withJobs(
    { id: "a", command: "true", schedule },
    { id: "b", command: "true", schedule, target: { count: "all" } },
    { id: "c", command: "true", schedule, target: { count: 5 } },
  );
  const { items } = (await call(fake, { url: "/v1/coming?minutes=60" })).json();
  const found = items.map(({ job, peers, runners }: { job: string; peers: object[]; runners: number }) => [
    job,
    peers.length,
    runners,
  ]);
  assert.deepEqual(found, [
    ["a", 2, 1],
    ["b", 2, 2],
    ["c", 2, 2],
  ]);
});

test("a coming tick names all that run it and one more, and of a single run the first four", async () => {
  const fake = await withJobs(
    { id: "a", command: "true", schedule: "@hourly" },
    { id: "b", command: "true", schedule: "@hourly", target: { count: 5 } },
  );
  const others = Array.from({ length: 6 }, (_, index) =>
    member(`peer${index}` as PeerId, `peer-${index}`, false),
  );
  fake.control.members = [...fake.control.members.slice(0, 1), ...others];
  const { items } = (await call(fake, { url: "/v1/coming?minutes=60" })).json();
  const named = items.map(({ job, peers }: { job: string; peers: object[] }) => [job, peers.length]);
  assert.deepEqual(named, [
    ["a", 4],
    ["b", 6],
  ]);
});

test("the jobs that only one peer can run are listed by peer, soonest first, also those that come months later or by hand", async () => {
  const fake = await withJobs(
    { id: "by-hand", command: "true" },
    { id: "often", command: "true", schedule: "@every 1s" },
    { id: "yearly", command: "true", schedule: "@yearly" },
    { id: "hourly", command: "true", schedule: "@hourly" },
  );
  const [, other] = fake.control.members;
  assert.ok(other);
  for (const id of ["by-hand", "yearly", "hourly"]) fake.control.soleRunners.set(id as JobId, other.id);
  const { items } = (await call(fake, { url: "/v1/dependents" })).json();
  assert.equal(items.length, 1);
  assert.deepEqual(items[0].peer, { id: other.id, name: other.name });
  assert.deepEqual(ids(items[0].jobs), ["hourly", "yearly", "by-hand"]);
  assert.equal(items[0].jobs[2].nextRun, null);
  const cut = (await call(fake, { url: "/v1/dependents?limit=1" })).json();
  assert.deepEqual([ids(cut.items[0].jobs), cut.items[0].total], [["hourly"], 3]);
});

test("what runs now is listed with how long it usually takes; a claim that is due and waits is with it", async () => {
  const fake = await withJobs({ id: "a", command: "true" });
  const job = "a" as JobId;
  fake.control.record({ job, tick: at(0), state: "running" });
  fake.control.record({ job, tick: at(1), state: "claimed", waiting: "capacity" });
  fake.control.record({ job, tick: at(2), state: "claimed" });
  const { items } = (await call(fake, { url: "/v1/running" })).json();
  assert.deepEqual(
    items.map(({ state, waiting }: { state: string; waiting: string | null }) => [state, waiting]),
    [
      ["running", null],
      ["claimed", "capacity"],
    ],
  );
  assert.equal(items[0].usualMs, null);
});

test("a job's chain goes in both directions, each job once, and names jobs that are not there", async () => {
  const fake = await withJobs(
    { id: "a", command: "true", schedule: "@hourly" },
    { id: "b", command: "true", after: { jobs: ["a"] } },
    { id: "c", command: "true", after: { jobs: ["b"], on: "failure" } },
    { id: "d", command: "true" },
  );
  const { jobs, links, more } = (await call(fake, { url: "/v1/jobs/b/chain" })).json();
  assert.deepEqual(
    jobs.map(({ id, level }: { id: string; level: number }) => [id, level]),
    [
      ["b", 0],
      ["a", -1],
      ["c", 1],
    ],
  );
  assert.deepEqual(links, [
    { from: "a", to: "b", on: "success" },
    { from: "b", to: "c", on: "failure" },
  ]);
  assert.equal(more, false);
  assert.deepEqual((await call(fake, { url: "/v1/jobs/d/chain" })).json().links, []);
  assert.equal((await call(fake, { url: "/v1/jobs/none/chain" })).statusCode, 404);
});
