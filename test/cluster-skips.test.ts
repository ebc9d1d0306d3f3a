/** Single ticks that a person has asked to skip, with real peers that are killed. */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

interface ShownTick {
  tick: string;
  state: string;
  runs: { reason: string | null; askedBy: string | null; note: string | null }[];
}

describe("ticks of a job that a person has asked to skip", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";
  const startsOf = (tick: string) => readStarts(file).filter((start) => start.tick === tick).length;

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    peers = await cluster.mesh(["ada", "bob"]);
    await peers[0]?.ask("POST", "/v1/jobs", {
      id: "beat",
      schedule: "@every 4s",
      command: recordingCommand(file),
    });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("don't run though all peers are killed after the answer, are told with who asked and why, and the next one runs", async () => {
    const [ada, bob] = peers;
    assert.ok(ada !== undefined && bob !== undefined);
    const coming = (await items<{ tick: string }>(bob, "/v1/jobs/beat/next?count=6")).slice(2);
    const [skipped, then] = coming.map(({ tick }) => tick);
    assert.ok(skipped !== undefined && then !== undefined);
    const said = await bob.command("jobs", "skip", "beat", skipped, "--note", "release");
    assert.equal(said?.code, 0, said?.stderr);
    await Promise.all(peers.map((peer) => peer.crash()));
    await Promise.all(peers.map((peer) => peer.restart()));
    await untilMembers(peers, 2);
    for (const peer of peers) {
      const shown = await until(`${peer.name} tells of the skipped tick`, 30_000, async () => {
        const ticks = await items<ShownTick>(peer, "/v1/jobs/beat/ticks");
        return ticks.find(({ tick, state }) => tick === skipped && state === "skipped");
      });
      const [{ reason, askedBy, note }] = shown.runs as [ShownTick["runs"][number]];
      assert.deepEqual([reason, note], ["asked", "release"]);
      assert.match(askedBy ?? "", /admin@bob/);
    }
    await until("the tick after it has run", 30_000, () => Promise.resolve(startsOf(then) === 1));
    assert.equal(startsOf(skipped), 0);
  });

  test("can't be skipped any more once they have run", async () => {
    const [ada] = peers;
    const ran = readStarts(file).at(-1)?.tick;
    assert.ok(ada !== undefined && ran !== undefined);
    const refused = await ada.command("jobs", "skip", "beat", ran);
    assert.equal(refused?.code, 4, refused?.stderr);
  });
});
