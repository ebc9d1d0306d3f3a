/**
 * Ticks with several slots (`target.count`): which they are, whether such a tick is in progress, and in which order its peers
 * rank for each slot. A tick is one unit: it is in progress from the start of its first run until all of its slots are over.
 *
 * A tick that runs on all peers has a slot for each of them (records/tick-sets.ts). As long as the job admits no peer at all, its
 * tick has one slot that no peer can run.
 */
import { isPeerSlot, orderKey, slotOfPeer, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { countMax } from "../../schema/job.ts";
import type { RequestedOrder } from "../../schema/run.ts";
import { numberedSlots, ranksOfSlot, shareOut, slotsInOrder } from "../job/slots.ts";
import type { Plan } from "../job/plan.ts";
import { claimAheadMs } from "../limits.ts";
import { eligibilityOf } from "../members/eligibility.ts";
import { isLookedUp, isScript } from "../members/equipment.ts";
import { isRanked } from "../members/failover.ts";
import { hasJustReturned, inSight } from "../members/members.ts";
import { isPlanted } from "../probes/planted.ts";
import { isOver, isWholeOver, overSlotsOf } from "../records/history.ts";
import { endsOrder, isOpen, recordsOf } from "../records/ledger.ts";
import { isDecision } from "../records/records.ts";
import { proposeSet, tickSetOf } from "../records/tick-sets.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";

type OfTick = Pick<Order, "job" | "tick" | "of">;

/** The slots of one tick of the job, as its records or its orders in the book say, or else as the job says now. */
export function slotsOfTick(
  state: State,
  job: JobId,
  tick: TickId,
  plan: Plan | undefined,
  requested?: RequestedOrder,
): readonly string[] {
  const { book, ledger } = state;
  const set = tickSetOf(ledger.history, job, tick);
  if (set !== undefined && !isPlanted(state, "set-follows-living")) return set.slots;
  const [any] = book.slotted.get(job)?.get(tick) ?? [];
  const of = any?.of ?? overSlotsOf(ledger.history, job, tick)?.of;
  if (set === undefined && of !== undefined) return numberedSlots(of);
  const slots = slotsAsOfNow(state, plan, tick, requested);
  const isForPeers = slots.some(isPeerSlot);
  return set === undefined && isForPeers ? proposeSet(ledger.history, job, tick, slots) : slots;
}

/** The slots that the tick would have if nothing were known of it yet. */
export function slotsAsOfNow(
  state: State,
  plan: Plan | undefined,
  tick: TickId,
  requested?: RequestedOrder,
): readonly string[] {
  if (plan === undefined || plan.target.count !== "all")
    return numberedSlots(Number(plan?.target.count ?? 1));
  const slots = admittedSlots(state, plan, tick, requested);
  return slots.length === 0 ? numberedSlots(1) : slots;
}

/** A slot for each peer that the job admits, in order of rank: dead ones included, forgotten ones not. */
function admittedSlots(state: State, plan: Plan, tick: TickId, requested?: RequestedOrder): string[] {
  // A peer fetches the scripts of its jobs within seconds. While it starts it can't tell yet what else its host has.
  const equipment = plan.equipment.filter((item) => !isScript(item));
  const ofSettings = equipment.filter((item) => !isLookedUp(item));
  const ofAny = { requested, declined: nobody };
  const eligibility = eligibilityOf(state, { ...plan, equipment }, ofAny);
  const atStart = eligibilityOf(state, { ...plan, equipment: ofSettings }, ofAny);
  const isStarting = (peer: PeerId): boolean =>
    peer === state.settings.self
      ? state.upkeep.warmUp !== undefined
      : state.members.byId.get(peer)?.heartbeat?.warmingUp === true;
  const isAdmitted = (peer: PeerId): boolean => {
    const how = (isStarting(peer) ? atStart : eligibility)(peer);
    if (state.operator.forgotten.has(peer) || !isRanked(how)) return false;
    return !isPlanted(state, "set-follows-living") || present.has(how);
  };
  const peers = [state.settings.self, ...state.members.byId.keys()].filter(isAdmitted);
  return slotsInOrder(plan.id, tick, peers.map(slotOfPeer)).slice(0, countMax);
}

/** How many slots a tick of the job has at most, as far as this peer knows. */
export function slotsPerTick(state: Readonly<State>, { target }: Plan): number {
  return target.count === "all" ? Math.min(countMax, 1 + state.members.byId.size) : target.count;
}

/** The slots of the tick of an order or record that says how many there are. */
export function slotNames({ ledger }: Readonly<State>, { job, tick, of }: OfTick): readonly string[] {
  return tickSetOf(ledger.history, job, tick)?.slots ?? numberedSlots(of);
}

/** The member to which the slot belongs; undefined = this peer doesn't know it. */
export function peerOfSlot({ settings, members }: Readonly<State>, slot: string): PeerId | undefined {
  if (slotOfPeer(settings.self) === slot) return settings.self;
  for (const peer of members.byId.keys()) if (slotOfPeer(peer) === slot) return peer;
  return undefined;
}

/** Whether the order belongs to a tick that has begun: it repeats an attempt, or another slot was started. */
export function isInProgress(state: State, order: OfTick & Pick<Order, "attempt">): boolean {
  return order.attempt > 1 || (order.of > 1 && hasStarted(state, order));
}

/** Whether any slot of the tick was started. */
function hasStarted(state: State, { job, tick, of }: OfTick): boolean {
  const { ledger } = state;
  const over = overSlotsOf(ledger.history, job, tick);
  for (const runner of over?.slots.values() ?? []) if (runner !== undefined) return true;
  // If an attempt may be repeated, it is not over before the last attempt has ended.
  for (const slot of slotNames(state, { job, tick, of }))
    for (const record of recordsOf(ledger, orderKey(job, tick, 1, slot)))
      if (endsOrder(record) && !isDecision(record)) return true;
  return false;
}

/**
 * The job's ticks in progress that have orders in the book, as the instants of these orders. A tick that only waits for peers
 * that can't run it now holds up no other, and neither does one that a peer may have run before it came back, or whose time is
 * still to come because a clock that was ahead began it.
 */
export function* pendingInProgress(state: State, job: JobId): Generator<Pick<Order, "tick" | "instant">> {
  const plan = state.jobs.plans.get(job);
  const latest = state.now.wall + claimAheadMs;
  const holdsUpNone = (order: Order): boolean => {
    if (order.instant > latest) return true;
    if (plan === undefined || !isPeerSlot(order.slot) || isClaimed(state, order)) return false;
    const peer = peerOfSlot(state, order.slot);
    return isAway(state, plan, order.slot) || (peer !== undefined && hasJustReturned(state, peer));
  };
  for (const order of state.book.retries.get(job) ?? []) if (!holdsUpNone(order)) yield order;
  for (const orders of state.book.slotted.get(job)?.values() ?? []) {
    const [first] = orders;
    if (first === undefined || !hasStarted(state, first)) continue;
    for (const order of orders) {
      if (holdsUpNone(order)) continue;
      yield order;
      break;
    }
  }
}

/** Whether a peer has claimed the order: it can run it, even if this peer hasn't heard yet that it is back. */
function isClaimed(state: State, { key }: Order): boolean {
  for (const { state: how, peer } of recordsOf(state.ledger, key))
    if (how === "claimed" && (peer === state.settings.self || inSight(state, peer))) return true;
  return false;
}

/** Whether the slot's peer can't run it now: it is gone, not known to this peer, drained, or in no state to start anything. */
export function isAway(state: State, plan: Plan, slot: string): boolean {
  const peer = peerOfSlot(state, slot);
  if (peer === undefined) return true;
  const eligibility = eligibilityOf(state, plan, { requested: undefined, declined: nobody, slot });
  return !present.has(eligibility(peer));
}

/** Whether another slot of the tick was skipped because an earlier run was in progress: then the whole tick is. */
export function isSkippedByOverlap({ ledger }: State, { job, tick }: OfTick): boolean {
  return overSlotsOf(ledger.history, job, tick)?.isSkipped === true;
}

/** The ranks as they are for the order's slot. A peer that holds another slot comes after those that don't. */
export function ranksOfOrder(
  state: State,
  plan: Plan | undefined,
  order: Order,
  ranks: readonly PeerId[],
): readonly PeerId[] {
  return order.of === 1 ? ranks : ranksForSlot(state, plan, order, ranks, holdersOf(state, order));
}

/**
 * The same without regard to who holds other slots: peers that claim at the same time don't know of each other's claims yet. All
 * peers agree on who is first by these ranks.
 */
export function ranksAgreedOn(
  state: State,
  plan: Plan | undefined,
  order: Order,
  ranks: readonly PeerId[],
): readonly PeerId[] {
  return order.of === 1 ? ranks : ranksForSlot(state, plan, order, ranks, new Map());
}

function ranksForSlot(
  state: State,
  plan: Plan | undefined,
  order: Order,
  ranks: readonly PeerId[],
  holders: Holders,
): readonly PeerId[] {
  if (plan === undefined || isPeerSlot(order.slot)) return ranks;
  // The order's own `declined` and `retriedFrom` must not count here: all slots have to see the same peers.
  const eligibility = eligibilityOf(state, plan, { requested: order.requested, declined: nobody });
  const isPresent = (peer: PeerId): boolean => present.has(eligibility(peer));
  const ranksOf = (slot: string): PeerId[] =>
    ranksOfSlot(ranks, Number(slot), isPresent, (peer) => holdsAnother(holders, peer, slot));
  const own = ranksOf(order.slot);
  if (order.retriedFrom === undefined) return own;
  const choices = new Map<string, readonly PeerId[]>();
  for (const slot of retriedSlots(state, order)) {
    const mayRepeat = eligibilityOf(state, plan, { ...slot, declined: nobody });
    const isFree = (peer: PeerId): boolean =>
      present.has(mayRepeat(peer)) && !holdsAnother(holders, peer, slot.slot);
    choices.set(slot.slot, ranksOf(slot.slot).filter(isFree));
  }
  const first = shareOut(choices).get(order.slot);
  if (first === undefined) return own;
  const rest = own.filter((peer) => peer !== first);
  const away = rest.filter((peer) => !isPresent(peer));
  return [...away, first, ...rest.filter(isPresent)];
}

/** The orders that repeat slots of the same tick, in the order of their slots. */
function retriedSlots({ book }: State, { job, tick }: Order): Order[] {
  const retried = [...(book.slotted.get(job)?.get(tick) ?? [])].filter(
    ({ retriedFrom }) => retriedFrom !== undefined,
  );
  return retried.toSorted((a, b) => Number(a.slot) - Number(b.slot));
}

const nobody: ReadonlySet<PeerId> = new Set();
const present: ReadonlySet<string> = new Set(["alive", "suspect"]);

/** The slots of a tick that each peer has claimed or started. */
type Holders = ReadonlyMap<PeerId, ReadonlySet<string>>;

function holdersOf({ ledger }: State, { job, tick, of, attempt }: Order): Holders {
  const holders = new Map<PeerId, Set<string>>();
  const add = (peer: PeerId, slot: string): void => {
    const held = holders.get(peer);
    if (held === undefined) holders.set(peer, new Set([slot]));
    else held.add(slot);
  };
  for (const [slot, runner] of overSlotsOf(ledger.history, job, tick)?.slots ?? [])
    if (runner !== undefined) add(runner, slot);
  for (const slot of numberedSlots(of))
    for (let nth = 1; nth <= attempt; nth++)
      for (const { peer, state: how } of recordsOf(ledger, orderKey(job, tick, nth, slot)))
        if (how === "claimed" || how === "running") add(peer, slot);
  return holders;
}

function holdsAnother(holders: Holders, peer: PeerId, slot: string): boolean {
  const held = holders.get(peer);
  return held !== undefined && (held.size > 1 || !held.has(slot));
}

/** Whether nothing of a tick with several slots is claimed, running or to come, as far as this peer knows. */
export function isTickOver({ book, ledger }: Readonly<State>, job: JobId, tick: TickId): boolean {
  // An order whose record has just come may be over, and leaves the book later in this step.
  for (const { slot } of book.slotted.get(job)?.get(tick) ?? [])
    if (!isOver(ledger.history, job, tick, slot)) return false;
  if (isOpen(ledger, job, tick)) return false;
  return overSlotsOf(ledger.history, job, tick) === undefined || isWholeOver(ledger.history, job, tick);
}
