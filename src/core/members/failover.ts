/**
 * When this peer steps in for those before it in rank: arithmetic without state (DESIGN §5.4).
 *
 * A member that can't run costs no time. For one that is suspect the next waits 1 s, and for one that is alive 5 s, in
 * case it is merely slow. So when everybody is well only the first starts, and when the first is dead the second starts
 * on time.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { SkippedPeer, SkipReason } from "../../schema/run.ts";
import { aliveWeightMs, suspectWeightMs } from "../limits.ts";

/**
 * Whether a member can run an order, or why not. It has no rank for an order if the job doesn't admit it (`untargeted`) or
 * needs a capability that it lacks (`incapable`), and this peer has none while its cluster key is a replaced one.
 */
export type Eligibility =
  | "alive"
  | "suspect"
  | Unranked
  | Exclude<SkipReason, "suspect" | "silent" | "not-targeted">;

type Unranked = "untargeted" | "incapable" | "superseded";

export function isRanked(how: Eligibility): how is Exclude<Eligibility, Unranked> {
  return how !== "untargeted" && how !== "incapable" && how !== "superseded";
}

export interface Failover {
  /** among the peers that the job admits, including those that are passed over */
  rank: number;
  /** ms to wait after due; 0 = no eligible peer is before this one, so it claims ahead */
  delayMs: number;
  passed: SkippedPeer[];
}

/** What `self` has to wait for; undefined when it has no rank or can't run the order itself. */
export function failoverOf(
  ranks: readonly PeerId[],
  self: PeerId,
  eligibility: (peer: PeerId) => Eligibility,
): Failover | undefined {
  const own = eligibility(self);
  if (own !== "alive") return undefined;
  const failover: Failover = { rank: 0, delayMs: 0, passed: [] };
  for (const peer of ranks) {
    if (peer === self) return failover;
    const how = eligibility(peer);
    if (!isRanked(how)) continue;
    failover.rank++;
    if (how === "alive") {
      failover.delayMs += aliveWeightMs;
      failover.passed.push({ peer, why: "silent" });
    } else {
      if (how === "suspect") failover.delayMs += suspectWeightMs;
      failover.passed.push({ peer, why: how });
    }
  }
  return undefined;
}

/** The peers that could run it now, in order: the runner first, then its fall-backs. */
export function runnersInOrder(
  ranks: readonly PeerId[],
  eligibility: (peer: PeerId) => Eligibility,
): PeerId[] {
  return ranks.filter((peer) => eligibility(peer) === "alive");
}
