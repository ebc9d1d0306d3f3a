/** What simulated worlds without faults have in common: whole peers, quick disks and short runs, on a calm network. */
import { calmNetwork } from "../../src/sim/mesh/wires.ts";
import { startRealPeer } from "../../src/sim/world/real-peer.ts";
import type { WorldSettings } from "../../src/sim/world/settings.ts";

export const epoch = Date.parse("2026-11-20T00:00:00Z");

export const calmWorld = {
  epoch,
  network: calmNetwork,
  disk: { fsyncMs: { least: 1, most: 5 } },
  children: { spawnMs: { least: 1, most: 5 }, behaviour: () => ({ lastsMs: 100, exitCode: 0 }) },
  makePeer: startRealPeer,
} satisfies Partial<WorldSettings>;
