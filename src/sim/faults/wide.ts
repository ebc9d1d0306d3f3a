/**
 * What a wide world has in addition to a plain one: majority jobs, witnesses, peers that join while things break, and peers
 * with little capacity. It draws from dice of its own, so that it shifts nothing that the plain world draws.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";

export interface Wide {
  /** the share of majority jobs, 0 to 1 */
  majority: number;
  witnesses: ReadonlySet<PeerId>;
  /** peers that are started late: how far into the safety phase, 0 to 1 of its length */
  joins: ReadonlyMap<PeerId, number>;
  /** runs at once on each peer */
  capacity: number;
  /** the average time between two edits, ms */
  editEveryMs: number;
}

export const plain: Wide = {
  majority: 0,
  witnesses: new Set(),
  joins: new Map(),
  capacity: 100,
  editEveryMs: 120_000,
};

export function drawWide(peers: readonly PeerId[], dice: Dice): Wide {
  const [founder, ...others] = peers;
  // At least two peers run jobs. The founder may be a witness.
  const witnesses = dice.pick([0, 0, 0, 1, 2]);
  const joining = dice.chance(0.4) ? 1 + dice.below(others.length + 1) : 0;
  return {
    majority: dice.pick([0.2, 0.5, 1]),
    witnesses: new Set(dice.shuffle(peers).slice(0, Math.max(0, Math.min(witnesses, peers.length - 2)))),
    // The founder is up from the beginning, because it is the only peer whose address all others are given.
    joins: new Map(
      dice
        .shuffle(others)
        .filter((peer) => peer !== founder)
        .slice(0, joining)
        .map((peer) => [peer, dice.next() * 0.5]),
    ),
    capacity: dice.chance(0.15) ? 2 : 100,
    editEveryMs: dice.pick([20_000, 60_000, 120_000]),
  };
}
