import assert from "node:assert/strict";
import { test } from "node:test";
import { Cores, type Start } from "./kit/cores.ts";
import { ulid, type JobId, type PeerId, type RunId, type TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { openOf } from "../src/core/records/ledger.ts";

const second = 1_000;

function everyTickOnce(starts: readonly Start[], from: number, to: number, everyMs: number): void {
  const ticks = starts.map(({ tick }) => tick).toSorted();
  assert.deepEqual(ticks, [...new Set(ticks)], "no tick twice");
  assert.equal(ticks.length, Math.floor((to - from) / everyMs), `starts: ${ticks.join(" ")}`);
}

test("a lone peer runs every tick, on time", () => {
  const cores = new Cores(["a"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
  cores.pass(60 * second);
  everyTickOnce(cores.starts, 2 * second, 62 * second, 2 * second);
  for (const { at, tick } of cores.starts) assert.ok(cores.wall(at) - Date.parse(tick) < 50);
});

test("exactly one of three peers runs each tick, and it is the announced one", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
  const announced = cores.runnersOf("beat", 6).map(([runner]) => runner);
  cores.pass(60 * second);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer),
    announced,
  );
  assert.ok(new Set(announced).size > 1, "the ticks are shared");
});

test("when a runner is killed before its tick, another starts it on time", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
  cores.pass(3 * second);
  cores.kill(cores.runnersOf("beat", 1)[0]?.[0] ?? "");
  cores.pass(7 * second);
  assert.equal(cores.starts.length, 1);
  assert.ok((cores.starts[0]?.at ?? 0) <= 10 * second + 50);
});

test("when a runner is killed after its claim, another starts the tick within 6 s", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
  const runner = cores.runnersOf("beat", 1)[0]?.[0] ?? "";
  cores.pass(7_990);
  cores.kill(runner);
  cores.pass(7 * second);
  assert.equal(cores.starts.length, 1);
  assert.notEqual(cores.starts[0]?.peer, runner);
});

test("a run on a killed peer is recorded as lost, and is not repeated", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({ id: "long", schedule: "@every 10s", command: "sleep 100", overlap: "allow" });
  cores.pass(9 * second);
  const [first] = cores.starts;
  assert.ok(first);
  cores.kill(first.peer);
  cores.pass(6 * second);
  const tick = first.tick;
  assert.equal(cores.starts.filter((start) => start.tick === tick).length, 1);
  for (const [peer, records] of cores.records) {
    if (peer === first.peer) continue;
    const record: RunRecord | undefined = [...records.values()].find(
      (r) => r.tick === tick && r.peer === first.peer,
    );
    assert.equal(record?.state, "lost", `as ${peer} has it`);
  }
});

test("a peer that is at capacity declines, and the next in rank runs on time", () => {
  const cores = new Cores(["a", "b"], { capacity: 1, runMs: 60 * second });
  cores.put({ id: "one", schedule: "@at 2026-11-20T02:00:10Z", command: "true" });
  cores.put({ id: "two", schedule: "@at 2026-11-20T02:00:10Z", command: "true" });
  cores.pass(10 * second);
  assert.deepEqual(cores.starts.map(({ peer }) => peer).toSorted(), ["a", "b"]);
});

test("when every peer is at capacity the tick waits and runs as soon as a place is free", () => {
  const cores = new Cores(["a", "b"], { capacity: 1, runMs: 20 * second });
  for (const id of ["one", "two", "three"]) {
    cores.put({ id, schedule: "@at 2026-11-20T02:00:10Z", command: "true" });
  }
  cores.pass(15 * second);
  assert.equal(cores.starts.length, 2);
  cores.pass(20 * second);
  assert.equal(cores.starts.length, 3);
  assert.equal(new Set(cores.starts.map(({ run }) => run.split("@")[0])).size, 3);
});

for (const behindMs of [0, 500, 1_500]) {
  test(`a burst beyond all peers' capacity is worked off without delay, with one clock ${behindMs} ms behind`, () => {
    const cores = new Cores(["a", "b", "c"], { capacity: 2, clockAhead: { b: -behindMs } });
    for (let job = 0; job < 12; job++) {
      cores.put({ id: `burst-${job}`, schedule: "0 * * * * *", command: "true" });
    }
    cores.pass(5 * 60 * second);
    assert.equal(cores.starts.length, 5 * 12);
    for (const { at, run, tick } of cores.starts) {
      const lateMs = cores.wall(at) - Date.parse(tick);
      assert.ok(lateMs < behindMs + 1 * second, `${run}: ${lateMs} ms late`);
    }
  });
}

test("a job with overlap `queue` runs its next tick when the previous run has ended, on whichever peer", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: 14 * second });
  cores.put({ id: "slow", schedule: "@every 10s", command: "true" });
  cores.pass(120 * second);
  const starts = cores.starts.map(({ at }) => at);
  assert.ok(starts.length >= 7);
  starts.slice(1).forEach((at, i) => assert.ok(at - (starts[i] ?? 0) >= 14 * second, "no two at once"));
});

test("a job with overlap `skip` skips the ticks during a run, and says so", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: 15 * second });
  cores.put({ id: "slow", schedule: "@every 10s", command: "true", overlap: "skip" });
  cores.pass(60 * second);
  assert.equal(cores.starts.length, 3);
  const recorded = cores.recordsOf("a").filter((r) => r.state === "skipped");
  assert.ok(recorded.length >= 2);
  for (const record of recorded) assert.equal(record.reason, "overlap");
});

test("a run whose end got lost blocks no tick once its runner's heartbeat says that it has ended", () => {
  const cores = new Cores(["a", "b"], { runMs: 3 * second });
  cores.put({ id: "slow", schedule: "@every 10s", command: "true", overlap: "skip" });
  cores.put({ id: "other", schedule: "@every 7s", command: "true", overlap: "allow" });
  const ran = (): string[] =>
    cores.starts.filter(({ run }) => run.startsWith("slow@")).map(({ tick }) => tick);
  while (ran().length === 0) cores.pass(100);
  const runner = cores.starts.find(({ run }) => run.startsWith("slow@"))?.peer;
  const other = runner === "a" ? "b" : "a";
  cores.pass(2.5 * second);
  cores.split(["a"], ["b"]);
  cores.pass(1 * second);
  cores.heal();
  const unended = [...openOf(cores.state(other).ledger, "slow" as JobId)];
  assert.deepEqual(
    unended.map(({ peer, state }) => [peer, state]),
    [[runner, "running"]],
  );
  cores.pass(5 * 60 * second);
  const runners = cores.starts.filter(({ run }) => run.startsWith("slow@")).map(({ peer }) => peer);
  assert.ok(new Set(runners).size === 2 && ran().length === 31, ran().join(" "));
});

test("a job with overlap `replace` ends the current run and starts the new one", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({ id: "slow", schedule: "@every 10s", command: "true", overlap: "replace" });
  cores.pass(35 * second);
  assert.equal(cores.starts.length, 3);
  const ends = cores.recordsOf("a").filter((r) => r.state === "cancelled");
  assert.equal(ends.length, 2);
});

test("a manual run and a tick of the same job never run at once, however close they are and however slowly they start", () => {
  let both = 0;
  for (const beforeMs of [
    -400,
    -200,
    -50,
    50,
    200,
    400,
    ...Array.from({ length: 21 }, (_, index) => index - 10),
  ]) {
    const cores = new Cores(["a", "b", "c"], { runMs: 1_000, launchMs: 400 });
    cores.put({ id: "beat", schedule: "@every 10s", command: "true", overlap: "queue" });
    cores.pass(8 * second - beforeMs);
    cores.ask("b", { kind: "run-job", id: "beat" as never, by: "eve" });
    cores.pass(8 * second + beforeMs);
    const starts = cores.starts.toSorted((one, other) => one.at - other.at);
    assert.equal(starts.length, 2, `asked for ${beforeMs} ms before the tick`);
    const [first, then] = starts;
    assert.ok(first !== undefined && then !== undefined);
    assert.ok(
      then.at >= first.at + 1_400,
      `asked for ${beforeMs} ms before the tick: ${first.at}, ${then.at}`,
    );
    if (first.peer !== then.peer) both++;
  }
  assert.ok(both > 10, "sometimes they are given to different peers");
});

test("a paused job runs nothing, and each of its ticks is recorded as skipped", () => {
  const cores = new Cores(["a", "b"]);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true" }, { pauses: [{ by: "eve", at: 0 }] });
  cores.pass(30 * second);
  assert.equal(cores.starts.length, 0);
  const skipped = cores.recordsOf("a");
  assert.ok(skipped.length >= 2);
  for (const record of skipped) assert.equal(`${record.state} ${record.reason}`, "skipped paused");
});

test("a job that is deleted between its claim and its tick does not start", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@at 2026-11-20T02:00:10Z", command: "true" });
  cores.pass(7_500);
  for (const peer of ["a", "b", "c"] as PeerId[]) {
    cores.feed(peer, {
      kind: "tableChanged",
      changes: [{ id: "beat" as never, job: undefined }],
      tableDigest: "",
    });
  }
  cores.pass(10 * second);
  assert.equal(cores.starts.length, 0);
});

test("a peer that was paused past the suspect time starts nothing before it has warmed up", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
  const [runner = ""] = cores.runnersOf("beat", 1)[0] ?? [];
  cores.pass(7 * second);
  cores.pause(runner, 25 * second);
  cores.pass(40 * second);
  const ticks = cores.starts.map(({ tick }) => tick);
  assert.deepEqual(ticks, [...new Set(ticks)], "no tick twice");
  assert.ok(ticks.length >= 4);
});

test("a peer that returns and finds the others only after its warm-up repeats nothing that they ran", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true", catchUp: { policy: "all" } });
  cores.pass(10 * second);
  cores.kill("c");
  const killedAt = cores.wall(12 * second);
  cores.pass(60 * second);
  cores.up("c" as PeerId, { lastAlive: killedAt, unlinked: true });
  // Longer than its warm-up.
  cores.pass(7 * second);
  cores.link("c" as PeerId);
  cores.pass(30 * second);
  const before = cores.starts.filter(({ tick }) => Date.parse(tick) < cores.wall(70 * second));
  const ticks = before.map(({ tick }) => tick);
  assert.ok(ticks.length > 30);
  assert.deepEqual(ticks, [...new Set(ticks)], "no tick twice");
});

test("a peer that returns and finds no other still runs missed ticks", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({
    id: "beat",
    schedule: "@every 10s",
    command: "true",
    overlap: "allow",
    catchUp: { policy: "all" },
  });
  cores.pass(2 * second);
  for (const peer of ["a", "b", "c"]) cores.kill(peer);
  const killedAt = cores.wall(4 * second);
  const job = cores.state("c").jobs.plans.get("beat" as never)?.job;
  assert.ok(job);
  cores.pass(60 * second);
  cores.up("c" as PeerId, { lastAlive: killedAt, expected: ["a", "b"] });
  cores.feed("c" as PeerId, { kind: "tableChanged", changes: [{ id: job.id, job }], tableDigest: "" });
  cores.pass(30 * second);
  const missed = ["10", "20", "30", "40", "50"].map((seconds) => `2026-11-20T02:00:${seconds}Z`);
  const caughtUp = cores.starts.filter(({ tick }) => missed.includes(tick)).map(({ tick }) => tick);
  assert.deepEqual(caughtUp.toSorted(), missed);
});

test("a tick that was missed because all peers were down is caught up once, by the first peer that returns", () => {
  const cores = new Cores(["a"]);
  cores.put(
    { id: "hourly", schedule: "@at 2026-11-20T02:01:00Z", command: "true" },
    { createdAt: 0, scheduledAt: 0 },
  );
  const job = cores.state("a").jobs.plans.get("hourly" as never)?.job;
  cores.kill("a");
  cores.pass(10 * 60 * second);
  cores.up("a" as PeerId, { lastAlive: cores.wall(3_000) });
  assert.ok(job);
  cores.feed("a" as PeerId, { kind: "tableChanged", changes: [{ id: job.id, job }], tableDigest: "" });
  cores.pass(30 * second);
  assert.equal(cores.starts.length, 1);
  assert.equal(cores.starts[0]?.env["CICADA_TRIGGER"], "catch-up");
});

test("run now starts at once on the announced peer, with the requested environment", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "by-hand", command: "true" });
  cores.ask("b", { kind: "run-job", id: "by-hand" as never, env: { X: "1" }, by: "eve" });
  cores.pass(1 * second);
  assert.equal(cores.starts.length, 1);
  assert.equal(cores.starts[0]?.env["X"], "1");
  assert.equal(cores.starts[0]?.env["CICADA_TRIGGER"], "manual");
  assert.equal(cores.answers[0]?.kind, "ordered");
});

test("a manual order that becomes known after the job's window is not started but recorded as missed", () => {
  const cores = new Cores(["a", "b", "c"]);
  const spec = { id: "by-hand", command: "true", catchUp: { policy: "latest", window: "10m" } } as const;
  cores.put(spec, { createdAt: 0 });
  const requestedAt = cores.wall(2 * second) - 11 * 60 * second;
  const order = {
    job: "by-hand" as JobId,
    tick: `manual-${ulid(requestedAt, new Uint8Array(16))}` as TickId,
    trigger: "manual" as const,
    by: "eve",
    requestedAt,
  };
  for (const peer of ["a", "b", "c"]) {
    cores.feed(peer as PeerId, { kind: "learned", records: [], orders: [order] });
  }
  cores.pass(30 * second);
  assert.equal(cores.starts.length, 0);
  const recorded = cores.recordsOf("a").map(({ state }) => state);
  assert.deepEqual(recorded, ["missed"]);
});

test("a run is cancelled through any peer", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({ id: "by-hand", command: "sleep 1000" });
  cores.ask("b", { kind: "run-job", id: "by-hand" as never, by: "eve" });
  cores.pass(1 * second);
  const [start] = cores.starts;
  assert.ok(start);
  const other = ["a", "b", "c"].find((peer) => peer !== start.peer) ?? "";
  cores.ask(other, { kind: "cancel-run", run: start.run, by: "eve", reason: "enough" });
  cores.pass(1 * second);
  const record = cores.recordsOf(other).find((r) => r.peer === start.peer);
  assert.equal(record?.state, "cancelled");
  assert.equal(record?.reason, "by eve: enough");
});

test("a cancel is answered only when the run's peer has confirmed it", () => {
  const cores = new Cores(["a", "b"], { runMs: Infinity });
  cores.put({ id: "long", schedule: "@at 2026-11-20T02:00:10Z", command: "sleep 100" });
  cores.pass(11 * second);
  const [start] = cores.starts;
  assert.ok(start);
  const other = start.peer === "a" ? "b" : "a";
  cores.ask(other, { kind: "cancel-run", run: start.run, by: "eve", reason: "enough" });
  assert.deepEqual(cores.answers, []);
  cores.pass(second);
  assert.deepEqual(cores.answers, [{ kind: "done" }]);
});

test("a cancel that can't reach the run's peer is answered as unconfirmed, and the run continues", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({ id: "long", schedule: "@at 2026-11-20T02:00:10Z", command: "sleep 100" });
  cores.pass(11 * second);
  const [start] = cores.starts;
  assert.ok(start);
  const others = ["a", "b", "c"].filter((peer) => peer !== start.peer);
  cores.split([start.peer], others);
  cores.ask(others[0] ?? "", { kind: "cancel-run", run: start.run, by: "eve", reason: "enough" });
  cores.pass(6 * second);
  const [answer] = cores.answers;
  assert.equal(answer?.kind === "refused" ? answer.error.code : answer?.kind, "CANCEL_UNCONFIRMED");
});

test("a peer that returns closes its own open records: as lost if the run had started, otherwise as withdrawn", () => {
  const cores = new Cores(["a"], { runMs: Infinity });
  cores.put({ id: "long", schedule: "@every 10s", command: "sleep 100", overlap: "allow" });
  cores.pass(16_500);
  const open = cores.recordsOf("a");
  assert.deepEqual(open.map((r) => r.state).toSorted(), ["claimed", "running"]);
  cores.kill("a");
  const started = new Set<RunId>(cores.starts.map(({ run }) => run));
  cores.up("a" as PeerId, { records: open, started, jobs: [] });
  cores.pass(100);
  const ended = cores.recordsOf("a");
  assert.deepEqual(ended.map((r) => `${r.state} ${r.reason}`).toSorted(), [
    "lost its peer was restarted",
    "withdrawn its peer was restarted",
  ]);
});

test("if a job is edited after the claim, the record of the run names the revision that ran", () => {
  const cores = new Cores(["a"]);
  const put = (revision: string) =>
    cores.put(
      { id: "beat", schedule: "@every 10s", command: revision },
      { revision, createdAt: cores.wall(0), scheduledAt: cores.wall(0) },
    );
  const records = () => cores.recordsOf("a").map(({ state, revision }) => [state, revision]);
  put("old");
  cores.pass(7 * second);
  assert.deepEqual(records(), [["claimed", "old"]]);
  put("new");
  cores.pass(2 * second);
  assert.equal(cores.starts.length, 1);
  assert.deepEqual(records(), [["succeeded", "new"]]);
});
