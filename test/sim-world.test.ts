/** The simulated world itself, with a toy as peer: its faults take effect, and nothing else fails. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDuplicates } from "../src/sim/checkers/duplicates.ts";
import { checkLoss } from "../src/sim/checkers/loss.ts";
import { split } from "../src/sim/faults/faults.ts";
import { calmNetwork } from "../src/sim/mesh/wires.ts";
import { Dice } from "../src/sim/random.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import type { Evidence } from "../src/sim/world/truth.ts";
import { World } from "../src/sim/world/world.ts";
import type { JobId } from "../src/schema/ids.ts";
import { ToyPeer } from "./kit/toy-peer.ts";

const epoch = Date.parse("2026-11-20T00:00:00Z");
const minute = 60_000;

function toyWorld(meanwhile: (world: World) => void): Evidence {
  const world = new World({
    seed: "toy",
    peers: 3,
    epoch,
    network: calmNetwork,
    disk: { fsyncMs: { least: 1, most: 5 } },
    children: {
      spawnMs: { least: 1, most: 5 },
      behaviour: () => ({ lastsMs: 100, exitCode: 0 }),
    },
    skewMs: 0,
    driftPpm: 0,
    makePeer: (doors) => new ToyPeer(doors),
  });
  for (const peer of world.peers) world.hosts.start(peer);
  world.at(epoch + 10_000, () => {
    const [first] = world.peers;
    if (first === undefined) return;
    world.ask(first, {
      kind: "put",
      rules: {
        id: "toy" as JobId,
        schedule: everySeconds(10),
        overlap: "allow",
        catchUp: { policy: "none", windowMs: 0 },
        peers: undefined,
      },
    });
  });
  world.at(epoch + 2 * minute, () => meanwhile(world));
  world.runUntil(epoch + 10 * minute);
  return world.evidence(epoch + 8 * minute, []);
}

function nothing(): void {
  // No faults.
}

test("in a world without faults even a toy starts every tick once", () => {
  const evidence = toyWorld(nothing);
  assert.deepEqual([...checkLoss(evidence), ...checkDuplicates(evidence)], []);
  assert.ok(evidence.runs.length >= 58);
});

test("in a split ticks run on both sides, and after the heal a toy makes no more duplicates", () => {
  const evidence = toyWorld((world) => {
    const mend = split(world, world.peers, 1);
    world.at(world.now() + minute, mend);
  });
  const twice = Map.groupBy(evidence.runs, ({ tick }) => tick);
  const doubled = [...twice.values()].filter((runs) => runs.length > 1);
  assert.ok(doubled.length >= 3, `${doubled.length} ticks ran on both sides`);
  assert.deepEqual(checkDuplicates(evidence), []);
});

test("a paused process does nothing, and gets everything that came meanwhile when it is resumed", () => {
  const evidence = toyWorld((world) => {
    const [first] = world.peers;
    if (first === undefined) return;
    world.hosts.pause(first);
    world.at(world.now() + minute, () => world.hosts.resume(first));
  });
  const paused = evidence.outages.find(({ kind }) => kind === "paused");
  assert.ok(paused !== undefined && paused.to - paused.from === minute);
  const meanwhile = evidence.runs.filter(
    ({ peer, start }) => peer === paused.peer && start > paused.from + 10 && start < paused.to,
  );
  assert.deepEqual(meanwhile, []);
  // The toy starts ticks that it slept through although another peer had run them, and the checkers see it.
  assert.ok(evidence.runs.some(({ peer, start }) => peer === paused.peer && start >= paused.to));
});

test("a host that goes dark ends its children and is silent", () => {
  const evidence = toyWorld((world) => {
    const [first] = world.peers;
    if (first === undefined) return;
    world.hosts.kill(first, true);
    world.at(world.now() + minute, () => world.hosts.start(first));
  });
  const [outage] = evidence.outages;
  assert.ok(outage !== undefined);
  assert.ok(evidence.runs.every(({ end }) => end !== undefined));
  const others = evidence.runs.filter(({ start }) => start > outage.from && start < outage.to);
  assert.ok(others.length > 0 && others.every(({ peer }) => peer !== outage.peer));
});

test("dice of one name draw the same, and a fork doesn't shift the draws", () => {
  const [one, two] = [new Dice("seed"), new Dice("seed")];
  one.fork("aside").next();
  assert.deepEqual([one.next(), one.below(6), one.bits()], [two.next(), two.below(6), two.bits()]);
  const mean = Array.from({ length: 10_000 }, () => one.next()).reduce((sum, x) => sum + x, 0) / 10_000;
  assert.ok(Math.abs(mean - 0.5) < 0.02, `mean ${mean}`);
});
