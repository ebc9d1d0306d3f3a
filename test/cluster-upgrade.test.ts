/**
 * A rolling upgrade with real processes: three peers that announce the previous version of the protocol are stopped and started
 * again as this one, one after the other, while jobs run each second. No tick is missed, and none runs twice.
 */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ownCapabilities, ownProtocol, type Compatibility } from "../src/schema/protocol.ts";
import { assertEachOnce, readStarts, recordingCommand, untilEachStarted } from "./kit/cluster-judge.ts";
import { Cluster, untilMembers } from "./kit/cluster.ts";

const { newest } = ownProtocol;
/** Its neighbour understands both. This program speaks the older one with it until the last peer is upgraded. */
const previous: Compatibility = { protocol: { oldest: newest, newest }, capabilities: ownCapabilities };
const next: Compatibility = {
  protocol: { oldest: newest, newest: newest + 1 },
  capabilities: ownCapabilities,
};

const periodMs = 1_000;
/** A tick may wait until the others have noticed that its peer is gone, on a busy machine. */
const limitMs = 60_000;

test("peers are upgraded one after the other, and each tick of each second runs once", async () => {
  await using cluster = new Cluster();
  const fileOf = (job: string): string => {
    const file = path.join(cluster.folder, `starts-${job}`);
    appendFileSync(file, "");
    return file;
  };
  const files = { beat: fileOf("beat"), voted: fileOf("voted") };
  const first = await cluster.start({ name: "ada", spoken: previous });
  const others = await Promise.all(
    ["bob", "cyd"].map((name) => cluster.start({ name, join: first, spoken: previous })),
  );
  const peers = [first, ...others];
  await untilMembers(peers, 3);
  for (const [id, file] of Object.entries(files)) {
    const partition = id === "voted" ? "majority" : "available";
    const job = { id, schedule: "@every 1s", command: recordingCommand(file), partition, overlap: "allow" };
    await first.ask("POST", "/v1/jobs", job);
  }
  const from = Math.ceil(Date.now() / periodMs + 2) * periodMs;
  for (const peer of peers) {
    assert.deepEqual(await peer.stop(), { code: 0, signal: null });
    peer.becomes(next);
    await peer.restart();
    await untilMembers(peers, 3);
  }
  const to = Math.floor(Date.now() / periodMs) * periodMs;
  for (const file of Object.values(files)) {
    await untilEachStarted(file, periodMs, { from, to }, limitMs);
    assertEachOnce(readStarts(file), periodMs, { from, to }, limitMs);
  }
  const runners = new Set(readStarts(files.beat).map(({ peer }) => peer));
  assert.equal(runners.size, 3, "every peer took its share");
});
