/** What keeps a job from running for a while, with real peers: failed ticks in a row, a pause with an end, a maintenance. */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

interface ShownJob {
  state: string;
  paused: { note: string | null; by: string; until: string | null } | null;
  nextTick: string | null;
}

const jobOf = async (peer: RunningPeer, id: string) => (await peer.ask("GET", `/v1/jobs/${id}`)) as ShownJob;

describe("a job that is paused after two failed ticks in a row", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";
  const untilPaused = () =>
    Promise.all(
      peers.map((peer) =>
        until(`${peer.name} shows it paused`, 20_000, async () => {
          const { state, paused } = await jobOf(peer, "flaky");
          return state === "paused" && (paused ?? undefined);
        }),
      ),
    );

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    peers = await cluster.mesh(["ada", "bob"]);
    await peers[0]?.ask("POST", "/v1/jobs", {
      id: "flaky",
      schedule: "@every 2s",
      command: `${recordingCommand(file)}; false`,
      pauseAfterFailures: 2,
    });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("stops on all peers, and says why; its ticks are skipped", async () => {
    for (const paused of await untilPaused()) {
      assert.equal(paused.by, "cicada");
      assert.match(paused.note ?? "", /^2 ticks in a row have failed, the last 20/);
      assert.equal(paused.until, null);
    }
    assert.equal(readStarts(file).length, 2);
    const [ada] = peers;
    assert.ok(ada !== undefined);
    await until("a tick is skipped", 10_000, async () => {
      const ticks = await items<{ state: string; why: string[] }>(ada, "/v1/jobs/flaky/ticks");
      return ticks.some(({ state, why }) => state === "skipped" && /the job was paused/.test(why.join(" ")));
    });
    const why = (await ada.ask("GET", "/v1/jobs/flaky/why")) as { obstacles: string[] };
    assert.match(why.obstacles.join("\n"), /cicada paused it at .*: 2 ticks in a row have failed/);
  });

  test("stays paused when all peers were killed, until a person resumes it; then as many have to fail again", async () => {
    await Promise.all(peers.map((peer) => peer.crash()));
    await Promise.all(peers.map((peer) => peer.restart()));
    await untilMembers(peers, 2);
    await untilPaused();
    const failed = readStarts(file).length;
    assert.equal(failed, 2);
    const [, bob] = peers;
    assert.equal((await bob?.command("jobs", "resume", "flaky"))?.code, 0);
    await until("it has run again", 20_000, () => readStarts(file).length > failed);
    await untilPaused();
    assert.equal(readStarts(file).length, failed + 2);
  });
});

const skippedOn = async (peer: RunningPeer, why: RegExp): Promise<number> => {
  const ticks = await items<{ state: string; why: string[] }>(peer, "/v1/jobs/beat/ticks?limit=100");
  return ticks.filter((tick) => tick.state === "skipped" && why.test(tick.why.join(" "))).length;
};

describe("a job that is due every second", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";
  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    peers = await cluster.mesh(["ada", "bob"]);
    await peers[0]?.ask("POST", "/v1/jobs", {
      id: "beat",
      schedule: "@every 1s",
      command: recordingCommand(file),
    });
    await until("it runs", 20_000, () => readStarts(file).length > 0);
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Each second in it has no start, and the first one after it is on time. */
  const untilOver = async ({ from, to }: { from: number; to: number }): Promise<void> => {
    await until("it runs after it", 60_000, () => readStarts(file).some(({ tick }) => Date.parse(tick) > to));
    const starts = readStarts(file).map(({ tick, at }) => ({ tick: Date.parse(tick), at }));
    assert.deepEqual(
      starts.filter(({ tick }) => tick >= from && tick < to),
      [],
    );
    const first = starts.find(({ tick }) => tick === to);
    assert.ok(first !== undefined && first.at - to < 1_500, `the tick at its end started at ${first?.at}`);
  };
  test("takes no tick in a maintenance that is set at another peer, refuses to run by hand, and tells so everywhere", async () => {
    const [ada, bob] = peers;
    assert.ok(ada !== undefined && bob !== undefined);
    const from = Math.ceil(Date.now() / 1_000 + 3) * 1_000;
    const to = from + 6_000;
    const [begin, end] = [from, to].map((instant) => new Date(instant).toISOString());
    const set = await bob.command("maintenance", "set", "disks", "--from", begin ?? "", "--to", end ?? "");
    assert.equal(set.code, 0, set.stderr);
    await until(
      "ada knows it",
      5_000,
      async () => (await ada.call("GET", "/v1/maintenance/disks")).status === 200,
    );
    await until("it has begun", 10_000, () => Date.now() > from + 500);
    const refused = await ada.call("POST", "/v1/jobs/beat/run");
    assert.equal(refused.status, 409);
    assert.match(refused.text, /is in maintenance/);
    await untilOver({ from, to });
    for (const peer of peers)
      await until(
        `${peer.name} tells of the ticks`,
        10_000,
        async () => (await skippedOn(peer, /during maintenance/)) >= 6,
      );
    assert.equal((await ada.command("maintenance", "rm", "disks")).code, 0);
  });

  test("takes no tick while it is paused until an instant, also if every peer was killed meanwhile", async () => {
    const [ada] = peers;
    assert.ok(ada !== undefined);
    const to = Math.ceil(Date.now() / 1_000 + 30) * 1_000;
    await ada.ask("POST", "/v1/jobs/beat/pause", { note: "new disks", until: new Date(to).toISOString() });
    const from = Math.ceil(Date.now() / 1_000) * 1_000;
    const { paused, nextTick } = await jobOf(ada, "beat");
    assert.equal(paused?.note, "new disks");
    assert.equal(Date.parse(nextTick ?? ""), to);
    await Promise.all(peers.map((peer) => peer.crash()));
    await Promise.all(peers.map((peer) => peer.restart()));
    await untilMembers(peers, 2);
    await untilOver({ from: from + 1_000, to });
    assert.ok((await skippedOn(ada, /was paused/)) >= 1);
  });
});
