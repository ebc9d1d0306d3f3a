/**
 * Carries out what was decided about an order. `reconcile` does all of it: gather the facts, decide, apply.
 */
import { enqueueAsk } from "../claims/asking.ts";
import { claim, closeLost, closeWithout, decline, hold, replaceRunning, withdraw } from "../claims/claims.ts";
import { launch } from "../claims/launch.ts";
import { reconcileAt } from "../claims/touched.ts";
import { noStage, transition, type Order } from "../claims/order.ts";
import { assert } from "../../errors.ts";
import { mark } from "../probes/marks.ts";
import type { Plan } from "../job/plan.ts";
import type { State } from "../state.ts";
import { reconcileChosen, reconcileElecting, reconcileVoters } from "../voting/proposer.ts";
import { decide } from "./decide.ts";
import type { Decision, JobDecision } from "./decision.ts";
import { OrderFacts } from "./facts.ts";

/** Decides what to do about the order now, and does it. */
export function reconcile(state: State, order: Order): void {
  if (state.book.orders.get(order.key) !== order) return;
  const { decision, marks } = decide(order, new OrderFacts(state, order));
  for (const reached of marks) mark(state, reached);
  apply(state, order, decision);
}

function apply(state: State, order: Order, decision: Decision): void {
  const plan = state.jobs.plans.get(order.job);
  switch (decision.kind) {
    case "nothing":
      return;
    case "wait":
      return reconcileAt(state, order, decision.until);
    case "again":
      return reconcile(state, order);
    case "let-go":
      if (order.local.stage === "claimed") withdraw(state, order, decision.reason);
      else transition(state.book, order, noStage);
      // A peer that was full when the order was held may have a place by now.
      if (decision.reason === "turn") order.declined.clear();
      return apply(state, order, decision.next);
    case "decline":
      return decline(state, order);
    case "ask":
      return enqueueAsk(state, order, decision.failover);
    case "elect":
      return reconcileVoters(state, order);
    case "follow-election":
      return reconcileElecting(state, order, decision.rank);
    case "close":
      return closeWithout(state, order, decision.reason, plan, decision.as);
    case "hold":
      hold(state, order, decision.why);
      if (decision.replace === true) replaceRunning(state, order);
      return reconcileAt(state, order, isBehindInPool(state, order) ? Infinity : decision.until);
    case "claim":
    case "follow-choice":
    case "close-lost":
    case "start":
      assert(plan !== undefined, `${order.key}: a job that is not there can't ${decision.kind}`);
      return applyToJob(state, order, plan, decision);
  }
}

/** Whether the order waits for a pool's slot behind another order of this peer. It is reconciled once it is the first. */
function isBehindInPool({ book }: State, { local, key }: Order): boolean {
  const pool = local.stage === "claimed" ? local.claim.pool : undefined;
  return pool !== undefined && book.poolQueues.first(pool)?.key !== key;
}

function applyToJob(state: State, order: Order, plan: Plan, decision: JobDecision): void {
  switch (decision.kind) {
    case "claim": {
      const { failover, kind: _, ...how } = decision;
      return claim(state, plan, order, failover, how);
    }
    case "follow-choice":
      reconcileChosen(state, plan, order, decision.failover);
      return;
    case "close-lost":
      assert(
        order.chosen !== undefined,
        `${order.key}: an order without a chosen runner can't be closed as lost`,
      );
      return closeLost(state, plan, order, order.chosen.peer);
    case "start":
      return launch(state, plan, order);
  }
}
