/** The settings of a simulated world: its size, its network and disks, and how a peer is made. */
import type { Mark } from "../../core/probes/marks.ts";
import type { PlantedBug } from "../../core/probes/planted.ts";
import type { Doors } from "../../ports.ts";
import type { Answer, Command } from "../../ports/command.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { ProtocolRange } from "../../schema/protocol.ts";
import type { DiskSettings } from "../disk.ts";
import type { ChildSettings } from "../executor.ts";
import type { NetworkSettings } from "../mesh/wires.ts";
import type { OnLine } from "./chronicle.ts";

/** What the world needs from a peer. `real-peer.ts` provides the real one; a test may provide a toy. */
export interface SimulatedPeer {
  /** `failed`: why it can't continue; then its process ends */
  start(ready: (failed?: string) => void): void;
  stop(done: () => void): void;
  command(command: Command, answer: (answer: Answer) => void): void;
  /** effective jobs and their revisions, as the peer shows them */
  revisions(): ReadonlyMap<JobId, string>;
  /** the needs of its jobs for parts of a later version (client/later-jobs.ts) */
  needs?(): ReadonlyMap<JobId, string>;
  /** takes an edit of the table as if it came from another peer */
  takeEdit?(update: Uint8Array): void;
  /** a state that must not last after the mesh has healed (an update that waits for another, …); undefined = none */
  complaint(): string | undefined;
  /** how many things it holds, by kind */
  sizes?(): Readonly<Record<string, number>>;
  /**
   * until when, by its own wall clock, it has nothing to do except heartbeats; undefined while something is under way
   */
  idleUntil?(): number | undefined;
  /** tells it that its wall clock leapt on by this much, ms, so that it doesn't take that for a jump */
  leapt?(ms: number): void;
  /** everything that only authorised changes may alter, as a text for comparison */
  authority?(): string;
}

/** The traits of one peer of the world. */
export interface PeerTraits {
  role: "worker" | "witness";
  capacity: number;
  /** absent = none */
  tags?: Readonly<Record<string, string>>;
  /** limit for records and outputs; absent = no limit */
  historyMaxBytes?: number;
  /** of a peer of another version; absent = this program's */
  capabilities?: readonly string[];
  /** on its host; absent = those that any job of a world names */
  interpreters?: readonly string[];
  protocol?: ProtocolRange;
  /** it speaks as a later version does (later-speech.ts) */
  isLater?: boolean;
  planted?: PlantedBug;
  marks?: Set<Mark>;
}

export type MakePeer = (doors: Doors, name: string, traits: PeerTraits) => SimulatedPeer;

export interface WorldSettings {
  seed: string;
  peers: number;
  /** true time at the beginning, ms since the epoch */
  epoch: number;
  network: NetworkSettings;
  disk: DiskSettings;
  children: ChildSettings;
  /** each host's clock is off by at most this, ms */
  skewMs: number;
  /** … and runs at most this much fast or slow */
  driftPpm: number;
  makePeer: MakePeer;
  /** the traits of each life of the peer; lives are counted from 1 */
  traits?: (peer: PeerId, life: number) => PeerTraits;
  /** is called with each line, for `--trace` */
  onLine?: OnLine;
}
