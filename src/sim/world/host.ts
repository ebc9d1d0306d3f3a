/**
 * What a simulated host is made of, and what the world needs of the peer that lives on it. What is done to hosts is in
 * world.ts.
 */
import type { Mark } from "../../core/probes/marks.ts";
import type { PlantedBug } from "../../core/probes/planted.ts";
import type { Answer, Command, Doors, MeshEvents } from "../../ports.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { HostClock } from "../clock.ts";
import type { HostName } from "./network.ts";
import type { StableStorage, SimDisk } from "../disk.ts";
import type { Children, SimExecutor } from "../executor.ts";
import type { Process } from "./process.ts";

/** What the world needs of a peer. `starting.ts` gives it the real one; a test may give a toy. */
export interface SimulatedPeer {
  /** `failed` says why it can't go on; then its process ends */
  start(ready: (failed?: string) => void): void;
  stop(done: () => void): void;
  command(command: Command, answer: (answer: Answer) => void): void;
  /** effective jobs and their revisions, as the peer shows them */
  revisions(): ReadonlyMap<JobId, string>;
  /** undefined, or what must never be seen after the mesh has healed (an update that waits for another, …) */
  complaint(): string | undefined;
  /** how much it holds, by what */
  sizes?(): Readonly<Record<string, number>>;
  /** what it holds that only those may change who have a right to; two equal ones are equal */
  authority?(): string;
}

/** What is fixed for one peer of the world. */
export interface PeerTraits {
  role: "worker" | "witness";
  capacity: number;
  planted?: PlantedBug;
  marks?: Set<Mark>;
}

/** What a fault can lie in wait for (trigger.ts). */
export type Occasion =
  /** a voter has told a candidate that it accepts its value */
  | "vote told"
  /** an accepted epoch is on its way to the disk of a voter, and may or may not have reached it */
  | "epoch accepted"
  /** a child has been started */
  | "start"
  /** a change has been confirmed to a client */
  | "confirmed";

export type MakePeer = (doors: Doors, name: string, traits: PeerTraits) => SimulatedPeer;

export interface Host {
  name: HostName;
  peer: PeerId;
  clock: HostClock;
  storage: StableStorage;
  children: Children;
  lives: number;
  /** whoever watches over it is about to */
  startsAgain: boolean;
  life: Life | undefined;
}

/** One life of a peer on its host. */
export interface Life {
  process: Process;
  disk: SimDisk;
  executor: SimExecutor;
  peer: SimulatedPeer;
  ready: boolean;
  /** hands bytes to the peer as if they had come over a link */
  hear: MeshEvents["received"] | undefined;
}
