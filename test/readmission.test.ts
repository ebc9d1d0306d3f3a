/** A peer that was forgotten and is taken in again, in simulated worlds: whole peers, with their folders and their doors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { edit, makeTable } from "./kit/tables.ts";

const second = 1_000;
const minute = 60 * second;
const everyMs = 5 * second;

/** Three peers that have been started. */
function calmMesh(seed: string): World {
  const world = new World({
    ...calmWorld,
    seed: `readmission ${seed}`,
    peers: 3,
    skewMs: 0,
    driftPpm: 0,
    traits: () => ({ role: "worker", capacity: 10 }),
  });
  for (const peer of world.peers) world.hosts.start(peer);
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

test("after a member had all peers forgotten at once, a person brings each of them back at its own machine", () => {
  const world = calmMesh("outlawed");
  world.runUntil(epoch + 2 * minute);
  const mallory = makeTable("mallory");
  const forgotten = { at: epoch, by: "mallory", name: "x" };
  const updates = world.peers.map((id) =>
    edit(mallory, { kind: "set", root: "peers", id, value: forgotten, by: "mallory" }, epoch),
  );
  const [one] = world.peers;
  assert.ok(one !== undefined);
  const complaints = () => world.peers.map((peer) => world.hosts.get(peer).life?.peer.complaint());
  for (const update of updates) world.hosts.get(one).life?.peer.takeEdit?.(update);
  world.runUntil(epoch + 4 * minute);
  assert.deepEqual(complaints(), ["forgotten", "forgotten", "forgotten"]);
  for (const peer of world.peers) {
    // Itself first: only then may it change the table again.
    for (const target of [peer, ...world.peers.filter((other) => other !== peer)]) {
      const asked = world.ask(peer, { kind: "unforget", target });
      world.runUntil(world.now() + second);
      assert.ok(asked.accepted, `${peer} takes ${target} in again`);
    }
  }
  world.runUntil(epoch + 10 * minute);
  assert.deepEqual(complaints(), [undefined, undefined, undefined]);
});
