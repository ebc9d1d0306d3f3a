/**
 * Which peers a job admits by name and tags, and which of them it prefers. All peers read it from the same job and the
 * same heartbeats, so they compute the same order.
 */
import { isAmong, type NamedPeer } from "../../schema/find-peer.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { JobSpec } from "../../schema/job.ts";
import { offlineOf } from "./offline.ts";
import { rollingOf, type Rolling } from "./rolling.ts";

export type Tags = Readonly<Record<string, string>>;

export interface Target {
  /** names or ids; undefined = any peer */
  readonly peers: readonly string[] | undefined;
  /** a peer must have all of them */
  readonly tags: Tags | undefined;
  /** peers that have all of these come first in rank; undefined = no peer is preferred */
  readonly preferred: Tags | undefined;
  /** how many runs a tick has; `all`: one on each peer that it admits */
  readonly count: number | "all";
  /** … and how long a peer that is away may run its slot of the tick later, ms; 0 = it is skipped at once */
  readonly offlineMs: number;
  /** … and how the tick goes from peer to peer; undefined = it runs on all of them at once */
  readonly rolling: Rolling | undefined;
}

export interface TaggedPeer extends NamedPeer {
  /** undefined for a peer that hasn't been heard */
  readonly tags: Tags | undefined;
}

export function targetOf({ target }: Pick<JobSpec, "target">): Target {
  return {
    peers: target?.peers,
    tags: unlessEmpty(target?.tags),
    preferred: unlessEmpty(target?.prefer?.tags),
    count: target?.count ?? 1,
    offlineMs: offlineOf(target?.offline),
    rolling: target?.rolling === undefined ? undefined : rollingOf(target.rolling),
  };
}

/** No tags at all say nothing about any peer. */
function unlessEmpty(tags: Tags | undefined): Tags | undefined {
  return tags === undefined || Object.keys(tags).length === 0 ? undefined : tags;
}

/** True if the job may run on this peer. `requested` are the peers that a person named for one run, if any. */
export function admits(target: Target, requested: readonly string[] | undefined, peer: TaggedPeer): boolean {
  if (requested !== undefined) return isAmong(requested, peer);
  if (target.peers !== undefined && !isAmong(target.peers, peer)) return false;
  return target.tags === undefined || hasTags(peer.tags, target.tags);
}

export function hasTags(tags: Tags | undefined, wanted: Tags): boolean {
  if (tags === undefined) return false;
  return Object.entries(wanted).every(([name, value]) => Object.hasOwn(tags, name) && tags[name] === value);
}

/** The ranks with the preferred peers first; the order among them and among the others stays. */
export function preferredFirst(
  ranks: readonly PeerId[],
  preferred: Tags,
  tagsOf: (peer: PeerId) => Tags | undefined,
): PeerId[] {
  const comesFirst = new Set(ranks.filter((peer) => hasTags(tagsOf(peer), preferred)));
  return [...comesFirst, ...ranks.filter((peer) => !comesFirst.has(peer))];
}

/** `disk=ssd, zone=a` */
export function formatTags(tags: Tags): string {
  return Object.entries(tags)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}
