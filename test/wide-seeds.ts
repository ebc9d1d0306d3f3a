/**
 * Seeds of wide worlds (src/sim/wide.ts) that broke a rule once, each with the size of its world, what is left of its
 * faults, and the reason. `npm run sim -- --wide --seed … --peers … --jobs … --hours … --kept … --trace` shows one at work.
 */
import type { SeedJob } from "../bench/seed-pool.ts";

export interface MendedSeed extends Omit<SeedJob, "faults"> {
  rule: string;
  /** what was wrong, and is mended */
  why: string;
}

export const mendedSeeds: readonly MendedSeed[] = [
  {
    seed: "40",
    peers: 3,
    jobs: 8,
    hours: 0.4,
    wide: true,
    rule: "I2",
    why: "the first of those at capacity took a majority job's tick without asking its voters",
  },
  {
    seed: "a-53",
    peers: 2,
    jobs: 20,
    hours: 1,
    wide: true,
    keptFaults: [0, 1],
    rule: "I3",
    why: "an order on its way through the launcher came back by a sync, and was claimed and started again",
  },
  {
    seed: "1795219770750-24",
    peers: 3,
    jobs: 50,
    hours: 0.3,
    wide: true,
    keptFaults: [11, 12, 13, 14, 15],
    rule: "I6",
    why: "a tick that was undecided when the last peer died was older than what they looked for when they came back",
  },
  {
    seed: "1795220256363-10",
    peers: 2,
    jobs: 8,
    hours: 0.4,
    wide: true,
    keptFaults: [1, 8],
    rule: "I7",
    why: "a confirmed change built on one that a full disk had refused, so that after a restart neither could be read",
  },
  {
    seed: "1055",
    peers: 3,
    jobs: 8,
    hours: 0.3,
    wide: true,
    keptFaults: [32, 34, 35, 36, 39, 44],
    rule: "I6",
    why: "with slow disks and wires each try for the voters ended before their answers came, and nobody called the tick over",
  },
  {
    seed: "1795221304485-268",
    peers: 3,
    jobs: 50,
    hours: 0.4,
    wide: true,
    rule: "I1",
    why: "a voter told of votes that its full disk had refused, and after a restart all took it for an old copy, for ever",
  },
  {
    seed: "s2a-331",
    peers: 3,
    jobs: 8,
    hours: 0.4,
    wide: true,
    keptFaults: [2],
    rule: "I3",
    why: "two peers that had never had a link, with a third between them, took each other's claims for a dead peer's",
  },
  {
    seed: "s2a-212",
    peers: 3,
    jobs: 13,
    hours: 1,
    wide: true,
    keptFaults: [4, 9],
    rule: "I1",
    why: "the checker took two voters for in touch that had only a third between them, and nobody hands votes on",
  },
  {
    seed: "s2a-288",
    peers: 3,
    jobs: 8,
    hours: 1,
    wide: true,
    keptFaults: [5, 6],
    rule: "I13",
    why: "the checker asked for few ballots where too few voters may vote for good",
  },
  {
    seed: "s2a-317",
    peers: 3,
    jobs: 8,
    hours: 0.4,
    wide: true,
    rule: "I6",
    why: "the checker looked for a record on all peers that one had written just before the end",
  },
  {
    seed: "s2a-326",
    peers: 4,
    jobs: 25,
    hours: 0.3,
    wide: true,
    keptFaults: [],
    rule: "I6",
    why: "the checker wanted a word at once on ticks of a job that only witnesses were to run",
  },
  {
    seed: "s2b-184",
    peers: 2,
    jobs: 8,
    hours: 0.3,
    wide: true,
    keptFaults: [5, 10, 11, 13, 14, 18],
    rule: "I4",
    why: "a chosen runner that had slept through the tick ran it minutes later, though its job catches nothing up",
  },
];
