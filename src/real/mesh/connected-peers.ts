/**
 * Decides which peers may stay connected: none that the mesh has forgotten, and not more than there is room for. When there is no
 * room, the peer that this one has learned of last is disconnected. So a member that returns gets in, however many identities
 * somebody makes with the cluster key.
 */
import type { Connection } from "@libp2p/interface";
import type { Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { AddressBook } from "./book.ts";
import type { Counters } from "./counters.ts";
import type { DenyList } from "./deny-list.ts";
import { peersCap } from "./greeting.ts";
import type { Links } from "./links.ts";

/** Made once, because a flood closes many in a second. */
const tooManyPeers = new Error("too many peers are connected");

export interface ConnectedPeersDeps {
  links: Links;
  book: AddressBook;
  denyList: DenyList;
  counters: Counters;
  log: Log;
  /** the most peers that are connected */
  peersMax?: number | undefined;
}

export class ConnectedPeers {
  private readonly deps: ConnectedPeersDeps;

  constructor(deps: ConnectedPeersDeps) {
    this.deps = deps;
  }

  /** False if the connection, which has just been opened, was ended. */
  mayStay(connection: Connection): boolean {
    const peer = connection.remotePeer.toString() as PeerId;
    // The mesh has forgotten it while it was being admitted.
    if (this.deps.denyList.has(peer)) {
      connection.abort(new Error("it has been forgotten"));
      return false;
    }
    if (this.makeRoom(peer)) return true;
    connection.abort(tooManyPeers);
    return false;
  }

  /** Makes room for one more peer if there is none. False if the new peer itself is the one to be disconnected. */
  private makeRoom(peer: PeerId): boolean {
    const { links, book, counters, log, peersMax = peersCap } = this.deps;
    const connected = links.connectedPeers();
    if (connected.has(peer) || connected.size < peersMax) return true;
    counters.add("mesh_peers_too_many");
    log.warn(
      "the most peers that may be connected are connected; those that this peer learned of last are turned away",
      { peersMax },
    );
    const known = book.peers();
    const age = (one: PeerId): number => (known.includes(one) ? known.indexOf(one) : known.length);
    let last = peer;
    for (const one of connected) if (age(one) > age(last)) last = one;
    if (last === peer) return false;
    for (const line of links.linesOf(last)) line.connection.abort(tooManyPeers);
    return true;
  }
}
