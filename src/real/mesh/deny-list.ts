/**
 * The identities that the mesh has forgotten. Nobody gets in or is dialled under such an identity, and a peer that tries
 * is told why (encrypter.ts).
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Gate } from "./encrypter.ts";

export class DenyList implements Gate {
  private peers: ReadonlySet<PeerId> = new Set();
  /** A forgotten peer has tried to connect. */
  onKnock: (peer: PeerId) => void = () => undefined;
  /** A dial to an address without a peer id has led to a forgotten one. */
  onFound: (peer: PeerId, address: string) => void = () => undefined;
  /** That peer has refused this one as forgotten. */
  onTurnedAway: (by: PeerId) => void = () => undefined;

  /** The whole list. */
  set(peers: ReadonlySet<PeerId>): void {
    this.peers = peers;
  }

  has(peer: PeerId): boolean {
    return this.peers.has(peer);
  }

  isForgotten(peer: PeerId): boolean {
    if (this.has(peer)) this.onKnock(peer);
    return this.has(peer);
  }

  turnedAway(by: PeerId): void {
    this.onTurnedAway(by);
  }
}
