/**
 * Ticks with several slots (`target.count`): whether such a tick is in progress, and in which order its peers rank for each
 * slot. A tick is one unit: it is in progress from the start of its first run until all of its slots are over.
 */
import { orderKey, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { numberedSlots, ranksOfSlot } from "../job/slots.ts";
import type { Plan } from "../job/plan.ts";
import { eligibilityOf } from "../members/eligibility.ts";
import { isWholeOver, overSlotsOf } from "../records/history.ts";
import { endsOrder, openOf, recordsOf } from "../records/ledger.ts";
import { isDecision } from "../records/records.ts";
import type { State } from "../state.ts";
import type { Order } from "./order.ts";

type OfTick = Pick<Order, "job" | "tick" | "of">;

/** Whether the order belongs to a tick that has begun: it repeats an attempt, or another slot was started. */
export function isInProgress(state: State, order: OfTick & Pick<Order, "attempt">): boolean {
  return order.attempt > 1 || (order.of > 1 && hasBegun(state, order));
}

/** Whether any slot of the tick was started. */
function hasBegun({ ledger }: State, { job, tick, of }: OfTick): boolean {
  const over = overSlotsOf(ledger.history, job, tick);
  for (const runner of over?.slots.values() ?? []) if (runner !== undefined) return true;
  // What may be repeated is not over while it runs, nor until its last attempt has ended.
  for (const slot of numberedSlots(of))
    for (const record of recordsOf(ledger, orderKey(job, tick, 1, slot)))
      if (endsOrder(record) && !isDecision(record)) return true;
  return false;
}

/** The job's ticks in progress that have orders in the book, as the instants of these orders. */
export function* pendingInProgress(state: State, job: JobId): Generator<Pick<Order, "tick" | "instant">> {
  yield* state.book.retries.get(job) ?? [];
  for (const orders of state.book.slotted.get(job)?.values() ?? []) {
    const [first] = orders;
    if (first !== undefined && hasBegun(state, first)) yield first;
  }
}

/** Whether another slot of the tick was skipped because an earlier run was on: then the whole tick is. */
export function isSkippedByOverlap({ ledger }: State, { job, tick }: OfTick): boolean {
  return overSlotsOf(ledger.history, job, tick)?.isSkipped === true;
}

/** The ranks as they are for the order's slot. A peer that holds another slot comes after those that don't. */
export function inOrderOfSlot(
  state: State,
  plan: Plan | undefined,
  order: Order,
  ranks: readonly PeerId[],
): readonly PeerId[] {
  return order.of === 1 ? ranks : turned(state, plan, order, ranks, holdersOfOthers(state, order));
}

/**
 * The same, whoever holds other slots: peers that claim at the same time don't know that of each other yet. Who is first by these
 * ranks is so in the eyes of all.
 */
export function inTurnOfSlot(
  state: State,
  plan: Plan | undefined,
  order: Order,
  ranks: readonly PeerId[],
): readonly PeerId[] {
  return order.of === 1 ? ranks : turned(state, plan, order, ranks, nobody);
}

function turned(
  state: State,
  plan: Plan | undefined,
  order: Order,
  ranks: readonly PeerId[],
  holders: ReadonlySet<PeerId>,
): readonly PeerId[] {
  if (plan === undefined) return ranks;
  // What the order itself has declined or repeats must not count: all slots have to see the same peers.
  const eligibility = eligibilityOf(state, plan, { requested: order.requested, declined: nobody });
  const isPresent = (peer: PeerId): boolean => present.has(eligibility(peer));
  return ranksOfSlot(ranks, Number(order.slot), isPresent, (peer) => holders.has(peer));
}

const nobody: ReadonlySet<PeerId> = new Set();
const present: ReadonlySet<string> = new Set(["alive", "suspect"]);

/** The peers that have claimed or started other slots of the tick. */
function holdersOfOthers({ ledger }: State, { job, tick, slot, of, attempt }: Order): ReadonlySet<PeerId> {
  const holders = new Set<PeerId>();
  for (const [other, runner] of overSlotsOf(ledger.history, job, tick)?.slots ?? [])
    if (other !== slot && runner !== undefined) holders.add(runner);
  for (const other of numberedSlots(of)) {
    if (other === slot) continue;
    for (let nth = 1; nth <= attempt; nth++)
      for (const { peer, state: how } of recordsOf(ledger, orderKey(job, tick, nth, other)))
        if (how === "claimed" || how === "running") holders.add(peer);
  }
  return holders;
}

/** Whether nothing of a tick with several slots is claimed, running or to come, as far as this peer knows. */
export function isTickOver({ book, ledger }: Readonly<State>, job: JobId, tick: TickId): boolean {
  if (book.slotted.get(job)?.has(tick) === true) return false;
  for (const record of openOf(ledger, job)) if (record.tick === tick) return false;
  return overSlotsOf(ledger.history, job, tick) === undefined || isWholeOver(ledger.history, job, tick);
}
