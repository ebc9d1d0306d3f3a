/**
 * Carries out what was decided about an order: claim, hold back, decline, withdraw, or close without a run (launch.ts starts one).
 *
 * A claim is gossiped only once it is on this peer's disk: a peer that comes back must know what it had promised. Every
 * change of an own record goes through `commit`, so that disk, mesh and listeners hear the same.
 */
import { isPeerSlot, type OrderKey, runId, type PeerId } from "../../schema/ids.ts";
import { countMax, type Skip } from "../../schema/job.ts";
import { giveBacksMax, type SkippedPeer, type RunRecord } from "../../schema/run.ts";
import type { RunState } from "../../schema/run-states.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { claimAheadMs, claimWaitMs } from "../limits.ts";
import { eligibilityOf } from "../members/eligibility.ts";
import { livingMembers } from "../members/members.ts";
import type { Plan } from "../job/plan.ts";
import { withRetry } from "../job/retry.ts";
import { admitNextRound, removeOrder } from "./order-book.ts";
import { joinsPool } from "./pool-slots.ts";
import { isInProgress } from "./slots.ts";
import { touch, touchAll, touchHeld, wakePool } from "./touched.ts";
import { openOf, recordsOf, takeRecord } from "../records/ledger.ts";
import { orderKeyOf } from "../records/records.ts";
import { tickSetOf } from "../records/tick-sets.ts";
import { skipOf } from "./skipped.ts";
import { commit, contest, recordMoved } from "./record-moved.ts";
import { emit, expectStored, type State } from "../state.ts";
import { noStage, transition, type Order } from "./order.ts";

/** Whether this peer has no place left for another claim of the order's weight. */
export function isFull(state: State, { weight }: Order): boolean {
  const { book, now, settings } = state;
  const free = settings.capacity - book.runningWeight - book.claimedWeight;
  return weight > free || weight > free - (book.capacityQueue.first(now.wall)?.weight ?? 0);
}

/**
 * Whether the order can't start now. An order that has waited for something leaves free what the first in the capacity
 * queue needs. A claim that was made in time has its place already.
 */
export function hasNoPlace(state: State, order: Order): boolean {
  const { book, now, settings } = state;
  const free = settings.capacity - book.runningWeight;
  if (order.weight > free) return true;
  if (book.claims.has(order)) return false;
  const first = book.capacityQueue.first(now.wall);
  return first !== undefined && first !== order && order.weight > free - first.weight;
}

function newRecord(
  state: State,
  order: Order,
  plan: Plan | undefined,
  rank: number,
  skippedPeers: readonly SkippedPeer[],
  recordState: RunState,
): RunRecord {
  return {
    job: order.job,
    tick: order.tick,
    attempt: order.attempt,
    slot: order.slot,
    ...(order.of === 1 ? {} : { of: order.of }),
    ...setOf(state, order),
    peer: state.settings.self,
    state: recordState,
    ...nextVersion(state, order.key),
    ...(order.round === 0 ? {} : { giveBacks: order.round }),
    revision: plan?.revision ?? "",
    trigger: order.trigger,
    rank,
    due: order.due,
    view: livingMembers(state).length,
    ...(skippedPeers.length === 0 ? {} : { passed: skippedPeers.slice(0, 128) }),
    signature: "",
  };
}

/**
 * A record of a tick that runs on all peers names its slots, so the first records fix the set. A full set is not added to: the
 * record's own slot counts as named anyway (records/tick-sets.ts).
 */
function setOf({ ledger }: State, { job, tick, slot }: Order): Pick<RunRecord, "set"> {
  if (!isPeerSlot(slot)) return {};
  const known = tickSetOf(ledger.history, job, tick)?.slots ?? [];
  return { set: known.includes(slot) || known.length >= countMax ? [...known] : [...known, slot] };
}

/** The version after that peer's last record of the order, and its round; version 1 if there is none. */
export function nextVersion(
  state: State,
  key: OrderKey,
  of = state.settings.self,
): Pick<RunRecord, "version" | "round"> {
  for (const { peer, version, round } of recordsOf(state.ledger, key)) {
    if (peer === of) return { version: version + 1, ...(round === undefined ? {} : { round }) };
  }
  return { version: 1 };
}

/**
 * True for a claim that this peer made and withdrew. It stays in memory however old it is, because this peer's next claim of
 * the order continues its version: a claim with version 1 would lose against it, on this disk and on every other peer.
 */
export function isOwnGivenBack(state: State, { peer, state: how }: RunRecord): boolean {
  return how === "withdrawn" && peer === state.settings.self;
}

/**
 * Stores a claim. A timely claim starts when its order is due. A late one first waits 250 ms for conflicting claims, unless
 * the other peers have been asked and know of none.
 */
export function claim(
  state: State,
  plan: Plan,
  order: Order,
  failover: { rank: number; skippedPeers: readonly SkippedPeer[] },
  how: { hasAsked?: boolean; waiting?: "capacity"; epoch?: number },
): void {
  const { wall } = state.now;
  const record: RunRecord = {
    ...newRecord(state, order, plan, failover.rank, failover.skippedPeers, "claimed"),
    claimedAt: wall,
    ...(how.waiting === undefined ? {} : { waiting: how.waiting }),
    ...(how.epoch === undefined ? {} : { epoch: how.epoch }),
  };
  const late = wall > order.due - claimAheadMs / 2;
  const signed = state.settings.sign(record);
  transition(state.book, order, {
    stage: "claiming",
    claim: signed,
    waitMs: late && how.hasAsked !== true ? claimWaitMs : 0,
  });
  if (isPlanted(state, "claim-unstored")) {
    emit(state, { kind: "store", writes: [{ kind: "record", record: signed }] });
    return claimStored(state, order, false);
  }
  const token = expectStored(state, { kind: "claim", order });
  emit(state, { kind: "store", writes: [{ kind: "record", record: signed }], token });
}

/** The claim is on the disk, so it is gossiped. If its order has left the book meanwhile, the claim is withdrawn. */
export function claimStored(state: State, order: Order, failed: boolean): void {
  if (order.local.stage !== "claiming") return;
  const { claim: record, waitMs } = order.local;
  if (failed) return claimNotStored(state, order, record);
  transition(state.book, order, { stage: "claimed", claim: record, mayStartAt: state.now.wall + waitMs });
  const { before } = takeRecord(state.ledger, record, state.now.mono, true);
  emit(state, { kind: "gossip", record });
  for (const other of recordsOf(state.ledger, order.key)) contest(state, order, other);
  recordMoved(state, before, record, order);
  if (state.book.orders.get(order.key) !== order) {
    mark(state, "claim-pointless");
    withdraw(state, order, "job-changed");
  }
}

/**
 * The next in rank gets its turn at once. If the voters have chosen this peer, nobody else may run the order until it is given
 * back. That record is gossiped even if this disk refuses it, too: this life has started nothing, and no later life of this peer
 * may start what was chosen for this one.
 */
function claimNotStored(state: State, order: Order, record: RunRecord): void {
  mark(state, "claim-not-stored");
  transition(state.book, order, noStage);
  wakeCapacityQueue(state);
  if (record.epoch !== undefined && isForOthersToo(state, order)) {
    mark(state, "given-back");
    commit(state, endOf(state, record, "withdrawn", "disk"), order);
  }
  decline(state, state.book.orders.get(order.key) ?? order);
}

/** Whether another round may find another runner for the order. Its rounds are few. */
function isForOthersToo(state: State, order: Order): boolean {
  const plan = state.jobs.plans.get(order.job);
  if (plan === undefined) return true;
  if (order.round + 1 >= giveBacksMax) return false;
  const eligibility = eligibilityOf(state, plan, order);
  return [...state.members.byId.keys()].some((peer) => eligibility(peer) === "alive");
}

/** A place may be free, so the order whose turn it is in the queue is reconciled. */
export function wakeCapacityQueue(state: State): void {
  if (state.book.runningWeight >= state.settings.capacity) return;
  const first = state.book.capacityQueue.first(state.now.wall);
  if (first !== undefined) touch(state, first);
}

/**
 * Holds back this peer's claim. The others see that it waits, and don't claim the order while this peer lives. A claim that
 * waited for other runs of its job joins its pool's queue only now, at its end, after waiting briefly for others that join at
 * the same time.
 */
export function hold(state: State, order: Order, why: "overlap" | "capacity" | "pool"): void {
  if (order.local.stage !== "claimed") return;
  const { claim: record } = order.local;
  const pool = why === "pool" ? state.jobs.plans.get(order.job)?.pool : undefined;
  const waiting = why === "pool" ? "overlap" : why;
  if (record.waiting === waiting && record.pool === pool) return;
  const { pool: _, linedUpAt: before, ...rest } = record;
  const version = record.version + 1;
  const joins = joinsPool(record, pool);
  // A claim that waits for other runs of its job leaves the queue.
  const linedUpAt = joins ? state.now.wall : waiting === "overlap" && pool === undefined ? undefined : before;
  const held = commit(state, {
    ...rest,
    waiting,
    ...(pool === undefined ? {} : { pool }),
    ...(linedUpAt === undefined ? {} : { linedUpAt }),
    version,
  });
  const mayStartAt = joins ? state.now.wall + claimWaitMs : order.local.mayStartAt;
  transition(state.book, order, { ...order.local, claim: held, mayStartAt });
  // The order has stopped waiting for capacity or a slot.
  if (record.waiting === "capacity") wakeCapacityQueue(state);
  if (record.pool !== undefined) wakePool(state, record.pool);
}

/** Withdraws this peer's claim. The order stays in the book; if the voters had chosen this peer, it is in its next round. */
export function withdraw(state: State, order: Order, reason: string): void {
  if (order.local.stage !== "claimed") return;
  const { claim: record } = order.local;
  transition(state.book, order, noStage);
  wakeCapacityQueue(state);
  if (record.pool !== undefined) wakePool(state, record.pool);
  if (record.epoch !== undefined) mark(state, "given-back");
  commit(state, endOf(state, record, "withdrawn", reason), order);
}

/** This peer takes no more ticks: it withdraws its claims now, so that the others can run them on time. */
export function giveClaimsBack(state: State): void {
  for (const order of [...state.book.claims, ...state.book.capacityQueue]) withdraw(state, order, "draining");
  touchAll(state);
}

/** The record without its waiting fields. */
export function unqueued(record: RunRecord): RunRecord {
  const { waiting: _waiting, pool: _pool, linedUpAt: _linedUpAt, ...rest } = record;
  return rest;
}

function endOf(state: State, record: RunRecord, end: RunState, reason: string): RunRecord {
  return { ...unqueued(record), state: end, reason, version: record.version + 1, finishedAt: state.now.wall };
}

/** This peer is at capacity: it says so, and the next in rank gets its turn at once. */
export function decline(state: State, order: Order): void {
  if (order.declined.has(state.settings.self)) return;
  order.declined.add(state.settings.self);
  mark(state, "declined");
  emit(state, { kind: "decline", key: order.key });
  emit(state, { kind: "count", name: "declined" });
  touch(state, order);
}

/** Removes the order from the book, and withdraws this peer's claim or, with `decision`, records the decision. */
export function closeWithout(
  state: State,
  order: Order,
  reason: string,
  plan?: Plan,
  decision?: "skipped" | "missed" | "cancelled",
): void {
  removeOrder(state, order);
  if (decision === undefined) {
    // A record would wake the ticks that waited because this one was in progress, and none is written.
    if (isInProgress(state, order)) touchHeld(state, order.job);
    // A claim that is being stored is withdrawn once it is on the disk (claimStored).
    return withdraw(state, order, reason);
  }
  const own =
    order.local.stage === "claimed" ? order.local.claim : newRecord(state, order, plan, 0, [], decision);
  transition(state.book, order, noStage);
  wakeCapacityQueue(state);
  const skip = reason === "asked" ? skipOf(state, order.job, order.instant) : undefined;
  commit(state, { ...endOf(state, own, decision, reason), ...wordsOf(skip) });
}

/** Who asked for a tick to be skipped, and why. */
function wordsOf(skip: Skip | undefined): Pick<RunRecord, "askedBy" | "note"> {
  if (skip === undefined) return {};
  return { askedBy: skip.by, ...(skip.note === undefined ? {} : { note: skip.note }) };
}

/** The runner that the voters chose is gone and left no record. It may have started, so no peer may run the order any more. */
export function closeLost(state: State, plan: Plan, order: Order, runner: PeerId): void {
  mark(state, "chosen-and-gone");
  emit(state, { kind: "count", name: "runs_lost" });
  removeOrder(state, order);
  const { round: _, ...record } = newRecord(state, order, plan, 0, [], "lost");
  if (isPlanted(state, "lost-rerun")) {
    const epoch = state.voting.roster.chain.length - 1;
    const back: RunRecord = { ...record, peer: runner, epoch, state: "withdrawn", signature: "planted" };
    takeRecord(state.ledger, back, state.now.mono, true);
    return admitNextRound(state, back, order.requested);
  }
  const lost: RunRecord = {
    ...record,
    peer: runner,
    // The runner may have given the order back in an earlier round, perhaps as an earlier life of this peer.
    ...nextVersion(state, order.key, runner),
    by: state.settings.self,
    reason: "chosen and gone",
    finishedAt: state.now.wall,
  };
  commit(state, withRetry(plan.retry, lost, lost));
}

/** Cancels the job's other runs, which this order is to replace. */
export function replaceRunning(state: State, order: Order): void {
  for (const record of openOf(state.ledger, order.job)) {
    if (orderKeyOf(record) === order.key || record.state !== "running") continue;
    // Another run of the same tick.
    if (record.tick === order.tick && record.slot !== order.slot) continue;
    cancelRun(state, record, "cicada", "replaced");
  }
}

/** Stops the run if it is this peer's, and otherwise tells its runner to. */
export function cancelRun(state: State, record: RunRecord, by: string, reason: string): void {
  const run = runId(record);
  if (record.peer !== state.settings.self) return emit(state, { kind: "cancel", run, by, reason });
  const own = state.book.runs.get(run);
  if (own === undefined || own.cancelled !== undefined) return;
  own.cancelled = { by, reason };
  emit(state, { kind: "stop", run });
}
