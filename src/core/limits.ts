/**
 * The times by which ticks are kept (DESIGN §3, §5), in ms unless the name says otherwise. They are one protocol:
 * every peer of a mesh must hold the same ones, so they are not settings.
 */

/** Heartbeats go to everyone this often. Less: more traffic (n² messages). More: later suspicion. */
export const heartbeatEveryMs = 1_000;
/** Rank 0 claims this long before due: two heartbeats, so that views that differ have met before the start. */
export const claimAheadMs = 2_000;
/** A claim made later than that waits this long for a conflicting one: ten gossip batches. */
export const claimWaitMs = 250;
/** A claim without a start keeps others off for this long after due. */
export const claimLeaseMs = 5_000;
/** How long a rank waits for one before it that is alive, and for one that is suspect. */
export const aliveWeightMs = 5_000;
export const suspectWeightMs = 1_000;
/** A start later than this asks first, and so does every step-in. */
export const lateMs = 2_000;
/** How long an asker waits for answers. */
export const askLimitMs = 1_000;
/** A tick that is overdue by more is catch-up's business. */
export const overdueMs = 30_000;
/** The launcher starts nothing that left core longer ago. Well under `claimLeaseMs`, so that no other has stepped in. */
export const launchLimitMs = 3_000;
/** A peer that starts, or slept too long, waits at most this long for the others' table and records. */
export const warmUpLimitMs = 5_000;
/** A gap between two steps longer than this is a pause: the peer settles anew. */
export const pauseMs = 5_000;
/** Overdue orders, lost runs and old memory are looked through this often. */
export const sweepEveryMs = 5_000;
/** Records of settled ticks stay in memory this long for the sake of late messages. */
export const rememberMs = 60_000;
/** Marks of ticks that can't come back are looked for this often: it goes through all of them. */
export const forgetEveryMs = 60_000;
/** Ticks that nobody kept are looked for this far back, and at most so many per job. */
export const scanBackMs = 7 * 86_400_000;
