/**
 * When it is my turn: the arithmetic of ranks (DESIGN §5.4), without state.
 *
 * The members stand in line by rank. Whoever can't run is passed over at no cost; for one that is suspect I wait 1 s,
 * for one that is alive 5 s, in case it is merely slow. So with everybody well only the first starts, and with
 * the first dead the second starts on time.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Passed, PassedWhy } from "../../schema/run.ts";
import { aliveWeightMs, suspectWeightMs } from "../limits.ts";

/** How one member stands towards one order. `untargeted`: the job doesn't admit it, so it isn't in the line at all. */
export type Standing =
  | "alive"
  | "suspect"
  | "untargeted"
  | Exclude<PassedWhy, "suspect" | "silent" | "not-targeted">;

export interface Turn {
  /** among those whom the job admits, the passed over included */
  rank: number;
  /** ms to wait after due; 0 = nobody is before me, so I claim ahead */
  waitMs: number;
  passed: Passed[];
}

/** The turn of `self` in the line of `ranks`; undefined when it isn't in the line or can't run itself. */
export function turnOf(
  ranks: readonly PeerId[],
  self: PeerId,
  standing: (peer: PeerId) => Standing,
): Turn | undefined {
  const own = standing(self);
  if (own !== "alive") return undefined;
  const turn: Turn = { rank: 0, waitMs: 0, passed: [] };
  for (const peer of ranks) {
    if (peer === self) return turn;
    const how = standing(peer);
    if (how === "untargeted") continue;
    turn.rank++;
    if (how === "alive") {
      turn.waitMs += aliveWeightMs;
      turn.passed.push({ peer, why: "silent" });
    } else {
      if (how === "suspect") turn.waitMs += suspectWeightMs;
      turn.passed.push({ peer, why: how });
    }
  }
  return undefined;
}

/** Who could run it now, in order: the runner first, then its fall-backs. */
export function lineOf(ranks: readonly PeerId[], standing: (peer: PeerId) => Standing): PeerId[] {
  return ranks.filter((peer) => standing(peer) === "alive");
}
