/**
 * Who belongs to the mesh and where each peer was last reached: passed on in greetings, kept on disk, and dialled.
 *
 * There are three kinds of addresses of a peer: those that it announced itself, with the time since when they hold (the
 * later list wins, no matter who passes it on); those over which it was reached since its last start; and those that a
 * person named, which are never forgotten.
 */
import type { NamedAddress } from "./addresses.ts";
import { hostOf, joinAddress } from "./addresses.ts";
import { addressesCap, peersCap, sinceCap, type Whereabouts } from "./greeting.ts";
import type { PeerId } from "../../schema/ids.ts";

interface Entry {
  since: number;
  said: readonly string[];
  proven: readonly string[];
  named: readonly string[];
}

const nothing: Entry = { since: 0, said: [], proven: [], named: [] };

export class AddressBook {
  private readonly self: PeerId;
  private readonly entries = new Map<PeerId, Entry>();
  /** since when the own addresses hold; raised when others turn out to have a later list */
  private ownSince: number;
  /** of all addresses; undefined = to be collected anew */
  private hosts: Set<string | undefined> | undefined;
  /** kept out of the book */
  private refused: ReadonlySet<PeerId> = new Set();

  constructor(self: PeerId, startedAt: number) {
    this.self = self;
    this.ownSince = Math.floor(startedAt);
  }

  /** True of a host at which a peer of the book has an address. */
  knowsHost(host: string): boolean {
    this.hosts ??= new Set(
      [...this.entries.values()].flatMap(({ said, proven, named }) =>
        [...said, ...proven, ...named].map(hostOf),
      ),
    );
    return this.hosts.has(host);
  }

  peers(): PeerId[] {
    return [...this.entries.keys()];
  }

  /** Removes these peers and keeps them out. */
  refuse(peers: ReadonlySet<PeerId>): void {
    this.refused = peers;
    for (const peer of peers) this.entries.delete(peer);
    this.hosts = undefined;
  }

  /** The `proven` ones come first. Only a refusal at one of them means that the peer is gone. */
  addressesOf(peer: PeerId): { proven: readonly string[]; others: readonly string[] } {
    const { proven, said, named } = this.entries.get(peer) ?? nothing;
    return { proven, others: union(said, named).filter((address) => !proven.includes(address)) };
  }

  name(peer: PeerId, address: string): void {
    const entry = this.entries.get(peer) ?? nothing;
    this.keep(peer, { ...entry, named: union([address], entry.named) });
  }

  /** What `toRemember` returned in an earlier process. */
  recall(remembered: readonly NamedAddress[]): void {
    for (const { address, peer } of remembered) {
      if (peer === undefined) continue;
      const entry = this.entries.get(peer) ?? nothing;
      this.keep(peer, { ...entry, said: union(entry.said, [address]) });
    }
  }

  /** Said by the peer itself, over its own connection. True when that is news. */
  hearFromItself({ peer, since, addresses }: Whereabouts): boolean {
    const entry = this.entries.get(peer) ?? nothing;
    const isSame = sameList(addresses, entry.said);
    if (isSame && entry.since >= since && entry.since > 0) return false;
    const later = Math.min(sinceCap, Math.max(since, entry.since + 1));
    this.keep(peer, { ...entry, since: later, said: addresses, proven: isSame ? entry.proven : [] });
    return true;
  }

  /** Said by another peer. True when that is news. */
  hearFromAnother({ peer, since, addresses }: Whereabouts): boolean {
    if (peer === this.self) {
      if (since < this.ownSince) return false;
      const isSame = since === this.ownSince;
      if (!isSame) this.ownSince = Math.min(sinceCap, since + 1);
      return !isSame;
    }
    if (this.refused.has(peer)) return false;
    const entry = this.entries.get(peer);
    if (entry !== undefined && since <= entry.since) return false;
    this.keep(peer, { ...(entry ?? nothing), since, said: addresses });
    return true;
  }

  /** It was reached at `dialled`, or it came from `host`, where it has an address. True when that is news. */
  prove(peer: PeerId, reached: { dialled: string } | { host: string | undefined }): boolean {
    const entry = this.entries.get(peer) ?? nothing;
    const found =
      "dialled" in reached
        ? [reached.dialled]
        : entry.said.filter((address) => hostOf(address) === reached.host);
    const proven = union(found, entry.proven);
    if (sameList(proven, entry.proven)) return false;
    this.keep(peer, { ...entry, proven });
    return true;
  }

  ownEntry(addresses: readonly string[]): Whereabouts {
    return { peer: this.self, since: this.ownSince, addresses };
  }

  /** For greetings. An address that only a person has named to this peer is not passed on. */
  others(): Whereabouts[] {
    return [...this.entries]
      .filter(([, { since }]) => since > 0)
      .map(([peer, { since, said }]) => ({ peer, since, addresses: said }));
  }

  toRemember(): string[] {
    return [...this.entries].flatMap(([peer, { proven, said }]) =>
      union(proven, said).map((address) => joinAddress(address, peer)),
    );
  }

  private keep(peer: PeerId, entry: Entry): void {
    if (peer === this.self || this.refused.has(peer)) return;
    if (!this.entries.has(peer) && this.entries.size >= peersCap && !this.makeRoom()) return;
    this.entries.set(peer, entry);
    this.hosts = undefined;
  }

  /** Drops the oldest peer that is known by hearsay only. False = all were named by a person or reached. */
  private makeRoom(): boolean {
    const hearsay = [...this.entries].filter(
      ([, { proven, named }]) => proven.length === 0 && named.length === 0,
    );
    const [first, ...others] = hearsay;
    if (first === undefined) return false;
    const [oldest] = others.reduce((a, b) => (a[1].since <= b[1].since ? a : b), first);
    return this.entries.delete(oldest);
  }
}

function union(first: readonly string[], second: readonly string[]): string[] {
  return [...new Set([...first, ...second])].slice(0, addressesCap);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
