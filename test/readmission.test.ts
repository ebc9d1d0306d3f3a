/** A peer that was forgotten and is taken in again, in simulated worlds: whole peers, with their folders and their doors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { entryOf, membershipBytes, type MembershipStatement } from "../src/schema/membership.ts";
import { SimKeys } from "../src/sim/keys.ts";
import type { PeerTraits } from "../src/sim/world/settings.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { edit, makeTable } from "./kit/tables.ts";

const second = 1_000;
const minute = 60 * second;
const everyMs = 5 * second;

/** Three peers that have been started. */
function calmMesh(
  seed: string,
  traitsOf: (peer: PeerId) => Partial<PeerTraits> = () => ({}),
  started = 3,
): World {
  const world = new World({
    ...calmWorld,
    seed: `readmission ${seed}`,
    peers: 3,
    skewMs: 0,
    driftPpm: 0,
    traits: (peer) => ({ role: "worker", capacity: 10, ...traitsOf(peer) }),
  });
  for (const peer of world.peers.slice(0, started)) world.hosts.start(peer);
  return world;
}

/** Three peers with a job that any of them may run. */
class Stage {
  readonly world: World;
  readonly gone: PeerId;
  readonly staying: readonly [PeerId, PeerId];

  constructor(seed: string) {
    this.world = calmMesh(seed);
    const [one, two, three] = this.world.peers;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    this.staying = [one, two];
    this.gone = three;
    this.until(minute);
    this.world.ask(one, {
      kind: "put",
      rules: {
        id: "beat" as JobId,
        schedule: everySeconds(everyMs / second),
        overlap: "allow",
        catchUp: { policy: "all", windowMs: 60 * minute },
        peers: undefined,
      },
    });
    this.until(3 * minute);
    this.world.ask(one, { kind: "forget", target: this.gone });
    this.until(10 * minute);
    assert.equal(this.startsOfGone(4 * minute, 10 * minute), 0);
    assert.match(this.complaintOfGone(), /forgotten/);
  }

  /** Goes on until so long after the beginning. */
  until(afterMs: number): void {
    this.world.runUntil(epoch + afterMs);
  }

  startsOfGone(fromMs: number, toMs: number): number {
    return this.starts(fromMs, toMs).filter(({ peer }) => peer === this.gone).length;
  }

  complaintOfGone(): string {
    return this.world.hosts.get(this.gone).life?.peer.complaint() ?? "";
  }

  /** Every tick of the time ran, and none twice. */
  assertEachOnce(fromMs: number, toMs: number): void {
    const ticks = this.starts(fromMs, toMs).map(({ tick }) => tick);
    assert.equal(new Set(ticks).size, ticks.length, "none twice");
    assert.equal(ticks.length, (toMs - fromMs) / everyMs);
  }

  private starts(fromMs: number, toMs: number) {
    const { runs } = this.world.evidence(0, []);
    return runs.filter(({ tick }) => {
      const afterMs = Date.parse(tick) - epoch;
      return afterMs >= fromMs && afterMs < toMs;
    });
  }
}

test("it runs ticks again, and what ran elsewhere while it was away does not run again", () => {
  const stage = new Stage("plain");
  stage.world.ask(stage.staying[1], { kind: "unforget", target: stage.gone });
  stage.until(20 * minute);
  assert.equal(stage.complaintOfGone(), "");
  assert.ok(stage.startsOfGone(11 * minute, 20 * minute) > 10);
  stage.assertEachOnce(4 * minute, 20 * minute);
});

test("it is taken in again by a member that was away when a person said so, and by all after their restarts", () => {
  const stage = new Stage("stale member");
  const [one, two] = stage.staying;
  stage.world.hosts.kill(two);
  stage.until(11 * minute);
  stage.world.ask(one, { kind: "unforget", target: stage.gone });
  stage.until(13 * minute);
  stage.world.hosts.start(two);
  stage.until(20 * minute);
  assert.equal(stage.complaintOfGone(), "");
  for (const peer of stage.world.peers) stage.world.hosts.kill(peer);
  stage.until(20 * minute + 10 * second);
  for (const peer of stage.world.peers) stage.world.hosts.start(peer);
  stage.until(30 * minute);
  assert.equal(stage.complaintOfGone(), "");
  assert.ok(stage.startsOfGone(21 * minute, 30 * minute) > 10);
  stage.assertEachOnce(21 * minute, 30 * minute);
});

test("a person at its own machine lets it carry on alone when all others are gone for good", () => {
  const stage = new Stage("alone");
  for (const peer of stage.staying) stage.world.hosts.kill(peer, true);
  stage.until(12 * minute);
  assert.equal(stage.startsOfGone(11 * minute, 12 * minute), 0);
  stage.world.ask(stage.gone, { kind: "unforget", target: stage.gone });
  stage.until(20 * minute);
  assert.equal(stage.startsOfGone(13 * minute, 20 * minute), (7 * minute) / everyMs);
});

test("taken in again at its own machine, it runs nothing before the members that it can reach have said that they still refuse it", () => {
  const stage = new Stage("still refused");
  stage.world.ask(stage.gone, { kind: "unforget", target: stage.gone });
  stage.until(15 * minute);
  assert.match(stage.complaintOfGone(), /forgotten/);
  assert.equal(stage.startsOfGone(4 * minute, 15 * minute), 0);
  stage.assertEachOnce(4 * minute, 15 * minute);
});

/**
 * A statement of that peer's, in the table of a member that holds the key and lies. `isSigned`: with that peer's own
 * signature.
 */
function writtenBy(signer: PeerId, statements: readonly Said[], isSigned: boolean): Uint8Array[] {
  const keys = new SimKeys(signer, "");
  const table = makeTable(signer);
  return statements.flatMap((said) => {
    const statement = { ...said, by: "mallory", name: "x", ...(isSigned ? { signer } : {}) };
    const signature = Buffer.from(keys.sign(membershipBytes(statement) ?? new Uint8Array())).toString(
      "base64url",
    );
    const value = entryOf(isSigned ? { ...statement, signature } : statement);
    return ["peers", "membership"].map((root) =>
      edit(table, { kind: "set", root, id: said.peer, value, by: "mallory" }, epoch),
    );
  });
}

type Said = Pick<MembershipStatement, "peer" | "forgotten" | "at">;

function complaints(world: World): (string | undefined)[] {
  return world.peers.map((peer) => world.hosts.get(peer).life?.peer.complaint());
}

function take(world: World, at: PeerId, updates: readonly Uint8Array[]): void {
  for (const update of updates) world.hosts.get(at).life?.peer.takeEdit?.(update);
}

const all = [undefined, undefined, undefined];

test("forged forgets of all peers change nothing: unsigned ones, and ones by an identity that no peer knows", () => {
  const world = calmMesh("forged");
  world.runUntil(epoch + 2 * minute);
  const [one] = world.peers;
  assert.ok(one !== undefined);
  const said = world.peers.map((peer) => ({ peer, forgotten: true, at: epoch + minute }));
  take(world, one, writtenBy("mallory" as PeerId, said, false));
  take(world, one, writtenBy("trent" as PeerId, said, true));
  world.runUntil(epoch + 4 * minute);
  assert.deepEqual(complaints(world), all);
  for (const peer of world.peers) {
    world.hosts.kill(peer);
    world.hosts.start(peer);
  }
  world.runUntil(epoch + 6 * minute);
  assert.deepEqual(complaints(world), all, "after a restart, too");
});

test("after a member had all others forgotten at once, a person brings each of them back at its own machine, and has that member forgotten", () => {
  const world = calmMesh("outlawed");
  world.runUntil(epoch + 2 * minute);
  const [one, two, mallory] = world.peers;
  assert.ok(one !== undefined && two !== undefined && mallory !== undefined);
  const said = [one, two].map((peer) => ({ peer, forgotten: true, at: epoch + minute }));
  take(world, one, writtenBy(mallory, said, true));
  world.runUntil(epoch + 4 * minute);
  assert.deepEqual(complaints(world).slice(0, 2), ["forgotten", "forgotten"]);
  const asks = (peer: PeerId, kind: "unforget" | "forget", target: PeerId) => {
    // Without their votes, which the forget has taken, the voters can't be asked.
    const asked = world.ask(peer, kind === "forget" ? { kind, target, force: true } : { kind, target });
    world.runUntil(world.now() + 10 * second);
    assert.ok(asked.accepted, `${peer}: ${kind} ${target}`);
  };
  for (const peer of [one, two]) {
    // Itself first: only then may it change the table again.
    asks(peer, "unforget", peer);
    asks(peer, "unforget", peer === one ? two : one);
  }
  for (const peer of [one, two]) asks(peer, "forget", mallory);
  world.runUntil(epoch + 10 * minute);
  assert.deepEqual(complaints(world).slice(0, 2), [undefined, undefined]);
  const again = [one, two].map((peer) => ({ peer, forgotten: true, at: world.now() }));
  take(world, one, writtenBy(mallory, again, true));
  world.runUntil(epoch + 12 * minute);
  assert.deepEqual(complaints(world).slice(0, 2), [undefined, undefined], "a forgotten peer has no say");
});

test("in a mesh of two versions, an earlier version's unsigned forget changes nothing until it is asked for at a peer of this one", () => {
  const earlier = { capabilities: ["executor:process"] };
  const world = calmMesh("mixed", (peer) => (peer === "peer-2" ? earlier : {}));
  world.runUntil(epoch + 2 * minute);
  const [one, two, three] = world.peers;
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  take(world, two, writtenBy(two, [{ peer: three, forgotten: true, at: world.now() }], false));
  world.runUntil(epoch + 4 * minute);
  assert.deepEqual(complaints(world), all);
  const asked = world.ask(one, { kind: "forget", target: three });
  world.runUntil(epoch + 6 * minute);
  assert.ok(asked.accepted);
  assert.deepEqual(complaints(world), [undefined, undefined, "forgotten"]);
});

test("junk in the place of a living peer's join makes no peer write the table again and again", () => {
  const world = calmMesh("junk join", () => ({}), 2);
  const [, , late] = world.peers;
  const [one] = world.peers;
  assert.ok(one !== undefined && late !== undefined);
  world.runUntil(epoch + minute);
  const junk = edit(
    makeTable("mallory"),
    { kind: "set", root: "joins", id: late, value: { at: "never" }, by: "x" },
    epoch,
  );
  take(world, one, [junk]);
  world.hosts.start(late);
  world.runUntil(epoch + 2 * minute);
  const written = () => world.peers.map((peer) => world.hosts.get(peer).storage.updates.length);
  const before = written();
  world.runUntil(epoch + 5 * minute);
  assert.deepEqual(written(), before);
  assert.deepEqual(complaints(world), all);
});
