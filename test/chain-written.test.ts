/** Chains as they are written: what is refused, what is warned about, cycles of two sides, and what a job shows of its parents. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { checkJob } from "../src/core/checks/job.ts";
import { cycleThrough, describeCyclicSet, cyclicSets } from "../src/core/job/cycle.ts";
import { checkChain } from "../src/core/operator/chain-check.ts";
import { obstaclesOf, jobNow, nextTicks, pendingOf, whyNoTick } from "../src/core/view.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import type { JobTable } from "../src/table/table.ts";
import { countSteps } from "./kit/fuzz/steps.ts";
import { Cores } from "./kit/cores.ts";
import { edit, exchange, jobOf, makeTable, wallOf } from "./kit/tables.ts";

const ids = (...names: string[]): JobId[] => names as JobId[];

function after(id: string, ...parents: string[]): JobSpec {
  return { id: id as JobId, command: "true", after: { jobs: ids(...parents) } };
}

function problemsOf(input: unknown): string[] {
  const found = checkJob(input);
  return found.ok ? [] : found.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
}

describe("a job that runs after others", () => {
  it("names one or more of them, and one of three ends", () => {
    assert.deepEqual(problemsOf(after("b", "a")), []);
    assert.deepEqual(problemsOf({ ...after("b"), after: { jobs: ["a"], on: "always" } }), []);
    assert.match(
      problemsOf({ id: "b", command: "x", after: { jobs: [] } }).join(),
      /^\/after\/jobs: jobs is a list of 1 to 32 ids/,
    );
    assert.match(
      problemsOf({ id: "b", command: "x", after: "a" }).join(),
      /^\/after: after is an object such as/,
    );
    assert.match(
      problemsOf({ id: "b", command: "x", after: { jobs: ["a"], on: "end" } }).join(),
      /^\/after\/on: on is one of success/,
    );
    assert.match(
      problemsOf({ id: "b", command: "x", after: { jobs: ["A b"] } }).join(),
      /^\/after\/jobs\/0: an id is 1 to 128/,
    );
    assert.match(
      problemsOf({ id: "b", command: "x", after: { jobs: ["a"], when: 1 } }).join(),
      /^\/after\/when: unknown field/,
    );
    assert.match(problemsOf({ id: "b", command: "x", dependsOn: ["a"] }).join(), /did you mean "after"\?/);
  });
  it("has no schedule, because its ticks are theirs", () => {
    assert.match(
      problemsOf({ ...after("b", "a"), schedule: "@daily" }).join(),
      /^\/after: a job has either a schedule or parents/,
    );
  });
  it("can't run after itself", () => {
    assert.match(
      problemsOf(after("b", "a", "b")).join(),
      /^\/after\/jobs\/1: a job can't run after itself: b → b/,
    );
  });
  it("needs a default for each required parameter, because nobody gives its runs any", () => {
    const params = { DAY: { type: "string", required: true } };
    assert.match(problemsOf({ ...after("b", "a"), params }).join(), /^\/params\/DAY: /);
  });
});

function graph(parents: Readonly<Record<string, string>>): (job: JobId) => JobId[] {
  return (job) => ids(...(parents[job] ?? "").split(" ").filter(Boolean));
}

describe("cycles", () => {
  it("the way back is shown in the order in which the jobs would run", () => {
    assert.deepEqual(cycleThrough("a" as JobId, graph({ a: "c", b: "a", c: "b" })), ids("a", "b", "c", "a"));
    assert.deepEqual(cycleThrough("d" as JobId, graph({ a: "c", b: "a", c: "b", d: "c" })), undefined);
  });
  it("only the jobs that run after each other are in it, and not those before or after them", () => {
    const parents = graph({ a: "b x", b: "c", c: "a", d: "c", e: "e" });
    const found = cyclicSets(ids("d", "e"), parents).map((members) => members.toSorted().join(" "));
    assert.deepEqual(found.toSorted(), ["a b c", "e"]);
  });
  it("a chain of 50,000 jobs is no cycle, and is searched at once", () => {
    const parents = (job: JobId) => (Number(job) > 0 ? ids(String(Number(job) - 1)) : []);
    assert.deepEqual(cyclicSets(ids("50000"), parents), []);
    assert.equal(cycleThrough("50000" as JobId, parents), undefined);
  });
  it("each member of a very large one says so, too", () => {
    const members = Array.from({ length: 5_000 }, (_, index) => String(index) as JobId);
    const parents = (job: JobId) => ids(String((Number(job) + 1) % members.length));
    const texts = describeCyclicSet(members, parents);
    assert.equal(texts.size, members.length);
    assert.match(texts.get("7" as JobId) ?? "", /as one of 5000 jobs that run after each other: 0, 1, 10/);
  });
});

function put(table: JobTable, spec: JobSpec, minute: number): void {
  edit(table, { kind: "put", spec, by: "ann" }, wallOf(minute));
}

function quarantinedIn(table: JobTable): string[] {
  return table
    .quarantined()
    .map(
      ({ id, problems }) =>
        `${id} ${problems.map(({ pointer, message }) => `${pointer}: ${message}`).join()}`,
    )
    .toSorted();
}

test("a cycle that two edits made on two sides of a split is quarantined on both, with the same words, until an edit ends it", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  put(here, { id: "x" as JobId, command: "true", schedule: "@daily" }, 1);
  put(here, { id: "y" as JobId, command: "true", schedule: "@daily" }, 1);
  exchange(here, there);
  put(here, after("x", "y"), 2);
  put(there, after("y", "x"), 3);
  put(there, after("z", "y"), 3);
  exchange(here, there);
  const expected = [
    "x /after/jobs: it would run after itself: x → y → x",
    "y /after/jobs: it would run after itself: y → x → y",
  ];
  for (const table of [here, there]) {
    assert.deepEqual(quarantinedIn(table), expected);
    assert.equal(jobOf(table, "x"), undefined);
    assert.ok(jobOf(table, "z"), "what runs after them is no part of the cycle");
    assert.deepEqual(
      [...table.cyclic()],
      [
        ["x", ["y"]],
        ["y", ["x"]],
      ],
    );
  }
  here.takeChanges();
  put(there, { id: "y" as JobId, command: "true", schedule: "@daily" }, 4);
  exchange(here, there);
  for (const table of [here, there]) {
    assert.deepEqual(quarantinedIn(table), []);
    assert.ok(jobOf(table, "x") && jobOf(table, "y"));
  }
  const changed = here.takeChanges().map(({ id, job }) => `${id} ${job === undefined ? "gone" : "there"}`);
  assert.deepEqual(changed.toSorted(), ["x there", "y there"]);
});

test("a table that is loaded with a cycle has it quarantined", () => {
  const [one, other] = [makeTable("a"), makeTable("b")];
  const updates = [after("x", "y"), after("y", "x")].map((spec) =>
    edit(one, { kind: "put", spec, by: "ann" }, wallOf(1)),
  );
  other.load(updates);
  assert.equal(quarantinedIn(other).length, 2);
  edit(other, { kind: "delete", id: "x" as JobId, by: "ann" }, wallOf(2));
  assert.deepEqual(quarantinedIn(other), []);
  assert.ok(jobOf(other, "y"));
});

test("an edit of the parents and one of the schedule on two sides leave either the parents or the schedule", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  put(here, { id: "y" as JobId, command: "true" }, 1);
  exchange(here, there);
  put(here, { id: "y" as JobId, command: "true", schedule: "@daily" }, 2);
  put(there, after("y", "x"), 3);
  exchange(here, there);
  for (const table of [here, there]) {
    assert.deepEqual(jobOf(table, "y")?.spec.after, { jobs: ["x"] });
    assert.equal(jobOf(table, "y")?.spec.schedule, undefined);
  }
});

const hourly = { schedule: "0 * * * *", command: "true" };

function coresWith(...specs: JobSpec[]): Cores {
  const cores = new Cores(["a"]);
  for (const spec of specs) cores.put(spec);
  return cores;
}

function checked(cores: Cores, spec: JobSpec): { problems: string[]; warnings: readonly string[] } {
  const { problems, warnings } = checkChain(cores.state("a"), spec);
  return { problems: problems.map(({ pointer, message }) => `${pointer}: ${message}`), warnings };
}

const none = { problems: [], warnings: [] };

describe("when a job is written that runs after others", () => {
  it("a cycle is refused, with its path", () => {
    const cores = coresWith({ id: "a" as JobId, ...hourly }, after("b", "a"), after("c", "b"));
    assert.deepEqual(checked(cores, after("a", "x", "c")).problems, [
      "/after/jobs/1: it would run after itself: a → b → c → a",
    ]);
    cores.ask("a", { kind: "put-job", spec: checkedSpec(after("a", "c")), mode: "replace", by: "ann" });
    const [answer] = cores.answers;
    assert.ok(answer?.kind === "refused" && answer.error.code === "INVALID_JOB");
    assert.deepEqual(checked(cores, after("d", "c", "b")), none);
  });
  it("a parent that is not there is warned about", () => {
    assert.deepEqual(checked(coresWith(), after("b", "a")).warnings, [
      'it runs after "a", and there is no such job',
    ]);
  });
  it("parents with the same ticks are fine", () => {
    const cores = coresWith(
      { id: "a" as JobId, ...hourly },
      { id: "b" as JobId, ...hourly, schedule: "@hourly" },
    );
    assert.deepEqual(checked(cores, after("c", "a", "b")), none);
  });
  it("parents that never have a tick in common are refused", () => {
    const cores = coresWith(
      { id: "a" as JobId, ...hourly },
      { id: "b" as JobId, ...hourly, schedule: "30 * * * *" },
      after("c", "b"),
      { id: "hand" as JobId, command: "true" },
    );
    assert.match(
      checked(cores, after("d", "a", "b")).problems.join(),
      /^\/after\/jobs: its parents \(a, b\) have no tick in common/,
    );
    assert.match(
      checked(cores, after("d", "a", "c")).problems.join(),
      /^\/after\/jobs: its parents \(a, b\) have no tick in common/,
    );
    assert.match(
      checked(cores, after("d", "a", "hand")).problems.join(),
      /"hand" runs only by hand, so it shares no tick with "a"/,
    );
  });
  it("parents that coincide only now and then are warned about", () => {
    const cores = coresWith(
      { id: "a" as JobId, ...hourly },
      { id: "b" as JobId, ...hourly, schedule: "0 3 29 2 *" },
      { id: "winter" as JobId, ...hourly, schedule: "0 2 * * *", timezone: "Europe/Berlin" },
      { id: "one" as JobId, ...hourly, schedule: "0 1 * * *" },
    );
    const { problems, warnings } = checked(cores, after("c", "a", "b"));
    assert.deepEqual(problems, []);
    assert.match(
      warnings.join(),
      /share only some of their ticks: at 2026-11-20T0\d:00:00Z "a" has one and "b" has none/,
    );
    assert.match(
      checked(cores, after("c", "winter", "one")).warnings.join(),
      /share only some of their ticks/,
    );
  });
  it("parents that all run after one job share its ticks, scheduled or not", () => {
    const cores = coresWith({ id: "hand" as JobId, command: "true" }, after("l", "hand"), after("r", "hand"));
    assert.deepEqual(checked(cores, after("join", "l", "r")), none);
  });
  it("the answer costs bounded work, however rare the common ticks are", () => {
    const cores = coresWith(
      { id: "a" as JobId, command: "true", schedule: "@every 59s" },
      { id: "b" as JobId, command: "true", schedule: "@every 3599s" },
      { id: "c" as JobId, command: "true", schedule: "@every 86399s" },
    );
    let said = 0;
    const steps = countSteps(() => {
      const { problems, warnings } = checked(cores, after("d", "a", "b", "c"));
      said = problems.length + warnings.length;
    });
    assert.equal(said, 1);
    assert.ok(steps < 100_000, `${steps} steps`);
  });
});

function checkedSpec(spec: JobSpec) {
  const found = checkJob(spec);
  assert.ok(found.ok);
  return found.spec;
}

function stage(): { cores: Cores; now: () => Parameters<typeof jobNow>[1] } {
  const cores = new Cores(["a", "b"], { runMs: Infinity });
  cores.put({ id: "load", ...hourly });
  cores.put({ id: "slow", ...hourly });
  cores.put({ ...after("report", "load", "slow") });
  cores.put({ ...after("alarm", "load"), after: { jobs: ids("load"), on: "failure" } });
  return { cores, now: () => cores.state("a").now };
}

describe("what such a job shows", () => {
  const minute = 60_000;
  const id = "report" as JobId;

  it("state scheduled, the next tick of its parents, and the peers that would run it", () => {
    const { cores, now } = stage();
    const shown = jobNow(cores.state("a"), now(), id);
    assert.equal(shown?.state, "scheduled");
    assert.equal(shown.next?.tick, "2026-11-20T03:00:00Z");
    assert.ok(shown.next.peers.length > 0);
    const [next] = nextTicks(cores.state("a"), now(), id, 3) ?? [];
    assert.equal(next?.tick, "2026-11-20T03:00:00Z");
    assert.equal(next.peers.length, 2);
    assert.deepEqual(next.after, ["load", "slow"]);
    assert.deepEqual(
      nextTicks(cores.state("a"), now(), "alarm" as JobId, 3),
      [],
      "a failure is not expected",
    );
    const alarm = jobNow(cores.state("a"), now(), "alarm" as JobId);
    assert.equal(alarm?.state, "scheduled", "its ticks come, whatever becomes of them");
    assert.equal(alarm.next, undefined, "nothing will run as things are");
    assert.deepEqual(obstaclesOf(cores.state("a"), now(), id), [
      "It has no schedule: it runs after the success of load and slow.",
    ]);
  });
  it("state manual while its parents give it no tick, and which parent doesn't", () => {
    const { cores, now } = stage();
    const shown = (job: JobId) => {
      const { state, next } = jobNow(cores.state("a"), now(), job) ?? {};
      const [first] = obstaclesOf(cores.state("a"), now(), job) ?? [];
      return { state, next, first };
    };
    cores.put({ id: "hand", command: "true" });
    cores.put(after("by-hand", "hand"));
    assert.deepEqual(shown("by-hand" as JobId), {
      state: "manual",
      next: undefined,
      first: "It has no schedule: it runs after the success of hand.",
    });
    cores.put({ id: "slow", ...hourly, enabled: false });
    assert.deepEqual(shown(id), { state: "manual", next: undefined, first: "Its parent slow is disabled." });
    cores.put({ id: "slow", ...hourly }, { pauses: [{ by: "ann", at: 0 }] });
    const first = "Its parent slow is paused until it is resumed.";
    assert.deepEqual(shown(id), { state: "manual", next: undefined, first });
  });
  it("the next tick after the end of a parent's pause that ends", () => {
    const { cores, now } = stage();
    const until = Date.parse("2026-11-20T05:30:00Z");
    cores.put({ id: "slow", ...hourly }, { pauses: [{ by: "ann", at: 0, until }] });
    const shown = jobNow(cores.state("a"), now(), id);
    assert.equal(shown?.state, "scheduled");
    assert.equal(shown.next?.tick, "2026-11-20T06:00:00Z");
  });
  it("state ended when it or a parent has no further tick", () => {
    const { cores, now } = stage();
    const state = () => jobNow(cores.state("a"), now(), id)?.state;
    cores.put({ ...after("report", "load", "slow"), endsAt: "2026-11-20T00:00:00Z" });
    assert.equal(state(), "ended");
    cores.put(after("report", "load", "slow"));
    assert.equal(state(), "scheduled");
    cores.put({ id: "slow", command: "true", schedule: "@at 2026-11-19T00:00:00Z" });
    assert.equal(state(), "ended");
    assert.equal(obstaclesOf(cores.state("a"), now(), id)?.[0], "Its parent slow has no further tick.");
  });
  it("state waiting while one parent has ended and another hasn't, and which one it waits for", () => {
    const { cores, now } = stage();
    cores.pass(60 * minute);
    cores.end("load", 0);
    cores.pass(minute);
    const state = cores.state("a");
    assert.equal(jobNow(state, now(), id)?.state, "waiting");
    const [pending] = pendingOf(state, now(), id);
    assert.equal(pending?.tick, "2026-11-20T03:00:00Z");
    assert.equal(pending.waitsFor, "parent");
    assert.match(pending.why, /^slow has been running since 03:00:00 UTC/);
    cores.end("slow", 0);
    cores.pass(minute);
    assert.equal(jobNow(state, now(), id)?.state, "running");
  });
  it("a deleted parent is a problem of the child", () => {
    const { cores, now } = stage();
    cores.remove("slow");
    const shown = jobNow(cores.state("a"), now(), id);
    assert.deepEqual(shown?.hindrances, [
      {
        code: "NO_PARENT",
        pointer: "/after/jobs/1",
        message: 'it runs after "slow", and there is no such job',
      },
    ]);
    assert.equal(shown.state, "manual", "it can be run by hand");
    assert.equal(shown.next, undefined);
  });
  it("why there is no such tick", () => {
    const { cores, now } = stage();
    assert.match(
      whyNoTick(cores.state("a"), now(), id, 0) ?? "",
      /^it runs after the success of load and slow, and no such tick/,
    );
  });
});
