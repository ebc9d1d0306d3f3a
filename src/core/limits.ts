/**
 * The times that decide about ticks (DESIGN §3, §5), in ms. They are part of the protocol: all peers of a mesh must use the
 * same ones, so they are not settings.
 */

/** How often heartbeats go to all members. Less makes more traffic (n² messages); more makes suspicion later. */
export const heartbeatEveryMs = 1_000;
/**
 * Rank 0 claims this long before due: two heartbeats, so that peers with different views notice before the start.
 */
export const claimAheadMs = 2_000;
/**
 * How long after a tick could first be claimed it is claimed without asking the others, which still expect the claim then.
 * With less, a peer whose event loop lags asks more often. With more, a peer that could not take the tick at first, and has
 * not heard another peer's claim, starts it as well.
 */
export const timelyMs = 250;
/** A claim that is made late waits this long for a conflicting one: ten gossip batches. */
export const claimWaitMs = 250;
/** The claim lease: how long after due a claim without a start keeps other peers from claiming. */
export const claimLeaseMs = 5_000;
/** How long a peer waits for each peer before it in rank that is alive, or suspect. */
export const aliveWeightMs = 5_000;
export const suspectWeightMs = 1_000;
/** A peer that would start a claimed tick, or claim one that a person asked for, later than this asks the others first. */
export const lateMs = 2_000;
/** How long a peer that asks waits for answers. */
export const askLimitMs = 1_000;
/** A tick that is overdue by more than this is left to catch-up. */
export const overdueMs = 30_000;
/**
 * The launcher refuses starts that left core longer ago than this. It is well under `claimLeaseMs`, so that no other peer has
 * stepped in by then.
 */
export const launchLimitMs = 3_000;
/** The longest warm-up: how long a peer that has started, or slept, waits for the others' tables and records. */
export const warmUpLimitMs = 5_000;
/** A longer gap between two steps is a pause, after which the peer warms up again. */
export const pauseMs = 5_000;
/** How long the next peer in rank waits before it reports a gap: the peer before it may not know about the gap. */
export const reportEveryMs = 10_000;
/** How often overdue orders, lost runs and old memory are checked. */
export const sweepEveryMs = 5_000;
/** No votes are given on ticks older than this. */
export const voteUntilMs = 24 * 3_600_000;
/** How long records of settled ticks stay in memory, because messages about them may come late. */
export const rememberMs = 60_000;
/** If an ended run is news and was due longer ago than this, memory only keeps that its order is over (ledger.ts). */
export const recentMs = 120_000;
/** How often watermarks move up and settled ticks are forgotten, which goes through all of them. */
export const forgetEveryMs = 60_000;
/**
 * How long after its window it is remembered that an order without a tick of a schedule is over, in case a sync brings the
 * order late.
 */
export const requestedKeptMs = 3_600_000;
/** How long a tick that was asked for again (backfill) may wait for its turn behind the others of its request, ms. */
export const backfillWindowMs = 7 * 86_400_000;
/**
 * How long the watermark of a job that is not in the table, claims that were given back, and requests whose run may be repeated
 * are remembered.
 */
export const forgetAfterMs = 7 * 86_400_000;

/** The longest pause before a retry: the tick waits for its retries, and its job with it; ms. */
export const longestBackoffMs = 24 * 3_600_000;

/** The longest `target.offline`, ms: every tick stays open for that long in every peer's memory. */
export const longestOfflineMs = 30 * 24 * 3_600_000;
/** … of a majority job: then its voters still remember their votes. */
export const votedWithinMs = 22 * 3_600_000;
/**
 * How far (ms) a peer's clock may be ahead of the right ones before it refuses to write the table, where its stamps would push
 * every other peer's ahead. Less refuses honest hosts; more misdates jobs.
 */
export const writerAheadMaxMs = 60_000;
