/**
 * Other peers prune a job's history before an instant only where everything is over. A peer that was away meanwhile may know how
 * those ticks began but not how they ended, and no other peer can tell it any more. So it takes them for over, however they
 * ended.
 */
import { instantOf, type JobId } from "../../schema/ids.ts";
import { touchJob } from "../claims/touched.ts";
import { startWindowMs, type Plan } from "../job/plan.ts";
import { settle } from "../records/history.ts";
import { dropRecord, openOf, settleIn } from "../records/ledger.ts";
import type { State } from "../state.ts";

/** Closes what other peers have pruned before the instant (ms), except this peer's own runs, about which it knows best. */
export function closePruned(state: State, job: JobId, before: number): void {
  const { book, ledger } = state;
  for (const record of openOf(ledger, job)) {
    if (instantOf(record.tick) >= before || record.peer === state.settings.self) continue;
    dropRecord(ledger, record);
    settleIn(ledger.history, record);
  }
  const plan = state.jobs.plans.get(job);
  const tooLate = plan === undefined ? before : Math.min(before, state.now.wall - mayStartForMs(plan));
  const ticks = new Set(book.chains.get(job)?.keys());
  for (const order of book.byJob.get(job) ?? []) {
    ticks.delete(order.tick);
    if (order.instant >= tooLate || order.local.stage !== "none") continue;
    settle(ledger.history, order);
  }
  for (const tick of ticks) {
    if (instantOf(tick) < tooLate) settle(ledger.history, { job, tick, slot: "0" });
  }
  touchJob(state, job);
}

/** How long after its instant a tick may still start, ms. A clock that was wrong may have pruned younger ticks. */
function mayStartForMs(plan: Plan): number {
  return startWindowMs(plan, true) + plan.target.offlineMs;
}
