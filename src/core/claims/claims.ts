/**
 * Carries out what was decided about an order: claim, hold back, decline, withdraw, start, or close without a run.
 *
 * A claim is gossiped only once it is on this peer's disk: a peer that comes back must know what it had promised. Every
 * change of an own record goes through `commit`, so that disk, mesh and listeners hear the same.
 */
import { type OrderKey, runId, type PeerId, type RunId } from "../../schema/ids.ts";
import type { SkippedPeer, RunRecord, RunState } from "../../schema/run.ts";
import { assert } from "../../errors.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { claimAheadMs, claimWaitMs, launchLimitMs } from "../limits.ts";
import { livingMembers } from "../members/members.ts";
import type { Plan } from "../job/plan.ts";
import { admitNextRound, removeOrder, touch, touchAll } from "./order-book.ts";
import { openOf, recordsOf, takeRecord } from "../records/ledger.ts";
import { orderKeyOf } from "../records/records.ts";
import { commit, recordMoved } from "./record-moved.ts";
import { emit, expectStored, type State } from "../state.ts";
import { noStage, transition, type Order, type OwnRun } from "./order.ts";

/** True when this peer has no place left for one more run. */
export function isFull(state: State): boolean {
  return state.book.runs.size + state.book.claims.size >= state.settings.capacity;
}

function newRecord(
  state: State,
  order: Order,
  plan: Plan | undefined,
  rank: number,
  passed: readonly SkippedPeer[],
  recordState: RunState,
): RunRecord {
  return {
    job: order.job,
    tick: order.tick,
    attempt: order.attempt,
    slot: order.slot,
    peer: state.settings.self,
    state: recordState,
    ...nextWriting(state, order.key),
    ...(order.round === 0 ? {} : { giveBacks: order.round }),
    revision: plan?.revision ?? "",
    trigger: order.trigger,
    rank,
    due: order.due,
    view: livingMembers(state).length,
    ...(passed.length === 0 ? {} : { passed: passed.slice(0, 128) }),
    signature: "",
  };
}

/** One more than the version of this peer's last record of the order, in the same round, if it has written one. */
export function nextWriting(state: State, key: OrderKey): Pick<RunRecord, "version" | "round"> {
  for (const { peer, version, round } of recordsOf(state.ledger, key)) {
    if (peer === state.settings.self)
      return { version: version + 1, ...(round === undefined ? {} : { round }) };
  }
  return { version: 1 };
}

/**
 * True of a claim that this peer made and gave back. It stays in memory however old it is, because the next claim of its
 * order counts on from it: one that began anew at 1 would stand below it, on this disk and on every other peer.
 */
export function isOwnGivenBack(state: State, { peer, state: how }: RunRecord): boolean {
  return how === "withdrawn" && peer === state.settings.self;
}

/**
 * Makes the claim durable. A timely one starts at due; one made late waits 250 ms for a conflicting one, unless the
 * others have been asked, who then know of none.
 */
export function claim(
  state: State,
  plan: Plan,
  order: Order,
  failover: { rank: number; passed: readonly SkippedPeer[] },
  how: { asked?: boolean; waiting?: "capacity"; epoch?: number },
): void {
  const { wall } = state.now;
  const record: RunRecord = {
    ...newRecord(state, order, plan, failover.rank, failover.passed, "claimed"),
    claimedAt: wall,
    ...(how.waiting === undefined ? {} : { waiting: how.waiting }),
    ...(how.epoch === undefined ? {} : { epoch: how.epoch }),
  };
  const late = wall > order.due - claimAheadMs / 2;
  const signed = state.settings.sign(record);
  transition(state.book, order, {
    stage: "claiming",
    claim: signed,
    waitMs: late && how.asked !== true ? claimWaitMs : 0,
  });
  if (isPlanted(state, "claim-unstored")) {
    emit(state, { kind: "store", writes: [{ kind: "record", record: signed }] });
    return claimStored(state, order, false);
  }
  const token = expectStored(state, { kind: "claim", order });
  emit(state, { kind: "store", writes: [{ kind: "record", record: signed }], token });
}

/** The claim is on the disk: now it is gossiped. If its order has left the book meanwhile, the claim is withdrawn. */
export function claimStored(state: State, order: Order, failed: boolean): void {
  if (order.local.stage !== "claiming") return;
  const { claim: record, waitMs } = order.local;
  if (failed) {
    mark(state, "claim-not-stored");
    transition(state.book, order, noStage);
    wakeCapacityQueue(state);
    return decline(state, order);
  }
  transition(state.book, order, { stage: "claimed", claim: record, mayStartAt: state.now.wall + waitMs });
  const { before } = takeRecord(state.ledger, record, state.now.mono, true);
  emit(state, { kind: "gossip", record });
  recordMoved(state, before, record, order);
  if (state.book.orders.get(order.key) !== order) {
    mark(state, "claim-pointless");
    withdraw(state, order, "job-changed");
  }
}

/** A place may be free: the order whose turn it is in the queue is reconciled. */
export function wakeCapacityQueue(state: State): void {
  if (state.book.runs.size >= state.settings.capacity) return;
  const first = state.book.capacityQueue.first(state.now.wall);
  if (first !== undefined) touch(state, first);
}

/** Holds an own claim back. The others see that it waits, and keep off while this peer lives. */
export function hold(state: State, order: Order, why: "overlap" | "capacity"): void {
  if (order.local.stage !== "claimed") return;
  const { claim: record } = order.local;
  if (record.waiting === why) return;
  const held = commit(state, { ...record, waiting: why, version: record.version + 1 });
  transition(state.book, order, { ...order.local, claim: held });
  // It has given up its turn, and the next one may fit.
  if (record.waiting === "capacity") wakeCapacityQueue(state);
}

/** Withdraws an own claim. The order stays in the book; if the voters had chosen this peer, its next round does. */
export function withdraw(state: State, order: Order, reason: string): void {
  if (order.local.stage !== "claimed") return;
  const { claim: record } = order.local;
  transition(state.book, order, noStage);
  wakeCapacityQueue(state);
  if (record.epoch !== undefined) mark(state, "given-back");
  commit(state, endOf(state, record, "withdrawn", reason), order);
}

/** This peer takes no more ticks: its claims go back now, so that the others run them on time. */
export function giveClaimsBack(state: State): void {
  for (const order of [...state.book.claims, ...state.book.capacityQueue]) withdraw(state, order, "draining");
  touchAll(state);
}

function endOf(state: State, record: RunRecord, end: RunState, reason: string): RunRecord {
  const { waiting: _, ...rest } = record;
  return { ...rest, state: end, reason, version: record.version + 1, finishedAt: state.now.wall };
}

/** This peer is at capacity: the next in rank goes on at once. */
export function decline(state: State, order: Order): void {
  if (order.declined.has(state.settings.self)) return;
  order.declined.add(state.settings.self);
  mark(state, "declined");
  emit(state, { kind: "decline", key: order.key });
  emit(state, { kind: "count", name: "declined" });
  touch(state, order);
}

/** Removes the order from the book. An own claim to it is withdrawn, or becomes the decision that is given. */
export function closeWithout(
  state: State,
  order: Order,
  reason: string,
  plan?: Plan,
  decision?: "skipped" | "missed" | "cancelled",
): void {
  removeOrder(state, order);
  // A claim that is on its way to the disk is withdrawn when it gets there (claimStored).
  if (decision === undefined) return withdraw(state, order, reason);
  const own =
    order.local.stage === "claimed" ? order.local.claim : newRecord(state, order, plan, 0, [], decision);
  transition(state.book, order, noStage);
  wakeCapacityQueue(state);
  commit(state, endOf(state, own, decision, reason));
}

/** The runner that the voters chose is gone and left no record: it may have started, so nobody may run the order any more. */
export function closeLost(state: State, plan: Plan, order: Order, runner: PeerId): void {
  mark(state, "chosen-and-gone");
  emit(state, { kind: "count", name: "runs_lost" });
  removeOrder(state, order);
  const record = newRecord(state, order, plan, 0, [], "lost");
  if (isPlanted(state, "lost-rerun")) {
    const epoch = state.voting.roster.chain.length - 1;
    const back: RunRecord = { ...record, peer: runner, epoch, state: "withdrawn", signature: "planted" };
    takeRecord(state.ledger, back, state.now.mono, true);
    return admitNextRound(state, back, order.requested, order.instant);
  }
  commit(state, {
    ...record,
    peer: runner,
    version: 1,
    by: state.settings.self,
    reason: "chosen and gone",
    finishedAt: state.now.wall,
  });
}

/** The newest run replaces the others: their peers are told to stop them. */
export function replaceRunning(state: State, order: Order): void {
  for (const record of openOf(state.ledger, order.job)) {
    if (orderKeyOf(record) === order.key || record.state !== "running") continue;
    cancelRun(state, record, "cicada", "replaced");
  }
}

/** Stops an own run, or tells its runner to. */
export function cancelRun(state: State, record: RunRecord, by: string, reason: string): void {
  const run = runId(record);
  if (record.peer !== state.settings.self) return emit(state, { kind: "cancel", run, by, reason });
  const own = state.book.runs.get(run);
  if (own === undefined || own.cancelled !== undefined) return;
  own.cancelled = { by, reason };
  emit(state, { kind: "stop", run });
}

/** Hands the run to the launcher; from here on the run is followed by runs.ts. */
export function launch(state: State, plan: Plan, order: Order): void {
  if (order.local.stage !== "claimed") return;
  // An edit since the claim is run too, so it is what the record has to name.
  const record = { ...order.local.claim, revision: plan.revision };
  const run = runId(record);
  removeOrder(state, order);
  const hasWaited = state.book.capacityQueue.has(order);
  transition(state.book, order, noStage);
  const { settings } = state;
  state.book.runs.set(run, { record, plan, cancelled: undefined, stuck: undefined, order });
  assert(state.book.runs.size <= settings.capacity, `${run}: more runs than this peer has places for`);
  emit(state, {
    kind: "start",
    spec: {
      run,
      job: order.job,
      tick: order.tick,
      action: plan.action,
      hostEnv: settings.host,
      env: {
        ...plan.env,
        ...order.requested?.env,
        CICADA_JOB: order.job,
        CICADA_RUN: run,
        CICADA_TICK: order.tick,
        CICADA_ATTEMPT: String(order.attempt),
        CICADA_TRIGGER: order.trigger,
        CICADA_PEER: settings.self,
        CICADA_PEER_NAME: settings.name,
        CICADA_IDEMPOTENCY_KEY: `${order.job}@${order.tick}`,
      },
      timeoutMs: plan.timeoutMs,
      logCapBytes: plan.keep.logBytes,
      notAfter: state.now.wall + launchLimitMs,
    },
  });
  if (!hasWaited) return;
  state.book.capacityQueue.served(order.job);
  wakeCapacityQueue(state);
}

/** The run of a child that has ended: it holds no place any more. */
export function endRun(state: State, run: RunId): OwnRun | undefined {
  const own = state.book.runs.get(run);
  state.book.runs.delete(run);
  return own;
}
