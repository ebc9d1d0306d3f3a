/**
 * Who holds a pool's slots and who waits for one, read from the records, heartbeats and questions that are known now. Claims go
 * first by when they start, as those of one job do (contention.ts), so peers that know the same claims agree on who goes first.
 */
import { runId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { jobsOfPool, slotsOfPool } from "../job/pools.ts";
import { isPlanted } from "../probes/planted.ts";
import { openOf } from "../records/ledger.ts";
import { orderKeyOf } from "../records/records.ts";
import type { State } from "../state.ts";
import { comesBefore, holdsLease, isOverByHeartbeat } from "./contention.ts";
import { startsAt } from "./pool-queues.ts";
import type { Order } from "./order.ts";

/** A run, or a claim that goes first: each takes one slot. */
export interface Holder {
  readonly record: RunRecord;
  readonly isRunning: boolean;
}

/** The runs of the pool that are on, and the claims for it, except that order's own. */
export function* poolHolders(state: State, pool: string, except?: Order): Generator<Holder> {
  for (const job of jobsOfPool(state.jobs, pool)) {
    for (const record of openOf(state.ledger, job)) {
      if (except !== undefined && orderKeyOf(record) === except.key) continue;
      if (record.peer !== state.settings.self && isPlanted(state, "pool-here-only")) continue;
      const isRunning = record.state === "running" || state.book.runs.has(runId(record));
      if (isRunning ? isOverByHeartbeat(state, record) : !holdsLease(state, record)) continue;
      yield { record, isRunning };
    }
  }
}

/** Whether the order of this peer's claim `own` has to wait for a slot. */
export function hasNoSlot(state: State, order: Order, own: RunRecord, pool: string): boolean {
  let free = slotsOfPool(state.jobs, pool);
  if (free === 0) return true;
  for (const { record, isRunning } of poolHolders(state, pool, order)) {
    if (!isRunning && !comesBefore(order, own, record)) continue;
    if (--free === 0) return true;
  }
  return isAskedBefore(state, order, own, pool, free);
}

/** Other peers ask about so many orders that go first: they may hold places, although their claims aren't known yet. */
function isAskedBefore(state: State, order: Order, own: RunRecord, pool: string, slots: number): boolean {
  let free = slots;
  for (const [key, { job, due, untilMono }] of state.book.foreignInquiries) {
    if (untilMono < state.now.mono || key === order.key || state.jobs.plans.get(job)?.pool !== pool) continue;
    const goesFirst = due < startsAt(own) || (due === startsAt(own) && key < order.key);
    if (goesFirst && !isKnown(state, key) && --free === 0) return true;
  }
  return false;
}

/** Its claim has come meanwhile, and was counted as such. */
function isKnown({ ledger }: State, key: string): boolean {
  for (const record of ledger.orders.get(key as Order["key"])?.values() ?? [])
    if (record.state === "claimed" || record.state === "running") return true;
  return false;
}
