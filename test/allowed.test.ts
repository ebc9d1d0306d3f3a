/** This peer's own limits: which executors, users and groups of jobs it allows, and that they win over the table. */
import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { test } from "node:test";
import { notAllowed } from "../src/cli/start/allowed.ts";
import { equipmentOf } from "../src/core/checks/action.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import { describeMissing, missing, ownLacks } from "../src/core/members/equipment.ts";
import { HostUsers } from "../src/peer/host-users.ts";
import { executors, type JobSpec } from "../src/schema/job.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { Job } from "../src/schema/job.ts";
import { Cluster, items, until } from "./kit/cluster.ts";
import { Cores } from "./kit/cores.ts";

interface Run {
  job: string;
  state: string;
}

type Allowed = Parameters<typeof notAllowed>[0];
const anything: Allowed = {
  exec: "cluster",
  allowExecutors: executors,
  allowUsers: undefined,
  allowGroups: undefined,
};
const beat: JobSpec = { id: "beat" as JobId, schedule: "@every 10s", command: "true" };

/** Which of these jobs a peer whose own user is `daemon` may run. */
function allowedOf(allowed: Partial<Allowed>, specs: readonly Partial<JobSpec>[]): boolean[] {
  const cores = new Cores(["a"], { lacks: { a: notAllowed({ ...anything, ...allowed }, "daemon") } });
  return specs.map((spec) => {
    const equipment = equipmentOf({ ...beat, ...spec });
    return missing(cores.state("a"), { equipment, secrets: [] }, "a" as PeerId).length === 0;
  });
}

test("without limits of its own a peer allows any job", () => {
  assert.deepEqual(notAllowed(anything, "daemon"), []);
});

test("exec off allows no job, of whatever executor", () => {
  const http = { http: { url: "http://127.0.0.1/" } };
  const jobs = [{}, { argv: ["true"] }, http];
  assert.deepEqual(allowedOf({ exec: "off" }, jobs), [false, false, false]);
});

test("allowed users are the only ones; a job without a user counts as one of the peer's own user; a request has none", () => {
  const request = { http: { url: "http://127.0.0.1/" }, command: undefined };
  const jobs = [{ user: "ada" }, { user: "bob" }, { user: "0" }, {}, request] as Partial<JobSpec>[];
  assert.deepEqual(allowedOf({ allowUsers: ["ada"] }, jobs), [true, false, false, false, true]);
  assert.deepEqual(allowedOf({ allowUsers: ["ada", "daemon"] }, jobs), [true, false, false, true, true]);
  assert.deepEqual(allowedOf({ allowUsers: ["*"] }, jobs), [false, false, false, false, true]);
});

test("allowed groups are the only ones; a job without a group is in the group default", () => {
  const jobs = [{ group: "web" }, { group: "db" }, {}];
  assert.deepEqual(allowedOf({ allowGroups: ["web"] }, jobs), [true, false, false]);
  assert.deepEqual(allowedOf({ allowGroups: ["web", "default"] }, jobs), [true, false, true]);
});

test("a job that only other peers allow runs there; one that none allows is blocked, and its problem names the setting", () => {
  const lacks = { b: notAllowed({ ...anything, allowUsers: ["ada"], allowGroups: ["web"] }, "daemon") };
  const cores = new Cores(["a", "b"], { lacks });
  cores.pass(10_000);
  cores.put({ ...beat, user: "bob", group: "web" });
  cores.put({ ...beat, id: "there", user: "bob", group: "db", target: { peers: ["b"] } });
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5);
  assert.ok(cores.starts.every(({ peer, run }) => peer === "a" && run.startsWith("beat")));
  const plan = cores.state("a").jobs.plans.get("there" as JobId);
  assert.ok(plan !== undefined);
  const { message } = whyBlocked(cores.state("a"), plan) ?? { message: "" };
  assert.match(message, /host-b doesn't allow jobs of the user bob \(start --allow-user\)/);
  assert.match(message, /doesn't allow jobs of the group db \(start --allow-group\)/);
});

/** What `b` knows of the peer `a`, whose settings and host lack that. */
function lackingAt(settings: Partial<Allowed>, lacks: readonly string[], has: readonly string[]) {
  const cores = new Cores(["a", "b"], { lacks: { a: notAllowed({ ...anything, ...settings }, "daemon") } });
  cores.pass(10_000);
  cores.feed("a" as PeerId, { kind: "equipment", lacks, has });
  cores.pass(10_000);
  const [a, b] = [cores.state("a"), cores.state("b")];
  assert.ok(ownLacks(a).length <= 128, "a heartbeat has no room for more");
  return {
    isMissing: (item: string) => {
      const [own, other] = [a, b].map((state) =>
        missing(state, { equipment: [item], secrets: [] }, "a" as PeerId),
      );
      assert.deepEqual(own, other);
      return other?.length === 1;
    },
    why: (item: string) => describeMissing(b, { equipment: [item], secrets: [] }, "a" as PeerId).one,
  };
}

test("a host that lacks more users than a heartbeat lists still runs what it can, and nothing else", () => {
  const gone = Array.from({ length: 200 }, (_, index) => `user:gone${index}`);
  const here = Array.from({ length: 60 }, (_, index) => `user:here${index}`);
  const { isMissing, why } = lackingAt({}, [...gone, "script:aa", "interpreter:perl"], here);
  for (const item of [...gone, "script:aa", "interpreter:perl"]) assert.ok(isMissing(item), item);
  for (const item of [...here, "user:", "script:bb", "interpreter:sh"]) assert.ok(!isMissing(item), item);
  assert.match(
    why("user:gone150"),
    /whether the host has the user gone150 \(it lacks 200 users that jobs need, too many to list\)/,
  );
  const allowUsers = ["gone7", "gone8", "here7"];
  const limited = lackingAt({ allowUsers }, gone, here);
  for (const item of ["user:gone7", "user:here8", "user:"]) assert.ok(limited.isMissing(item), item);
  assert.ok(!limited.isMissing("user:here7"));
});

test("what a host has is never taken for granted when there is no room to list it", () => {
  const scripts = Array.from({ length: 150 }, (_, index) => `script:${index}`);
  const gone = Array.from({ length: 140 }, (_, index) => `user:gone${index}`);
  const here = Array.from({ length: 300 }, (_, index) => `user:here${index}`);
  const { isMissing } = lackingAt({}, [...scripts, ...gone], here);
  for (const item of [...scripts, ...gone]) assert.ok(isMissing(item), item);
  assert.ok(here.filter((item) => !isMissing(item)).length > 100);
});

function jobOf(index: number, user: string | undefined) {
  const id = `job-${index}` as JobId;
  const job = user === undefined ? undefined : { id, spec: { ...beat, user } };
  return { id, job: job as Job | undefined };
}

test("however many jobs are changed together, their users are looked up together, and said together", () => {
  const asked: string[][] = [];
  const answers: (() => void)[] = [];
  const found: (readonly string[])[][] = [];
  const door = {
    missingUsers: (names: readonly string[], done: (missing: readonly string[]) => void) => {
      asked.push([...names]);
      answers.push(() => done(names.filter((name) => name.startsWith("gone"))));
    },
  };
  const users = new HostUsers({ door, found: (lacks, has) => found.push([lacks, has]) }, []);
  const names = ["gone1", "here1", "gone2"];
  users.jobsChanged(Array.from({ length: 600 }, (_, index) => jobOf(index, names[index % 3])));
  assert.deepEqual(asked, [names]);
  answers.shift()?.();
  assert.deepEqual(found, [[["user:gone1", "user:gone2"], ["user:here1"]]]);
  // Of each user one job is left.
  users.jobsChanged(Array.from({ length: 597 }, (_, index) => jobOf(index, undefined)));
  assert.equal(found.length, 1);
  users.jobsChanged([jobOf(597, "here1"), jobOf(599, undefined)]);
  assert.deepEqual(found.at(-1), [[], ["user:here1"]]);
  assert.equal(asked.length, 1);
});

test("a job whose user or interpreter no host has is blocked, and the answer that wrote it says so", async () => {
  await using cluster = new Cluster();
  const [ada, bob] = await cluster.mesh(["ada", "bob"]);
  const headers = { "content-type": "application/octet-stream" };
  const put = await ada.call("PUT", "/v1/scripts", "echo ok", headers);
  const { sha256 } = put.body as { sha256: string };
  const own = userInfo().username;
  for (const [id, job, says] of [
    ["by-nobody", { command: "true", user: "no-such-user" }, /can't run jobs as the user no-such-user/],
    [
      "in-nothing",
      { script: { interpreter: "no-such-python", sha256 } },
      /doesn't have the interpreter no-such-python/,
    ],
    ["well", { command: "true", user: own }, undefined],
    ["read", { script: { interpreter: "sh", sha256 } }, undefined],
  ] as const) {
    const { warnings = [] } = (await ada.ask("POST", "/v1/jobs", { id, schedule: "0 0 * * *", ...job })) as {
      warnings?: string[];
    };
    const { state } = (await bob.ask("GET", `/v1/jobs/${id}`)) as { state: string };
    assert.equal(state, says === undefined ? "scheduled" : "blocked", `${id}: ${warnings.join()}`);
    if (says === undefined) assert.deepEqual(warnings, [], id);
    else assert.match(warnings.join(), says);
  }
  const objects = [{ id: "applied", command: "true", schedule: "0 0 * * *", user: "no-such-user" }];
  const applied = (await ada.ask("POST", "/v1/apply", { objects })) as { warnings: { message: string }[] };
  assert.match(applied.warnings[0]?.message ?? "", /can't run jobs as the user no-such-user/);
});

test("a peer that was started with --allow-group runs nothing of other groups, not even by hand", async () => {
  await using cluster = new Cluster();
  const ada = await cluster.start({ name: "ada", flags: ["--allow-group", "web"] });
  for (const group of ["db", "web"]) {
    const job = { id: `of-${group}`, command: "true", group };
    const answer = await ada.ask("POST", "/v1/jobs", job);
    const { warnings = [] } = answer as { warnings?: string[] };
    assert.equal(
      warnings.some((text) => /group db \(start --allow-group\)/.test(text)),
      group === "db",
    );
    await ada.call("POST", `/v1/jobs/of-${group}/run`, {});
  }
  await until("the allowed one has run", 30_000, async () => {
    const runs = await items<Run>(ada, "/v1/runs");
    return runs.some(({ job, state }) => job === "of-web" && state === "succeeded");
  });
  const runs = await items<Run>(ada, "/v1/jobs/of-db/runs");
  assert.deepEqual(runs, []);
});
