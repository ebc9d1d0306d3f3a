/** The number of a peer's life tells it from every other life under the same identity, in a simulated world. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { storedKeys } from "../src/core/events.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const second = 1_000;
const day = 24 * 3_600_000;
const peer = "peer-1" as PeerId;

test("a peer and a copy of its folder never have the same incarnation, also if their last life began by a clock that was ahead", () => {
  const world = new World({ ...calmWorld, seed: "incarnation", peers: 1, skewMs: 0, driftPpm: 0 });
  const host = world.hosts.get(peer);
  const lives: number[] = [];
  const note = (): unknown => lives.push(Number(host.storage.meta.get(storedKeys.incarnation)));
  let back: (() => void) | undefined;
  world.at(epoch, () => {
    back = world.disturbances.stepClock(peer, 365 * day);
    world.hosts.start(peer);
  });
  world.at(epoch + 10 * second, () => {
    note();
    world.hosts.kill(peer);
    back?.();
  });
  world.at(epoch + 20 * second, () => world.folders.startCopy(peer));
  world.at(epoch + 30 * second, () => world.hosts.start(peer));
  world.runUntil(epoch + 40 * second);
  note();
  const copy = [...world.hosts.all()].find(({ name }) => name !== peer);
  lives.push(Number(copy?.storage.meta.get(storedKeys.incarnation)));
  const [first = 0, ...later] = lives;
  assert.equal(new Set(lives).size, 3, lives.join(" "));
  assert.ok(later.every((life) => life > first));
});
