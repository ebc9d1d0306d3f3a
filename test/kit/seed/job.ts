/** What a seed's world is to be: given by hand, or drawn from the seed's name so that the name is enough to find it again. */
import type { PlantedBug } from "../../../src/core/probes/planted.ts";
import type { FaultKind } from "../../../src/sim/faults/faults.ts";
import { Dice } from "../../../src/sim/random.ts";

export interface SeedJob {
  seed: string;
  peers: number;
  jobs: number;
  hours: number;
  faults: "none" | "swarm";
  /** majority jobs and all that comes with them (src/sim/faults/wide.ts) */
  wide?: boolean;
  planted?: PlantedBug;
  /** of a wide world: the numbers of the faults that are to happen; all when absent */
  keptFaults?: readonly number[];
  /** … and their kinds, instead of those that the seed draws */
  kinds?: readonly FaultKind[];
}

/** How large the wide world of that seed is. */
export function sizeOf(seed: string): SeedJob {
  const dice = new Dice(`size ${seed}`);
  return {
    seed,
    peers: dice.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]),
    jobs: dice.pick([4, 8, 8, 20, 50]),
    hours: dice.pick([0.3, 0.4, 0.4, 1]),
    faults: "swarm",
    wide: true,
  };
}
