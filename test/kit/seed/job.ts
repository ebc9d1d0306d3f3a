/**
 * The settings of a seed's world: given by hand, or drawn from the seed's name, so that the name is enough to run it
 * again.
 */
import { plantedBugs, type PlantedBug } from "../../../src/core/probes/planted.ts";
import type { FaultKind } from "../../../src/sim/faults/faults.ts";
import type { LongKind } from "../../../src/sim/faults/long.ts";
import { Dice } from "../../../src/sim/random.ts";

export const worldKinds = ["plain", "wide", "long", "mixed", "long-mixed"] as const;
export type WorldKind = (typeof worldKinds)[number];

export interface SeedJob {
  seed: string;
  peers: number;
  jobs: number;
  hours: number;
  faults: "none" | "swarm";
  /**
   * absent = plain; wide has majority jobs, witnesses and joins (sim/faults/wide.ts), mixed also has two versions
   * (sim/faults/mixed.ts), long lasts weeks (sim/long.ts), long-mixed lasts weeks and has two versions
   */
  world?: WorldKind;
  /** for a long world: false = quiet stretches are simulated too */
  leaps?: boolean;
  longKinds?: readonly LongKind[];
  /** for a long world: hosts may boot with wrong clocks */
  boots?: boolean;
  /** a person drains, promotes and forgets peers and cancels runs; always so in a long world */
  person?: boolean;
  /** for a wide world: some of the jobs repeat what fails */
  retries?: boolean;
  /** some of the jobs run after others */
  chains?: boolean;
  pools?: boolean;
  /** a person asks for past ticks again; for a wide world */
  backfills?: boolean;
  /** some of the jobs name a secret, belong to a group, or leave out what is in a calendar */
  secrets?: boolean;
  groups?: boolean;
  calendars?: boolean;
  planted?: PlantedBug;
  /** for a wide world: the numbers of the faults that happen; absent = all */
  keptFaults?: readonly number[];
  /** the kinds of fault; absent = as the seed draws */
  kinds?: readonly FaultKind[];
}

/** hours × jobs of the largest wide world that `npm test` runs */
const moderate = 10;

/** Whether the world takes seconds; those that take minutes are left to the hunt. Long worlds leap over their quiet stretches. */
export function isModerate({ world, hours, jobs }: SeedJob): boolean {
  return world === "long" || world === "long-mixed" || hours * jobs <= moderate;
}

/** The planted bug of that name; undefined = none is asked for. */
export function plantedBugOf(name: string | undefined): PlantedBug | undefined {
  const bug = Object.keys(plantedBugs).find((one) => one === name);
  if (bug !== undefined || name === undefined) return bug as PlantedBug | undefined; // a key of the table
  throw new Error(`there is no bug "${name}" to plant; give one of ${Object.keys(plantedBugs).join(", ")}`);
}

/** The kind of world in which a planted bug can show. */
export function worldOfBug(bug: PlantedBug): WorldKind {
  return bug === "needs-ignored" || bug === "later-fields-cleared" ? "mixed" : "wide";
}

/** The size of the seed's long world. */
export function longSizeOf(seed: string): SeedJob {
  const dice = new Dice(`long size ${seed}`);
  return {
    seed,
    peers: dice.pick([1, 2, 2, 3, 3, 3, 5]),
    jobs: dice.pick([1, 2, 4]),
    hours: 24 * dice.pick([4, 9, 16, 23]),
    faults: "swarm",
    world: "long",
    chains: dice.chance(0.5),
    pools: true,
    ...drawShared(dice),
    boots: dice.chance(0.5),
    retries: dice.chance(0.5),
  };
}

/** The size of the seed's mixed world. */
export function mixedSizeOf(seed: string): SeedJob {
  const { peers, ...size } = sizeOf(seed);
  return { ...size, peers: Math.max(2, peers), world: "mixed" };
}

/** The size of the seed's long world of two versions. */
export function longMixedSizeOf(seed: string): SeedJob {
  const { peers, ...size } = longSizeOf(seed);
  return { ...size, peers: Math.max(2, peers), world: "long-mixed" };
}

/** The size of the seed's wide world. */
export function sizeOf(seed: string): SeedJob {
  const dice = new Dice(`size ${seed}`);
  return {
    seed,
    peers: dice.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]),
    jobs: dice.pick([4, 8, 8, 20, 50]),
    hours: dice.pick([0.3, 0.4, 0.4, 1]),
    faults: "swarm",
    world: "wide",
    person: dice.chance(0.5),
    retries: dice.chance(0.5),
    chains: dice.chance(0.5),
    pools: true,
    ...drawShared(dice),
  };
}

function drawShared(dice: Dice): Pick<SeedJob, "secrets" | "groups" | "calendars"> {
  return { secrets: dice.chance(0.5), groups: dice.chance(0.5), calendars: dice.chance(0.5) };
}
