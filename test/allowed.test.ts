/** This peer's own limits: which executors, users and groups of jobs it allows, and that they win over the table. */
import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { notAllowed } from "../src/cli/start/allowed.ts";
import { equipmentOf } from "../src/core/checks/action.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import { describeMissing, missing, ownLacks } from "../src/core/members/equipment.ts";
import { hostsChecked } from "../src/peer/control.ts";
import { NamedItems } from "../src/peer/host/named-items.ts";
import { HostUsers } from "../src/peer/host/host-users.ts";
import type { Scripts } from "../src/ports/scripts.ts";
import { executors } from "../src/schema/job-vocabulary.ts";
import type { Job, JobSpec } from "../src/schema/job.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { HostClock, SimClock } from "../src/sim/clock.ts";
import { Dice } from "../src/sim/random.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";
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
  const cores = new Cores(["a"], {
    lacks: { a: notAllowed({ ...anything, ...allowed }, "daemon", Infinity) },
  });
  return specs.map((spec) => {
    const equipment = equipmentOf({ ...beat, ...spec });
    return missing(cores.state("a"), { equipment, secrets: [] }, "a" as PeerId).length === 0;
  });
}

test("without limits of its own a peer allows any job", () => {
  assert.deepEqual(notAllowed(anything, "daemon", Infinity), []);
});

test("exec off allows no job of any executor", () => {
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
  const lacks = {
    b: notAllowed({ ...anything, allowUsers: ["ada"], allowGroups: ["web"] }, "daemon", Infinity),
  };
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

test("a peer that runs no jobs at all says why to the others: --exec off, or too few open files", () => {
  const lacks = {
    a: notAllowed({ ...anything, exec: "off" }, "daemon", Infinity),
    b: notAllowed(anything, "daemon", 96),
    c: notAllowed({ ...anything, allowExecutors: ["http"] }, "daemon", 128),
  };
  const cores = new Cores(["a", "b", "c"], { lacks });
  cores.put(beat);
  cores.pass(10_000);
  const plan = cores.state("c").jobs.plans.get(beat.id);
  assert.ok(plan !== undefined);
  assert.equal(
    whyBlocked(cores.state("c"), plan)?.message,
    "host-c doesn't allow jobs of the executor shell (start --allow-executor), host-a doesn't run any jobs (start --exec off), " +
      "host-b can't run jobs with only 96 open files (LimitNOFILE= in its unit, or ulimit -n)",
  );
});

/** What `b` knows of the peer `a`, whose settings and host lack that. */
function lackingAt(settings: Partial<Allowed>, lacks: readonly string[], has: readonly string[]) {
  const cores = new Cores(["a", "b"], {
    lacks: { a: notAllowed({ ...anything, ...settings }, "daemon", Infinity) },
  });
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
  assert.match(limited.why("user:gone7"), /can't run jobs as the user gone7/);
  for (const item of ["user:gone9", "user:here8"])
    assert.match(limited.why(item), /doesn't allow jobs of the user \w+ \(start --allow-user\)/, item);
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

type Found = Parameters<Scripts["lookUpUsers"]>[1];

function usersOfHost() {
  const asked: { names: readonly string[]; found: Found }[] = [];
  const said: (readonly string[])[][] = [];
  const door = { lookUpUsers: (names: readonly string[], found: Found) => void asked.push({ names, found }) };
  const users = new HostUsers({ door, found: (lacks, has) => said.push([lacks, has]) }, []);
  return { users, asked, said };
}

test("however many jobs are changed together, their users are looked up together, and said together", () => {
  const { users, asked, said } = usersOfHost();
  const names = ["gone1", "here1", "gone2"];
  users.jobsChanged(Array.from({ length: 600 }, (_, index) => jobOf(index, names[index % 3])));
  assert.deepEqual(
    asked.map((one) => one.names),
    [names],
  );
  for (const name of names) asked[0]?.found(name, name.startsWith("gone"));
  assert.deepEqual(said, [[["user:gone1", "user:gone2"], ["user:here1"]]]);
  // Of each user one job is left.
  users.jobsChanged(Array.from({ length: 597 }, (_, index) => jobOf(index, undefined)));
  assert.equal(said.length, 1);
  users.jobsChanged([jobOf(597, "here1"), jobOf(599, undefined)]);
  assert.deepEqual(said.at(-1), [[], ["user:here1"]]);
  users.jobsChanged([jobOf(600, "")]);
  assert.equal(asked.length, 1, "an empty name stands for the peer's own user");
});

test("users that a slow host has told of are said within a second, and no job waits for those of others", () => {
  const { users, asked, said } = usersOfHost();
  users.jobsChanged(["gone1", "here1", "slow1"].map((name, index) => jobOf(index, name)));
  asked[0]?.found("gone1", true);
  asked[0]?.found("here1", false);
  users.woke(0);
  assert.deepEqual(said, [[["user:gone1"], ["user:here1"]]]);
  const waits = [0, 1, 2, 3].map((index) => users.isChecking(`job-${index}` as JobId));
  assert.deepEqual(waits, [false, false, true, false]);
});

test("while a host can't tell whether it has a user, its last word counts, and it is asked for that user first", () => {
  const { users, asked, said } = usersOfHost();
  users.jobsChanged(["gone1", "here1", "slow1"].map((name, index) => jobOf(index, name)));
  const answer = (ofGone: boolean | undefined) => {
    const { names = [], found } = asked.at(-1) ?? {};
    for (const name of names) found?.(name, name === "here1" ? false : name === "gone1" ? ofGone : undefined);
  };
  answer(true);
  users.woke(0);
  answer(undefined);
  assert.deepEqual(said, [[["user:gone1"], ["user:here1", "user:slow1"]]]);
  users.woke(60_000);
  assert.deepEqual(asked.at(-1)?.names, ["slow1", "gone1", "here1"]);
  answer(false);
  assert.deepEqual(said.at(-1), [[], ["user:gone1", "user:here1", "user:slow1"]]);
});

/**
 * Whether a write that waits for the hosts goes on within so many ms; `openMs` is how long the hosts need, and `agoMs` for how
 * long they have known what to look up.
 */
async function goesOn(openMs: number, withinMs: number, agoMs = 0): Promise<boolean> {
  const queue = new Queue();
  const host = new HostClock(queue, 0, 0, 5_000);
  const clock = new SimClock(queue, host, new Process("ann", queue), new Dice("hosts"));
  let hasGoneOn = false;
  void hostsChecked(clock, clock.now().mono - agoMs, () => queue.now < openMs).then(() => (hasGoneOn = true));
  queue.runUntil(withinMs);
  await turn();
  return hasGoneOn;
}

test("a write waits until the hosts have said what they lack, half a second at the most", async () => {
  assert.equal(await goesOn(0, 0), true);
  assert.equal(await goesOn(200, 199), false);
  assert.equal(await goesOn(200, 230), true);
  assert.equal(await goesOn(Infinity, 499), false);
  assert.equal(await goesOn(Infinity, 530), true);
});

test("a write doesn't wait for hosts that have had the time to say what they lack, because other jobs need the same", async () => {
  assert.equal(await goesOn(Infinity, 0, 500), true);
  assert.equal(await goesOn(Infinity, 0, Infinity), true);
  assert.equal(await goesOn(Infinity, 299, 200), false);
  assert.equal(await goesOn(Infinity, 330, 200), true);
});

test("what a job needs of its hosts is new to them only if no job has named it before", () => {
  const [first, second] = [jobOf(1, "bob"), jobOf(2, "bob")];
  const named = new NamedItems([jobOf(0, "ada").job].filter((job) => job !== undefined));
  const at = (mono: number, ...changes: Parameters<typeof named.jobsChanged>[0] & unknown[]) =>
    named.jobsChanged(changes, mono);
  assert.equal(named.since("job-0" as JobId), -Infinity, "the hosts knew of it before this peer started");
  at(100, first);
  at(900, second, { id: "job-0" as JobId, job: second.job });
  assert.deepEqual(
    [0, 1, 2].map((index) => named.since(`job-${index}` as JobId)),
    [100, 100, 100],
    "the hosts have looked up bob for the first job",
  );
  at(2_000, jobOf(1, undefined), jobOf(2, "ada"));
  assert.equal(named.since("job-1" as JobId), -Infinity, "the job of the peer's own user needs no answer");
  assert.equal(named.since("job-2" as JobId), 2_000, "no job has named ada for a while");
  at(3_000, jobOf(0, undefined));
  at(4_000, jobOf(3, "bob"));
  assert.equal(named.since("job-3" as JobId), 4_000, "no job names bob any more");
});

test("a job whose user or interpreter no host has is blocked, and the person who writes it is told", async () => {
  await using cluster = new Cluster();
  const [ada, bob] = await cluster.mesh(["ada", "bob"]);
  const headers = { "content-type": "application/octet-stream" };
  const put = await ada.call("PUT", "/v1/scripts", "echo ok", headers);
  const { sha256 } = put.body as { sha256: string };
  const daily = { schedule: "0 0 * * *" };
  const fine = [
    { ...daily, id: "well", command: "true", user: userInfo().username },
    { ...daily, id: "read", script: { interpreter: "sh", sha256 } },
  ];
  const blocked = [
    { ...daily, id: "by-nobody", command: "true", user: "no-such-user" },
    { ...daily, id: "in-nothing", script: { interpreter: "no-such-python", sha256 } },
  ];
  for (const job of [...fine, ...blocked]) await ada.ask("POST", "/v1/jobs", job);
  for (const { id } of blocked) {
    for (const peer of [ada, bob]) {
      await until(`${peer.ready.name} knows that ${id} is blocked`, 30_000, async () => {
        const { state } = (await peer.ask("GET", `/v1/jobs/${id}`)) as { state: string };
        return state === "blocked";
      });
    }
  }
  const applied = (await ada.ask("POST", "/v1/apply", {
    objects: [...fine, ...blocked].map((job) => ({ ...job, owner: "ops" })),
  })) as { warnings: { job: string; message: string }[] };
  const warningsOf = (id: string) =>
    applied.warnings.filter(({ job }) => job === id).map(({ message }) => message);
  for (const { id } of fine) {
    const { state } = (await bob.ask("GET", `/v1/jobs/${id}`)) as { state: string };
    assert.deepEqual([state, warningsOf(id)], ["scheduled", []], id);
  }
  assert.match(warningsOf("by-nobody").join(), /can't run jobs as the user no-such-user/);
  assert.match(warningsOf("in-nothing").join(), /ada and bob don't have the interpreter no-such-python/);
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
