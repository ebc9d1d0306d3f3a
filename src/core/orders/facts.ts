/**
 * The facts that `decide` uses. Each is read from the state only when `decide` asks for it: most orders need only a few of
 * them, and some cost a walk over the members or over the job's other orders.
 */
import { instantOf, isPeerSlot, slotOfPeer, type PeerId, type TickId } from "../../schema/ids.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { Runner } from "../../schema/vote.ts";
import { chainTickOf } from "../claims/chain-ticks.ts";
import { hasNoPlace, isFull } from "../claims/claims.ts";
import { contendersOf, anyBefore, holdsLease, leaseEnd, questionsEnd } from "../claims/contention.ts";
import { hasNoSlot, joinsPool } from "../claims/pool-slots.ts";
import { precedes, type Order } from "../claims/order.ts";
import { isBegun } from "../claims/order-book.ts";
import { isBackfilledBefore } from "../claims/backfills.ts";
import { isToBeSkipped, skipStandsAt } from "../claims/skipped.ts";
import { turnOfOrder } from "../claims/rolling-turns.ts";
import {
  ranksOfOrder,
  ranksAgreedOn,
  isInProgress,
  isSkippedByOverlap,
  peerOfSlot,
} from "../claims/slots.ts";
import { absenceOf, type Absence, type Presence } from "../job/offline.ts";
import {
  overlapOfBackfill,
  overlapVerdict,
  withoutBackfills,
  type Contender,
  type OverlapVerdict,
} from "../job/overlap.ts";
import { lackingCalendar } from "../job/calendar-jobs.ts";
import { beginningOf, isTickOf, type Plan } from "../job/plan.ts";
import type { Turn } from "../job/rolling.ts";
import { stopAt, stopOfTick } from "../job/stops.ts";
import { eligibilityOf, withPreferredFirst } from "../members/eligibility.ts";
import { failoverOf, isRanked, type Eligibility, type Failover } from "../members/failover.ts";
import { hasJustLeft, stateOfPeer } from "../members/members.ts";
import { rank } from "../job/rank.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { isPlanted } from "../probes/planted.ts";
import { isOver } from "../records/history.ts";
import { openOf, recordsOf } from "../records/ledger.ts";
import { tickSetOf } from "../records/tick-sets.ts";
import type { State } from "../state.ts";
import { comesAtOf } from "./decide.ts";
import type { Facts } from "./decision.ts";
import { mayHaveStartedBefore } from "./earlier-life.ts";
import { isReporter, reporterPlace } from "./reporter.ts";

/** Facts about one order, each as of the moment when it is read. */
export class OrderFacts implements Facts {
  readonly #state: State;
  readonly #order: Order;
  readonly plan: Plan | undefined;
  #eligibilityOf: ((peer: PeerId) => Eligibility) | undefined;

  constructor(state: State, order: Order) {
    this.#state = state;
    this.#order = order;
    this.plan = state.jobs.plans.get(order.job);
  }

  get wall(): number {
    return this.#state.now.wall;
  }

  get mono(): number {
    return this.#state.now.mono;
  }

  get isOver(): boolean {
    const { job, tick, slot, key } = this.#order;
    const state = this.#state;
    return (
      isOver(state.ledger.history, job, tick, slot) || isBegun(state, key) || mayHaveStartedBefore(state, key)
    );
  }

  get isTick(): boolean {
    const { plan } = this;
    if (plan === undefined) return false;
    const { instant } = this.#order;
    if (isTickOf(plan, instant)) return true;
    // What was queued when the job was paused goes on when it is resumed.
    const isBeforeResume =
      instant <= plan.job.resumedAt && instant > beginningOf({ ...plan.job, resumedAt: 0 }, plan.calendarsAt);
    return isBeforeResume && this.isQueued && isTickOf({ ...plan, earliest: instant - 1 }, instant);
  }

  get chain(): Facts["chain"] {
    return chainTickOf(this.#state, this.#order.job, this.#order.tick)?.verdict;
  }

  get awaitsParents(): boolean {
    const disk = chainTickOf(this.#state, this.#order.job, this.#order.tick)?.disk;
    return disk === "unread" || disk === "reading";
  }

  get isReporter(): boolean {
    return isReporter(this.#state, this.#order.job, this.#order.tick);
  }

  get mayReport(): boolean {
    return reporterPlace(this.#state, this.#order.job, this.#order.tick) !== undefined;
  }

  get isForgotten(): boolean {
    return this.#state.operator.selfForgotten !== undefined;
  }

  get isSuperseded(): boolean {
    return hasSupersededKey(this.#state);
  }

  get isWarmingUp(): boolean {
    return this.#state.upkeep.warmUp !== undefined;
  }

  get warmedUpAt(): number {
    return this.#state.upkeep.warmedUpAt;
  }

  get absence(): Absence {
    const { plan } = this;
    const { slot, due } = this.#order;
    if (plan === undefined || !isPeerSlot(slot)) return "none";
    return absenceOf(this.#presence, plan.target.offlineMs, due, this.wall);
  }

  get #presence(): Presence {
    if (isForgottenSlot(this.#state, this.#order.slot)) return "forgotten";
    const peer = peerOfSlot(this.#state, this.#order.slot);
    return peer === undefined || away.has(this.#eligibility(peer)) ? "away" : "there";
  }

  get turn(): Turn {
    return this.plan === undefined ? { kind: "go" } : turnOfOrder(this.#state, this.plan, this.#order);
  }

  get isFixed(): boolean {
    return isFixed(this.#state, this.plan, this.#order);
  }

  get awaitsSync(): boolean {
    return this.#state.upkeep.awaitingSync.size > 0;
  }

  get skippedBy(): Facts["skippedBy"] {
    return this.plan === undefined
      ? undefined
      : stopOfTick(this.plan, comesAtOf(this.#order, this.chain?.endedAt));
  }

  get stop(): Facts["stop"] {
    return this.plan === undefined ? undefined : stopAt(this.plan, Math.max(this.wall, this.#order.due));
  }

  get isQueued(): boolean {
    const { local, key } = this.#order;
    if (local.stage === "claimed" && local.claim.waiting !== undefined) return true;
    for (const record of recordsOf(this.#state.ledger, key)) {
      const isOther = record.peer !== this.#state.settings.self && record.state === "claimed";
      if (isOther && record.waiting !== undefined && holdsLease(this.#state, record)) return true;
    }
    return false;
  }

  get lacksCalendar(): boolean {
    return this.plan !== undefined && lackingCalendar(this.plan, this.#order.instant) !== undefined;
  }

  get isBackfill(): boolean {
    return backfilledInstant(this.#order.tick) !== undefined;
  }

  get isBackfilledBefore(): boolean {
    return isBackfilledBefore(this.#state, this.#order);
  }

  get isToBeSkipped(): boolean {
    return isToBeSkipped(this.#state, this.#order);
  }

  get skipStandsAt(): number {
    return skipStandsAt(this.#state, this.#order);
  }

  get eligibility(): Eligibility {
    return this.#eligibility(this.#state.settings.self);
  }

  get failover(): Failover | undefined {
    return failoverOf(this.#ranks, this.#state.settings.self, this.#eligibility);
  }

  get isFirstForAll(): boolean {
    if (this.#order.of === 1) return true;
    const ranks = withPreferredFirst(this.#state, this.plan, this.#order, ranksOf(this.#state, this.#order));
    const agreedOn = ranksAgreedOn(this.#state, this.plan, this.#order, ranks);
    return failoverOf(agreedOn, this.#state.settings.self, this.#eligibility)?.delayMs === 0;
  }

  get admittedRank(): number {
    const admitted = this.#ranks.filter((peer) => isRanked(this.#eligibility(peer)));
    // The voters may have chosen a peer that the job no longer admits after an edit. Then the claim is withdrawn at once.
    return Math.max(0, admitted.indexOf(this.#state.settings.self));
  }

  get rival(): Facts["rival"] {
    let strongest: RunRecord | undefined;
    for (const record of recordsOf(this.#state.ledger, this.#order.key)) {
      if (record.peer === this.#state.settings.self || record.state !== "claimed") continue;
      if (!holdsLease(this.#state, record)) continue;
      if (strongest === undefined || precedes(record, strongest)) strongest = record;
    }
    if (strongest === undefined) return undefined;
    const until = strongest.waiting === undefined ? leaseEnd(this.#state, strongest) : Infinity;
    return { claim: strongest, until };
  }

  get hasForeignClaim(): boolean {
    for (const record of recordsOf(this.#state.ledger, this.#order.key)) {
      if (record.peer !== this.#state.settings.self && record.state === "claimed") return true;
    }
    return false;
  }

  get canBeRepeated(): boolean {
    const where = this.plan?.retry.where ?? "any";
    const never = where === "any" || isPeerSlot(this.#order.slot) ? gone : goneForRetry;
    return this.#ranks.some((peer) => !never.has(this.#eligibility(peer)));
  }

  get isInProgress(): boolean {
    return isInProgress(this.#state, this.#order);
  }

  get replacedAt(): number {
    let at = Infinity;
    if (this.plan?.overlap !== "replace" || !this.isInProgress) return at;
    for (const { tick, due } of openOf(this.#state.ledger, this.#order.job))
      if (instantOf(tick) > this.#order.instant) at = Math.min(at, due);
    return at;
  }

  get isFull(): boolean {
    return isFull(this.#state, this.#order);
  }

  get hasNoPlace(): boolean {
    return hasNoPlace(this.#state, this.#order);
  }

  get isFirstWhenAllFull(): boolean {
    for (const peer of this.#ranks) {
      const eligibility = this.#eligibility(peer);
      if (eligibility === "alive" || eligibility === "suspect") return false;
    }
    const first = this.#ranks.find((peer) => this.#eligibility(peer) === "declined");
    return first === this.#state.settings.self;
  }

  get choice(): Facts["choice"] {
    const { chosen } = this.#order;
    if (chosen === undefined) return "none";
    return isGone(this.#state, chosen) ? "gone" : "stands";
  }

  get overlap(): OverlapVerdict {
    const { local } = this.#order;
    if (this.plan === undefined || local.stage !== "claimed") return "go";
    if (this.isBackfill) return overlapOfBackfill(this.plan.overlap, this.#contenders(local.claim));
    // Where runs may overlap, the other orders don't matter.
    if (this.plan.overlap === "allow") return "go";
    if (this.#order.of > 1 && isSkippedByOverlap(this.#state, this.#order)) return "skip";
    let isBehindBackfill = false;
    const contenders = withoutBackfills(this.#contenders(local.claim), () => {
      isBehindBackfill = true;
    });
    // A tick in progress is not skipped, and replaces nothing.
    const policy = this.isInProgress ? "queue-all" : this.plan.overlap;
    // For a claim that is held it is enough to know whether one order still precedes it, so that a long queue isn't walked.
    const isHeld = local.claim.waiting === "overlap" && policy !== "replace";
    const verdict = overlapVerdict(policy, isHeld ? anyBefore(contenders) : [...contenders]);
    return verdict === "go" && isBehindBackfill ? "wait" : verdict;
  }

  #contenders(own: RunRecord): Generator<Contender> {
    return contendersOf(this.#state, this.#order, own);
  }

  get hasNoSlot(): boolean {
    const { local } = this.#order;
    const pool = this.plan?.pool;
    if (pool === undefined || local.stage !== "claimed") return false;
    return hasNoSlot(this.#state, this.#order, local.claim, pool);
  }

  get joinsPool(): boolean {
    const { local } = this.#order;
    return local.stage === "claimed" && joinsPool(local.claim, this.plan?.pool);
  }

  get lacksAnswers(): boolean {
    const { local } = this.#order;
    const needsAll = this.plan?.pool !== undefined || this.plan?.target.rolling !== undefined;
    if (!needsAll || local.stage !== "asking") return false;
    return [...local.ask.waiting].some((peer) => this.#state.members.byId.get(peer)?.state === "alive");
  }

  get questionsEnd(): number {
    return questionsEnd(this.#state, this.#order.job);
  }

  get skipsAsking(): boolean {
    return isPlanted(this.#state, "no-asking");
  }

  get skipsRecheck(): boolean {
    return isPlanted(this.#state, "no-recheck");
  }

  get #ranks(): readonly PeerId[] {
    return ranksFor(this.#state, this.plan, this.#order);
  }

  get #eligibility(): (peer: PeerId) => Eligibility {
    const { plan } = this;
    if (plan === undefined) return () => "untargeted";
    this.#eligibilityOf ??= eligibilityOf(this.#state, plan, this.#order);
    return this.#eligibilityOf;
  }
}

/** Peers that are like this take no ticks until something happens to them from outside. */
const away: ReadonlySet<Eligibility> = new Set(["dead", "left", "draining"]);

/** Whether the slots of the order's tick are fixed. Then its peers run it when they can, as late as its window lets them. */
export function isFixed(
  state: State,
  plan: Plan | undefined,
  { job, tick, slot }: Pick<Order, "job" | "tick" | "slot">,
): boolean {
  if (!isPeerSlot(slot)) return false;
  const isAwaited = (plan?.target.offlineMs ?? 0) > 0;
  return isAwaited || tickSetOf(state.ledger.history, job, tick)?.isRecorded === true;
}

function isForgottenSlot({ operator }: State, slot: string): boolean {
  for (const peer of operator.forgotten.keys()) if (slotOfPeer(peer) === slot) return true;
  return false;
}

/** Peers that are like this won't run an order, now or later. */
const gone: ReadonlySet<Eligibility> = new Set(["dead", "left", "untargeted", "incapable"]);

/** A retry that may run on some peers only is not kept for those of them that a person has drained, and the job with it. */
const goneForRetry: ReadonlySet<Eligibility> = new Set([...gone, "draining", "too-small"]);

/** All members, dead ones included, in order of rank for one order, rearranged as its job and its slot ask. */
export function ranksFor(state: State, plan: Plan | undefined, order: Order): readonly PeerId[] {
  return ranksOfOrder(state, plan, order, withPreferredFirst(state, plan, order, ranksOf(state, order)));
}

function ranksOf(state: State, order: Order): readonly PeerId[] {
  if (order.memberHashes !== state.members.hashes) {
    order.memberHashes = state.members.hashes;
    const own = isPlanted(state, "random-rank") ? state.settings.self : "";
    order.ranks = rank(order.job, `${order.tick}${own}` as TickId, state.members.hashes);
  }
  return order.ranks;
}

/** The runner that the voters chose is gone: its peer is dead, has left, or was restarted since. */
function isGone(state: State, { peer, incarnation }: Runner): boolean {
  if (peer === state.settings.self) return incarnation !== state.members.incarnation;
  const how = stateOfPeer(state, peer);
  if (how === "dead") return true;
  if (how === "left") return !hasJustLeft(state, peer);
  return (state.members.byId.get(peer)?.heartbeat?.incarnation ?? incarnation) > incarnation;
}
