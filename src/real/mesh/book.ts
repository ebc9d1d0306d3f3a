/**
 * The address book: which peers belong to the mesh and where each was last reached. It is passed on in greetings, kept
 * on disk, and used for dialling.
 *
 * A peer has three kinds of addresses. It announces some itself, with the time since when they are valid; the later
 * list wins, whichever peer passes it on. At some it was reached since its last start. And some were named by a person,
 * which are never forgotten.
 */
import type { NamedAddress } from "./addresses.ts";
import { hostOf, joinAddress } from "./addresses.ts";
import { addressesCap, peersCap, sinceCap, type Whereabouts } from "./greeting.ts";
import type { PeerId } from "../../schema/ids.ts";

interface Entry {
  since: number;
  announced: readonly string[];
  proven: readonly string[];
  named: readonly string[];
}

const nothing: Entry = { since: 0, announced: [], proven: [], named: [] };

export class AddressBook {
  private readonly self: PeerId;
  private readonly entries = new Map<PeerId, Entry>();
  /** since when the own addresses are valid; raised if others turn out to have a later list */
  private ownSince: number;
  /** the hosts of all addresses; undefined = not collected yet */
  private hosts: Set<string | undefined> | undefined;
  /** peers that are kept out of the book */
  private refused: ReadonlySet<PeerId> = new Set();
  private readonly connected: () => ReadonlySet<PeerId>;

  /** `connected`: the peers to which there is a line now. */
  constructor(self: PeerId, startedAt: number, connected: () => ReadonlySet<PeerId> = () => new Set()) {
    this.self = self;
    this.connected = connected;
    this.ownSince = Math.floor(startedAt);
  }

  /** True for a host at which a peer of the book has an address. */
  knowsHost(host: string): boolean {
    this.hosts ??= new Set(
      [...this.entries.values()].flatMap(({ announced, proven, named }) =>
        [...announced, ...proven, ...named].map(hostOf),
      ),
    );
    return this.hosts.has(host);
  }

  /** In the order in which this peer learned of them. */
  peers(): PeerId[] {
    return [...this.entries.keys()];
  }

  /** Removes these peers and keeps them out. */
  refuse(peers: ReadonlySet<PeerId>): void {
    this.refused = peers;
    for (const peer of peers) this.entries.delete(peer);
    this.hosts = undefined;
  }

  /** The `proven` addresses are to be dialled first. Only a refusal at one of them means that the peer is gone. */
  addressesOf(peer: PeerId): { proven: readonly string[]; others: readonly string[] } {
    const { proven, announced, named } = this.entries.get(peer) ?? nothing;
    return { proven, others: union(announced, named).filter((address) => !proven.includes(address)) };
  }

  name(peer: PeerId, address: string): void {
    const entry = this.entries.get(peer) ?? nothing;
    this.keep(peer, { ...entry, named: union([address], entry.named) });
  }

  /** Takes in what `toRemember` returned in an earlier process. */
  restore(remembered: readonly NamedAddress[]): void {
    for (const { address, peer } of remembered) {
      if (peer === undefined) continue;
      const entry = this.entries.get(peer) ?? nothing;
      this.keep(peer, { ...entry, announced: union(entry.announced, [address]) });
    }
  }

  /** Takes in what a peer says about itself, over its own connection. True if that is news. */
  learnFromPeer({ peer, since, addresses }: Whereabouts): boolean {
    const entry = this.entries.get(peer) ?? nothing;
    const isSame = sameList(addresses, entry.announced);
    if (isSame && entry.since >= since && entry.since > 0) return false;
    const later = Math.min(sinceCap, Math.max(since, entry.since + 1));
    this.keep(peer, { ...entry, since: later, announced: addresses, proven: isSame ? entry.proven : [] });
    return true;
  }

  /** Takes in what another peer says about a peer. True if that is news. */
  learnFromOther({ peer, since, addresses }: Whereabouts): boolean {
    if (peer === this.self) {
      if (since < this.ownSince) return false;
      const isSame = since === this.ownSince;
      if (!isSame) this.ownSince = Math.min(sinceCap, since + 1);
      return !isSame;
    }
    if (this.refused.has(peer)) return false;
    const entry = this.entries.get(peer);
    if (entry !== undefined && since <= entry.since) return false;
    this.keep(peer, { ...(entry ?? nothing), since, announced: addresses }, "hearsay");
    return true;
  }

  /**
   * Notes that a peer was reached at `dialled`, or that it came from `host`, where it has an address. True if that is
   * news.
   */
  prove(peer: PeerId, reached: { dialled: string } | { host: string | undefined }): boolean {
    const entry = this.entries.get(peer) ?? nothing;
    const found =
      "dialled" in reached
        ? [reached.dialled]
        : entry.announced.filter((address) => hostOf(address) === reached.host);
    const proven = union(found, entry.proven);
    if (sameList(proven, entry.proven)) return false;
    this.keep(peer, { ...entry, proven });
    return true;
  }

  ownEntry(addresses: readonly string[]): Whereabouts {
    return { peer: this.self, since: this.ownSince, addresses };
  }

  /**
   * The other peers' addresses, for greetings. An address that only a person has named to this peer is not passed on.
   */
  others(): Whereabouts[] {
    return [...this.entries]
      .filter(([, { since }]) => since > 0)
      .map(([peer, { since, announced }]) => ({ peer, since, addresses: announced }));
  }

  toRemember(): string[] {
    return [...this.entries].flatMap(([peer, { proven, announced }]) =>
      union(proven, announced).map((address) => joinAddress(address, peer)),
    );
  }

  private keep(peer: PeerId, entry: Entry, source?: "hearsay"): void {
    if (peer === this.self || this.refused.has(peer)) return;
    if (!this.entries.has(peer) && this.entries.size >= peersCap && !this.makeRoom(source)) return;
    this.entries.set(peer, entry);
    this.hosts = undefined;
  }

  /**
   * Drops the oldest peer that is only known from others. If there is none, and the new one is known at first hand, drops
   * the one that was learned of last among those that are not connected: otherwise peers that came and went would keep
   * out every new one, and a flood of new ones would displace a member that is down. Peers that a person has named stay.
   */
  private makeRoom(source: "hearsay" | undefined): boolean {
    let oldest: { peer: PeerId; since: number } | undefined;
    for (const [peer, { since, proven, named }] of this.entries) {
      if (proven.length > 0 || named.length > 0) continue;
      if (oldest === undefined || since < oldest.since) oldest = { peer, since };
    }
    if (oldest !== undefined) return this.entries.delete(oldest.peer);
    if (source === "hearsay") return false;
    const connected = this.connected();
    const last = [...this.entries].findLast(
      ([peer, { named }]) => named.length === 0 && !connected.has(peer),
    );
    return last !== undefined && this.entries.delete(last[0]);
  }
}

function union(first: readonly string[], second: readonly string[]): string[] {
  return [...new Set([...first, ...second])].slice(0, addressesCap);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
