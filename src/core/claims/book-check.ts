/** A check of the whole order book, for the simulator. */
import { assert } from "../../errors.ts";
import { isOver } from "../records/history.ts";
import type { State } from "../state.ts";

/**
 * Checks the whole book: the jobs' indexes hold exactly its orders, the other indexes exactly the retries and the orders of ticks
 * with several slots, the requested orders are counted, the weights are added up, and no order in the book is over. In the
 * simulator only, after a step, but at most once in as many ms as there are orders: checking a large book after each step would
 * take most of a crowded world's time.
 */
export function assertBook({ book, ledger, now }: State): void {
  if (now.mono - book.checkedAtMono < book.orders.size) return;
  book.checkedAtMono = now.mono;
  let indexed = 0;
  for (const ofJob of book.byJob.values()) indexed += ofJob.size;
  assert(indexed === book.orders.size, "the jobs' indexes hold as many orders as the book");
  for (const retries of book.retries.values())
    for (const order of retries)
      assert(book.orders.get(order.key) === order, `${order.key}: a retry that is not in the book`);
  let requested = 0;
  for (const order of book.orders.values()) {
    const { key, job, tick, slot, attempt } = order;
    assert(book.byJob.get(job)?.has(order) === true, `${key}: in the book, but not in its job's index`);
    const isRetry = book.retries.get(job)?.has(order) === true;
    assert(isRetry === attempt > 1, `${key}: among the retries if and only if it repeats an attempt`);
    assert(!isOver(ledger.history, job, tick, slot), `${key}: over, but still in the book`);
    const isDecided = book.chains.get(job)?.get(tick)?.verdict !== undefined;
    const isByParents = order.isChained && order.of === 1 && attempt === 1;
    assert(!isByParents || isDecided, `${key}: in the book, but its parents decided nothing`);
    const isSlotted = book.slotted.get(job)?.get(tick)?.has(order) === true;
    assert(isSlotted === order.of > 1, `${key}: among the slots of its tick if and only if it has several`);
    if (order.requested !== undefined) requested++;
  }
  assert(requested === book.requestedCount, "the requested orders of the book are counted");
  const chained = [...book.chains.values()].reduce((sum, ticks) => sum + ticks.size, 0);
  assert(chained === book.chainTicks, "the ticks of chains are counted");
  const claimed = [...book.claims].reduce((sum, { weight }) => sum + weight, 0);
  assert(claimed === book.claimedWeight, "the weights of the claims are added up");
  const running = [...book.runs.values()].reduce((sum, { order }) => sum + order.weight, 0);
  assert(running === book.runningWeight, "the weights of the runs are added up");
}
