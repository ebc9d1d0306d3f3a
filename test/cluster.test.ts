/**
 * Three real peers and a job every two seconds, through the death and return of each of them.
 *
 * Each step waits for lines that the job writes (cluster-judge.ts), so it takes as long as the ticks: about a minute
 * and a half.
 */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import {
  assertEachOnce,
  readStarts,
  recordingCommand,
  ticksOf,
  untilEachStarted,
  untilTick,
} from "./kit/cluster-judge.ts";
import { claimAheadMs } from "../src/core/limits.ts";
import { Cluster, items, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

const periodMs = 2_000;
/** The promise: a dead process's ticks are started elsewhere within 6 s. */
const stepInLimitMs = 6_000;
/**
 * With every peer up a start is on time. The limit leaves room for a machine of two cores that also runs other tests.
 */
const onTimeMs = 1_500;
/** Far enough ahead for each of three peers to have some of them. */
const planLength = 40;
const names = ["ada", "bob", "cyd"] as const;

interface Planned {
  tick: string;
  peers: { id: string; name: string; rank: number }[];
}
interface Run {
  id: string;
  tick: string;
  state: string;
}

const plan = (peer: RunningPeer): Promise<Planned[]> =>
  items<Planned>(peer, `/v1/jobs/beat/next?count=${planLength}`);
const longRuns = (peer: RunningPeer): Promise<Run[]> => items<Run>(peer, "/v1/jobs/long/runs");
const runnerOf = (planned: Planned): string | undefined => planned.peers[0]?.name;

describe("three peers and a job every 2 s", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    peers = await cluster.mesh(names);
    const [first] = peers;
    await first?.ask("POST", "/v1/jobs", {
      id: "beat",
      schedule: "@every 2s",
      command: recordingCommand(file),
    });
    await first?.ask("POST", "/v1/jobs", { id: "long", command: "exec sleep 3600" });
    for (const peer of peers) {
      await until(`${peer.name} knows both jobs`, 5_000, async () => {
        const replies = await Promise.all(["beat", "long"].map((id) => peer.call("GET", `/v1/jobs/${id}`)));
        return replies.every((reply) => reply.status === 200);
      });
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  const named = (name: string): { peer: RunningPeer; others: RunningPeer[]; witness: RunningPeer } => {
    const peer = peers.find((one) => one.name === name);
    const others = peers.filter((one) => one !== peer);
    const [witness] = others;
    assert.ok(peer !== undefined && witness !== undefined);
    return { peer, others, witness };
  };

  test("every peer announces the same runners, and each tick is started once, by the announced one", async () => {
    const plans = await Promise.all(peers.map(plan));
    const planned = plans[0]?.slice(0, 8) ?? [];
    assert.equal(planned.length, 8);
    for (const other of plans) {
      // A tick may have passed between two answers, so only the common ones are compared.
      const shared = planned.filter(({ tick }) => other.some((next) => next.tick === tick));
      assert.ok(shared.length >= 7);
      for (const next of shared) {
        assert.deepEqual(
          other.find(({ tick }) => tick === next.tick),
          next,
        );
      }
    }
    const [first = "", last = ""] = [planned[0]?.tick, planned.at(-1)?.tick];
    const planSpan = { from: Date.parse(first), to: Date.parse(last) };
    await untilEachStarted(file, periodMs, planSpan, planned.length * periodMs + stepInLimitMs);
    const starts = readStarts(file);
    assertEachOnce(starts, periodMs, planSpan, onTimeMs);
    for (const next of planned) {
      assert.equal(starts.find(({ tick }) => tick === next.tick)?.peer, runnerOf(next), next.tick);
    }
  });

  for (const name of names) {
    test(`after kill -9 of ${name} the others start every tick, including its share, within 6 s`, async () => {
      const { peer: victim, others, witness } = named(name);
      await victim.ask("POST", "/v1/jobs/long/run", { target: { peers: [name] } });
      const open = await until("its long run is on, and known elsewhere", 10_000, async () =>
        (await longRuns(witness)).find((run) => run.state === "running"),
      );
      const planned = await plan(witness);
      const killedAt = await untilBetweenTicks();
      await victim.crash();
      const orphan = planned.find((next) => runnerOf(next) === name && Date.parse(next.tick) > killedAt);
      assert.ok(orphan !== undefined, `none of the next ${planLength} ticks was ${name}'s`);
      await untilTick(file, orphan.tick, planLength * periodMs);
      await until(`${name} is dead to the others, and its run is lost`, 30_000, async () => {
        const states = await Promise.all(others.map((peer) => stateOf(peer, name)));
        const run = (await longRuns(witness)).find(({ id }) => id === open.id);
        return states.every((state) => state === "dead") && run?.state === "lost";
      });
      const [last = ""] = ticksOf(periodMs, Date.now(), Date.now() + 2 * periodMs);
      const span = { from: killedAt, to: Date.parse(last) };
      await untilEachStarted(file, periodMs, span, periodMs + stepInLimitMs);
      const starts = readStarts(file);
      assertEachOnce(starts, periodMs, span, stepInLimitMs);
      assert.deepEqual(
        starts.filter((start) => start.peer === name && start.at > killedAt),
        [],
      );
    });

    test(`${name} started again is the same peer, ends its own runs, and takes its share back`, async () => {
      const { peer: victim } = named(name);
      const { peerId } = victim.ready;
      const from = Date.now();
      assert.equal((await victim.restart()).peerId, peerId);
      await untilMembers(peers, peers.length);
      const left = (await longRuns(victim)).filter((run) => run.state !== "lost");
      assert.deepEqual(left, [], "a run of its earlier life is still open");
      const own = await until(`all announce ${name} again, for the same tick`, 10_000, async () => {
        const plans = await Promise.all(peers.map(plan));
        // Another peer may have claimed earlier ticks while this one was away.
        const unclaimed = Date.now() + 2 * claimAheadMs;
        const ticks = plans.map(
          (list) => list.find((next) => runnerOf(next) === name && Date.parse(next.tick) > unclaimed)?.tick,
        );
        return ticks.every((tick) => tick === ticks[0]) && ticks[0];
      });
      const span = { from, to: Date.parse(own) };
      await untilEachStarted(file, periodMs, span, planLength * periodMs);
      const starts = readStarts(file);
      assertEachOnce(starts, periodMs, span, stepInLimitMs);
      assert.equal(starts.find(({ tick }) => tick === own)?.peer, name);
    });
  }

  test("afterwards all three peers have the same history, and it matches what the job itself wrote", async () => {
    const judged = Date.now() - periodMs;
    const agreed = await until("equal histories", 30_000, async () => {
      const histories = await Promise.all(peers.map((peer) => history(peer, judged)));
      const texts = histories.map((runs) => runs.map((run) => `${run.id} ${run.state}`).join("\n"));
      return texts.every((text) => text === texts[0]) && histories[0];
    });
    const written = readStarts(file).filter(({ tick }) => Date.parse(tick) < judged);
    assert.ok(written.length > 20);
    assert.deepEqual(
      agreed.filter((run) => run.state === "succeeded").map((run) => run.tick),
      written.map(({ tick }) => tick).toSorted(),
    );
  });
});

/** Between two ticks nothing is being started, so a peer that is killed then has recorded what it ran. */
async function untilBetweenTicks(): Promise<number> {
  await until("the time between two ticks", 2 * periodMs, () => {
    const sinceTickMs = Date.now() % periodMs;
    return sinceTickMs > periodMs / 3 && sinceTickMs < periodMs / 2;
  });
  return Date.now();
}

/** The runs of the job whose tick is older than that, oldest first. */
async function history(peer: RunningPeer, judged: number): Promise<Run[]> {
  const runs = await items<Run>(peer, "/v1/jobs/beat/runs?limit=200");
  return runs
    .filter((run) => Date.parse(run.tick) < judged)
    .toSorted((a, b) => (`${a.tick}${a.id}` < `${b.tick}${b.id}` ? -1 : 1));
}

async function stateOf(peer: RunningPeer, name: string): Promise<string | undefined> {
  const members = await items<{ name: string; state: string }>(peer, "/v1/peers");
  return members.find((member) => member.name === name)?.state;
}
