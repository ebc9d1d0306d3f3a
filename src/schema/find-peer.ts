/**
 * Finds the peer that a person means by a text. Commands, filters and the command line all use this rule.
 *
 * An exact id wins over an exact name, and an exact name over a part of either. A name may be written alone or with the
 * end of the id, as it is shown where several peers share it. A part is at least four characters from anywhere in an
 * id, or the beginning of a name. A text that fits several peers is ambiguous; no peer is guessed.
 */
import type { PeerId } from "./ids.ts";

/** All peer ids begin alike, and people copy the end. Fewer characters than this would often match by accident. */
const idPartMinLength = 4;
/** As in run ids. */
const idEndLength = 8;

export interface NamedPeer {
  readonly id: PeerId;
  /** undefined for a peer that is known by its id alone */
  readonly name: string | undefined;
}

export type FoundPeer<Peer extends NamedPeer> =
  | { readonly kind: "one"; readonly peer: Peer }
  | { readonly kind: "none" }
  | { readonly kind: "ambiguous"; readonly candidates: readonly Peer[] };

export function findPeer<Peer extends NamedPeer>(peers: Iterable<Peer>, text: string): FoundPeer<Peer> {
  const all = [...peers];
  const byId = all.filter(({ id }) => id === text);
  if (byId.length > 0) return only(byId);
  const byName = all.filter(({ name }) => name === text);
  if (byName.length > 0) return only(byName);
  const byBoth = all.filter((peer) => distinctName(peer) === text);
  if (byBoth.length > 0) return only(byBoth);
  return only(
    all.filter(
      ({ id, name }) =>
        (text.length >= idPartMinLength && id.includes(text)) ||
        (text !== "" && (name?.startsWith(text) ?? false)),
    ),
  );
}

/** How a peer is shown when others have the same name: `vm·DEm4Gy1e`. Undefined while its name isn't known. */
export function distinctName({ id, name }: NamedPeer): string | undefined {
  return name === undefined ? undefined : `${name}·${id.slice(-idEndLength)}`;
}

function only<Peer extends NamedPeer>(candidates: readonly Peer[]): FoundPeer<Peer> {
  const [peer, ...others] = candidates;
  if (peer === undefined) return { kind: "none" };
  return others.length === 0 ? { kind: "one", peer } : { kind: "ambiguous", candidates };
}

/** The message for a text that fits no peer. A peer whose name isn't known can only be found by its id. */
export function describeMissing(text: string, peers: Iterable<NamedPeer>): string {
  const unnamed = [...peers].filter(({ name }) => name === undefined).length;
  if (unnamed === 0) return `there is no peer "${text}"`;
  const others = unnamed === 1 ? "one other peer has" : `${unnamed} other peers have`;
  return `no peer heard since this one started is called "${text}"; ${others} not been heard: give an id`;
}

/** The message for a text that fits several peers. */
export function describeAmbiguous(text: string, candidates: readonly NamedPeer[]): string {
  const shown = candidates.slice(0, 5).map(({ id, name }) => (name === undefined ? id : `${name} (${id})`));
  const more = candidates.length > shown.length ? `, and ${candidates.length - shown.length} more` : "";
  return `"${text}" could be ${shown.join(", ")}${more}: give the id of one`;
}

/**
 * True when a list of peers, in a job's `target.peers` or in a manual run, includes this peer: by its id, by its exact
 * name, or by its name with the end of its id.
 */
export function isAmong(peers: readonly string[], peer: NamedPeer): boolean {
  const names = [peer.id, peer.name, distinctName(peer)];
  return peers.some((target) => names.includes(target));
}
