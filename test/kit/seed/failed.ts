/**
 * Seeds that have failed once. Each is a whole story, replayed by `npm run sim -- --seed N` and by every run of the
 * tests before any new seed, so that what was found stays found. The words say what it had shown.
 */
export const failedSeeds: readonly { seed: string; showed: string }[] = [
  { seed: "1", showed: "a waiting claim of a peer that only one other didn't hear kept nobody off" },
  { seed: "2", showed: "an old record of a peer that had been away opened a run anew, for ever" },
  { seed: "3", showed: "a change refused for a full disk was in force all the same" },
  { seed: "5", showed: "claims made after due kept nobody off" },
  { seed: "6", showed: "a peer with a wrong clock called ticks missed" },
  { seed: "7", showed: "a peer that was not heard yet, but heard by others, counted as dead" },
  { seed: "9", showed: "two askers who didn't hear each other both started; a living run was called lost" },
  { seed: "10", showed: "a peer had warmed up at once after its pause, as all its links had broken off" },
  { seed: "45", showed: "two asked over a link that flapped, and both started" },
  { seed: "46", showed: "old news and its end came in one message, and only the old news was believed" },
  {
    seed: "53",
    showed: "a run's end met a full disk and was never written; a withdrawn claim hid later ones",
  },
  {
    seed: "test-46",
    showed: "a run's end met a disk full for a minute, and old news of the run was believed",
  },
  { seed: "214", showed: "old news of one peer was believed because another's record was remembered" },
];

/** Seeds of six hours that have failed once, with the size of the world in which they did. */
export const failedLongSeeds: readonly { seed: string; peers: number; jobs: number; showed: string }[] = [
  {
    seed: "5125",
    peers: 3,
    jobs: 2,
    showed: "an order by hand, settled an hour ago, came by a sync and was started",
  },
  { seed: "5183", peers: 3, jobs: 2, showed: "the same, after a pause of 12 s" },
  { seed: "67", peers: 3, jobs: 5, showed: "the same, while the peer was warming up" },
  { seed: "5132", peers: 3, jobs: 2, showed: "a run waited on for a question that had long been answered" },
  { seed: "7", peers: 3, jobs: 5, showed: "two runs at once of a job whose newest replaces the others" },
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
    showed: "the end of a run met a full disk and lost gossip, and nobody heard of it",
  },
  {
    seed: "9018",
    peers: 5,
    jobs: 50,
    showed: "a run by hand started beside a tick that was on its way to its launcher",
  },
  { seed: "6182", peers: 5, jobs: 50, showed: "ticks never started; mended together with what 6080 showed" },
  {
    seed: "6186",
    peers: 5,
    jobs: 50,
    showed: "a tick skipped for a run that was over, because the word of its end had not come yet",
  },
];
