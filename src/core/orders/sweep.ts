/**
 * What is checked every few seconds, because no event announces it: ticks that are overdue by more than 30 s, ranges of ticks
 * that this peer has to report, runs of dead peers, and memory that can be freed.
 */
import type { Event } from "../events.ts";
import { forgetRequestsBefore } from "../claims/order-book.ts";
import { recountAllPeers } from "../claims/peer-sets.ts";
import { touch } from "../claims/touched.ts";
import { isPeerSlot } from "../../schema/ids.ts";
import { mark } from "../probes/marks.ts";
import { ClockProof } from "../time/clock-proof.ts";
import { isInProgress } from "../claims/slots.ts";
import { chainTickOf, reviewChains } from "../claims/chain-ticks.ts";
import { lackingCalendar } from "../job/calendar-jobs.ts";
import { catchUp } from "../job/catchup.ts";
import { hearsMajority } from "../voting/proposer.ts";
import { closeWithout } from "../claims/claims.ts";
import { tendRoster } from "../voting/epochs.ts";
import { forgetAsks } from "../claims/asking.ts";
import { holdsLease } from "../claims/contention.ts";
import { isToBeSkipped } from "../claims/skipped.ts";
import { jobsRemembered, overCount } from "../records/history.ts";
import { fade, openRecords, recordsOf } from "../records/ledger.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import { forgetBackfills } from "../claims/backfill-index.ts";
import { backfillWindowMs, forgetAfterMs, forgetEveryMs, overdueMs, rememberMs } from "../limits.ts";
import { wantedAt } from "./decide.ts";
import { isFixed, OrderFacts } from "./facts.ts";
import { isReporter } from "./reporter.ts";
import { dueOf, firstDueFrom } from "../job/jitter.ts";
import { newestToRun } from "../job/gap.ts";
import { startWindowMs, type Plan } from "../job/plan.ts";
import { stopAt } from "../job/stops.ts";
import { epochAt } from "../voting/roster.ts";
import { removeOldSkips } from "./old-skips.ts";
import { reviewFailures } from "./failures.ts";
import { reviewHeldBack } from "./held-back.ts";
import { isPlanning } from "./planning.ts";
import { restateRetries } from "./replan.ts";
import { declareLost } from "./runs.ts";
import { reportChainRanges } from "./chain-scan.ts";
import { forgetTooOld, lookUpDecidedAhead } from "./looked-up.ts";
import { reportGaps, tendHistory } from "./scan.ts";
import { forgetAwaitedSyncs } from "./warm-up.ts";
import { emit, note, type State } from "../state.ts";
import type { Order } from "../claims/order.ts";

export function sweep(state: State): void {
  forgetAsks(state);
  forgetAwaitedSyncs(state);
  tendRoster(state);
  fade(state.ledger, state.now.mono - rememberMs);
  forgetTheOld(state);
  if (state.upkeep.warmUp !== undefined) return;
  declareLost(state);
  lookUpDecidedAhead(state);
  if (state.upkeep.awaitingSync.size > 0) return;
  reviewChains(state);
  reviewHeldBack(state);
  reportGaps(state);
  reportChainRanges(state);
  reviewFailures(state, "all");
  if (isPlanning(state)) restateRetries(state);
  recountAllPeers(state);
  for (const [job, orders] of state.book.byJob) {
    const plan = state.jobs.plans.get(job);
    if (plan !== undefined) reconcileOverdue(state, plan, orders);
  }
}

/** Goes through everything that is remembered, which is only needed now and then. */
function forgetTheOld(state: State): void {
  if (state.now.mono < state.upkeep.forgetAtMono) return;
  state.upkeep.forgetAtMono = state.now.mono + forgetEveryMs;
  const at = forgettingAt(state);
  tendHistory(state, at);
  forgetTooOld(state);
  removeOldSkips(state, at);
  forgetBackfills(state, at - backfillWindowMs);
  forgetRequestsBefore(state, at - forgetAfterMs);
  state.upkeep.recordsOfNoJob = countRecordsOfNoJob(state);
}

/** A clock that leapt ahead in an earlier life still has to prove itself. History is pruned by the same proof. */
export function openForgetting(
  { upkeep, now }: State,
  { lastAlive, prunedAt, proofLeftMs }: Extract<Event, { kind: "loaded" }>,
): void {
  upkeep.forgettingAt = Math.min(lastAlive ?? now.wall, prunedAt ?? now.wall, now.wall);
  upkeep.forgetProof = new ClockProof(proofLeftMs, lastAlive);
}

/**
 * The time (wall clock, ms) by which things are judged to be old. It stands still while a clock that is far ahead of it, or far
 * behind, has not proved itself.
 */
function forgettingAt({ upkeep, now }: State): number {
  if (upkeep.forgetProof.isDone(now, now.wall - upkeep.forgettingAt)) upkeep.forgettingAt = now.wall;
  return Math.min(upkeep.forgettingAt, now.wall);
}

/** The simulator has moved the wall clock forward by this many ms. */
export function forgetOn({ upkeep }: State, ms: number): void {
  upkeep.forgettingAt += ms;
  upkeep.forgetProof.wentOn(ms);
}

function countRecordsOfNoJob(state: State): number {
  const { history } = state.ledger;
  let count = 0;
  for (const job of jobsRemembered(history)) if (!state.jobs.plans.has(job)) count += overCount(history, job);
  for (const { job } of openRecords(state.ledger)) if (!state.jobs.plans.has(job)) count++;
  return count;
}

function isHeld(state: State, order: Order): boolean {
  // A peer that is only being elected holds nothing: once the window is over, no peer may be chosen any more.
  if (order.local.stage !== "none" && order.local.stage !== "electing") return true;
  for (const record of recordsOf(state.ledger, order.key)) {
    if (record.state === "claimed" && holdsLease(state, record)) return true;
  }
  return false;
}

/** The tick will not run. Its reporter says so, and the others wait for that. */
function isSkippedByParent(state: State, { isChained, attempt, job, tick }: Order): boolean {
  return isChained && attempt === 1 && chainTickOf(state, job, tick)?.verdict?.kind === "skip";
}

/** Whether the slot's peer is away, or it is not the slot's turn. */
function isHeldUp(state: State, order: Order): boolean {
  const facts = new OrderFacts(state, order);
  return facts.absence !== "none" || facts.turn.kind !== "go";
}

function reconcileOverdue(state: State, plan: Plan, orders: ReadonlySet<Order>): void {
  const { wall } = state.now;
  const stop = stopAt(plan, wall);
  const overdue = [...orders]
    .filter(
      (order) => wall - order.due > overdueMs && !isHeld(state, order) && !isSkippedByParent(state, order),
    )
    .toSorted((a, b) => a.due - b.due);
  const scheduled: Order[] = [];
  for (const order of overdue) {
    const hasBegun = isInProgress(state, order);
    const isWanted = order.requested !== undefined || hasBegun || isFixed(state, plan, order);
    // While the job is stopped, nothing is caught up. Ticks that came in that time are never caught up.
    const isStopped = stop !== undefined && order.requested?.force !== true;
    // Whether it is caught up is decided anew when the stop has ended.
    if (isStopped && order.trigger === "catch-up") order.trigger = order.isChained ? "chain" : "schedule";
    if (isToBeSkipped(state, order)) touch(state, order);
    else if (isStopped || (!isWanted && new OrderFacts(state, order).skippedBy !== undefined)) continue;
    else if (!isWanted) scheduled.push(order);
    // The slot's peer may come back in time, or the runs before it may end.
    else if (isPeerSlot(order.slot) && isHeldUp(state, order)) touch(state, order);
    else if (wall - wantedAt(order.due, hasBegun, plan, wall) > windowOf(plan, order))
      miss(state, plan, order, "window");
    else {
      // Some members may not have heard who declined, and so wait for each other.
      order.declined.clear();
      touch(state, order);
    }
  }
  const last = scheduled.at(-1);
  if (last === undefined) return;
  const newer = newestToRun(plan, last.instant + 1, firstDueFrom(plan, wall + 1));
  const dues = [...new Set(scheduled.map(({ due }) => due))];
  const verdicts = catchUp(plan.catchUp, dues, newer === undefined ? last.due : dueOf(plan, newer), wall);
  scheduled.forEach((order) => {
    const verdict = verdicts[dues.indexOf(order.due)];
    if (verdict === undefined) return;
    if (!verdict.run) {
      const lacks = lackingCalendar(plan, order.instant) !== undefined;
      return miss(state, plan, order, lacks ? "calendar" : verdict.reason);
    }
    order.trigger = "catch-up";
    order.declined.clear();
    touch(state, order);
  });
}

function windowOf(plan: Plan, { tick }: Order): number {
  if (backfilledInstant(tick) !== undefined) return backfillWindowMs;
  return startWindowMs(plan, true) + plan.target.offlineMs;
}

/** No peer will run the order. The first living member in rank reports that, so that the tick has a story. */
function miss(state: State, plan: Plan, order: Order, reason: string): void {
  if (!isReporter(state, order.job, order.tick)) return;
  const epoch = epochAt(state.voting.roster.chain, order.instant);
  // If this peer has already proposed and failed, report no-quorum even when it can hear a majority.
  const unheard = epoch === undefined || !hearsMajority(state, epoch) || order.tries > 0;
  const noQuorum = plan.partition === "majority" && order.chosen === undefined && unheard;
  mark(state, noQuorum ? "no-quorum" : "missed");
  const said = noQuorum ? "no-quorum" : reason;
  emit(state, { kind: "count", name: noQuorum ? "ticks_no_quorum" : "ticks_missed" });
  note(state, "warn", "a tick was missed", { job: order.job, tick: order.tick, reason: said });
  closeWithout(state, order, said, plan, noQuorum ? "skipped" : "missed");
}
