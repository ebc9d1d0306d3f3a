/** Groups that give their jobs defaults: what a job takes, what it keeps, and that every peer sees the same job. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { checkedJob } from "../src/core/checks/job.ts";
import { groupProblems, inheritedBy, storedGroup } from "../src/core/job/group.ts";
import { createJobs } from "../src/core/job/jobs-state.ts";
import { planJob } from "../src/core/job/plan.ts";
import { JobHistory } from "../src/peer/job-history.ts";
import { groupFields, type GroupDefaults } from "../src/schema/group.ts";
import type { JobId } from "../src/schema/ids.ts";
import { JobSpecSchema, type JobSpec } from "../src/schema/job.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { World } from "../src/sim/world/world.ts";
import type { JobTable } from "../src/table/table.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { Cores } from "./kit/cores.ts";
import { edit, exchange, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

function put(table: JobTable, spec: JobSpec, minute: number): Uint8Array {
  return edit(table, { kind: "put", spec, by: "ann" }, wallOf(minute));
}

function set(table: JobTable, value: GroupDefaults | null, minute: number, name = "nightly"): Uint8Array {
  const groups = new Map(table.values("groups"));
  const jobs = { ...createJobs(), groups } as Parameters<typeof storedGroup>[0];
  const stored = storedGroup(jobs, name, value ?? undefined, wallOf(minute));
  return edit(table, { kind: "set", root: "groups", id: name, value: stored, by: "ann" }, wallOf(minute));
}

const own = specOf("backup", { group: "nightly" });

describe("a job takes from its group", () => {
  const cases: [title: string, job: Partial<JobSpec>, group: GroupDefaults, taken: GroupDefaults][] = [
    [
      "fields that it doesn't have",
      {},
      { timezone: "Europe/Berlin", weight: 2 },
      { timezone: "Europe/Berlin", weight: 2 },
    ],
    ["nothing that it says itself", { timezone: "UTC" }, { timezone: "Europe/Berlin" }, {}],
    [
      "no part of a field that it says itself",
      { retry: { attempts: 1 } },
      { retry: { attempts: 3, backoff: "1m" } },
      {},
    ],
    [
      "the variables that it doesn't have",
      { env: { A: "1" } },
      { env: { A: "2", B: "3" } },
      { env: { B: "3" } },
    ],
    ["no variable that is its secret", { secrets: ["A"] }, { env: { A: "2" } }, {}],
    [
      "for a request, nothing about processes",
      { command: undefined, http: { url: "https://x.org" } } as never,
      { user: "bob", env: { A: "2" }, limits: { nice: 1 }, timeout: "5s" },
      { timeout: "5s" },
    ],
  ];
  for (const [title, job, group, taken] of cases) {
    it(title, () => assert.deepEqual(inheritedBy({ ...own, ...job }, group), taken));
  }
});

test("every field that a group gives is one of a job, and a value that a job may not have is refused with its place", () => {
  for (const field of groupFields) assert.ok(Object.hasOwn(JobSpecSchema.properties, field), field);
  const refused: [unknown, RegExp][] = [
    [{ timezone: "Mars/Base" }, /^\/timezone: /],
    [{ timeout: "long" }, /^\/timeout: .* is not a duration/],
    [{ schedule: "@daily" }, /^\/schedule: a group can't set schedule: write it in each job/],
    [{ timezon: "UTC" }, /^\/timezon: unknown field: did you mean "timezone"/],
    [{ retry: { attemps: 1 } }, /^\/retry\/attemps: /],
    [["UTC"], /^: a group is an object/],
  ];
  for (const [value, says] of refused) {
    const [problem] = groupProblems(value);
    assert.match(`${problem?.pointer}: ${problem?.message}`, says);
  }
  assert.deepEqual(groupProblems({ timezone: "UTC", description: "at night" }), []);
});

test("a job with its group's defaults is the same on every peer, whichever edit came first", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  put(here, own, 1);
  set(there, { timezone: "Europe/Berlin", retry: { attempts: 2 } }, 2);
  exchange(here, there);
  for (const table of [here, there]) {
    const job = jobOf(table, "backup");
    assert.deepEqual(job?.spec, { ...own, timezone: "Europe/Berlin", retry: { attempts: 2 } });
    assert.deepEqual(job?.written, own);
    assert.ok(job?.needs.some(({ capabilities }) => capabilities.includes("groups")));
  }
  assert.deepEqual(jobOf(here, "backup"), jobOf(there, "backup"));
});

test("an edit of the group changes its jobs' revision, and only those that take something", () => {
  const table = makeTable("a");
  put(table, own, 1);
  put(table, specOf("zoned", { group: "nightly", timezone: "UTC" }), 1);
  put(table, specOf("other"), 1);
  table.takeChanges();
  const before = jobOf(table, "backup")?.revision;
  set(table, { timezone: "Europe/Berlin" }, 2);
  assert.notEqual(jobOf(table, "backup")?.revision, before);
  assert.equal(jobOf(table, "zoned")?.written, undefined);
  const changed = table.takeChanges().map(({ id }) => String(id));
  assert.deepEqual(changed.toSorted(), ["backup", "zoned"]);
});

test("an edit of what decides about ticks counts as an edit of the jobs' timetable; one of other fields doesn't", () => {
  const table = makeTable("a");
  put(table, own, 1);
  set(table, { timeout: "1h" }, 2);
  assert.equal(jobOf(table, "backup")?.scheduledAt, wallOf(1));
  set(table, { timeout: "1h", timezone: "Europe/Berlin" }, 3);
  assert.equal(jobOf(table, "backup")?.scheduledAt, wallOf(3));
  set(table, { timeout: "2h", timezone: "Europe/Berlin" }, 4);
  assert.equal(jobOf(table, "backup")?.scheduledAt, wallOf(3));
  const job = jobOf(table, "backup");
  assert.ok(job !== undefined);
  const plan = planJob(job);
  assert.ok(!Array.isArray(plan));
  assert.deepEqual([plan.earliest, plan.timeoutMs], [wallOf(3), 7_200_000]);
});

test("a job that moves to another group, and one whose group's defaults are removed, begins a new timetable", () => {
  const table = makeTable("a");
  put(table, own, 1);
  set(table, { timezone: "Europe/Berlin" }, 2);
  set(table, null, 3);
  assert.deepEqual(jobOf(table, "backup")?.spec, own);
  assert.equal(jobOf(table, "backup")?.scheduledAt, wallOf(3));
  put(table, { ...own, group: "daily" }, 4);
  assert.equal(jobOf(table, "backup")?.scheduledAt, wallOf(4));
});

test("a job that two edits on two sides of a split have made invalid is shown, and not run", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(put(here, specOf("backup", { group: "nightly", schedule: "@every 10s" }), 1));
  set(there, { jitter: "9s" }, 2);
  put(here, specOf("backup", { group: "nightly", schedule: "@every 5s" }), 2);
  exchange(here, there);
  for (const table of [here, there]) {
    assert.equal(jobOf(table, "backup"), undefined);
    const [quarantined] = table.quarantined();
    assert.match(
      quarantined?.problems[0]?.message ?? "",
      /with the defaults of its group nightly: a jitter of 9s/,
    );
  }
  set(here, { jitter: "2s" }, 3);
  assert.equal(jobOf(here, "backup")?.spec.jitter, "2s");
});

function runningAfter(id: string, parent: string): JobSpec {
  const { schedule: _, ...spec } = specOf(id, { group: "nightly" });
  return { ...spec, after: { jobs: [parent as JobId] } };
}

test("a job of a cycle has its group's new defaults once the cycle has ended", () => {
  const [table, other] = [makeTable("a"), makeTable("b")];
  for (const id of ["x", "y"]) put(table, specOf(id, { group: "nightly" }), 1);
  exchange(table, other);
  put(table, runningAfter("x", "y"), 2);
  put(other, runningAfter("y", "x"), 2);
  exchange(table, other);
  assert.equal(jobOf(table, "x"), undefined);
  set(table, { owner: "ops" }, 3);
  put(table, specOf("y", { group: "nightly" }), 4);
  assert.equal(jobOf(table, "x")?.spec.owner, "ops");
});

test("a job's history is of what its author wrote: an edit of the group is no revision of it", () => {
  const table = makeTable("a");
  const history = new JobHistory();
  const note = () => history.note(table.takeChanges(), () => true, wallOf(9));
  put(table, own, 1);
  note();
  set(table, { timezone: "Europe/Berlin" }, 2);
  note();
  put(table, { ...own, description: "x" }, 3);
  note();
  const specs = history.take().map((write) => (write.kind === "revision" ? write.revision.spec : undefined));
  assert.ok(specs.every((spec) => spec?.timezone === undefined));
  assert.equal(specs.length, 2, "created, and edited");
});

test("what a group has said already is not written again", () => {
  const groups = new Map([["nightly", { timezone: "UTC", timetableAt: 5 }]]);
  const jobs = { ...createJobs(), groups };
  assert.equal(storedGroup(jobs, "nightly", { timezone: "UTC" }, 9), undefined);
  assert.deepEqual(storedGroup(jobs, "nightly", { timezone: "UTC", weight: 2 }, 9), {
    timezone: "UTC",
    weight: 2,
    timetableAt: 5,
  });
  assert.deepEqual(storedGroup(jobs, "nightly", undefined, 9), { removed: true, timetableAt: 9 });
  assert.ok(checkedJob({ id: "x" as JobId, command: "true" }));
});

test("in a simulated mesh, a group's defaults reach every peer, and decide at once what its jobs' ticks are", () => {
  const world = new World({ ...calmWorld, seed: "groups", peers: 3, skewMs: 0, driftPpm: 0 });
  const [first, second] = world.peers;
  assert.ok(first !== undefined && second !== undefined);
  for (const peer of world.peers) world.hosts.start(peer);
  world.at(epoch + 20_000, () => {
    const rules = { id: "backup" as JobId, schedule: everySeconds(10), overlap: "allow" } as const;
    const catchUp = { policy: "none", windowMs: 0 } as const;
    world.ask(first, { kind: "put", rules: { ...rules, catchUp, peers: undefined } });
  });
  // No tick of an hour of that day is left.
  world.at(epoch + 60_000, () => {
    const value = { except: ["2026-11-20"] };
    const command = { kind: "put-setting", setting: "groups", name: "default", value, by: "ann" } as const;
    world.hosts.get(second).life?.peer.command(command, () => undefined);
  });
  const revisions = () =>
    world.peers.map((peer) =>
      world.hosts
        .get(peer)
        .life?.peer.revisions()
        .get("backup" as JobId),
    );
  let before: (string | undefined)[] = [];
  world.at(epoch + 55_000, () => (before = revisions()));
  world.runUntil(epoch + 180_000);
  const after = revisions();
  assert.equal(new Set(after).size, 1);
  assert.notEqual(after[0], before[0]);
  const starts = world.evidence(epoch + 180_000, []).runs.map(({ start }) => start);
  assert.ok(starts.length >= 3 && starts.every((start) => start < epoch + 62_000));
});

test("a group that is wrong in a set of objects is refused as what is declared, and not as a job", () => {
  const cores = new Cores(["a"]);
  const change = {
    kind: "setting",
    setting: "groups",
    name: "etl",
    value: { defaults: {} },
    at: "/objects/0",
  } as const;
  cores.ask("a", { kind: "apply", changes: [change], by: "ann" });
  const [answer] = cores.answers;
  assert.ok(answer?.kind === "refused");
  assert.equal(answer.error.code, "INVALID_OBJECT");
  assert.deepEqual(
    answer.error.problems.map(({ pointer }) => pointer),
    ["/objects/0/defaults"],
  );
});

test("an update of many groups looks through the jobs once, and not once for each group", () => {
  const [a, b] = [makeTable("a"), makeTable("b")];
  const [jobs, groups] = [100, 300];
  for (let job = 0; job < jobs; job++) exchangeOne(a, b, specOf(`job-${job}`, { group: `group-${job}` }));
  b.jobs();
  b.takeReread();
  const edits = Array.from({ length: groups }, (_, index) => {
    const value = { description: "x" };
    return { kind: "set", root: "groups", id: `group-${index}`, value, by: "ann" } as const;
  });
  assert.equal(b.apply(a.edit(edits, wallOf(jobs)).update), "changed");
  const { entries, jobs: again } = b.takeReread();
  assert.equal(again, jobs, "those of the groups are read again");
  assert.ok(entries <= groups + 2 * jobs, `${entries} entries were looked at`);
});

function exchangeOne(from: JobTable, to: JobTable, spec: JobSpec): void {
  assert.equal(to.apply(put(from, spec, 1)), "changed");
}
