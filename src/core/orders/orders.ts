/**
 * An order's way through one peer (DESIGN §5): it comes into sight 2 s before due, is looked at whenever its
 * circumstances change, and goes when somebody has started it or decided that nobody will.
 *
 * `look` is the whole decision, taken from the state as it is now and never from what was expected earlier: a late
 * timer, a lost message or a pause only means that the next look sees something else. What it decides is carried out
 * by claims.ts; what the others know is asked for by asking.ts.
 */
import { reconcileAt } from "../claims/order-book.ts";
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { enqueueAsk } from "../claims/asking.ts";
import { reconcileChosen, reconcileVoters, reconcileElecting } from "../voting/proposer.ts";
import {
  claim,
  closeLost,
  closeWithout,
  decline,
  hold,
  isFull,
  launch,
  replaceRunning,
  withdraw,
} from "../claims/claims.ts";
import { timekeepers } from "../members/clocks.ts";
import { firstBefore, contendersOf, questionsEnd, leaseEnd, holdsLease } from "../claims/contention.ts";
import { claimAheadMs, lateMs, overdueMs } from "../limits.ts";
import { livingMembers } from "../members/members.ts";
import { overlapVerdict } from "../job/overlap.ts";
import { isTickOf, pauseAt, startWindowMs, type Plan } from "../job/plan.ts";
import { rank } from "../members/rank.ts";
import type { Runner } from "../../schema/vote.ts";
import { eligibilityOf } from "../members/eligibility.ts";
import { type State } from "../state.ts";
import { noStage, transition, type Order } from "../claims/order.ts";
import { failoverOf, type Eligibility, type Failover } from "../members/failover.ts";

/** How soon to look again where only time can change the answer. */
const againMs = 500;

/** Every member in order of rank for one order, the living and the dead. */
export function ranksOf(state: State, order: Order): readonly PeerId[] {
  if (order.memberHashes !== state.members.hashes) {
    order.memberHashes = state.members.hashes;
    const own = isPlanted(state, "random-rank") ? state.settings.self : "";
    order.ranks = rank(order.job, `${order.tick}${own}` as TickId, state.members.hashes);
  }
  return order.ranks;
}

/** The member that speaks for an order that nobody is to run: the first in rank that is alive and whose clock is right. */
export function isReporter(state: State, job: JobId, tick: TickId): boolean {
  if (state.operator.selfForgotten !== undefined) return false;
  const able = new Set(livingMembers(state).filter(timekeepers(state)));
  for (const peer of rank(job, tick, state.members.hashes))
    if (able.has(peer)) return peer === state.settings.self;
  return false;
}

function beats(a: RunRecord, b: RunRecord): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.peer < b.peer);
}

/** Looks at an order and does what is to be done about it now. */
export function reconcile(state: State, order: Order): void {
  if (state.book.orders.get(order.key) !== order) return;
  const plan = state.jobs.get(order.job);
  if (state.ledger.isSettled(order.job, order.tick)) return closeSettled(state, plan, order);
  if (plan === undefined || isStale(plan, order)) return closeStale(state, plan, order);
  if (order.local.stage === "claiming") return;
  if (state.operator.selfForgotten !== undefined) return reconcileSelfForgotten(state, order);
  if (state.warmUp !== undefined) return reconcileAt(state, order, state.now.wall + againMs);
  if (order.requested?.force !== true && pauseAt(plan, state.now.wall) !== undefined) {
    return reconcilePaused(state, plan, order);
  }
  const eligibility = eligibilityOf(state, plan, order);
  const ranks = ranksOf(state, order);
  const failover = failoverOf(ranks, state.settings.self, eligibility);
  if (order.local.stage === "claimed")
    return reconcileClaimed(state, plan, order, order.local.claim, eligibility);
  if (order.local.stage === "asking") return reconcileAsking(state, plan, order, failover);
  if (order.local.stage === "electing") return reconcileElecting(state, order, failover?.rank ?? 0);
  if (order.chosen !== undefined) return reconcileChoice(state, plan, order, eligibility);
  reconcileUnclaimed(state, plan, order, failover, ranks, eligibility);
}

/** The mesh has forgotten this peer: what is due is the others' to run and to tell. */
function reconcileSelfForgotten(state: State, order: Order): void {
  if (order.local.stage === "claimed") withdraw(state, order, "draining");
  transition(state.book, order, noStage);
  reconcileAt(state, order, Infinity);
}

/** Others have started it or decided it. A chosen runner that was given up for lost says that it never started. */
function closeSettled(state: State, plan: Plan | undefined, order: Order): void {
  const { local } = order;
  if (local.stage === "claimed" && local.claim.epoch !== undefined) {
    return closeWithout(state, order, "late", plan, "missed");
  }
  closeWithout(state, order, "out-claimed");
}

/** The schedule has been edited, or the job disabled, since the order came into sight. */
function isStale(plan: Plan, order: Order): boolean {
  if (order.requested !== undefined) return !plan.enabled && order.requested.force !== true;
  return !isTickOf(plan, order.instant);
}

/** The edit has overtaken it. One that was long due, and waited for its voters still, is told as missed. */
function closeStale(state: State, plan: Plan | undefined, order: Order): void {
  const waited = state.now.wall - order.due > overdueMs && order.local.stage !== "claimed";
  if (plan === undefined || !waited || !isReporter(state, order.job, order.tick)) {
    return closeWithout(state, order, "job-changed");
  }
  closeWithout(state, order, "job-changed", plan, "missed");
}

function reconcilePaused(state: State, plan: Plan, order: Order): void {
  if (order.local.stage === "claimed") withdraw(state, order, "paused");
  if (state.now.wall < order.due) return reconcileAt(state, order, order.due);
  if (isReporter(state, order.job, order.tick)) {
    mark(state, "paused-tick-told");
    return closeWithout(state, order, "paused", plan, "skipped");
  }
  reconcileAt(state, order, Infinity);
}

/** The strongest claim of another peer that keeps me off. */
function rivalOf(state: State, order: Order): RunRecord | undefined {
  let rival: RunRecord | undefined;
  for (const record of state.ledger.of(order.key)) {
    if (record.peer === state.settings.self || record.state !== "claimed" || !holdsLease(state, record))
      continue;
    if (rival === undefined || beats(record, rival)) rival = record;
  }
  return rival;
}

function hasForeignClaim(state: State, order: Order): boolean {
  for (const record of state.ledger.of(order.key)) {
    if (record.peer !== state.settings.self && record.state === "claimed") return true;
  }
  return false;
}

function reconcileUnclaimed(
  state: State,
  plan: Plan,
  order: Order,
  failover: Failover | undefined,
  ranks: readonly PeerId[],
  eligibility: (peer: PeerId) => Eligibility,
): void {
  const now = state.now.wall;
  const rival = rivalOf(state, order);
  if (rival !== undefined) {
    return reconcileAt(state, order, rival.waiting === undefined ? leaseEnd(state, rival) : Infinity);
  }
  const isOverdue = order.trigger === "schedule" && now - order.due > overdueMs;
  if (isOverdue || (order.requested !== undefined && now - order.due > startWindowMs(plan, true))) {
    // From here on it is the sweep's business, which catches it up and touches it again, or tells it as missed.
    return reconcileAt(state, order, Infinity);
  }
  if (failover === undefined) {
    if (isFirstOfTheFull(state, ranks, eligibility)) {
      mark(state, "taken-by-the-first-of-the-full");
      if (plan.partition === "majority") return reconcileVoters(state, order);
      return claim(state, plan, order, rankAmong(ranks, eligibility, state), { waiting: "capacity" });
    }
    return reconcileAt(state, order, now < order.due ? order.due : Infinity);
  }
  const turnAt = failover.delayMs === 0 ? order.due - claimAheadMs : order.due + failover.delayMs;
  if (now < turnAt) return reconcileAt(state, order, turnAt);
  const isOld = order.trigger === "catch-up" || order.due < state.warmedUpAt;
  if (isOld && state.awaitingSync.size > 0) return reconcileAt(state, order, now + againMs);
  if (isFull(state)) return decline(state, order);
  if (plan.partition === "majority") return reconcileVoters(state, order);
  // What came into sight before I had settled may have been claimed by one that passed me over, unheard by me.
  const sawItComing = order.due - claimAheadMs >= state.warmedUpAt;
  const timely =
    sawItComing && failover.delayMs === 0 && now <= order.due + lateMs && order.trigger !== "catch-up";
  if (timely && !hasForeignClaim(state, order)) return claim(state, plan, order, failover, {});
  if (failover.delayMs > 0) mark(state, "step-in");
  if (order.trigger === "catch-up") mark(state, "caught-up");
  if (isPlanted(state, "no-asking")) return claim(state, plan, order, failover, {});
  enqueueAsk(state, order, failover);
}

/** The voters have chosen a runner: me, and I claim; or another, and I see that it hears of it, or is told as lost. */
function reconcileChoice(
  state: State,
  plan: Plan,
  order: Order,
  eligibility: (peer: PeerId) => Eligibility,
): void {
  const { chosen } = order;
  if (chosen === undefined) return;
  if (isGone(state, chosen)) {
    if (isReporter(state, order.job, order.tick)) return closeLost(state, plan, order, chosen.peer);
    return reconcileAt(state, order, Infinity);
  }
  reconcileChosen(state, plan, order, rankAmong(ranksOf(state, order), eligibility, state));
}

/** The life that the voters chose is over: its peer is dead, has left, or was restarted since. */
function isGone(state: State, { peer, life }: Runner): boolean {
  if (peer === state.settings.self) return life !== state.settings.incarnation;
  const member = state.members.byId.get(peer);
  if (member === undefined || member.state === "dead" || member.state === "left") return true;
  return (member.heartbeat?.incarnation ?? life) > life;
}

/** Everybody who could run it is at capacity, and I am the first of them: it waits here for a place. */
function isFirstOfTheFull(
  state: State,
  ranks: readonly PeerId[],
  eligibility: (peer: PeerId) => Eligibility,
): boolean {
  for (const peer of ranks) {
    const how = eligibility(peer);
    if (how === "alive" || how === "suspect") return false;
  }
  return ranks.find((peer) => eligibility(peer) === "declined") === state.settings.self;
}

function rankAmong(
  ranks: readonly PeerId[],
  eligibility: (peer: PeerId) => Eligibility,
  state: State,
): Failover {
  const admitted = ranks.filter((peer) => eligibility(peer) !== "untargeted");
  // The voters may have chosen a peer that the job, edited since, no longer admits: its claim is withdrawn at once.
  return { rank: Math.max(0, admitted.indexOf(state.settings.self)), delayMs: 0, passed: [] };
}

function reconcileAsking(state: State, plan: Plan, order: Order, failover: Failover | undefined): void {
  if (order.local.stage !== "asking") return;
  const rival = rivalOf(state, order);
  if (failover === undefined || rival !== undefined) {
    transition(state.book, order, noStage);
    return reconcileAt(state, order, state.now.wall + againMs);
  }
  const { ask } = order.local;
  if (ask.waiting.size > 0 && state.now.mono < ask.untilMono) {
    return reconcileAt(state, order, state.now.wall + (ask.untilMono - state.now.mono));
  }
  transition(state.book, order, noStage);
  if (isFull(state)) return decline(state, order);
  // The job may have become a majority job while the others were asked.
  if (plan.partition === "majority") return reconcileVoters(state, order);
  claim(state, plan, order, failover, { asked: true });
}

/** My claim is durable and said. Before the start all is looked at once more, in the very step that starts it. */
function reconcileClaimed(
  state: State,
  plan: Plan,
  order: Order,
  own: RunRecord,
  eligibility: (peer: PeerId) => Eligibility,
): void {
  if (order.local.stage !== "claimed") return;
  const now = state.now.wall;
  const how = eligibility(state.settings.self);
  if (how !== "alive" && how !== "declined") {
    if (how === "clock") mark(state, "clock-passed-over");
    withdraw(state, order, how === "untargeted" ? "job-changed" : how);
    return reconcileAt(state, order, now + againMs);
  }
  if (own.epoch === undefined && plan.partition === "majority") {
    withdraw(state, order, "job-changed");
    return reconcile(state, order);
  }
  const rival = own.epoch === undefined ? rivalOf(state, order) : undefined;
  if (rival !== undefined && beats(rival, own)) {
    mark(state, "out-claimed");
    withdraw(state, order, "out-claimed");
    return reconcileAt(state, order, rival.waiting === undefined ? leaseEnd(state, rival) : Infinity);
  }
  const startAt = Math.max(order.due, order.local.mayStartAt);
  if (now < startAt) return reconcileAt(state, order, startAt);
  if (own.epoch !== undefined) {
    // Nobody else may start it, so late is no danger; but past its window a tick never runs.
    const windowMs = startWindowMs(plan, order.requested !== undefined);
    if (own.waiting === undefined && now - order.due > windowMs) {
      return closeWithout(state, order, "window", plan, "missed");
    }
  } else if (own.waiting === undefined && now - startAt > lateMs && !isPlanted(state, "no-recheck")) {
    mark(state, "claim-late");
    // I was held up: somebody may have stepped in meanwhile, so the claim is made anew, and asked for first.
    withdraw(state, order, "late");
    return reconcile(state, order);
  }
  // One that is held behind another asks only whether it still is: a long queue must not be counted through each time.
  const held = own.waiting === "overlap" && plan.overlap !== "replace";
  const others = held ? firstBefore(contendersOf(state, order, own)) : [...contendersOf(state, order, own)];
  switch (overlapVerdict(plan.overlap, others)) {
    case "skip":
      mark(state, "skipped-by-overlap");
      return closeWithout(state, order, "overlap", plan, "skipped");
    case "wait":
      mark(state, "held-by-overlap");
      hold(state, order, "overlap");
      return reconcileAt(state, order, questionsEnd(state, order.job));
    case "replace":
      mark(state, "replaced");
      hold(state, order, "overlap");
      replaceRunning(state, order);
      return reconcileAt(state, order, now + 2 * againMs);
    case "go":
      if (state.book.runs.size >= state.settings.capacity) {
        mark(state, "held-by-capacity");
        hold(state, order, "capacity");
        return reconcileAt(state, order, Infinity);
      }
      launch(state, plan, order);
  }
}
