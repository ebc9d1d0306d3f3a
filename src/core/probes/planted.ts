/**
 * Bugs that are planted on purpose, one at a time, so that the simulator's checkers can show that they would find
 * them (DESIGN §12). A peer never has one: only the simulator gives `Settings.planted`, and without it every switch
 * is a comparison with undefined. Each name below is a mistake that somebody could make in all innocence.
 */
export const plantedBugs = {
  "vote-before-fsync": "a voter tells its vote before it is on the disk",
  "votes-forgotten": "a voter that was restarted doesn't remember its votes",
  "memory-trusted": "a voter whose disk is an old copy votes without asking whether it remembers all",
  "ballots-reused": "a candidate begins its ballots anew in every life",
  "own-value": "a candidate puts its own value to the vote although another was accepted before",
  "successor-without-bar": "a voter that has accepted the next epoch goes on voting for the old one",
  "lost-rerun": "a chosen runner that is gone is taken for one that never started",
  "random-rank": "every peer ranks the members in an order of its own",
  "no-recheck": "after a pause a peer goes on where it was, and looks at nothing again",
  "lease-ignored": "a claim keeps nobody off",
  "lease-from-due": "the shield of a claim that was made late is counted from when the tick was due",
  "no-asking": "a peer that steps in or catches up asks nobody before",
  "claim-unstored": "a claim is said and acted upon before it is on the disk",
  "warm-up-skipped": "a peer that was restarted or paused takes part at once",
  "catch-up-repeats": "a restarted peer forgets which ticks are over",
  "overlap-here-only": "a run on another peer holds nobody up",
  "answer-before-fsync": "a change is confirmed before it is on the disk",
} as const;

export type PlantedBug = keyof typeof plantedBugs;

export function isPlanted(
  { settings }: { readonly settings: { readonly planted?: PlantedBug } },
  bug: PlantedBug,
): boolean {
  return settings.planted === bug;
}
