/**
 * Which peer a person means by a text: the one rule for commands, filters and the command line.
 *
 * An exact id counts before an exact name (alone or with the end of the id, as it is shown where several peers have it),
 * and that before a part of either: at least four characters from anywhere in an id, or the beginning of a name. What fits more than one peer is ambiguous and never guessed.
 */
import type { PeerId } from "./ids.ts";

/** Every peer id begins alike, and people copy the end; fewer characters than this would often fit by accident. */
const idPartMinLength = 4;
/** As many as run ids have. */
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

/** How a peer is shown whose name others have, too: `vm·DEm4Gy1e`. Undefined while its name isn't known. */
export function distinctName({ id, name }: NamedPeer): string | undefined {
  return name === undefined ? undefined : `${name}·${id.slice(-idEndLength)}`;
}

function only<Peer extends NamedPeer>(candidates: readonly Peer[]): FoundPeer<Peer> {
  const [peer, ...others] = candidates;
  if (peer === undefined) return { kind: "none" };
  return others.length === 0 ? { kind: "one", peer } : { kind: "ambiguous", candidates };
}

/** What a person is told when the text fits no peer: a peer whose name isn't known can't be found by it. */
export function describeMissing(text: string, peers: Iterable<NamedPeer>): string {
  const unnamed = [...peers].filter(({ name }) => name === undefined).length;
  if (unnamed === 0) return `there is no peer "${text}"`;
  const others = unnamed === 1 ? "one other has" : `${unnamed} others have`;
  return `no peer heard since this one started is called "${text}"; ${others} not been heard: give an id`;
}

/** What a person is told when the text fits several peers. */
export function describeAmbiguous(text: string, candidates: readonly NamedPeer[]): string {
  const shown = candidates.slice(0, 5).map(({ id, name }) => (name === undefined ? id : `${name} (${id})`));
  const more = candidates.length > shown.length ? `, and ${candidates.length - shown.length} more` : "";
  return `"${text}" may be ${shown.join(", ")}${more}: give one's id`;
}

/**
 * True when a job's `target.peers`, or the peers that a manual run names, admit this peer: by its id, its exact name, or
 * both as they are shown where several peers have that name.
 */
export function isAmong(peers: readonly string[], peer: NamedPeer): boolean {
  const names = [peer.id, peer.name, distinctName(peer)];
  return peers.some((target) => names.includes(target));
}
