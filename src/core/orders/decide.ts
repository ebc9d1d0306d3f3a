/**
 * What to do about an order now: a pure rule. It is applied whenever an order's circumstances change, and uses only the facts
 * of that moment, never earlier expectations. So a late timer, a lost message or a pause only changes the next decision.
 * apply.ts carries the decision out.
 */
import type { Plan } from "../job/plan.ts";
import { startWindowMs } from "../job/plan.ts";
import { backfillWindowMs } from "../limits.ts";
import { lastStopEnd, type Stop, type StopReason } from "../job/stops.ts";
import { retriesAfter } from "../job/retry.ts";
import { isOfEarlierJob, precedes, type LocalStage, type Order } from "../claims/order.ts";
import { claimAheadMs, lateMs, overdueMs, timelyMs, voteUntilMs } from "../limits.ts";
import { isRanked, type Failover } from "../members/failover.ts";
import type { Mark } from "../probes/marks.ts";
import { giveBacksMax } from "../../schema/run.ts";
import type { Decided, Decision, Facts } from "./decision.ts";

/** How soon to decide again where only time can change the decision. */
const recheckMs = 500;
/** How soon to check again whether a slot is free: no event reports the end of another peer's claim lease or question. */
const poolRecheckMs = 1_000;

type DecidedOrder = Pick<
  Order,
  "due" | "trigger" | "requested" | "local" | "attempt" | "round" | "isChained" | "instant"
>;

export function decide(order: DecidedOrder, facts: Facts): Decided {
  const { decision, marks } = decideNow(order, facts);
  return { decision: untilReplaced(decision, facts), marks };
}

/** No order waits beyond the instant at which a newer tick replaces it. */
function untilReplaced(decision: Decision, { replacedAt, wall }: Facts): Decision {
  if ((decision.kind !== "wait" && decision.kind !== "hold") || replacedAt <= wall) return decision;
  return { ...decision, until: Math.min(decision.until, replacedAt) };
}

function decideNow(order: DecidedOrder, facts: Facts): Decided {
  const { plan, wall } = facts;
  const { local } = order;
  if (facts.isOver) return just(closeOver(local));
  if (plan === undefined || isStale(plan, order, facts)) return just(closeStale(order, facts));
  if (local.stage === "claiming") return just({ kind: "nothing" });
  if (facts.isForgotten || facts.isSuperseded) return just(letGo("draining", wait(Infinity)));
  if (facts.isWarmingUp) return just(wait(wall + recheckMs));
  if (order.isChained && !facts.isInProgress && facts.chain?.kind === "skip")
    return just(skipByParent(order, facts.chain.reason, facts), "skipped-by-parent");
  if (order.isChained && facts.awaitsParents) return just(wait(wall + recheckMs));
  if (facts.replacedAt <= wall) return just(endTick(order, "replaced", "cancelled", facts));
  if (facts.isBackfilledBefore && !facts.isInProgress) return decideSkipped(order, "backfilled", facts);
  if (facts.isToBeSkipped) return decideSkipped(order, "asked", facts);
  const isForced = order.requested?.force === true;
  if (!isForced && !facts.isInProgress && facts.skippedBy !== undefined)
    return decideSkipped(order, facts.skippedBy, facts);
  if (!isForced && facts.stop !== undefined) return decideStopped(order, facts.stop, facts);
  if (isOfSchedule(order) && !facts.isInProgress && facts.lacksCalendar) return just(decideUnknown(order));
  switch (local.stage) {
    case "claimed":
      return decideClaimed(order, local, plan, facts);
    case "asking":
      return just(decideAsking(local.ask, plan, facts));
    case "electing":
      return just({ kind: "follow-election", rank: facts.failover?.rank ?? 0 });
    case "none":
      return facts.choice === "none" ? decideUnclaimed(order, plan, facts) : just(decideChosen(facts));
  }
}

function just(decision: Decision, ...marks: Mark[]): Decided {
  return { decision, marks };
}

function wait(until: number): Decision {
  return { kind: "wait", until };
}

function letGo(reason: string, next: Decision): Decision {
  return { kind: "let-go", reason, next };
}

/**
 * Another peer has started or decided it. A chosen runner whose run others have declared lost records that it never started.
 */
function closeOver(local: LocalStage): Decision {
  const isChosen = local.stage === "claimed" && local.claim.epoch !== undefined;
  return isChosen
    ? { kind: "close", reason: "late", as: "missed" }
    : { kind: "close", reason: "out-claimed" };
}

/** The schedule was edited, or the job disabled, after the order had come into the book. */
function isStale(
  plan: Plan,
  { requested, attempt, isChained, instant }: DecidedOrder,
  facts: Facts,
): boolean {
  // If the job was deleted and made again, what is left of the earlier job's tick doesn't go on. (A clock that was ahead may have
  // dated the new job to a time that is still to come; then the order stays.)
  const { createdAt } = plan.job;
  const isOfEarlier =
    requested === undefined
      ? !isChained && instant < createdAt && createdAt <= facts.wall
      : isOfEarlierJob(requested, plan);
  if (isOfEarlier) return true;
  const isOff = !plan.enabled && requested?.force !== true;
  // A tick in progress goes on, whatever the schedule is now.
  if (attempt > 1) return isOff || retriesAfter(plan.retry, attempt - 1) === 0;
  if (isChained && !facts.isInProgress) return isOff || facts.chain === undefined;
  return requested === undefined && !isChained && !facts.isTick ? isOff || !facts.isInProgress : isOff;
}

/** A tick in progress ends with the runs so far. One peer reports why, and a peer that has claimed the next run gives way. */
function endTick(
  { local }: DecidedOrder,
  reason: string,
  as: "missed" | "cancelled",
  { isReporter }: Facts,
): Decision {
  // Its claim would keep its place in the queues until the report has come.
  return isReporter || local.stage === "claimed" ? { kind: "close", reason, as } : wait(Infinity);
}

/** An edit has made the order invalid. If it was already long overdue and unclaimed, it is reported as missed. */
function closeStale(order: DecidedOrder, facts: Facts): Decision {
  const { due, local } = order;
  if (facts.isInProgress && facts.plan !== undefined)
    return endTick(order, "job-changed", "cancelled", facts);
  const waited = facts.wall - due > overdueMs && local.stage !== "claimed";
  const isReported = facts.plan !== undefined && waited && facts.isReporter;
  return { kind: "close", reason: "job-changed", ...(isReported ? { as: "missed" } : {}) };
}

/** One peer reports that a parent's end keeps the tick from running. */
function skipByParent({ local }: DecidedOrder, reason: string, { isReporter }: Facts): Decision {
  const rest: Decision = isReporter ? { kind: "close", reason, as: "skipped" } : wait(Infinity);
  return local.stage === "none" ? rest : letGo("parent-ended-otherwise", rest);
}

function isOfSchedule({ requested, isChained }: DecidedOrder): boolean {
  return requested === undefined && !isChained;
}

/** The order waits for the calendar. If that doesn't come in time, the sweep reports the tick as missed. */
function decideUnknown({ local }: DecidedOrder): Decision {
  return local.stage === "claimed" ? letGo("calendar", wait(Infinity)) : wait(Infinity);
}

/**
 * The tick comes while the job is stopped, or a person wants it skipped. It is skipped then, and not when its jitter has
 * passed: the stop may have ended by then.
 */
function decideSkipped(
  order: DecidedOrder,
  why: StopReason | "asked" | "backfilled",
  { wall, isReporter, skipStandsAt, chain }: Facts,
): Decided {
  const comesAt = Math.max(comesAtOf(order, chain?.endedAt), why === "asked" ? skipStandsAt : -Infinity);
  const skip: Decision = isReporter ? { kind: "close", reason: why, as: "skipped" } : wait(Infinity);
  const rest = wall < comesAt ? wait(comesAt) : skip;
  const decision = order.local.stage === "claimed" ? letGo(why, rest) : rest;
  return rest.kind === "close"
    ? just(decision, why === "asked" ? "requested-skip-reported" : "stopped-tick-reported")
    : just(decision);
}

/**
 * When the order's tick comes: by the schedule, when the last parent has ended, or when a person asked for it; ms. Whether a
 * job is stopped then says whether it is skipped. Its jitter, after which it is due, doesn't count.
 */
export function comesAtOf(
  { requested, instant, due, isChained }: Pick<Order, "requested" | "instant" | "due" | "isChained">,
  parentsEndedAt: number | undefined,
): number {
  if (requested !== undefined) return due;
  return isChained ? (parentsEndedAt ?? due) : instant;
}

/**
 * The order was due before the job was stopped, so it waits until the stop ends. But if a peer was just about to start it
 * when a person paused the job, it is skipped.
 */
function decideStopped(order: DecidedOrder, stop: Stop, facts: Facts): Decided {
  const { local } = order;
  // The ticks of a backfill are queued, whether or not a peer has claimed them yet.
  const isQueued = facts.isQueued || facts.isBackfill;
  const isStartPrevented = stop.why === "paused" && !facts.isInProgress && !isQueued;
  if (isStartPrevented) return decideSkipped(order, stop.why, facts);
  const rest = wait(stop.until);
  if (local.stage !== "claimed") return just(rest);
  if (local.claim.waiting === undefined) return just(letGo(stop.why, rest));
  // The order keeps its claim, but no place in the queue for a slot or for capacity.
  return just({ kind: "hold", why: "overlap", until: stop.until });
}

/** The decision for a slot whose peer is away or forgotten, or whose turn has not come; undefined = neither. */
function decideForPeer({ due }: DecidedOrder, plan: Plan, facts: Facts): Decided | undefined {
  const { absence, turn, wall, isReporter } = facts;
  const skip = (reason: string): Decision =>
    isReporter ? { kind: "close", reason, as: "skipped" } : wait(Infinity);
  if (turn.kind === "stopped") return just(wall < due ? wait(due) : skip("stopped"), "roll-stopped");
  // Whether the slot's peer is there matters only when its turn has come.
  if (turn.kind === "wait") return just(wait(Math.max(turn.until, due - claimAheadMs)), "roll-waits");
  if (absence === "offline" || absence === "forgotten") return just(skip(absence), "peer-skipped");
  if (absence === "none") return undefined;
  return just(wait(wall < due ? due : due + plan.target.offlineMs), "peer-awaited");
}

function decideUnclaimed(order: DecidedOrder, plan: Plan, facts: Facts): Decided {
  const { wall, rival, failover } = facts;
  const { due, trigger, requested, attempt } = order;
  if (rival !== undefined) return just(wait(rival.until));
  const ofPeer = decideForPeer(order, plan, facts);
  if (ofPeer !== undefined) return ofPeer;
  const isWanted = requested !== undefined || facts.isInProgress || facts.isFixed;
  const onTimeMs = trigger === "catch-up" ? startWindowMs(plan, false) : overdueMs;
  const isOverdue = !isWanted && wall - due > onTimeMs;
  // The sweep deals with overdue orders: it makes them catch-ups and has them decided again, or reports them as missed.
  if (isOverdue || (isWanted && wall - wantedAt(due, facts.isInProgress, plan, wall) > windowOf(plan, facts)))
    return just(wait(Infinity));
  const isElected = plan.partition === "majority";
  // The voters may have forgotten how they voted.
  if (isElected && wall - order.instant > voteUntilMs) {
    return just(
      facts.isReporter ? { kind: "close", reason: "too-old-to-vote", as: "missed" } : wait(Infinity),
    );
  }
  if (isElected && order.round >= giveBacksMax) {
    return just(facts.isReporter ? { kind: "close", reason: "given-back", as: "missed" } : wait(Infinity));
  }
  if (attempt > 1 && wall >= due && !facts.canBeRepeated)
    return just(endTick(order, "retry-nowhere", "missed", facts));
  if (failover === undefined) {
    if (!facts.isFirstWhenAllFull) return just(wait(wall < due ? due : Infinity));
    const claim = { kind: "claim", failover: rankOnly(facts), waiting: "capacity" } as const;
    return just(isElected ? { kind: "elect" } : claim, "claimed-when-all-full");
  }
  const turnAt = failover.delayMs === 0 ? due - claimAheadMs : due + failover.delayMs;
  if (wall < turnAt) return just(wait(turnAt));
  const isOld = trigger === "catch-up" || due < facts.warmedUpAt;
  if (isOld && facts.awaitsSync) return just(wait(wall + recheckMs));
  if (facts.isFull) return just({ kind: "decline" });
  // Before it is put to the vote, the others are asked whether a person has requested the same past tick elsewhere.
  if (isElected && !facts.isBackfill) return just({ kind: "elect" });
  // A peer that skipped this one may have claimed the order unheard if the order came into the book before this peer had
  // warmed up. The same holds for a tick that should already have been claimed: this peer may have been drained then, or no target
  // yet.
  const sawItComing = due - claimAheadMs >= facts.warmedUpAt;
  const timelyUntil = requested === undefined ? turnAt + timelyMs : due + lateMs;
  const isTimely = sawItComing && failover.delayMs === 0 && wall <= timelyUntil && trigger !== "catch-up";
  // Another peer may hold or be about to take the pool's last slot, may believe it is first, or may have a request for the
  // same past tick.
  const isClear =
    !facts.hasForeignClaim && plan.pool === undefined && facts.isFirstForAll && !facts.isBackfill;
  if (isTimely && isClear) return just({ kind: "claim", failover });
  const marks: Mark[] = [
    ...(failover.delayMs > 0 ? (["step-in"] as const) : []),
    ...(trigger === "catch-up" ? (["caught-up"] as const) : []),
  ];
  return { decision: { kind: facts.skipsAsking ? "claim" : "ask", failover }, marks };
}

/**
 * When the start window begins for an order that may start regardless of catch-up, ms. What waited while the job was stopped
 * is wanted when that ends.
 */
export function wantedAt(due: number, isInProgress: boolean, plan: Plan, wall: number): number {
  const resumedAt = isInProgress ? plan.job.resumedAt : -Infinity;
  return Math.max(due, resumedAt, lastStopEnd(plan, due, wall));
}

function windowOf(plan: Plan, { isBackfill }: Facts): number {
  return isBackfill ? backfillWindowMs : startWindowMs(plan, true) + plan.target.offlineMs;
}

function rankOnly({ admittedRank }: Facts): Failover {
  return { rank: admittedRank, delayMs: 0, skippedPeers: [] };
}

function decideChosen(facts: Facts): Decision {
  if (facts.choice === "stands") return { kind: "follow-choice", failover: rankOnly(facts) };
  // Only peers that have proposed a runner know the choice. The reporter may never be one of them, so any peer that knows reports.
  return facts.mayReport ? { kind: "close-lost" } : wait(Infinity);
}

function decideAsking(
  ask: { readonly waiting: ReadonlySet<unknown>; readonly untilMono: number },
  plan: Plan,
  { wall, mono, failover, rival, isFull, lacksAnswers, isBackfill }: Facts,
): Decision {
  if (failover === undefined || rival !== undefined) return letGo("out-claimed", wait(wall + recheckMs));
  if (ask.waiting.size > 0 && mono < ask.untilMono) return wait(wall + (ask.untilMono - mono));
  // The others are asked again, until that peer answers or is suspected.
  if (lacksAnswers) return letGo("answered", wait(wall + 1));
  if (isFull) return letGo("declined", { kind: "decline" });
  // The job may have become a majority job while the other peers were asked.
  const isElected = plan.partition === "majority";
  if (isElected) return letGo("answered", { kind: "elect" });
  // The next of a backfill may be claimed elsewhere at the same moment: it waits until any rival claim must have arrived.
  return letGo("answered", { kind: "claim", failover, ...(isBackfill ? {} : { hasAsked: true }) });
}

/** This peer's claim is durable and was announced. Everything is checked again in the same step that starts the run. */
function decideClaimed(
  order: DecidedOrder,
  local: Extract<LocalStage, { stage: "claimed" }>,
  plan: Plan,
  facts: Facts,
): Decided {
  const { wall, eligibility } = facts;
  const own = local.claim;
  if (eligibility !== "alive" && eligibility !== "declined") {
    const reason = isRanked(eligibility) ? eligibility : "job-changed";
    const decision = letGo(reason, wait(wall + recheckMs));
    return eligibility === "clock" ? just(decision, "clock-passed-over") : just(decision);
  }
  const isChosen = own.epoch !== undefined;
  if (!isChosen && plan.partition === "majority") return just(letGo("job-changed", { kind: "again" }));
  const rival = isChosen ? undefined : facts.rival;
  if (rival !== undefined && precedes(rival.claim, own)) {
    return just(letGo("out-claimed", wait(rival.until)), "out-claimed");
  }
  const startAt = Math.max(order.due, local.mayStartAt);
  if (wall < startAt) return just(wait(startAt));
  if (facts.turn.kind === "stopped") return just({ kind: "close", reason: "stopped", as: "skipped" });
  if (facts.turn.kind === "wait") return just(letGo("rolling", wait(Math.max(facts.turn.until, wall + 1))));
  const isHeld = own.waiting !== undefined;
  if (isChosen) {
    // No other peer may start it, so being late is safe; but past its window a tick never runs.
    const windowMs = facts.isBackfill
      ? backfillWindowMs
      : startWindowMs(plan, order.requested !== undefined || facts.isFixed) + plan.target.offlineMs;
    if (!isHeld && wall - order.due > windowMs)
      return just({ kind: "close", reason: "window", as: "missed" });
  } else if (!isHeld && wall - startAt > lateMs && !facts.skipsRecheck) {
    // This peer was delayed, and another peer may have stepped in: it claims again, and asks the others first.
    return just(letGo("late", { kind: "again" }), "claim-late");
  }
  switch (facts.overlap) {
    case "skip":
      return just({ kind: "close", reason: "overlap", as: "skipped" }, "skipped-by-overlap");
    case "wait":
      return just({ kind: "hold", why: "overlap", until: facts.questionsEnd }, "held-by-overlap");
    case "replace":
      return just({ kind: "hold", why: "overlap", until: wall + 2 * recheckMs, replace: true }, "replaced");
    case "go":
      if (facts.joinsPool || facts.hasNoSlot)
        return just({ kind: "hold", why: "pool", until: wall + poolRecheckMs }, "held-by-pool");
      if (facts.hasNoPlace)
        return just({ kind: "hold", why: "capacity", until: Infinity }, "held-by-capacity");
      // While it was held, the live ticks went first. It claims again, so that they know before it starts. In a pool's queue they
      // already know, and a new claim would put it at the queue's end, for ever if another one does the same.
      if (own.waiting === "overlap" && own.pool === undefined && facts.isBackfill && !isChosen)
        return just(letGo("turn", { kind: "again" }));
      return just({ kind: "start" });
  }
}
