/**
 * Seeds that have failed once. Each is a whole story, replayed by `npm run sim -- --seed N` and by every run of the
 * tests before any new seed, so that what was found stays found. The words say what it had shown.
 */
import type { SeedJob } from "../bench/seed-pool.ts";

export const failedSeeds: readonly { seed: string; showed: string }[] = [
  { seed: "1", showed: "a waiting claim of a peer that only one other didn't hear kept nobody off" },
  { seed: "2", showed: "an old record of a peer that had been away opened a run anew, for ever" },
  { seed: "3", showed: "a change refused for a full disk was in force all the same" },
  { seed: "5", showed: "claims made after due shielded for no time" },
  { seed: "6", showed: "a peer with a wrong clock called ticks missed" },
  { seed: "7", showed: "a peer that was not heard yet, but heard by others, counted as dead" },
  { seed: "9", showed: "two askers who didn't hear each other both started; a living run was called lost" },
  { seed: "10", showed: "a peer settled at once after its pause, as all its links had broken off" },
  { seed: "45", showed: "two asked over a link that flapped, and both started" },
  { seed: "46", showed: "old news and its end came in one message, and only the old news was believed" },
  {
    seed: "53",
    showed: "a run's end met a full disk and was never written; a withdrawn claim hid later ones",
  },
  { seed: "214", showed: "old news of one peer was believed because another's record was remembered" },
];

/** A seed of a wide world (src/sim/wide.ts), with the size of that world and what is left of its faults. */
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
];
