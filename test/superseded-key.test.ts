/**
 * A peer that was away while the cluster key was rotated: what it does once it gets the proof, alone or with others
 * that were away too, and what it does without a proof. The proof itself is tested in mesh-keys.test.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { notReady } from "../src/core/operator/readiness.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { checkLong } from "../src/sim/checkers/all.ts";
import { runScenario, scenarios } from "../src/sim/faults/scenarios.ts";
import { startRealPeer } from "../src/sim/world/real-peer.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { Cores, statementBy } from "./kit/cores.ts";

const second = 1_000;
const [a, b, c, d] = ["a", "b", "c", "d"] as [PeerId, PeerId, PeerId, PeerId];
const key = "0123456789abcdef";

function prove(cores: Cores, ...peers: PeerId[]): void {
  for (const peer of peers) cores.feed(peer, { kind: "keySuperseded", by: a, key });
}

/** Lets time pass in which a member repeats the proof to these peers. */
function passWithProofs(cores: Cores, seconds: number, ...peers: PeerId[]): void {
  for (let passed = 0; passed < seconds; passed += 5) {
    prove(cores, ...peers);
    cores.pass(5 * second);
  }
}

/** The ticks due after `since` that one of these peers has started. */
function startsOf(cores: Cores, peers: readonly PeerId[], since: number): string[] {
  return cores.starts
    .filter(({ peer, tick }) => peers.includes(peer) && Date.parse(tick) > cores.wall(since))
    .map(({ tick }) => tick);
}

function reasonsOf(cores: Cores, peer: PeerId): string[] {
  return notReady(cores.state(peer)).map(({ code }) => code);
}

function assertEachOnce(ticks: readonly string[]): void {
  assert.deepEqual(ticks.toSorted(), [...new Set(ticks)].toSorted());
}

/** Three peers with a job, of which c was away for a while and has come back without a link to the others. */
function withoutLinks(job: { partition?: "majority" } = {}): Cores {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 2s", command: "true", catchUp: { policy: "all" }, ...job });
  cores.pass(10 * second);
  cores.kill("c");
  cores.pass(30 * second);
  cores.split(["a", "b"], ["c"]);
  cores.up(c, { unlinked: true, lastAlive: cores.wall(cores.now - 30 * second) });
  return cores;
}

describe("a peer whose cluster key was replaced while it was away", () => {
  test("starts and records nothing once it has the proof, and says why and what to do; the others run each tick once", () => {
    const cores = withoutLinks();
    const since = cores.now;
    const records = cores.records.get(c)?.size ?? 0;
    passWithProofs(cores, 60, c);
    assert.deepEqual(startsOf(cores, [c], since), []);
    assert.equal(cores.records.get(c)?.size ?? 0, records);
    assert.equal(startsOf(cores, [a, b], since).length, 30);
    assert.deepEqual(reasonsOf(cores, c), ["key-superseded"]);
    const [{ message } = { message: "" }] = notReady(cores.state(c));
    assert.match(message, /rotated, and this peer still has the old one/);
    assert.match(message, /--join .*cicada peers invite/);
  });

  test("gives back its claims when the proof comes, and runs nothing more", () => {
    const cores = withoutLinks();
    cores.pass(20 * second);
    assert.ok(startsOf(cores, [c], 0).length > 0, "without a proof it runs ticks");
    prove(cores, c);
    const since = cores.now;
    passWithProofs(cores, 30, c);
    assert.equal(cores.starts.filter(({ peer, at }) => peer === c && at > since).length, 0);
    assert.equal(cores.state(c).book.claims.size, 0);
  });

  test("still runs ticks while it is only refused, because the address may be another mesh's", () => {
    const cores = withoutLinks();
    cores.pass(10 * second);
    const since = cores.now;
    cores.pass(20 * second);
    assert.equal(startsOf(cores, [c], since).length, 10);
    assert.deepEqual(reasonsOf(cores, c), []);
  });

  test("votes on nothing", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.pass(120 * second);
    cores.put({ id: "beat", schedule: "@every 2s", command: "true", partition: "majority" });
    cores.pass(20 * second);
    const voted = cores.votes.get(c)?.size ?? 0;
    assert.ok(voted > 0, "it is a voter");
    cores.split(["a", "b"], ["c"]);
    for (const other of [a, b]) cores.feed(c, { kind: "linkDown", peer: other, why: "reset" });
    prove(cores, c);
    const votes = cores.votes.get(c)?.size ?? 0;
    passWithProofs(cores, 60, c);
    assert.equal(cores.votes.get(c)?.size ?? 0, votes);
    assert.ok(!reasonsOf(cores, c).includes("starting") && reasonsOf(cores, c).includes("key-superseded"));
  });

  test("refuses changes, which would reach no other peer for now", () => {
    const cores = withoutLinks();
    prove(cores, c);
    cores.ask("c", { kind: "pause-job", id: "beat" as JobId, by: "ops" });
    const answer = cores.answers.at(-1);
    assert.equal(answer?.kind === "refused" ? answer.error.code : answer?.kind, "KEY_SUPERSEDED");
  });

  test("remembers the proof over a restart with no other peer in reach", () => {
    const cores = withoutLinks();
    prove(cores, c);
    cores.pass(10 * second);
    cores.kill("c");
    cores.up(c, { unlinked: true, superseded: { by: a, at: cores.wall(cores.now) } });
    const since = cores.now;
    cores.pass(60 * second);
    assert.deepEqual(startsOf(cores, [c], since), []);
    assert.deepEqual(reasonsOf(cores, c), ["key-superseded"]);
  });

  test("takes ticks again once it has the new key, and no tick is doubled or missed", () => {
    const cores = withoutLinks();
    passWithProofs(cores, 30, c);
    cores.heal();
    cores.link(c);
    cores.feed(c, { kind: "keyChanged" });
    cores.pass(10 * second);
    const since = cores.now;
    cores.pass(60 * second);
    assert.deepEqual(reasonsOf(cores, c), []);
    assert.ok(startsOf(cores, [c], since).length > 3);
    assertEachOnce(startsOf(cores, [a, b, c], 0));
    assert.equal(startsOf(cores, [a, b, c], since).length, 30);
  });

  test("takes ticks again when people forget the peer that gave the proof, unless another member repeats it", () => {
    const cores = withoutLinks();
    passWithProofs(cores, 30, c);
    const forgotten = statementBy(c, { peer: a, forgotten: true, at: cores.wall(cores.now), name: "host-a" });
    cores.feed(c, { kind: "membership", statements: [forgotten] });
    for (let passed = 0; passed < 70; passed += 5) {
      cores.feed(c, { kind: "keySuperseded", by: b, key });
      cores.pass(5 * second);
    }
    assert.deepEqual(reasonsOf(cores, c), ["key-superseded"]);
    cores.feed(c, {
      kind: "membership",
      statements: [
        forgotten,
        statementBy(c, { peer: b, forgotten: true, at: cores.wall(cores.now), name: "host-b" }),
      ],
    });
    passWithProofs(cores, 75, c);
    assert.deepEqual(reasonsOf(cores, c), []);
  });

  test("takes ticks again beside a member without such a proof, and forgets a proof that is not repeated", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
    cores.pass(10 * second);
    prove(cores, c);
    const since = cores.now;
    cores.pass(50 * second);
    assert.deepEqual(reasonsOf(cores, c), []);
    assert.ok(startsOf(cores, [c], since).length > 3);
    assertEachOnce(startsOf(cores, [a, b, c], 0));
    cores.pass(20 * second);
    assert.equal(cores.state(c).members.supersededKey, undefined);
  });

  test("and its members, told so by a thief of their key, take ticks again once they have forgotten the thief", () => {
    const cores = new Cores(["a", "b", "c", "d"]);
    cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
    cores.pass(10 * second);
    cores.kill("d");
    const claim = (seconds: number): void => {
      for (let passed = 0; passed < seconds; passed += 5) {
        for (const peer of [a, b, c]) cores.feed(peer, { kind: "keySuperseded", by: d, key });
        cores.pass(5 * second);
      }
    };
    claim(30);
    let since = cores.now;
    claim(30);
    assert.deepEqual(startsOf(cores, [a, b, c], since), []);
    cores.ask("b", { kind: "forget-peer", peer: d, by: "ops" });
    claim(75);
    for (const peer of [a, b, c]) assert.deepEqual(reasonsOf(cores, peer), []);
    since = cores.now;
    claim(30);
    assert.equal(startsOf(cores, [a, b, c], since).length, 15);
  });

  test("starts nothing even if it is linked with another peer that was away too", () => {
    const cores = new Cores(["a", "b", "c", "d"]);
    cores.put({ id: "beat", schedule: "@every 2s", command: "true" });
    cores.pass(10 * second);
    cores.split(["a", "b"], ["c", "d"]);
    for (const one of [a, b])
      for (const other of [c, d]) {
        cores.feed(one, { kind: "linkDown", peer: other, why: "reset" });
        cores.feed(other, { kind: "linkDown", peer: one, why: "reset" });
      }
    passWithProofs(cores, 10, c, d);
    const since = cores.now;
    passWithProofs(cores, 120, c, d);
    assert.deepEqual(startsOf(cores, [c, d], since), []);
    assert.equal(startsOf(cores, [a, b], since).length, 60);
    for (const one of [c, d]) assert.deepEqual(reasonsOf(cores, one), ["key-superseded"]);
  });

  test("ignores a proof from a forgotten peer", () => {
    const cores = new Cores(["a", "b"]);
    cores.feed(b, {
      kind: "membership",
      statements: [statementBy(a, { peer: d, forgotten: true, at: 0, name: "mallory" })],
    });
    cores.feed(b, { kind: "keySuperseded", by: d, key });
    assert.equal(cores.state(b).members.supersededKey, undefined);
  });
});

describe("a simulated mesh whose key is rotated while a peer is down", () => {
  const scenario = scenarios.find(({ name }) => name === "missed key rotation");
  for (const [peers, seed] of [
    [2, "1"],
    [3, "1"],
    [3, "2"],
    [5, "1"],
  ] as const) {
    test(`keeps every promise; with ${peers} peers, seed ${seed}`, () => {
      assert.ok(scenario);
      const { evidence } = runScenario(scenario, { seed, peers, makePeer: startRealPeer });
      assert.deepEqual(checkLong(evidence), []);
      const missed = evidence.faultWindows.find(({ kind }) => kind === "missed rotation");
      const startsOfLife = (number: number) =>
        evidence.runs.filter(({ peer, life }) => peer === missed?.peer && life === number).length;
      assert.ok(startsOfLife(1) > 0);
      assert.equal(startsOfLife(2), 0, "with the old key it starts nothing");
      assert.ok(startsOfLife(3) > 0, "and takes ticks once it has rejoined");
    });
  }
});

describe("a simulated mesh that rotates its key again and again while a peer is away", () => {
  const hour = 3_600 * second;
  const day = 24 * hour;

  /**
   * Two peers rotate so many times, in equal intervals; a third one that was down since the first day comes back at the
   * end.
   */
  function awayFor(days: number, rotations: number, isForgotten: boolean) {
    const world = new World({
      ...calmWorld,
      seed: `rotations ${days} ${rotations}`,
      peers: 3,
      skewMs: 0,
      driftPpm: 0,
      traits: () => ({ role: "worker", capacity: 10 }),
    });
    for (const peer of world.peers) world.hosts.start(peer);
    const [first, , away] = world.peers;
    assert.ok(first !== undefined && away !== undefined);
    world.runUntil(epoch + 60 * second);
    if (isForgotten) world.ask(first, { kind: "forget", target: away });
    world.runUntil(epoch + 90 * second);
    world.hosts.kill(away);
    for (let turn = 1; turn <= rotations; turn++) {
      world.leapUntil(epoch + (turn * days * day) / rotations - hour);
      const asked = world.ask(first, { kind: "rotate", graceMs: 60 * second });
      world.leapUntil(world.now() + hour / 2);
      assert.ok(asked.accepted, `rotation ${turn}`);
    }
    world.leapUntil(epoch + days * day);
    world.hosts.start(away);
    world.runUntil(world.now() + 60 * second);
    const complaint = world.hosts.get(away).life?.peer.complaint();
    return { complaint, stranded: world.evidence(0, []).stranded };
  }

  test("every day: it is told when it returns after a week or four weeks, a forgotten one too", () => {
    assert.equal(awayFor(7, 7, false).complaint, "key-superseded");
    assert.equal(awayFor(28, 28, false).complaint, "key-superseded");
    assert.deepEqual(awayFor(29, 29, true).stranded, []);
  });

  test("so often, or for so long, that members no longer have its key: it is stranded, and the checkers know it", () => {
    for (const { stranded } of [awayFor(3, 66, true), awayFor(33, 33, true)]) {
      assert.equal(stranded?.length, 1);
      assert.equal(stranded[0]?.to, Infinity);
    }
  });
});
