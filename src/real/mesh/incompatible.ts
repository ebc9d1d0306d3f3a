/**
 * Peers of this mesh that speak no version of the protocol which this one speaks. Neither links the other. Each side logs
 * it once, and says so in its warnings for as long as the other is heard from. With the others the highest common version is
 * spoken; where that is not this peer's highest, the log says so once.
 */
import type { Clock, Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { commonVersion, formatProtocol, type ProtocolRange } from "../../schema/protocol.ts";

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
  /** versions below the own highest that are spoken */
  private readonly lower = new Map<PeerId, number>();

  constructor(own: ProtocolRange, clock: Clock, log: Log) {
    this.own = own;
    this.clock = clock;
    this.log = log;
  }

  /** The version that the two speak, or that they have none; what a peer says of itself counts until it says something else. */
  judge(peer: PeerId, protocol: ProtocolRange, address: string): number | "incompatible" {
    const before = this.peers.get(peer);
    this.peers.delete(peer);
    const spoken = commonVersion(this.own, protocol);
    if (spoken !== undefined) {
      this.noteSpoken(peer, protocol, spoken);
      return spoken;
    }
    this.forgetOldest();
    const incompatible = { protocol, address, heardAt: this.clock.now().mono };
    this.peers.set(peer, incompatible);
    const isNews =
      before === undefined || formatProtocol(before.protocol) !== formatProtocol(incompatible.protocol);
    if (isNews) this.log.warn(this.describe(peer, incompatible), { peer, address });
    return "incompatible";
  }

  private noteSpoken(peer: PeerId, protocol: ProtocolRange, spoken: number): void {
    const before = this.lower.get(peer);
    this.lower.delete(peer);
    if (spoken === this.own.newest) return;
    const oldest = this.lower.size >= peersCap ? this.lower.keys().next().value : undefined;
    if (oldest !== undefined) this.lower.delete(oldest);
    this.lower.set(peer, spoken);
    if (before === spoken) return;
    const [theirs, own] = [formatProtocol(protocol), formatProtocol(this.own)];
    this.log.info(
      `peer ${peer.slice(-8)} speaks protocol ${theirs}, and this peer ${own}: they speak ${spoken}`,
      {
        peer,
      },
    );
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
