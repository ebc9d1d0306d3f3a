/**
 * Which peers a mesh trusts, with real processes: promoted voters and a witness, a drained peer, a forgotten one, an
 * intruder, a rotated key, and a copied data folder. Two meshes run side by side; each step waits for the states that it
 * needs.
 */
import assert from "node:assert/strict";
import { appendFileSync, cpSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type RunningPeer } from "./kit/cluster.ts";

interface PeerItem {
  id: string;
  name: string;
  state: string;
  voter: boolean;
  drained: boolean;
}
interface Admission {
  name: string;
  joinedAt: string | null;
  invitation: string | null;
  confirmed: boolean;
}
interface Roster {
  epoch: number;
  voters: string[];
  from: string;
}
interface Health {
  ready: boolean;
  reasons: string[];
  warnings: string[];
}

const limitMs = 30_000;

async function health(peer: RunningPeer): Promise<Health> {
  // 503 is an answer here; the API's own schema has checked what is in it.
  return (await peer.call("GET", "/readyz?verbose")).body as Health;
}

async function stateOf(peer: RunningPeer, name: string): Promise<string | undefined> {
  return (await items<PeerItem>(peer, "/v1/peers")).find((one) => one.name === name)?.state;
}

async function admissionOf(peer: RunningPeer, name: string): Promise<Admission | undefined> {
  return (await items<Admission>(peer, "/v1/peers")).find((one) => one.name === name);
}

/** The line that holds the cluster key. */
function keyOf(peer: RunningPeer): string {
  return readFileSync(peer.keyFile, "utf8").split("\n")[0] ?? "";
}

async function says(peer: RunningPeer, words: RegExp): Promise<boolean> {
  return words.test((await health(peer)).reasons.join());
}

function sees(peer: RunningPeer, name: string, state: string): Promise<unknown> {
  return until(
    `${peer.name} sees ${name} ${state}`,
    limitMs,
    async () => (await stateOf(peer, name)) === state,
  );
}

describe("which peers a mesh trusts", { concurrency: 2 }, () => {
  test("two workers and a witness vote; when one worker dies, the other runs everything; the dead one is forgotten, stays out, and is taken in again", async () => {
    await using cluster = new Cluster();
    const ada = await cluster.start({ name: "ada" });
    const [bob, wit] = await Promise.all([
      cluster.start({ name: "bob", join: ada }),
      cluster.start({ name: "wit", join: ada, flags: ["--role=witness"] }),
    ]);
    await untilMembers([ada, bob, wit], 3);

    for (const name of ["bob", "wit"]) {
      const said = await ada.command("peers", "promote", name);
      assert.equal(said.code, 0, said.stderr);
    }
    const { roster } = (await wit.ask("GET", "/v1/peers")) as { roster: Roster };
    assert.equal(roster.voters.length, 3);

    await ada.ask("POST", "/v1/peers/bob/drain");
    assert.ok(await says(bob, /drained by admin@ada/));
    await bob.stop();
    await bob.restart();
    assert.ok(await says(bob, /drained by admin@ada/), "after a restart too");
    await sees(wit, "bob", "alive");
    await wit.ask("POST", "/v1/peers/bob/undrain");
    await untilMembers([ada, bob, wit], 3);

    const file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    const job = { id: "beat", schedule: "@every 1s", command: recordingCommand(file), partition: "majority" };
    await until("the three are in force", limitMs, () => Date.now() > Date.parse(roster.from));
    await ada.ask("POST", "/v1/jobs", job);
    await until(
      "both workers run it",
      limitMs,
      () => new Set(readStarts(file).map(({ peer }) => peer)).size === 2,
    );
    await bob.crash();
    const gone = Date.now();
    await until("the other one runs it alone", limitMs, () =>
      readStarts(file).some(({ peer, tick }) => peer === "ada" && Date.parse(tick) > gone + 1_000),
    );
    const starts = readStarts(file);
    assert.ok(
      starts.every(({ peer }) => peer !== "wit"),
      "a witness runs nothing",
    );
    assert.equal(new Set(starts.map(({ tick }) => tick)).size, starts.length, "no tick was started twice");

    const forgotten = await wit.command("peers", "forget", "bob");
    assert.equal(forgotten.code, 0, forgotten.stderr);
    await sees(ada, "bob", "forgotten");
    const itself = await ada.command("peers", "forget", "ada");
    assert.equal(itself.code, 6, itself.stderr);

    await bob.restart();
    await until("bob has been told", limitMs, () => says(bob, /the mesh has forgotten this peer/));
    assert.match(bob.started.said, /this peer has been forgotten by its mesh/);
    await Promise.all([ada.stop(), wit.stop(), bob.stop()]);
    await Promise.all([ada.restart(), wit.restart(), bob.restart()]);
    await untilMembers([ada, wit], 2);
    assert.equal(await stateOf(ada, "bob"), "forgotten");
    assert.ok(await says(bob, /the mesh has forgotten this peer/), "after all peers were restarted too");

    const own = await bob.command("peers", "unforget", "bob");
    assert.equal(own.code, 0, own.stderr);
    assert.match(own.stderr, /refuse this peer until one of them is asked, too: run .*peers unforget bob/);
    await until("the members still turn bob away", limitMs, () =>
      says(bob, /forgotten this peer \(admin@wit, 20.*a person has asked for that since/),
    );
    const back = await wit.command("peers", "unforget", "bob");
    assert.equal(back.code, 0, back.stderr);
    await untilMembers([ada, bob, wit], 3);
    const since = Date.now();
    await until("bob runs ticks again", limitMs, () =>
      readStarts(file).some(({ peer, tick }) => peer === "bob" && Date.parse(tick) > since),
    );
    assert.equal(await says(bob, /forgotten/), false);
    const ticks = readStarts(file).map(({ tick }) => tick);
    assert.equal(new Set(ticks).size, ticks.length, "no tick was started twice");
  });

  test("a peer that came in with a leaked key gets no new key unasked: the rotation names it, leaves it out and forgets it", async () => {
    await using cluster = new Cluster();
    const ada = await cluster.start({ name: "ada" });
    const { stdout: line, stderr: words } = await ada.command("peers", "invite");
    const [, invitation = ""] = /This is invitation (\w+)/.exec(words) ?? [];
    const bob = await cluster.start({ name: "bob", flags: [`--join=${line.split(" ")[1] ?? ""}`] });
    const mallory = await cluster.start({ name: "mallory", join: ada });
    await untilMembers([ada, bob, mallory], 3);
    for (const peer of [ada, bob, mallory]) {
      await until(`${peer.name} shows who joined`, limitMs, async () => {
        const [one, other] = [await admissionOf(peer, "bob"), await admissionOf(peer, "mallory")];
        return typeof one?.joinedAt === "string" && typeof other?.joinedAt === "string";
      });
    }
    await until("bob trusts the peer that invited it", limitMs, async () =>
      Boolean((await admissionOf(bob, "ada"))?.confirmed),
    );
    const shown = await admissionOf(ada, "bob");
    assert.deepEqual([shown?.invitation, shown?.confirmed], [invitation, false]);
    assert.equal((await admissionOf(bob, "mallory"))?.invitation, null);
    assert.match(ada.started.said, /"name":"mallory".*a new peer has joined the mesh/);
    await until("bob is told, too", limitMs, () =>
      /"name":"mallory".*a new peer has joined the mesh/.test(bob.started.said),
    );

    const confirmed = await ada.command("peers", "confirm", "bob");
    assert.equal(confirmed.code, 0, confirmed.stderr);
    await until("bob's person is believed on ada's word", limitMs, async () =>
      Boolean((await admissionOf(ada, "bob"))?.confirmed),
    );
    const own = await mallory.command("peers", "confirm", "mallory");
    assert.equal(own.code, 2, own.stderr);

    const old = keyOf(ada);
    const unasked = await ada.command("key", "rotate");
    assert.equal(unasked.code, 4, unasked.stderr);
    assert.match(unasked.stderr, /mallory \(12D3\w+\): no person has confirmed it/);
    assert.match(unasked.stderr, /bob \(12D3\w+\): it joined less than 24 h ago/);
    const bare = await ada.call("POST", "/v1/key/rotate", {});
    assert.equal(bare.status, 409);
    assert.deepEqual(new Set([ada, bob, mallory].map(keyOf)), new Set([old]), "nothing has changed");

    const said = await ada.command("key", "rotate", "--without", "mallory", "--yes", "--grace", "10s");
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /mallory .*no: left out and forgotten/);
    assert.match(said.stdout, /bob +yes/);
    assert.notEqual(keyOf(ada), old);
    assert.equal(keyOf(bob), keyOf(ada));
    assert.equal(keyOf(mallory), old);
    for (const peer of [ada, bob]) await sees(peer, "mallory", "forgotten");
    await until("mallory has been told", limitMs, () => says(mallory, /the mesh has forgotten this peer/));

    await ada.stop();
    await ada.restart();
    await untilMembers([ada, bob], 2);
    await until("ada knows after a restart, too, whom it confirmed", limitMs, async () => {
      const after = await admissionOf(ada, "bob");
      return after?.invitation === invitation && after?.confirmed;
    });
  });

  test("a leaked key is rotated without downtime; a peer that was away runs nothing until it has rejoined; two peers on a copied folder notice each other", async () => {
    await using cluster = new Cluster();
    const [cyd, dan, eve] = await cluster.mesh(["cyd", "dan", "eve"]);
    assert.ok(cyd && dan && eve);
    const file = path.join(cluster.folder, "starts");
    appendFileSync(file, "");
    const startsOfEve = () => readStarts(file).filter(({ peer }) => peer === "eve").length;
    await cyd.ask("POST", "/v1/jobs", { id: "beat", schedule: "@every 1s", command: recordingCommand(file) });
    await until("eve runs it too", limitMs, () => startsOfEve() > 0);
    await eve.stop();
    await sees(cyd, "eve", "left");

    const old = readFileSync(cyd.keyFile, "utf8");
    const said = await cyd.command("key", "rotate", "--yes", "--grace", "10s");
    const graceEnds = Date.now() + 10_000;
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /dan +yes/);
    assert.match(said.stdout, /eve +no/);
    assert.notEqual(readFileSync(cyd.keyFile, "utf8"), old);
    assert.equal(
      readFileSync(dan.keyFile, "utf8").split("\n")[0],
      readFileSync(cyd.keyFile, "utf8").split("\n")[0],
    );
    const { stdout: invitation } = await dan.command("peers", "invite");

    await until("the grace is over", limitMs, () => Date.now() > graceEnds + 1_500);
    assert.equal(await stateOf(cyd, "dan"), "alive");
    assert.doesNotMatch(
      cyd.started.said.slice(cyd.started.said.indexOf("rotated")),
      /dan (has fallen silent|is dead)/,
    );

    // Started from its folder's key: cyd's key file, with which it joined, would have the new key.
    const [before, ranBefore] = [startsOfEve(), readStarts(file).length];
    const late = await cluster.start({ name: "eve", data: eve.data });
    const saysWhy = () => says(late, /rotated, and this peer still has the old one.*rejoin with --join/);
    await until("eve is told why nobody takes it in", limitMs, saysWhy);
    assert.equal((await late.call("GET", "/readyz")).status, 503);
    const again = await late.command("key", "rotate");
    assert.match(
      again.stderr,
      /this peer has the old one/,
      "a key that eve made now would exclude it for good",
    );
    await until("eve has warmed up", limitMs, async () => !(await says(late, /warming up/)));
    await until("the others run on", limitMs, () => readStarts(file).length > ranBefore + 12);
    await late.stop();
    await late.restart();
    await until("eve says so after a restart, too", limitMs, saysWhy);
    await late.stop();
    assert.equal(startsOfEve(), before, "with the old key it starts nothing");
    const returned = await cluster.start({
      name: "eve",
      data: eve.data,
      flags: [`--join=${invitation.split(" ")[1] ?? ""}`],
    });
    assert.equal(returned.ready.peerId, eve.ready.peerId, "the same identity");
    await untilMembers([cyd, dan, returned], 3);
    await until("eve takes ticks again", limitMs, () => startsOfEve() > before);
    await cyd.ask("DELETE", "/v1/jobs/beat");

    await dan.stop();
    const copied = path.join(cluster.folder, "copy");
    cpSync(dan.data, copied, { recursive: true });
    await dan.restart();
    await untilMembers([cyd, dan, returned], 3);
    const copy = await cluster.start({ name: "copy", data: copied, join: cyd });
    for (const one of [dan, copy]) {
      // A peer learns first that there are two processes, and a moment later which one is newer.
      await until(`${one.name} says that its identity is used twice`, limitMs, () =>
        says(one, /(another|a newer) process uses this peer's identity/),
      );
      await until(`${one.name} logs why`, limitMs, () => /its data folder was copied/.test(one.started.said));
    }
    await copy.crash();
    await untilMembers([cyd, returned], 3);
    assert.equal(cyd.started.hasEnded || returned.started.hasEnded || dan.started.hasEnded, false);
  });
});
