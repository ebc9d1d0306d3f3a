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

/** What one rank needs and the next one overwrites: each member's score, the scores in order, and the next place of each bucket. */
let scratch = scratchFor(128);

function scratchFor(size: number) {
  return {
    size,
    scores: new Uint32Array(size),
    ordered: new Uint32Array(size),
    places: new Uint32Array(size),
  };
}

/** The members in order of rank for one tick: rank 0 first. */
export function rank(job: JobId, tick: TickId, memberHashes: MemberHashes): PeerId[] {
  return rankKey(`${job}@${tick}`, memberHashes);
}

/**
 * The same for any other key, such as a run id for the copies of its output. The highest score is rank 0; of equal scores, the
 * later id comes first.
 *
 * Scores are spread evenly, so members first go into about as many buckets as there are members, by the first bits of their scores.
 * Then nearly all are in order, and for 100 members this takes a quarter of the time of a sort.
 */
export function rankKey(text: string, { ids, hashes }: MemberHashes): PeerId[] {
  const bits = 32 - Math.clz32(Math.max(1, ids.length - 1));
  const shift = 32 - bits;
  const buckets = 1 << bits;
  if (buckets > scratch.size) scratch = scratchFor(buckets);
  const { scores, ordered, places } = scratch;
  places.fill(0, 0, buckets);
  const key = Math.imul(hash32(text), 31);
  for (let i = 0; i < ids.length; i++) {
    const score = mix(key ^ (hashes[i] ?? 0));
    scores[i] = score;
    const bucket = score >>> shift;
    places[bucket] = (places[bucket] ?? 0) + 1;
  }
  for (let bucket = buckets - 1, begin = 0; bucket >= 0; bucket--) {
    const size = places[bucket] ?? 0;
    places[bucket] = begin;
    begin += size;
  }
  // No place below the length of a list is empty, so what is read there is an id.
  const ranked = ids.slice();
  for (let i = ids.length - 1; i >= 0; i--) {
    const score = scores[i] ?? 0;
    const bucket = score >>> shift;
    const place = places[bucket] ?? 0;
    places[bucket] = place + 1;
    ordered[place] = score;
    ranked[place] = ids[i] as PeerId;
  }
  sortWithinBuckets(ranked, ordered);
  return ranked;
}

/** Sorts by insertion, so that a member moves only past those of its own bucket. */
function sortWithinBuckets(ranked: PeerId[], ordered: Uint32Array): void {
  for (let i = 1; i < ranked.length; i++) {
    const score = ordered[i] ?? 0;
    if ((ordered[i - 1] ?? 0) >= score) continue;
    const id = ranked[i] as PeerId;
    let place = i;
    do {
      ranked[place] = ranked[place - 1] as PeerId;
      ordered[place] = ordered[place - 1] ?? 0;
      place--;
    } while (place > 0 && (ordered[place - 1] ?? 0) < score);
    ranked[place] = id;
    ordered[place] = score;
  }
}
