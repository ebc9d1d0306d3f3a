/**
 * The simulated keyring follows the rules of the real one: after the same events, the same keys accept the same peers.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterFingerprint } from "../src/identity/cluster-key.ts";
import { ClusterKeys, type KeptKeys } from "../src/real/keyring.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { firstKey, invited, SimKeyring, type KeptKeys as SimKeptKeys } from "../src/sim/keyring.ts";
import { Dice } from "../src/sim/random.ts";

const second = 1_000;
const hour = 3_600_000;
const day = 24 * hour;
const names = ["a", "b", "c"] as PeerId[];

/** One peer with a keyring of each kind, on one clock. */
interface Pair {
  peer: PeerId;
  real: ClusterKeys;
  sim: SimKeyring;
  kept: SimKeptKeys;
  wall: number;
}

function pair(peer: PeerId, dice: Dice, soon: (() => void)[]): Pair {
  const one = { peer, wall: 1_763_683_200_000, kept: firstKey };
  const kept: KeptKeys = { key: new Uint8Array(32), rotation: undefined, olds: [], heirs: [] };
  const real = new ClusterKeys({ kept, keep: () => undefined, wall: () => one.wall });
  const sim = new SimKeyring({
    self: peer,
    kept: () => one.kept,
    keep: (keys) => (one.kept = keys),
    generate: () => dice.bytes(32),
    wall: () => one.wall,
    later: (_, act) => void soon.push(act),
  });
  return Object.assign(one, { real, sim });
}

function admitEachOther(one: Pair, other: Pair): boolean {
  const keys = one.real.accepted().map((key) => clusterFingerprint(key));
  return keys.some((key) => one.real.admits(key, other.peer) && other.real.admits(key, one.peer));
}

/** Whether the other's present key is a replaced one of this peer, which doesn't admit the other with it. */
function supersedes({ real }: Pair, other: Pair): boolean {
  const key = other.real.fingerprint();
  return real.isRetired(key) || (real.accepts(key) && !real.admits(key, other.peer));
}

test("both keyrings admit the same peers through 200 random stories of rotations, handovers, ending graces and fast clocks", async () => {
  for (let seed = 0; seed < 200; seed++) {
    const dice = new Dice(`keyrings ${seed}`);
    const soon: (() => void)[] = [];
    const peers = names.map((name) => pair(name, dice, soon));
    for (let step = 0; step < 25; step++) {
      const [one, other] = dice.shuffle(peers);
      assert.ok(one && other);
      if (dice.chance(0.3)) {
        const change = {
          madeAt: one.wall,
          oldUntil: one.wall + dice.pick([10 * second, hour, day, 1_000 * day]),
          heirs: names.filter((name) => name === one.peer || dice.chance(0.7)),
        };
        one.real.rotate(change, () => undefined);
        one.sim.rotate(change, () => undefined);
      } else if (dice.chance(0.6) && admitEachOther(one, other)) {
        const [real, sim] = [one.real.ongoingRotation(), one.sim.ongoingRotation()];
        assert.equal(sim?.oldUntil, real?.oldUntil);
        const said: (string | undefined)[] = [];
        if (real !== undefined) other.real.adopt(real, (error) => said.push(error?.detail));
        if (sim !== undefined) other.sim.adopt(sim, (error) => said.push(error?.detail));
        await Promise.resolve();
        for (const act of soon.splice(0)) act();
        assert.deepEqual(said, real === undefined ? [] : [said[0], said[0]]);
      } else {
        const ms = 1 + dice.pick([second, 20 * second, 2 * hour, 31 * day]);
        for (const peer of dice.chance(0.2) ? [one] : peers) peer.wall += ms;
      }
      // Some time passes on all clocks, so that no two keys are made at the same moment.
      for (const peer of peers) {
        peer.wall += 1;
        peer.real.expire();
      }
      for (const act of soon.splice(0)) act();
      for (const { real, sim, kept } of peers) {
        assert.equal(sim.madeAt(), real.madeAt());
        assert.deepEqual(
          [kept.olds.length, kept.retired.length],
          [real.accepted().length - 1, real.retired().length],
        );
      }
      for (const a of peers)
        for (const b of peers) {
          if (a === b) continue;
          assert.equal(a.sim.admitsEachOther(b.sim), admitEachOther(a, b), `seed ${seed}`);
          assert.equal(a.sim.supersedes(b.sim), supersedes(a, b), `seed ${seed}`);
        }
    }
  }
});

test("an invitation with a later key replaces the peer's key, and one with an earlier key does nothing", () => {
  const later: SimKeptKeys = { ...firstKey, key: "1".repeat(64), madeAt: 7 };
  const joined = invited(firstKey, later, day);
  assert.deepEqual([joined.key, joined.madeAt], [later.key, 7]);
  assert.deepEqual(
    joined.retired.map(({ key }) => key),
    [firstKey.key],
  );
  assert.equal(invited(later, firstKey, day), later);
});
