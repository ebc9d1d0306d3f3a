/** What keeps a job from running for a while, with real peers: failed ticks in a row. */
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
