/**
 * When it is my failover: the arithmetic of ranks (DESIGN §5.4), without state.
 *
 * The members stand in line by rank. Whoever can't run is passed over at no cost; for one that is suspect I wait 1 s,
 * for one that is alive 5 s, in case it is merely slow. So with everybody well only the first starts, and with
 * the first dead the second starts on time.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Passed, SkipReason } from "../../schema/run.ts";
import { aliveWeightMs, suspectWeightMs } from "../limits.ts";

/** How one member stands towards one order. `untargeted`: the job doesn't admit it, so it isn't in the line at all. */
export type Eligibility =
  | "alive"
  | "suspect"
  | "untargeted"
  | Exclude<SkipReason, "suspect" | "silent" | "not-targeted">;

export interface Failover {
  /** among those whom the job admits, the passed over included */
  rank: number;
  /** ms to wait after due; 0 = nobody is before me, so I claim ahead */
  delayMs: number;
  passed: Passed[];
}

/** The failover of `self` in the line of `ranks`; undefined when it isn't in the line or can't run itself. */
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
    if (how === "untargeted") continue;
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

/** Who could run it now, in order: the runner first, then its fall-backs. */
export function runnersInOrder(
  ranks: readonly PeerId[],
  eligibility: (peer: PeerId) => Eligibility,
): PeerId[] {
  return ranks.filter((peer) => eligibility(peer) === "alive");
}
