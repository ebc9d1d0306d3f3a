/**
 * Which member runs a tick, which is next, and so on: rendezvous hashing (Thaler & Ravishankar 1998) of job and tick over the
 * members. All peers that know the same members compute the same order, and when a member comes or goes, only its own ticks
 * move.
 *
 * This file lies in the folder job because the slots of a tick (slots.ts) and what the records remember of them are in order of
 * rank, too.
 *
 * The key is hashed once with SHA-256; each member's id was hashed when the member became known, so that one rank costs
 * an integer mix per member. Raw FNV-1a instead of the mix is badly skewed.
 */
import { hash } from "node:crypto";
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";

/** Members with their hashes, in order of id, computed once for each change of membership. */
export interface MemberHashes {
  readonly ids: readonly PeerId[];
  readonly hashes: Uint32Array;
}

/**
 * Hashes that were computed before. A tick is ranked again and again until it is over, and each rank is of the same few members.
 */
const known = new Map<string, number>();
/** More take more memory, about 150 bytes each; fewer are computed again in meshes with many open ticks. */
const knownMost = 4_096;

function hash32(text: string): number {
  const before = known.get(text);
  if (before !== undefined) return before;
  const hashed = hash("sha256", text, "buffer").readUInt32LE(0);
  if (known.size >= knownMost) known.clear();
  known.set(text, hashed);
  return hashed;
}

export function memberHashesOf(members: Iterable<PeerId>): MemberHashes {
  const ids = [...members].toSorted();
  return { ids, hashes: Uint32Array.from(ids, hash32) };
}

/** The finalizer of MurmurHash3 (Appleby), which spreads every input bit over all output bits. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const places = 1_024;

/** The members in order of rank for one tick: rank 0 first. At most 1,024 members. */
export function rank(job: JobId, tick: TickId, memberHashes: MemberHashes): PeerId[] {
  return rankKey(`${job}@${tick}`, memberHashes);
}

/** The same for any other key, such as a run id for the copies of its output. */
export function rankKey(text: string, memberHashes: MemberHashes): PeerId[] {
  const key = hash32(text);
  const scores = new Float64Array(memberHashes.ids.length);
  for (let i = 0; i < scores.length; i++) {
    // score and place in one number, so that the native sort needs no comparison function
    scores[i] = mix(Math.imul(key, 31) ^ (memberHashes.hashes[i] ?? 0)) * places + i;
  }
  scores.sort();
  const ranked: PeerId[] = [];
  for (let i = scores.length - 1; i >= 0; i--) {
    const id = memberHashes.ids[(scores[i] ?? 0) % places];
    if (id !== undefined) ranked.push(id);
  }
  return ranked;
}
