/**
 * The times that decide about ticks (DESIGN §3, §5), in ms unless the name says otherwise. They are part of the
 * protocol: all peers of a mesh must use the same ones, so they are not settings.
 */

/** Heartbeats go to everyone this often. Less: more traffic (n² messages). More: later suspicion. */
export const heartbeatEveryMs = 1_000;
/**
 * Rank 0 claims this long before due: two heartbeats, in which peers with different views find out before the start.
 */
export const claimAheadMs = 2_000;
/**
 * Up to this long after it could be claimed ahead, a tick is claimed without asking the others, who then expect nobody else
 * to claim it. Less: more questions by a peer whose event loop lags. More: a peer that could not take the tick at first, and
 * has not heard of the claim of another, starts it as well.
 */
export const timelyMs = 250;
/** A claim that is made later waits this long for a conflicting one: ten gossip batches. */
export const claimWaitMs = 250;
/** A claim without a start keeps other peers off for this long after due. */
export const claimLeaseMs = 5_000;
/** How long a rank waits for each one before it that is alive, or suspect. */
export const aliveWeightMs = 5_000;
export const suspectWeightMs = 1_000;
/** A peer that would start a claimed tick, or claim one that a person asked for, later than this asks the others first. */
export const lateMs = 2_000;
/** How long an asker waits for answers. */
export const askLimitMs = 1_000;
/** A tick that is overdue by more is left to catch-up. */
export const overdueMs = 30_000;
/**
 * The launcher starts nothing that left core longer ago. Well under `claimLeaseMs`, so that no other peer has stepped
 * in.
 */
export const launchLimitMs = 3_000;
/** A peer that starts, or slept too long, waits at most this long for the others' table and records. */
export const warmUpLimitMs = 5_000;
/** A longer gap between two steps is a pause: the peer warms up again. */
export const pauseMs = 5_000;
/** Overdue orders, lost runs and old memory are checked this often. */
export const sweepEveryMs = 5_000;
/** Records of settled ticks stay in memory this long for the sake of late messages. */
export const rememberMs = 60_000;
/** Settled ticks that can't come back are forgotten this often: it goes through all of them. */
export const forgetEveryMs = 60_000;
/** Ticks that nobody ran are looked for this far back, and at most so many per job. */
export const scanBackMs = 7 * 86_400_000;
