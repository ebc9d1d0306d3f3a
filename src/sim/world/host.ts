/** What a simulated host is made of, and one life of the peer on it. What happens to them is in hosts.ts. */
import type { MeshEvents } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { HostClock } from "../clock.ts";
import type { SimDisk } from "../disk.ts";
import type { StableStorage } from "../disk/storage.ts";
import type { KeptKeys } from "../keys.ts";
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
  /** its supervisor is about to start it again */
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
  /** true time at which it last received a heartbeat, ms */
  heartbeatAt: number;
  /** hands bytes to the peer as if they had come over a link */
  hear: MeshEvents["received"] | undefined;
}
