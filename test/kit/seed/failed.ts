/**
 * Seeds of plain worlds that have failed once. `npm run sim -- --seed N` replays one. `showed` says what the seed had
 * shown. The tests run those of the first list for half an hour, which makes other worlds of them, with the same kinds of fault;
 * `npm run hunt -- --world mended` runs the whole hour, and those of six hours, too.
 */
export const hourOfFive = { peers: 5, jobs: 50, hours: 1, faults: "swarm" } as const;

/** `enoughHours`: for `npm test`, where a planted bug of its kind shows in less than half an hour as well. */
export interface FailedSeed {
  seed: string;
  enoughHours?: number;
  showed: string;
}

export const failedSeeds: readonly FailedSeed[] = [
  { seed: "1", showed: "a waiting claim was ignored by all because one peer didn't hear its owner" },
  {
    seed: "2",
    showed: "an old record of a peer that had been away reopened a run for ever",
  },
  { seed: "3", showed: "a change refused because of a full disk took effect" },
  { seed: "5", showed: "claims made after their tick was due were ignored" },
  { seed: "6", showed: "a peer with a wrong clock reported ticks as missed" },
  {
    seed: "7",
    enoughHours: 0.25,
    showed: "a peer that was not heard yet, but heard by others, counted as dead",
  },
  {
    seed: "9",
    showed: "two peers that asked and didn't hear each other both started; a living run was reported as lost",
  },
  {
    seed: "10",
    enoughHours: 0.25,
    showed: "a peer had warmed up at once after its pause, because all its links had broken",
  },
  {
    seed: "45",
    showed: "two peers asked each other over a flapping link, and both started",
  },
  {
    seed: "46",
    showed: "an old record and its end came in one message, and only the old record was accepted",
  },
  {
    seed: "53",
    enoughHours: 0.25,
    showed: "a run's end was never written because of a full disk; a withdrawn claim hid later ones",
  },
  {
    seed: "test-46",
    showed:
      "a run's end came while the disk was full for a minute, and an old record of the run was accepted",
  },
  { seed: "214", showed: "an old record of one peer was accepted because another's record was remembered" },
];

/** Seeds of six hours that have failed once, with the size of their world. */
export const failedLongSeeds: readonly { seed: string; peers: number; jobs: number; showed: string }[] = [
  {
    seed: "5125",
    peers: 3,
    jobs: 2,
    showed: "a manual order that was over for an hour came by a sync and was started",
  },
  { seed: "5183", peers: 3, jobs: 2, showed: "the same, after a pause of 12 s" },
  { seed: "67", peers: 3, jobs: 5, showed: "the same, while the peer was warming up" },
  {
    seed: "5132",
    peers: 3,
    jobs: 2,
    showed: "a run kept waiting for a question that had long been answered",
  },
  { seed: "7", peers: 3, jobs: 5, showed: "two runs at once of a job with overlap replace" },
  {
    seed: "6015",
    peers: 5,
    jobs: 50,
    showed: "two peers with two others between them took each other for dead",
  },
  {
    seed: "6080",
    peers: 5,
    jobs: 50,
    showed: "the end of a run met a full disk and lost gossip, and no peer learned of it",
  },
  {
    seed: "9018",
    peers: 5,
    jobs: 50,
    showed: "a manual run started beside a tick that was on its way to its launcher",
  },
  { seed: "6182", peers: 5, jobs: 50, showed: "ticks never started; fixed together with what 6080 showed" },
  {
    seed: "6186",
    peers: 5,
    jobs: 50,
    showed: "a tick was skipped because of a run whose end was not known yet",
  },
];
