/** How large the wide world of a seed is: drawn from the seed's name, so that the name is enough to find it again. */
import { Dice } from "../../src/sim/random.ts";
import type { SeedJob } from "./seed-pool.ts";

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
