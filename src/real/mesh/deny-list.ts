/**
 * The identities that the mesh has forgotten. Such a peer is neither admitted nor dialled, and if it tries to connect,
 * it is told why (encrypter.ts).
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Gate } from "./encrypter.ts";

export class DenyList implements Gate {
  private peers: ReadonlySet<PeerId> = new Set();
  /** A forgotten peer has tried to connect. */
  onAttempt: (peer: PeerId) => void = () => undefined;
  /** A dial to an address without a peer id has reached a forgotten peer. */
  onFound: (peer: PeerId, address: string) => void = () => undefined;
  /** The peer `by` has refused this one as forgotten. */
  onTurnedAway: (by: PeerId) => void = () => undefined;

  /** The whole list. */
  set(peers: ReadonlySet<PeerId>): void {
    this.peers = peers;
  }

  has(peer: PeerId): boolean {
    return this.peers.has(peer);
  }

  isForgotten(peer: PeerId): boolean {
    if (this.has(peer)) this.onAttempt(peer);
    return this.has(peer);
  }

  turnedAway(by: PeerId): void {
    this.onTurnedAway(by);
  }
}
