/**
 * Whom the mesh has forgotten, as its door needs to know: nobody goes in or is fetched under such an identity, and
 * who knocks is told why (encrypter.ts).
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Gate } from "./encrypter.ts";

export class DenyList implements Gate {
  private peers: ReadonlySet<PeerId> = new Set();
  /** A forgotten peer has knocked. */
  onKnock: (peer: PeerId) => void = () => undefined;
  /** A dial to a mere address has led to one. */
  onFound: (peer: PeerId, address: string) => void = () => undefined;
  /** That peer has turned this one away as forgotten. */
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
