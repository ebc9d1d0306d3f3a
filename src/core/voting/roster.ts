/**
 * Who votes: a chain of epochs, each chosen by the voters of the one before (DESIGN §6).
 *
 * Epoch 0 has one voter, the founder: the peer that made the cluster key. Its id travels with the key, so no peer can found a
 * second roster for the same mesh. Every later epoch carries the signatures of a majority of its predecessor's voters. An
 * order belongs to the epoch in force at its tick and stays there with all its rounds.
 *
 * Not promised: that a mesh that has lost a majority of its voters for good can still vote. No rule here shrinks a roster
 * because peers are gone. Only a person can do that (`forget --force`), and it can double a run: a forced epoch is signed only
 * by the member that was asked, and wins over a voted one of the same number. Otherwise the mesh would stay divided for ever.
 */
import { hash } from "node:crypto";
import { canonicalText } from "../../schema/canonical.ts";
import { isPeerId, type PeerId } from "../../schema/ids.ts";
import type { Epoch } from "../../schema/vote.ts";
import { assert } from "../../errors.ts";
import { isInSpans } from "../time/spans.ts";
import { majorityOf } from "./paxos.ts";

/** A change of voters takes effect this long after it is proposed: votes run at most 2 s ahead of their ticks. */
export const epochLeadMs = 15_000;
export const votersMax = 9;

export function firstEpoch(founder: PeerId): Epoch {
  return { number: 0, voters: [founder], from: 0, previous: "", signatures: {} };
}

/** The first epoch has no signatures, so everything in it except the founder is fixed. */
function asFirstEpoch(heard: Epoch): Epoch | undefined {
  const [founder] = heard.voters;
  if (founder === undefined) return undefined;
  const first = firstEpoch(founder);
  return hashOfEpoch(heard) === hashOfEpoch(first) ? first : undefined;
}

/**
 * 64 hex digits over everything except the signatures. Fields of a later version come last, as one object, so an epoch without
 * any has the same hash in all versions. Empty if the epoch has no canonical form; such an epoch is refused.
 */
export function hashOfEpoch(epoch: Omit<Epoch, "signatures"> & Partial<Epoch>): string {
  const { number, voters, from, previous, forced, signatures: _, ...unknown } = epoch;
  const hashed: unknown[] = ["cicada epoch", number, voters, from, previous];
  if (forced !== undefined) {
    const { by, signature: __, ...unknownInForced } = forced;
    hashed.push("forced", by);
    if (!isEmpty(unknownInForced)) Object.assign(unknown, { forced: unknownInForced });
  }
  if (!isEmpty(unknown)) hashed.push(unknown);
  const text = canonicalText(hashed);
  return text === undefined ? "" : hash("sha256", text);
}

function isEmpty(fields: object): boolean {
  return Object.keys(fields).length === 0;
}

/** What a voter signs when it accepts an epoch. */
export function epochBytes(epoch: Omit<Epoch, "signatures">): Uint8Array {
  return Buffer.from(hashOfEpoch(epoch));
}

/** The epoch to which an order with that instant (ms) belongs; undefined for an empty chain. */
export function epochAt(chain: readonly Epoch[], instant: number): Epoch | undefined {
  let inForce: Epoch | undefined;
  for (const epoch of chain) {
    if (!isBound(epoch, instant)) break;
    inForce = epoch;
  }
  return inForce;
}

/** Whether orders with that instant (ms) belong to the epoch or to a later one. */
export function isBound({ from, except }: Pick<Epoch, "from" | "except">, instant: number): boolean {
  return from <= instant && !isInSpans(except ?? [], instant);
}

export type VerifySignature = (peer: PeerId, bytes: Uint8Array, signature: string) => boolean;

/**
 * `next`, if it is a valid successor of `epoch`: linked to it, later, and signed by a majority of its voters, or forced and
 * signed by the peer that forced it. Signatures that prove nothing are left out, because they would be kept and forwarded for
 * ever.
 */
function successorOf(epoch: Epoch, next: Epoch, verify: VerifySignature): Epoch | undefined {
  if (next.number !== epoch.number + 1 || next.previous !== hashOfEpoch(epoch)) return undefined;
  if (hashOfEpoch(next) === "") return undefined;
  if (next.from <= epoch.from || !areVoters(next.voters)) return undefined;
  const bytes = epochBytes(next);
  if (next.forced !== undefined) {
    return verify(next.forced.by, bytes, next.forced.signature) ? { ...next, signatures: {} } : undefined;
  }
  const signatures: Record<string, string> = {};
  for (const voter of epoch.voters) {
    const signature = next.signatures[voter];
    if (signature !== undefined && verify(voter, bytes, signature)) signatures[voter] = signature;
  }
  const isChosen = Object.keys(signatures).length >= majorityOf(epoch.voters.length);
  return isChosen ? { ...next, signatures } : undefined;
}

/** In this peer's chain each epoch after the first names its predecessor, has the next number and begins later. */
export function assertFollows(before: Epoch | undefined, epoch: Epoch): void {
  const follows =
    before === undefined
      ? epoch.number === 0 && epoch.previous === ""
      : epoch.number === before.number + 1 &&
        epoch.previous === hashOfEpoch(before) &&
        epoch.from > before.from;
  assert(follows, `epoch ${epoch.number} of the roster follows no epoch`);
}

/** Whether the list can be an epoch's voters: 1 to 9 peers, each once. */
export function areVoters(voters: readonly string[]): boolean {
  if (voters.length === 0 || voters.length > votersMax || new Set(voters).size < voters.length) return false;
  return voters.every((voter) => isPeerId(voter));
}

/**
 * The chain after another peer's was heard: the longer one, if it has the same founder and every link holds. A chain that
 * contradicts the known one is adopted only where it was forced. Otherwise `fork` is true: voters have signed two epochs of
 * one number, or the two meshes have different founders.
 */
export function adoptChain(
  known: readonly Epoch[],
  heard: readonly Epoch[],
  verify: VerifySignature,
): { chain: readonly Epoch[]; fork: boolean } {
  const chain = [...known];
  for (const epoch of heard) {
    const rival = chain[epoch.number];
    if (rival !== undefined) {
      const difference = compareRivals(rival, epoch);
      if (difference === 0) continue;
      const before = chain[epoch.number - 1];
      if (difference < 0 || before === undefined || successorOf(before, epoch, verify) === undefined) {
        return { chain: known, fork: true };
      }
      chain.length = epoch.number;
    }
    const last = chain.at(-1);
    const valid = last === undefined ? asFirstEpoch(epoch) : successorOf(last, epoch, verify);
    if (valid === undefined) break;
    chain.push(valid);
  }
  return { chain, fork: false };
}

/**
 * Of two epochs with one number: 0 = they are the same, above 0 = the second one wins. All peers must come to the same result.
 */
function compareRivals(known: Epoch, other: Epoch): number {
  const [own, theirs] = [hashOfEpoch(known), hashOfEpoch(other)];
  if (own === theirs) return 0;
  if (other.forced === undefined) return -1;
  return known.forced === undefined || theirs < own ? 1 : -1;
}

/** Who should vote in the next epoch while the mesh is well; undefined = the current voters. */
export function desiredVoters(
  voters: readonly PeerId[],
  /** members that have been alive and warmed up for a while, this peer included */
  steady: ReadonlySet<PeerId>,
  /** members that have been dead for an hour */
  longDead: ReadonlySet<PeerId>,
): PeerId[] | undefined {
  const candidates = [...steady].filter((peer) => !voters.includes(peer)).toSorted();
  const gone = voters.find((peer) => longDead.has(peer));
  const living = voters.filter((peer) => steady.has(peer)).length;
  const [substitute] = candidates;
  if (gone !== undefined && substitute !== undefined && living >= majorityOf(voters.length)) {
    return [...voters.filter((peer) => peer !== gone), substitute].toSorted();
  }
  if (living < voters.length) return undefined;
  // One voter becomes three, and three become five: two or four would lose their majority more easily than one or three.
  const size = voters.length < 3 ? 3 : 5;
  const missing = size - voters.length;
  return missing <= 0 || candidates.length < missing
    ? undefined
    : [...voters, ...candidates.slice(0, missing)].toSorted();
}
