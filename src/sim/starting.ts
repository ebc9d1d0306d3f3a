/** Starts the real peer, as `cicada start` does, behind simulated doors. */
import { Peer } from "../peer/peer.ts";
import type { Doors } from "../ports.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import type { SimulatedPeer } from "./world.ts";

const settings = {
  version: "simulated",
  tags: {},
  capacity: 100,
  role: "worker",
  drainMs: 30_000,
  tzdata: "simulated",
  host: {},
} as const;

/** The world's first peer is the one that made the cluster key. */
const founder = "peer-1" as PeerId;

export function startRealPeer(doors: Doors, name: string): SimulatedPeer {
  const peer = new Peer(doors, { ...settings, name, founder });
  return {
    start: (ready) => peer.start((error) => ready(error?.message)),
    stop: (done) => peer.stop(done),
    command: (command, answer) => peer.command(command, answer),
    revisions: () =>
      new Map<JobId, string>([...peer.living.table.jobs()].map(([id, job]) => [id, job.revision])),
    complaint: () => {
      const { quarantined } = peer.view();
      return peer.notReady()[0] ?? quarantined[0]?.problems[0]?.message;
    },
  };
}
