/**
 * Peers of this mesh that speak no version of the protocol which this one speaks. Neither links the other. Each side logs
 * it once, and says so in its warnings for as long as the other is heard from.
 */
import type { Clock, Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { formatProtocol, hasCommonVersion, type ProtocolRange } from "../../schema/protocol.ts";

/** A peer that hasn't tried again for so long is gone: redials wait 5 s at most. */
const goneAfterMs = 60_000;
/** Peers remembered. More name more of them in the warnings; a mesh is tested to 50. */
const peersCap = 64;

interface Incompatible {
  protocol: ProtocolRange;
  /** where it was met */
  address: string;
  /** monotonic ms */
  heardAt: number;
}

export class IncompatiblePeers {
  private readonly own: ProtocolRange;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly peers = new Map<PeerId, Incompatible>();

  constructor(own: ProtocolRange, clock: Clock, log: Log) {
    this.own = own;
    this.clock = clock;
    this.log = log;
  }

  /** Whether the two can be members of one mesh; what a peer says of itself counts until it says something else. */
  judge(peer: PeerId, protocol: ProtocolRange, address: string): "compatible" | "incompatible" {
    const before = this.peers.get(peer);
    this.peers.delete(peer);
    if (hasCommonVersion(this.own, protocol)) return "compatible";
    this.forgetOldest();
    const incompatible = { protocol, address, heardAt: this.clock.now().mono };
    this.peers.set(peer, incompatible);
    const isNews =
      before === undefined || formatProtocol(before.protocol) !== formatProtocol(incompatible.protocol);
    if (isNews) this.log.warn(this.describe(peer, incompatible), { peer, address });
    return "incompatible";
  }

  warnings(): string[] {
    const now = this.clock.now().mono;
    return [...this.peers]
      .filter(([, { heardAt }]) => now - heardAt < goneAfterMs)
      .map(([peer, incompatible]) => this.describe(peer, incompatible));
  }

  private forgetOldest(): void {
    const oldest = this.peers.size >= peersCap ? this.peers.keys().next().value : undefined;
    if (oldest !== undefined) this.peers.delete(oldest);
  }

  private describe(peer: PeerId, { protocol, address }: Incompatible): string {
    const older = protocol.newest < this.own.oldest ? "that peer" : "this peer";
    return (
      `peer ${peer.slice(-8)} at ${address} speaks protocol ${formatProtocol(protocol)}, and this peer ` +
      `${formatProtocol(this.own)}: they refuse each other until ${older} runs a newer version of cicada`
    );
  }
}
