/**
 * When this peer steps in for the peers before it in rank: arithmetic without state (DESIGN §5).
 *
 * A member that can't run the order costs no time. For each suspect member before it a peer waits 1 s, and for each living one
 * 5 s, in case that one is merely slow. So when all are well only the first starts the order, and when the first is dead the
 * second starts it on time.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { SkippedPeer, SkipReason } from "../../schema/run.ts";
import { aliveWeightMs, suspectWeightMs } from "../limits.ts";

/**
 * Whether a member can run an order, or why not. It has no rank for an order if the job doesn't admit it (`untargeted`) or
 * needs a capability that it lacks (`incapable`), something that its host lacks or doesn't allow (`unequipped`) or more
 * capacity than it has (`too-small`). This peer has no rank while its cluster key is `superseded`.
 */
export type Eligibility =
  | "alive"
  | "suspect"
  | Unranked
  | Exclude<SkipReason, "suspect" | "silent" | "not-targeted">;

const unranked = ["untargeted", "incapable", "unequipped", "too-small", "superseded"] as const;
type Unranked = (typeof unranked)[number];

export function isRanked(how: Eligibility): how is Exclude<Eligibility, Unranked> {
  return !unranked.some((one) => one === how);
}

export interface Failover {
  /** this peer's place among the peers that the job admits, skipped ones included */
  rank: number;
  /** how long it waits after due, ms; 0 = no eligible peer is before it, so it claims ahead */
  delayMs: number;
  skippedPeers: SkippedPeer[];
}

/** Rank and delay of `self`; undefined when it has no rank or can't run the order now. */
export function failoverOf(
  ranks: readonly PeerId[],
  self: PeerId,
  eligibility: (peer: PeerId) => Eligibility,
): Failover | undefined {
  const own = eligibility(self);
  if (own !== "alive") return undefined;
  const failover: Failover = { rank: 0, delayMs: 0, skippedPeers: [] };
  for (const peer of ranks) {
    if (peer === self) return failover;
    const how = eligibility(peer);
    if (!isRanked(how)) continue;
    failover.rank++;
    if (how === "alive") {
      failover.delayMs += aliveWeightMs;
      failover.skippedPeers.push({ peer, why: "silent" });
    } else {
      if (how === "suspect") failover.delayMs += suspectWeightMs;
      failover.skippedPeers.push({ peer, why: how });
    }
  }
  return undefined;
}

/** The peers that could run the order now: the runner first, then those that would step in. */
export function runnersInOrder(
  ranks: readonly PeerId[],
  eligibility: (peer: PeerId) => Eligibility,
): PeerId[] {
  return ranks.filter((peer) => eligibility(peer) === "alive");
}
