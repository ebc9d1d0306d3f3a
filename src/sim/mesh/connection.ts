/**
 * What the simulated mesh is made of: each host's networking, and the connections between hosts, each with two ends. What
 * happens to them is in links.ts.
 */
import type { MeshEvents } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Channel } from "../../schema/message.ts";
import type { SimKeyring } from "../keyring.ts";
import type { Greeter } from "./greeter.ts";
import type { HostName } from "./wires.ts";
import type { Process } from "../world/process.ts";

/** One process's end of a connection. */
export interface End {
  node: Node;
  process: Process;
  open: boolean;
  /** when its process learns that the connection is there; nothing arrives before */
  upAt: number;
  /** when the last message of each protocol arrives here; the next one must arrive later */
  lastArrival: Map<Channel, number>;
  /** messages sent to this end that wait for a cut to heal */
  waiting: (() => void)[];
}

export class Connection {
  readonly ends: readonly [End, End];
  readonly gossipFrom: number;
  /** the number of the current plan to give the connection up; a new number cancels the old plan */
  giveUpPlan = 0;
  isStalled = false;

  constructor(a: End, b: End, gossipFrom: number) {
    this.ends = [a, b];
    this.gossipFrom = gossipFrom;
  }

  endAt(host: HostName): End {
    return this.ends[0].node.host === host ? this.ends[0] : this.ends[1];
  }

  farEndOf(host: HostName): End {
    return this.ends[0].node.host === host ? this.ends[1] : this.ends[0];
  }
}

/** A host's networking: what it remembers on disk, and the open connections of its present process. */
export interface Node {
  host: HostName;
  /** the identity of its processes */
  peer: PeerId;
  /** hosts whose addresses its settings name */
  named: ReadonlySet<HostName>;
  /** hosts whose peer and address it has learned; kept on disk */
  learned: Set<HostName>;
  /** false: a dial is not even refused */
  powered: boolean;
  process: Process | undefined;
  events: MeshEvents | undefined;
  connections: Map<HostName, Connection>;
  /** the cluster keys of its present process; undefined = no key is needed */
  keyring: SimKeyring | undefined;
  /** how its present process greets; undefined = it treats every peer as one of its own version */
  greeter: Greeter | undefined;
  /** identities that its present process refuses, with its proofs */
  refused: ReadonlyMap<PeerId, string>;
  /** the hosts that it dials, and how often each refused since the connection broke; -1 = never connected */
  dials: Map<HostName, Dial>;
}

export interface Dial {
  refused: number;
  backoffMs: number;
}
