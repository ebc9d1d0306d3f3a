/** A job's ticks that are due and undecided, and what each of them waits for, in sentences. */
import type { PendingTick } from "../../ports/control.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import { isPeerSlot, type JobId, type PeerId } from "../../schema/ids.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import { chainTickOf } from "../claims/chain-ticks.ts";
import type { Order } from "../claims/order.ts";
import { poolHolders } from "../claims/pool-slots.ts";
import { isInProgress, peerOfSlot } from "../claims/slots.ts";
import { lackingCalendar } from "../job/calendar-jobs.ts";
import { startWindowMs, type Plan } from "../job/plan.ts";
import { slotsOfPool } from "../job/pools.ts";
import { stopAt, type Stop } from "../job/stops.ts";
import { instantText, whyNotRepeated, whyPeerWaits } from "../members/blocked.ts";
import { eligibilityOf } from "../members/eligibility.ts";
import { shownName } from "../members/names.ts";
import { isOver } from "../records/history.ts";
import { recordsOf } from "../records/ledger.ts";
import type { State } from "../state.ts";
import { whyLacking } from "./calendar-status.ts";
import { ticksAwaitingParents } from "./chain-status.ts";
import { wantedAt } from "./decide.ts";
import { isFixed, OrderFacts, ranksFor } from "./facts.ts";
import { hindrancesOf, votersMissing } from "./hindrances.ts";

/** How many of a job's pending ticks are shown, oldest first. A catch-up may have thousands. */
const pendingShown = 100;

/** The job's ticks that are due and undecided, oldest first, each with what it waits for. */
export function pendingTicks(state: State, plan: Plan): PendingTick[] {
  const orders = [...pendingOrders(state, plan)].toSorted((a, b) => a.due - b.due);
  const byTick = Map.groupBy(orders, ({ tick }) => tick);
  const pending = [...byTick.values().take(pendingShown)].flatMap((slots) => {
    const [order] = slots;
    if (order === undefined) return [];
    const { waitsFor, why } = waitOf(state, plan, order);
    const which =
      order.of === 1 ? "" : `${slots.length} of its ${order.of} runs are still to come; the first: `;
    return { tick: order.tick, due: order.due, waitsFor, why: `${which}${why}` };
  });
  return [...pending, ...ticksAwaitingParents(state, plan).slice(0, pendingShown)];
}

export function firstPending(state: State, plan: Plan): Order | undefined {
  const [first] = pendingOrders(state, plan);
  return first;
}

function* pendingOrders(state: State, plan: Plan): Generator<Order> {
  for (const order of state.book.byJob.get(plan.id) ?? []) {
    const isPending = order.due <= state.now.wall || isInProgress(state, order);
    if (isPending && !isOver(state.ledger.history, order.job, order.tick, order.slot)) yield order;
  }
}

type Wait = Pick<PendingTick, "waitsFor" | "why">;

function waitOf(state: State, plan: Plan, order: Order): Wait {
  const stop = stopAt(plan, Math.max(state.now.wall, order.due));
  if (stop !== undefined && order.requested?.force !== true) return waitForStop(state, stop);
  if (order.due > state.now.wall && order.attempt > 1) return waitForRetry(state, plan, order);
  const verdict = order.isChained ? chainTickOf(state, order.job, order.tick)?.verdict : undefined;
  if (verdict?.kind === "skip" && order.attempt === 1)
    return { waitsFor: "parent", why: `a peer is about to record that it is skipped: ${verdict.reason}` };
  const lacking = order.requested === undefined ? lackingCalendar(plan, order.instant) : undefined;
  if (lacking !== undefined && !order.isChained) return { waitsFor: "calendar", why: whyLacking(lacking) };
  const blocked = hindrancesOf(state, plan, order.requested).find(({ code }) => code === "NO_PEER");
  if (blocked !== undefined) return { waitsFor: "peer", why: blocked.message };
  const nowhere = whyNotRepeated(state, plan, order);
  if (nowhere !== undefined) return { waitsFor: "peer", why: `attempt ${order.attempt} ${nowhere.message}` };
  const claim = claimOf(state, order);
  if (claim !== undefined) return claim;
  const forPeer = waitForItsPeer(state, plan, order);
  if (forPeer !== undefined) return forPeer;
  if (state.upkeep.warmUp !== undefined) {
    return { waitsFor: "answer", why: "this peer has just started and waits for the others' records" };
  }
  if (plan.partition === "majority") {
    const missing = votersMissing(state);
    return { waitsFor: "voters", why: missing ?? "the voters are choosing its runner" };
  }
  if (order.local.stage === "asking") {
    const names = [...order.local.ask.waiting].map((peer) => shownName(state, peer));
    return {
      waitsFor: "answer",
      why: `${names.join(", ") || "the others"} must first answer that they are not running it`,
    };
  }
  return waitForPeer(state, plan, order);
}

function waitForStop(state: State, { why, until }: Stop): Wait {
  const end = until === Infinity ? "until it is resumed" : `until ${instantText(state, until)}`;
  if (why === "maintenance") return { waitsFor: "maintenance", why: `maintenance goes on ${end}` };
  return { waitsFor: "pause", why: `the job is paused ${end}` };
}

function waitForRetry(state: State, plan: Plan, order: Order): Wait {
  const { retry } = plan;
  const { attempt, due } = order;
  const which = `attempt ${attempt} of ${1 + retry.attempts}`;
  const nowhere = whyNotRepeated(state, plan, order);
  const but = nowhere === undefined ? "" : `; as things are, it ${nowhere.message}`;
  return { waitsFor: "retry", why: `${which} begins at ${instantText(state, due)}${but}` };
}

/** What a claim waits for, this peer's or another's. */
function claimOf(state: State, order: Order): Wait | undefined {
  const { local } = order;
  const own = local.stage === "claimed" || local.stage === "claiming" ? [local.claim] : [];
  for (const { state: how, waiting, peer, pool } of [...own, ...recordsOf(state.ledger, order.key)]) {
    if (how !== "claimed") continue;
    const name = shownName(state, peer);
    if (waiting === "capacity")
      return { waitsFor: "capacity", why: `${name} has claimed it and waits for a free place` };
    if (pool !== undefined) return { waitsFor: "pool", why: poolWait(state, order.job, pool, name) };
    if (waiting === "overlap")
      return {
        waitsFor: "overlap",
        why: `${name} has claimed it and waits for an earlier run of the job to end`,
      };
    return { waitsFor: "start", why: `${name} has claimed it and is about to start it` };
  }
  return undefined;
}

/** Of the jobs that hold the pool's slots, it names those of the job's own group: who sees this one may not see the others. */
function poolWait(state: State, job: JobId, pool: string, name: string): string {
  const slots = slotsOfPool(state.jobs, pool);
  if (slots === 0) return `${name} has claimed it and waits: the pool "${pool}" has 0 slots, which stops it`;
  const running = [...poolHolders(state, pool)]
    .filter(({ isRunning }) => isRunning)
    .map(({ record }) => record.job);
  const group = (id: JobId): string => state.jobs.plans.get(id)?.job.spec.group ?? defaultGroup;
  const named = running.filter((id) => group(id) === group(job));
  const others = running.length - named.length;
  const holders = [
    ...named.slice(0, 5),
    ...(others === 0 ? [] : [`${others} ${others === 1 ? "job" : "jobs"} of other groups`]),
  ];
  const held = holders.length === 0 ? "" : `, held by ${holders.join(", ")}`;
  return `${name} has claimed it and waits for a free slot of the pool "${pool}" (it has ${slots}${held})`;
}

/** What an order of a tick that runs on all peers waits for, if its peer is away, or if it is not its turn. */
function waitForItsPeer(state: State, plan: Plan, order: Order): Wait | undefined {
  const { absence, turn } = new OrderFacts(state, order);
  const peer = peerOfSlot(state, order.slot);
  const name = peer === undefined ? order.slot : shownName(state, peer);
  if (absence === "awaited") {
    const until = instantText(state, order.due + plan.target.offlineMs);
    return { waitsFor: "peer", why: `${name} is away; its run is skipped unless it is back by ${until}` };
  }
  if (absence !== "none" || turn.kind === "stopped")
    return { waitsFor: "peer", why: `a peer is about to record that the run on ${name} is skipped` };
  if (turn.kind === "go") {
    const why = peer === undefined ? undefined : whyPeerWaits(state, plan, peer);
    return why === undefined
      ? undefined
      : { waitsFor: "peer", why: `${name} ${why}${missedBy(state, plan, order)}` };
  }
  const then = turn.until === Infinity ? "" : `, not before ${instantText(state, turn.until)}`;
  return { waitsFor: "turn", why: `it is not the turn of ${name} yet${then}` };
}

/** When a slot whose peer is there and can't run it is given up. */
function missedBy(state: State, plan: Plan, order: Order): string {
  if (!isFixed(state, plan, order) || backfilledInstant(order.tick) !== undefined) return "";
  const from = wantedAt(order.due, isInProgress(state, order), plan, state.now.wall);
  const until = from + startWindowMs(plan, true) + plan.target.offlineMs;
  return `; its run is missed unless that ends by ${instantText(state, until)}`;
}

function waitForPeer(state: State, plan: Plan, order: Order): Wait {
  const eligibility = eligibilityOf(state, plan, order);
  const ranks = ranksFor(state, plan, order);
  const first = ranks.find((peer) => eligibility(peer) === "alive" || eligibility(peer) === "suspect");
  if (first !== undefined && isPeerSlot(order.slot) && eligibility(first) === "suspect")
    return { waitsFor: "peer", why: `${shownName(state, first)} has fallen silent` };
  if (first !== undefined) return { waitsFor: "start", why: waitsOn(state, first, eligibility(first)) };
  if (ranks.some((peer) => eligibility(peer) === "declined")) {
    return { waitsFor: "capacity", why: "every peer that can run it is full" };
  }
  return { waitsFor: "peer", why: "the peers that can run it have just started and take no ticks yet" };
}

function waitsOn(state: State, first: PeerId, how: string): string {
  const name = shownName(state, first);
  if (how === "suspect")
    return `${name} is first in line and has fallen silent; another peer will step in soon`;
  return `${name} is first in line and is about to start it`;
}
