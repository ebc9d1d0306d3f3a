/** Two real peers; one has a host that can't run anything. Its ticks run elsewhere, and it says why. */
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { assertEachOnce, readStarts, recordingCommand, untilEachStarted } from "./kit/cluster-judge.ts";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

interface Run {
  id: string;
  state: string;
}

describe("two peers when one can't write its runs' outputs", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    peers = await cluster.mesh(["ada", "bob"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("no tick is missed, doubled or failed; readyz is red with the reason, and turns green by itself", async () => {
    const [ada, bob] = peers;
    assert.ok(ada !== undefined && bob !== undefined);
    rmSync(path.join(ada.data, "logs"), { recursive: true });
    await ada.ask("POST", "/v1/jobs", {
      id: "beat",
      schedule: "@every 2s",
      command: recordingCommand(file),
    });
    const created = Date.now();
    await until("ada's readyz is red because of its host", 30_000, async () => {
      const { status, text } = await ada.call("GET", "/readyz?verbose");
      return status === 503 && /could not start a run: .*logs.* can't be written/.test(text);
    });
    assert.equal((await bob.call("GET", "/readyz")).status, 200);
    const span = { from: created, to: created + 10_000 };
    await untilEachStarted(file, 2_000, span, 20_000);
    // Bob learns of the tick that failed on ada when ada gives it back.
    assertEachOnce(readStarts(file), 2_000, span, 2_000);
    const runs = await items<Run>(bob, "/v1/jobs/beat/runs");
    assert.deepEqual(
      runs.filter(({ state }) => state === "failed" || state === "missed"),
      [],
    );
    mkdirSync(path.join(ada.data, "logs"), { mode: 0o700 });
    await until("ada is ready again", 60_000, async () => (await ada.call("GET", "/readyz")).status === 200);
  });
});
