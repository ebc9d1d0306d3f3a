/**
 * What follows for the order book when the slots of a tick become known, or change: which orders enter it, which leave it, and
 * which have their turn now.
 */
import { instantOf, isManual } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { dueOf } from "../job/jitter.ts";
import type { Plan } from "../job/plan.ts";
import { isWholeOver, overSlotsOf } from "../records/history.ts";
import { isPlanted } from "../probes/planted.ts";
import { recordsOf, settles } from "../records/ledger.ts";
import { dropProposedSet, tickSetOf } from "../records/tick-sets.ts";
import type { State } from "../state.ts";
import { addSlots, removeOrder } from "./order-book.ts";
import type { Order } from "./order.ts";
import { dueOfSlot } from "./rolling-turns.ts";
import { slotsAsOfNow, slotsOfTick } from "./slots.ts";
import { touch } from "./touched.ts";

/** A record of a tick that runs on all peers has moved: its slots may be others now, and the next one's turn may have come. */
export function followSet(state: State, record: RunRecord): void {
  const { job, tick, set } = record;
  const plan = state.jobs.plans.get(job);
  if (set === undefined || plan === undefined) return;
  const { rolling } = plan.target;
  const slots = slotsOfTick(state, job, tick, plan);
  const orders = [...(state.book.byJob.get(job) ?? [])].filter((order) => order.tick === tick);
  const [any] = orders;
  const isPartlyOver =
    overSlotsOf(state.ledger.history, job, tick) !== undefined &&
    !isWholeOver(state.ledger.history, job, tick);
  if (settles(record) && isPlanted(state, "slot-ends-all")) {
    for (const order of orders) if (order.local.stage === "none") removeOrder(state, order);
    return;
  }
  // What a person asked for is known by its orders alone, and a tick that is not due enters the book with all its slots.
  if (any === undefined && (isManual(tick) || !isPartlyOver)) return;
  const requested = any?.requested;
  const trigger = requested?.trigger ?? (any?.trigger === "catch-up" ? "catch-up" : "schedule");
  const due =
    requested?.requestedAt ??
    state.book.chains.get(job)?.get(tick)?.verdict?.due ??
    dueOf(plan, instantOf(tick));
  for (const order of orders) {
    const isUnclaimed = order.local.stage === "none" && order.attempt === 1;
    const isWrong =
      !slots.includes(order.slot) ||
      order.of !== slots.length ||
      (rolling !== undefined && dueOfSlot(state, plan, { ...order, due }) !== order.due);
    if (isUnclaimed && isWrong) removeOrder(state, order);
    else if (rolling !== undefined) touch(state, order);
  }
  addSlots(state, { job, tick, due, trigger, requested }, plan);
}

/**
 * The job has been edited, or the members have changed, so its ticks may have other slots now. Ticks about which nothing is
 * recorded get the new slots; the others keep theirs.
 */
export function recountSlots(state: State, plan: Plan): void {
  const { id } = plan;
  const { history } = state.ledger;
  const ofJob = state.book.byJob.get(id);
  if (ofJob === undefined) return;
  for (const [tick, orders] of Map.groupBy(ofJob, (order) => order.tick)) {
    const [first] = orders;
    if (first === undefined || overSlotsOf(history, id, tick) !== undefined) continue;
    if (tickSetOf(history, id, tick)?.isRecorded === true) continue;
    if (orders.some((order) => order.attempt > 1 || isClaimed(state, order))) continue;
    const { due, trigger, requested } = first;
    const slots = slotsAsOfNow(state, plan, tick, requested);
    if (slots.length === orders.length && orders.every(({ slot }) => slots.includes(slot))) continue;
    for (const order of orders) removeOrder(state, order);
    dropProposedSet(history, id, tick);
    addSlots(state, { job: id, tick, due, trigger, requested }, plan);
  }
}

/** The members have changed. */
export function recountAllPeers(state: State): void {
  for (const job of state.book.byJob.keys()) {
    const plan = state.jobs.plans.get(job);
    if (plan?.target.count === "all") recountSlots(state, plan);
  }
}

function isClaimed(state: State, { key, local }: Order): boolean {
  if (local.stage === "claiming" || local.stage === "claimed") return true;
  for (const { state: how } of recordsOf(state.ledger, key)) if (how === "claimed") return true;
  return false;
}
