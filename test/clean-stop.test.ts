/** A peer that is stopped cleanly takes no tick along with it, at whatever moment: whole peers in a simulated world. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const second = 1_000;
const minute = 60 * second;
const stops = 60;
const betweenMs = 12 * second;

/** A claim that was given back is told by gossip, and may come after its peer's goodbye. */
for (const partition of ["majority", "available"] as const) {
  test(`no tick of a job that is ${partition} is lost or missed, whatever a peer was doing when it was stopped`, () => {
    const world = new World({
      ...calmWorld,
      seed: `clean stops ${partition}`,
      peers: 3,
      skewMs: 5,
      driftPpm: 10,
    });
    const peers = ["peer-1", "peer-2", "peer-3"] as PeerId[];
    for (const peer of peers) world.at(epoch, () => world.hosts.start(peer));
    // By then all three vote.
    world.runUntil(epoch + 3 * minute);
    const rules = {
      id: "beat" as JobId,
      schedule: everySeconds(1),
      overlap: "allow",
      catchUp: { policy: "none", windowMs: minute },
      peers: undefined,
      ...(partition === "majority" ? { partition } : {}),
    } as const;
    world.ask(peers[0] ?? assert.fail(), { kind: "put", rules });
    world.runUntil(epoch + 4 * minute);
    for (let stop = 0; stop < stops; stop++) {
      const peer = peers[stop % peers.length] ?? assert.fail();
      // Votes run ahead of their ticks: the stops fall on every moment of a second.
      world.runUntil(epoch + 4 * minute + stop * betweenMs + Math.round((stop * second) / stops));
      world.hosts.stop(peer);
      world.runUntil(world.now() + 8 * second);
      world.hosts.start(peer);
    }
    world.runUntil(world.now() + minute);
    const records = [...(world.knowledge()[0]?.records.values() ?? [])];
    const succeeded = new Set(records.filter(({ state }) => state === "succeeded").map(({ tick }) => tick));
    const others = records.filter(
      ({ state }) => !["succeeded", "withdrawn", "claimed", "running"].includes(state),
    );
    assert.deepEqual(
      others.map(({ tick, state, peer }) => `${tick} ${state} ${peer}`),
      [],
    );
    assert.ok(succeeded.size >= stops * (betweenMs / second) - 10, String(succeeded.size));
  });
}
