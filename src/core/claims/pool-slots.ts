/**
 * Who holds a pool's slots and who waits for one, read from the records, heartbeats and questions that are known now. Claims go
 * first by when they start, as those of one job do (contention.ts), so peers that know the same claims agree on who goes first.
 *
 * A claim that waits for other runs of its job, or whose job is stopped, is not in the pool's queue: what it waits for may
 * itself need a slot, or last for ever. When that is over, the claim joins the queue at its end (`joinsPool`).
 */
import { runId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { jobsOfPool, slotsOfPool } from "../job/pools.ts";
import { claimWaitMs } from "../limits.ts";
import { isPlanted } from "../probes/planted.ts";
import { claimedAt, openInPool, openOf } from "../records/ledger.ts";
import { orderKeyOf } from "../records/records.ts";
import type { State } from "../state.ts";
import { comesBefore, holdsLease, isOverByHeartbeat } from "./contention.ts";
import { queueStartsAt } from "./pool-queues.ts";
import type { Order } from "./order.ts";

/** A run, or a claim that goes first: each takes one slot. */
export interface Holder {
  readonly record: RunRecord;
  readonly isRunning: boolean;
}

/** The runs in progress that hold a slot of the pool, and the claims in its queue, without those of the order `except`. */
export function* poolHolders(state: State, pool: string, except?: Order): Generator<Holder> {
  for (const record of openFor(state, pool)) {
    if (except !== undefined && orderKeyOf(record) === except.key) continue;
    if (record.peer !== state.settings.self && isPlanted(state, "pool-here-only")) continue;
    const isRunning = record.state === "running" || state.book.runs.has(runId(record));
    const isOut = isOutOfQueue(record, pool) && !isPlanted(state, "pool-queue-blocked");
    if (isRunning ? isOverByHeartbeat(state, record) : isOut || !holdsLease(state, record)) continue;
    yield { record, isRunning };
  }
}

/** The open records of the jobs in the pool, and those of runs that hold a slot although their job has left it. */
function* openFor(state: State, pool: string): Generator<RunRecord> {
  for (const job of jobsOfPool(state.jobs, pool))
    for (const record of openOf(state.ledger, job)) if ((record.inPool ?? pool) === pool) yield record;
  const hasLeft = ({ job }: RunRecord): boolean => state.jobs.plans.get(job)?.pool !== pool;
  for (const record of openInPool(state.ledger, pool)) if (hasLeft(record)) yield record;
  // Runs that this peer has handed to its launcher, and that have not started, don't say so in their records yet.
  for (const { record, plan } of state.book.runs.values())
    if (plan.pool === pool && record.state === "claimed" && hasLeft(record)) yield record;
}

/** Whether the claim waits for something other than a slot of that pool. */
function isOutOfQueue(claim: RunRecord, pool: string): boolean {
  return claim.waiting === "overlap" && claim.pool !== pool;
}

/** Whether a claim that needs a slot of that pool was not in its queue until now. */
export function joinsPool(claim: RunRecord, pool: string | undefined): boolean {
  return pool !== undefined && isOutOfQueue(claim, pool);
}

/**
 * Whether another peer may have started the claim already, although it goes last: the claim was made late, after its peer had
 * asked the others. If that peer knows that others go first, it holds its claim back, and says so at once.
 */
function mayBeLaunched({ now, settings }: State, claim: RunRecord): boolean {
  const isLate = claimedAt(claim) + claimWaitMs > claim.due;
  const isDue = now.wall >= Math.max(claim.due, claimedAt(claim));
  return claim.peer !== settings.self && claim.waiting === undefined && isLate && isDue;
}

/** Whether the order of this peer's claim `own` has to wait for a slot. */
export function hasNoSlot(state: State, order: Order, own: RunRecord, pool: string): boolean {
  let free = slotsOfPool(state.jobs, pool);
  if (free === 0) return true;
  for (const { record, isRunning } of poolHolders(state, pool, order)) {
    const goesFirst = isRunning || comesBefore(order, queueStartsAt(own), record, queueStartsAt(record));
    if (!goesFirst && !mayBeLaunched(state, record)) continue;
    if (--free === 0) return true;
  }
  return hasAskedEarlier(state, order, own, pool, free);
}

/** Whether other peers ask about enough orders that go first to take all `slots`: their claims may not be known here yet. */
function hasAskedEarlier(state: State, order: Order, own: RunRecord, pool: string, slots: number): boolean {
  let free = slots;
  const ownStartsAt = queueStartsAt(own);
  for (const [key, { job, due, untilMono }] of state.book.foreignInquiries) {
    if (untilMono < state.now.mono || key === order.key || state.jobs.plans.get(job)?.pool !== pool) continue;
    const goesFirst = due < ownStartsAt || (due === ownStartsAt && key < order.key);
    if (goesFirst && !isKnown(state, key) && --free === 0) return true;
  }
  return false;
}

/** Whether the order's claim has arrived meanwhile, and so was counted already. */
function isKnown({ ledger }: State, key: string): boolean {
  for (const record of ledger.orders.get(key as Order["key"])?.values() ?? [])
    if (record.state === "claimed" || record.state === "running") return true;
  return false;
}
