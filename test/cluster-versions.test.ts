/**
 * Two versions of the program in one mesh, with real processes: some present themselves as a later version, one as an
 * earlier one. Each job runs where it is understood, each tick once, and no data is lost on peers that don't know it.
 */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import * as Y from "yjs";
import { openDisk } from "../src/real/disk.ts";
import { ownCapabilities, type Compatibility } from "../src/schema/protocol.ts";
import { nextHlc } from "../src/table/hlc.ts";
import { assertEachOnce, readStarts, recordingCommand, untilEachStarted } from "./kit/cluster-judge.ts";
import { Cluster, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

const later: Compatibility = {
  protocol: { oldest: 2, newest: 3 },
  capabilities: [...ownCapabilities, "tape"],
};
const earlier: Compatibility = { protocol: { oldest: 2, newest: 2 }, capabilities: ["executor:process"] };
const farLater: Compatibility = { protocol: { oldest: 4, newest: 5 }, capabilities: ownCapabilities };

const limitMs = 60_000;
const periodMs = 2_000;
const ticksJudged = 10;
const schedule = "@every 2s";
const incarnation = `01${"C".repeat(24)}`;

interface Shown {
  owner?: string;
  warnings?: string[];
  problems: { code: string; pointer: string; message: string }[];
}
interface Health {
  ready: boolean;
  codes: string[];
  warnings: string[];
}

async function health(peer: RunningPeer): Promise<Health> {
  // 503 is an answer here; the API's own schema has checked what is in it.
  return (await peer.call("GET", "/readyz?verbose")).body as Health;
}

async function shown(peer: RunningPeer, id: string): Promise<Shown> {
  return (await peer.ask("GET", `/v1/jobs/${id}`)) as Shown;
}

/** The job as a later version writes it, with the field `mutex`. */
function tapedJob(file: string): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = 99;
  const stamp = { hlc: nextHlc(0, Date.now()), by: "later" };
  doc.transact(() => {
    const map = new Y.Map<unknown>();
    doc.getMap<unknown>("jobs").set(incarnation, map);
    map.set("created@later", { ...stamp, value: "taped" });
    map.set("schedule@later", { ...stamp, value: { schedule } });
    map.set("action@later", { ...stamp, value: { command: recordingCommand(file) } });
    map.set("mutex@later", { ...stamp, value: "tape", needs: ["tape"] });
  });
  return Y.encodeStateAsUpdate(doc);
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** The table in the folder of a peer that is down. If an update is given, it is put into the folder first. */
async function tableIn({ data }: RunningPeer, update?: Uint8Array): Promise<Y.Doc> {
  const disk = await openDisk({ folder: data, log: quiet });
  try {
    if (update !== undefined) {
      await new Promise<void>((done, fail) => {
        disk.store([{ kind: "update", update }], (error) => (error === undefined ? done() : fail(error)));
      });
    }
    return await new Promise<Y.Doc>((done, fail) => {
      disk.load(Date.now(), (loaded) => {
        if (!("updates" in loaded)) return fail(loaded);
        const doc = new Y.Doc();
        for (const one of loaded.updates) Y.applyUpdate(doc, one);
        done(doc);
      });
    });
  } finally {
    await new Promise<void>((done) => disk.close(done));
  }
}

describe("two versions in one mesh", () => {
  test("each job runs on the peers that know what it needs, each tick once, and an edit by the older version loses nothing", async () => {
    await using cluster = new Cluster();
    const fileOf = (job: string) => {
      const file = path.join(cluster.folder, `starts-${job}`);
      appendFileSync(file, "");
      return file;
    };
    const files = { beat: fileOf("beat"), voted: fileOf("voted"), taped: fileOf("taped") };
    const ada = await cluster.start({ name: "ada", spoken: later });
    await ada.stop();
    await tableIn(ada, tapedJob(files.taped));
    await ada.restart();
    const [bob, old] = await Promise.all([
      cluster.start({ name: "bob", join: ada, spoken: later }),
      cluster.start({ name: "old", join: ada, spoken: earlier }),
    ]);
    await untilMembers([ada, bob, old], 3);
    const command = (job: "beat" | "voted") => recordingCommand(files[job]);
    await ada.ask("POST", "/v1/jobs", { id: "beat", schedule, command: command("beat") });
    await old.ask("POST", "/v1/jobs", {
      id: "voted",
      schedule,
      command: command("voted"),
      partition: "majority",
    });

    const refused = await old.call("PATCH", "/v1/jobs/taped", { mutxe: "disk" });
    assert.equal(refused.status, 422, refused.text);
    assert.match(refused.text, /mutxe/, "a typo is an error all the same");
    const edited = (await old.ask("PATCH", "/v1/jobs/taped", { owner: "ops" })) as Shown;
    assert.match(edited.warnings?.join() ?? "", /its \/mutex needs a newer version of cicada/);
    await until("the edit has reached bob", limitMs, async () => (await shown(bob, "taped")).owner === "ops");

    const from = Math.ceil(Date.now() / periodMs + 1) * periodMs;
    const to = from + (ticksJudged - 1) * periodMs;
    for (const file of Object.values(files)) {
      await untilEachStarted(file, periodMs, { from, to }, limitMs);
      assertEachOnce(readStarts(file), periodMs, { from, to }, limitMs);
    }
    const ranOn = (job: keyof typeof files) => new Set(readStarts(files[job]).map(({ peer }) => peer));
    assert.ok(ranOn("beat").has("old"), "the older one runs what it knows");
    for (const job of ["voted", "taped"] as const) assert.ok(!ranOn(job).has("old"), job);

    assert.deepEqual((await shown(bob, "taped")).problems, []);
    const here = await shown(old, "taped");
    assert.deepEqual(
      here.problems.map(({ code, pointer }) => [code, pointer]),
      [["NEEDS_NEWER", "/mutex"]],
    );
    assert.match((await health(old)).warnings.join("\n"), /can't run the job taped: its \/mutex .*tape/);
    assert.match((await old.command("doctor")).stdout, /can't run the job taped: its \/mutex .*tape/);
    assert.match((await old.command("jobs", "why", "taped")).stdout, /Not on this peer: its \/mutex/);

    await bob.stop();
    const table = await tableIn(bob);
    const kept = table.getMap<Y.Map<unknown>>("jobs").get(incarnation)?.get("mutex@later");
    assert.deepEqual(
      Object.entries(kept ?? {}).filter(([name]) => name !== "hlc" && name !== "by"),
      [
        ["value", "tape"],
        ["needs", ["tape"]],
      ],
    );

    await old.stop();
    old.becomes(later);
    await old.restart();
    await untilMembers([ada, old], 2);
    assert.deepEqual((await shown(old, "taped")).problems, [], "once it has been upgraded");
  });

  test("peers without a common version refuse each other, and both say so in readyz, doctor and log", async () => {
    await using cluster = new Cluster();
    const ada = await cluster.start({ name: "ada" });
    const eve = await cluster.start({ name: "eve", join: ada, spoken: farLater });
    const words = new Map([
      [ada, /speaks protocol 4 to 5, and this peer 2: they refuse each other until this peer runs a newer/],
      [eve, /speaks protocol 2, and this peer 4 to 5: they refuse each other until that peer runs a newer/],
    ]);
    for (const [peer, said] of words) {
      await until(`${peer.name} warns`, limitMs, async () =>
        said.test((await health(peer)).warnings.join("\n")),
      );
      assert.match((await peer.command("doctor")).stdout, said);
      assert.match(peer.started.said, said, "in the log");
    }
    const isAlone = async () => (await health(eve)).codes.join() === "alone";
    await until("eve, which was to join, says that it has reached nobody", limitMs, isAlone);
    assert.equal((await health(ada)).ready, true);
    await eve.stop();
    eve.becomes(undefined);
    await eve.restart();
    await untilMembers([ada, eve], 2);
  });
});
