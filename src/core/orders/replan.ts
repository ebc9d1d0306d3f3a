/**
 * Plans again what was planned and decided by a clock that was ahead, once this peer's clock was set back and is known to be
 * right (DESIGN §7, §11).
 *
 * Ticks are planned from now on, and watermarks fall back to now. Of the ticks after now, those that really started stay over:
 * they are read from the disk. A decision without a start is void. Each peer withdraws its own such decisions in their next
 * round, which every peer takes for newer, and those ticks run when they are due. What the voters had chosen this peer for is
 * given back, because a later life couldn't tell that it never started. The same holds for past ticks that the clock took for
 * too late (records/too-late.ts): those that were waiting when it leapt ahead, or due while the host was down or slept. What is to
 * be repeated is repeated after its pause, and not when the wrong time has come.
 */
import { orderKey } from "../../schema/ids.ts";
import { closeWithout } from "../claims/claims.ts";
import { transition } from "../claims/order.ts";
import { commit } from "../claims/record-moved.ts";
import { touchAll } from "../claims/touched.ts";
import { claimAheadMs } from "../limits.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { enterJob } from "../job/timetable.ts";
import { beginningOf, type Plan } from "../job/plan.ts";
import { acceptedUntil } from "../members/clocks.ts";
import { recordsOf } from "../records/ledger.ts";
import { emit, note, type State } from "../state.ts";
import { lookUpAhead } from "./looked-up.ts";

/** A job that was made by a clock that was ahead begins now, and not at that future time. */
export function begunByNow(state: State, plan: Plan): Plan {
  if (isPlanted(state, "edit-looks-back")) return { ...plan, earliest: plan.job.createdAt };
  return plan.earliest > acceptedUntil(state) ? { ...plan, earliest: state.now.wall } : plan;
}

/**
 * After this peer's clock was set forward: a job whose creation seemed to lie in the future, because the clock was behind,
 * begins again at its creation. Otherwise ticks from before it would be caught up.
 */
export function restoreBeginnings(state: State): void {
  for (const plan of state.jobs.plans.values()) {
    const earliest = beginningOf(plan.job, plan.calendarsAt);
    if (earliest > plan.earliest && earliest <= acceptedUntil(state))
      enterJob(state.jobs, { ...plan, earliest }, state.now.wall);
  }
}

/**
 * A run of which this peer wrote the end by a clock that was ahead is repeated by the right one: its pause begins anew. Otherwise
 * the tick, and its job with it, would wait for as long as the clock was ahead.
 */
export function restateRetries(state: State): void {
  const { book, ledger, now, settings } = state;
  // Until offsets are measured, the right clocks may seem to be behind. What ended by now is not restated again and again.
  const until = Math.max(acceptedUntil(state), now.wall);
  for (const { job, tick, attempt, slot, local } of [...book.retries.values()].flatMap((some) => [...some])) {
    const before = recordsOf(ledger, orderKey(job, tick, attempt - 1, slot));
    const own = [...before].find(({ by, peer }) => (by ?? peer) === settings.self);
    if (local.stage !== "none" || own?.retryAt === undefined) continue;
    const { retryAt, finishedAt = -Infinity, startedAt, version } = own;
    if (finishedAt <= until) continue;
    mark(state, "retry-restated");
    commit(state, {
      ...own,
      ...(startedAt === undefined ? {} : { startedAt: Math.min(startedAt, now.wall) }),
      finishedAt: now.wall,
      retryAt: Math.ceil(retryAt - finishedAt + now.wall),
      version: version + 1,
    });
  }
}

export function replan(state: State): void {
  mark(state, "replanned");
  const { wall } = state.now;
  for (const plan of state.jobs.plans.values()) enterJob(state.jobs, begunByNow(state, plan), wall);
  for (const order of state.book.orders.values()) {
    const { local } = order;
    const isAhead = order.requested === undefined && order.instant > wall + claimAheadMs;
    // An attempt before it has really started, so its tick stays begun.
    const isBegun = order.attempt > 1 && local.stage === "none";
    if (isAhead && !isBegun) closeWithout(state, order, "clock");
    else if (local.stage === "claimed" && local.mayStartAt > wall)
      transition(state.book, order, { ...local, mayStartAt: wall });
  }
  // What waited for some time of that clock is looked at now.
  touchAll(state);
  const jobs = lookUpAhead(state);
  state.upkeep.wentBack = false;
  note(state, "warn", "ticks are planned again, because this peer's clock was ahead", { jobs });
  emit(state, { kind: "count", name: "clock_replanned" });
}
