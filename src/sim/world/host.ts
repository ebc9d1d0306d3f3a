/**
 * The parts of a simulated host, and one life of the peer on it. A life is one process, from start to end. hosts.ts
 * says what happens to them.
 */
import type { MeshEvents } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { HostClock } from "../clock.ts";
import type { SimDisk } from "../disk.ts";
import type { StableStorage } from "../disk/storage.ts";
import type { KeptKeys } from "../keyring.ts";
import type { Children, SimExecutor } from "../executor.ts";
import type { Greeter } from "../mesh/greeter.ts";
import type { HostName } from "../mesh/wires.ts";
import type { Process } from "./process.ts";
import type { SimulatedPeer } from "./settings.ts";

export interface Host {
  name: HostName;
  peer: PeerId;
  clock: HostClock;
  storage: StableStorage;
  /** which cluster keys its folder holds */
  keys: KeptKeys;
  children: Children;
  lives: number;
  /** its supervisor is about to start the peer again */
  startsAgain: boolean;
  life: Life | undefined;
}

/** One life of a peer on its host. */
export interface Life {
  process: Process;
  disk: SimDisk;
  executor: SimExecutor;
  peer: SimulatedPeer;
  greeter: Greeter;
  ready: boolean;
  /** the true time at which it last received a heartbeat, ms */
  heartbeatAt: number;
  /** hands bytes to the peer as if they came over a link */
  hear: MeshEvents["received"] | undefined;
}
