/**
 * The identities that the mesh has forgotten. Such a peer is neither admitted nor dialled, and if it tries to connect,
 * it is told why (encrypter.ts).
 */
import type { Refusal } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Gate } from "./encrypter.ts";

export class DenyList implements Gate {
  private peers: ReadonlyMap<PeerId, string> = new Map();
  /** A forgotten peer has tried to connect. */
  onAttempt: (peer: PeerId) => void = () => undefined;
  /** A dial to an address without a peer id has reached a forgotten peer. */
  onFound: (peer: PeerId, address: string) => void = () => undefined;
  /** The peer `by` has refused this one as forgotten, and may have shown a proof. */
  onTurnedAway: (by: PeerId, proof: string | undefined) => void = () => undefined;

  /** The whole list. */
  set(refusals: readonly Refusal[]): void {
    this.peers = new Map(refusals.map(({ peer, proof }) => [peer, proof]));
  }

  has(peer: PeerId): boolean {
    return this.peers.has(peer);
  }

  refusalOf(peer: PeerId): string | undefined {
    const proof = this.peers.get(peer);
    if (proof !== undefined) this.onAttempt(peer);
    return proof;
  }

  turnedAway(by: PeerId, proof: string | undefined): void {
    this.onTurnedAway(by, proof);
  }
}
