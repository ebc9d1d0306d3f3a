/** What a simulated world is made from: its size, its weather, and how a peer is made. */
import type { Mark } from "../../core/probes/marks.ts";
import type { PlantedBug } from "../../core/probes/planted.ts";
import type { Doors } from "../../ports.ts";
import type { Answer, Command } from "../../ports/control.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { ProtocolRange } from "../../schema/protocol.ts";
import type { DiskSettings } from "../disk.ts";
import type { ChildSettings } from "../executor.ts";
import type { NetworkSettings } from "../mesh/wires.ts";
import type { OnLine } from "./chronicle.ts";

/** What the world needs of a peer. `real-peer.ts` gives it the real one; a test may give a toy. */
export interface SimulatedPeer {
  /** `failed` says why it can't go on; then its process ends */
  start(ready: (failed?: string) => void): void;
  stop(done: () => void): void;
  command(command: Command, answer: (answer: Answer) => void): void;
  /** effective jobs and their revisions, as the peer shows them */
  revisions(): ReadonlyMap<JobId, string>;
  /** what parts of a later version its jobs have (client/later-jobs.ts) */
  needs?(): ReadonlyMap<JobId, string>;
  /** takes an edit of the table as if it had come from elsewhere */
  takeEdit?(update: Uint8Array): void;
  /** undefined, or what must never be seen after the mesh has healed (an update that waits for another, …) */
  complaint(): string | undefined;
  /** how much it holds, by what */
  sizes?(): Readonly<Record<string, number>>;
  /** until when, by its own wall clock, it has nothing to do but keep in touch; undefined while something is under way */
  idleUntil?(): number | undefined;
  /** its wall clock has gone on by so much, ms, and it is not to notice */
  leapt?(ms: number): void;
  /** what it holds that only authorised changes may alter, as a text that can be compared */
  authority?(): string;
}

/** What is fixed for one peer of the world. */
export interface PeerTraits {
  role: "worker" | "witness";
  capacity: number;
  /** of records and outputs; absent = no limit */
  historyMaxBytes?: number;
  /** of a peer of another version; absent = this program's */
  capabilities?: readonly string[];
  protocol?: ProtocolRange;
  /** it speaks as a later version does */
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
  /** of each life of the peer; lives are counted from 1 */
  traits?: (peer: PeerId, life: number) => PeerTraits;
  /** reads along, for `--trace` */
  onLine?: OnLine;
}
