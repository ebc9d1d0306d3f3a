/**
 * Bugs that are planted on purpose, one at a time, to show that the simulator's checkers would find them (DESIGN §13). A real
 * peer never has one: only the simulator sets `Settings.planted`, and without it every switch is a comparison with undefined.
 * Each bug is a mistake that is easy to make.
 */
export const plantedBugs = {
  "vote-before-fsync": "a voter sends its vote before it is durable",
  "votes-forgotten": "a voter that was restarted doesn't remember its votes",
  "memory-trusted": "a voter whose disk is an old copy votes without asking whether it remembers all",
  "ballots-reused": "a restarted proposer uses its earlier ballots again",
  "own-value": "a proposer puts its own value to the vote although another was accepted before",
  "successor-without-bar": "a voter that has accepted the next epoch continues to vote in the old one",
  "lost-rerun": "a chosen runner that is gone is treated as if it had never started the run",
  "random-rank": "each peer ranks the members in an order of its own",
  "no-recheck": "after a pause a peer continues where it was, without checking again",
  "lease-ignored": "a claim's lease keeps no other peer from claiming",
  "lease-from-due": "the lease of a late claim is counted from when the tick was due",
  "no-asking": "a peer that steps in or catches up doesn't ask the others first",
  "claim-unstored": "a claim is announced and acted upon before it is durable",
  "warm-up-skipped": "a peer that was restarted or paused takes ticks at once",
  "catch-up-repeats": "a restarted peer forgets which ticks are over",
  "overlap-here-only": "a run on another peer doesn't count for overlap",
  "pool-here-only": "a run on another peer takes no slot of its pool",
  "pool-queue-blocked": "what waits for something other than a slot stands in the queue of its pool",
  "jump-unseen": "a peer doesn't notice that its clock was set",
  "two-clocks-trusted": "of two clocks that differ, neither is doubted",
  "future-kept": "what was planned by a clock that was ahead stays planned",
  "watermark-leads": "a watermark moves past undecided ticks",
  "duplicate-carries-on": "the older of two processes with one identity carries on as if it were alone",
  "earlier-life-unspared":
    "open records that a second process with the peer's identity has written are ended as an earlier life's",
  "watermark-stuck": "the watermark never moves up, so what is over is remembered tick by tick",
  "edit-looks-back": "a new schedule counts for ticks from before it was edited",
  "range-over-runs": "a gap is reported as missed from end to end, whatever ran in it",
  "pruned-comes-back": "a peer takes back what it has pruned, and sends a neighbour what that has pruned",
  "superseded-carries-on": "a peer whose key was proved to be replaced carries on as if it were a member",
  "forgotten-carries-on": "a peer that the mesh has forgotten carries on as if it were a member",
  "host-fault-blamed": "a start that fails because of the host counts as the job's failure",
  "cancel-unconfirmed": "a cancel is answered before the peers that hold its runs have confirmed it",
  "skip-unconfirmed": "a skip is answered before the peers that have claimed its tick were told",
  "secret-unread": "a peer counts as having every secret",
  "group-unread": "a job doesn't get what its group says",
  "calendar-kept": "a calendar that is changed stays as it was for the jobs that name it",
  "backfill-twice": "of two requests for one past tick both run it",
  "backfill-joins-twice": "a job runs once for each of its parents whose past tick was asked for",
  "signature-unchecked": "a record is taken in without a valid signature",
  "drain-unread": "a drained peer that was restarted takes ticks again",
  "needs-ignored": "a peer runs jobs of a later version as if it knew them",
  "later-fields-cleared": "an edit clears the fields of a job that its writer's version doesn't know",
  "retry-dropped": "a failed run is repeated only by the peer that ran it",
  "chain-dropped": "a job is run after its parent only by the peer that ran the parent",
  "chain-on-any-end": "a job runs after its parents however they ended",
  "told-by-all": "every peer tells people about a tick at once, whichever peer's turn it is",
  "set-follows-living": "a tick that runs on all peers is for those that live when it is looked at",
  "rolls-at-once": "a tick that goes from peer to peer doesn't wait for the runs before",
  "slot-ends-all": "when one peer's slot of a tick has ended, the rest of the tick is over",
  "answer-before-fsync": "a change is confirmed before it is durable",
} as const;

export type PlantedBug = keyof typeof plantedBugs;

export function isPlanted(
  { settings }: { readonly settings: { readonly planted?: PlantedBug } },
  bug: PlantedBug,
): boolean {
  return settings.planted === bug;
}
