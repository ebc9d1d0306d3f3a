/**
 * Whose turn it is in a tick that goes from peer to peer (`target.rolling`), read from the records and questions that are known
 * now. The rule is in job/rolling.ts.
 *
 * A slot is not claimed while others hold all places, and claims of other slots hold one. Of two claims that were made at the
 * same time, the one that starts first goes first, as with claims of one job (contention.ts). A peer whose turn did not come
 * with the tick asks the others before it claims, and of two questions the first in order of rank goes first.
 */
import { orderKey, type OrderKey } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFailure } from "../job/failures.ts";
import type { Plan } from "../job/plan.ts";
import { dueInTurn, turnOf, type SlotNow, type Turn } from "../job/rolling.ts";
import { isPlanted } from "../probes/planted.ts";
import { endsOrder, openOfTick, recordsOf } from "../records/ledger.ts";
import { tickSetOf } from "../records/tick-sets.ts";
import type { State } from "../state.ts";
import { holdsLease } from "./contention.ts";
import type { Order } from "./order.ts";
import { startsAt } from "./pool-queues.ts";
import { isAway } from "./slots.ts";

type Slot = Pick<Order, "job" | "tick" | "slot">;

const go: Turn = { kind: "go" };
/** How soon to look again where the end of a claim's lease or of a question may make it the slot's turn, ms. */
const recheckMs = 500;

/** Whether the order may be claimed or, if it is, may start. */
export function turnOfOrder(state: State, plan: Plan, order: Order): Turn {
  const { rolling } = plan.target;
  const slots = rolling === undefined ? undefined : slotsInTurn(state, order);
  if (rolling === undefined || slots === undefined || order.attempt > 1) return go;
  if (isPlanted(state, "rolls-at-once")) return go;
  const place = slots.indexOf(order.slot);
  const own = order.local.stage === "claimed" ? order.local.claim : undefined;
  let isPending = false;
  const now = slots.map((slot, at) => {
    const known = slotNow(state, plan, order, slot);
    if (known.kind !== "waiting" || at === place) return known;
    const takes = takesPlace(state, orderKey(order.job, order.tick, 1, slot), at < place, own);
    isPending ||= takes;
    return takes ? ({ kind: "on" } as const) : known;
  });
  const turn = turnOf(rolling, now, place, state.now.wall);
  if (turn.kind !== "wait" || !isPending) return turn;
  return { kind: "wait", until: Math.min(turn.until, state.now.wall + recheckMs) };
}

/** When the slot is due: with its tick (ms), or when a place became free for it. */
export function dueOfSlot(state: State, plan: Plan | undefined, order: Slot & { due: number }): number {
  const { rolling } = plan?.target ?? {};
  const slots = rolling === undefined ? undefined : slotsInTurn(state, order);
  if (plan === undefined || rolling === undefined || slots === undefined) return order.due;
  const now = slots.map((slot) => slotNow(state, plan, order, slot));
  return dueInTurn(rolling, now, slots.indexOf(order.slot), order.due);
}

/** In order of rank; undefined for a tick with numbered slots. */
function slotsInTurn(state: State, { job, tick, slot }: Slot): readonly string[] | undefined {
  const set = tickSetOf(state.ledger.history, job, tick);
  return set?.slots.includes(slot) === true ? set.slots : undefined;
}

/**
 * Claims and questions don't count here. A run in progress holds its place whatever others have decided about its slot: on the
 * other side of a split its peer was away.
 */
function slotNow(state: State, plan: Plan, { job, tick }: Omit<Slot, "slot">, slot: string): SlotNow {
  for (const open of openOfTick(state.ledger, job, tick))
    if (open.state === "running" && open.slot === slot) return { kind: "on" };
  const end = tickSetOf(state.ledger.history, job, tick)?.ends.get(slot);
  if (end !== undefined) return { kind: "over", ran: end.ran, isFailure: isFailure(end.state), at: end.at };
  const key = orderKey(job, tick, 1, slot);
  const isOn = isLaunched(state, key) || [...recordsOf(state.ledger, key)].some(endsOrder);
  if (isOn) return { kind: "on" };
  return { kind: "waiting", isAway: isAway(state, plan, slot) };
}

/** This peer has handed it to its launcher. */
function isLaunched({ book }: State, key: OrderKey): boolean {
  for (const { order } of book.runs.values()) if (order.key === key) return true;
  return false;
}

/** Whether a slot that has not started is claimed or asked about and goes before the one in question, whose claim is `own`. */
function takesPlace(state: State, key: OrderKey, isBefore: boolean, own: RunRecord | undefined): boolean {
  for (const record of recordsOf(state.ledger, key)) {
    if (record.state !== "claimed" || !holdsLease(state, record)) continue;
    if (own === undefined) return true;
    const byStart = startsAt(record) - startsAt(own);
    if (byStart < 0 || (byStart === 0 && isBefore)) return true;
  }
  const question = state.book.foreignInquiries.get(key);
  return isBefore && question !== undefined && question.untilMono >= state.now.mono;
}
