/**
 * What a job is doing now (paused, running, blocked, waiting …) and what stands in its way, as far as this peer knows. Also its next
 * ticks with the peers that would run them, and the ticks that are due and undecided with what each waits for.
 *
 * Whether a job is failing depends on its last tick, which is on disk: peer/control.ts adds that.
 */
import type { JobHindrance, NextTick, PendingTick } from "../../ports/control.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import { isPeerSlot, slotOfPeer, tickAt, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import type { JobState, Skip } from "../../schema/job.ts";
import type { Order } from "../claims/order.ts";
import { dueOf, firstDueFrom } from "../job/jitter.ts";
import { poolHolders } from "../claims/pool-line.ts";
import { isInProgress, peerOfSlot } from "../claims/slots.ts";
import { slotsInOrder } from "../job/slots.ts";
import { slotsOfPool } from "../job/pools.ts";
import { lackingCalendar } from "../job/calendar-jobs.ts";
import { windowAt } from "../job/maintenance.ts";
import { isTickOf, nextPlannedTickOf, nextTickOf, startWindowMs, type Plan } from "../job/plan.ts";
import { pauseAt, stopAt, type Stop } from "../job/stops.ts";
import { instantText, whyBlocked, whyFewPeers, whyNotHere, whyPeerWaits } from "../members/blocked.ts";
import { chainTickOf } from "../claims/chain-ticks.ts";
import {
  describeAfter,
  hasChainTick,
  hasEnded,
  missingParents,
  nextChainTick,
  parentsWithoutTicks,
  ticksAwaitingParents,
} from "./chain-status.ts";
import { calendarMissing, endingCalendars, whyLacking } from "./calendar-status.ts";
import { eligibilityOf, withPreferredFirst } from "../members/eligibility.ts";
import { runnersInOrder } from "../members/failover.ts";
import { shownName } from "../members/names.ts";
import { rank } from "../job/rank.ts";
import { isOver, overSlotsOf } from "../records/history.ts";
import { openOf, recordsOf } from "../records/ledger.ts";
import type { State } from "../state.ts";
import { wantedAt } from "./decide.ts";
import { isFixed, OrderFacts, ranksFor } from "./facts.ts";
import { majorityOf } from "../voting/paxos.ts";
import { epochAt } from "../voting/roster.ts";
import { votersHeard } from "../voting/proposer.ts";

/** The states that are known without the job's history. With it, `failing` can replace `scheduled` and `manual`. */
export type StateNow = Exclude<JobState, "invalid" | "failing">;

export interface StatusNow {
  state: StateNow;
  hindrances: JobHindrance[];
}

/** Of several states that apply, the first in the order of `stateNow`. */
export function statusNow(state: State, plan: Plan): StatusNow {
  const hindrances = hindrancesOf(state, plan);
  const how = stateNow(state, plan, hindrances.length > 0);
  const lesser = hindrances.length === 0 ? fewPeers(state, plan) : [];
  const others = [
    ...unknownHere(state, plan),
    ...missingParents(state, plan),
    ...endingCalendars(state, plan),
  ];
  return { state: how, hindrances: [...hindrances, ...lesser, ...others] };
}

/** The job runs, but on fewer peers than it asks for. */
function fewPeers(state: State, plan: Plan): JobHindrance[] {
  const why = whyFewPeers(state, plan);
  return why === undefined ? [] : [{ code: "FEW_PEERS", ...why }];
}

/** What this peer doesn't know about the job, so that it leaves the job's runs to others. */
export function unknownHere(state: State, plan: Plan): JobHindrance[] {
  const why = whyNotHere(state, plan);
  return why === undefined ? [] : [{ code: "NEEDS_NEWER", ...why }];
}

function stateNow(state: State, plan: Plan, isBlocked: boolean): StateNow {
  if (!plan.enabled) return "disabled";
  if (pauseAt(plan, state.now.wall) !== undefined) return "paused";
  const from = comingAfter(state, plan);
  if (hasEnded(state, plan, from)) return "ended";
  for (const record of openOf(state.ledger, plan.id)) if (record.state === "running") return "running";
  if (state.book.retries.has(plan.id)) return "running";
  if (isBlocked) return "blocked";
  if (firstPending(state, plan) !== undefined || ticksAwaitingParents(state, plan).length > 0)
    return "waiting";
  const isScheduled = plan.schedule !== undefined || !plan.knowsTicks || hasChainTick(state, plan, from);
  return isScheduled ? "scheduled" : "manual";
}

/** Why no living peer can run the job now; none = one can. */
export function hindrancesOf(state: State, plan: Plan): JobHindrance[] {
  const why = whyBlocked(state, plan);
  if (why !== undefined) {
    return [{ code: "NO_PEER", ...why }];
  }
  if (plan.pool !== undefined && slotsOfPool(state.jobs, plan.pool) === 0) {
    const message = `its pool "${plan.pool}" has 0 slots, which stops it`;
    return [{ code: "POOL_STOPPED", pointer: "/pool", message }];
  }
  const lacking = calendarMissing(state, plan);
  if (lacking !== undefined) return [lacking];
  const unheard = plan.partition === "majority" ? votersMissing(state) : undefined;
  return unheard === undefined ? [] : [{ code: "NO_QUORUM", pointer: "/partition", message: unheard }];
}

/** Says, in words, that too few voters of majority jobs are in reach; undefined while enough are. */
export function votersMissing(state: State): string | undefined {
  const epoch = epochAt(state.voting.roster.chain, state.now.wall);
  if (epoch === undefined) return "the voters of majority jobs are not known here yet";
  const needed = majorityOf(epoch.voters.length);
  const heard = votersHeard(state, epoch).length;
  if (heard >= needed) return undefined;
  return `${heard} of ${epoch.voters.length} voters are in reach, and majority jobs need ${needed}`;
}

/**
 * The next ticks as things are, without paused ones: each with its runner and the peers that would step in. Ticks that the
 * job leaves out, or that come in a maintenance, are among them, and marked.
 */
export function comingTicks(state: State, plan: Plan, count: number): NextTick[] {
  const ticks: NextTick[] = [];
  for (let after = comingAfter(state, plan); ticks.length < count;) {
    const at = nextUnpaused(plan, after, (one, from) => nextPlanned(state, one, from));
    if (at === undefined) break;
    ticks.push(comingTick(state, plan, at));
    after = at;
  }
  return ticks;
}

/** The next tick that will run as things are; undefined while the job is paused, and when there is none. */
export function nextRun(state: State, plan: Plan): NextTick | undefined {
  let after = comingAfter(state, plan);
  for (let windows = 0; windows < windowsMax; windows++) {
    const at = nextUnpaused(plan, after, (one, from) => nextUnskipped(state, one, from));
    const window = at === undefined ? undefined : windowAt(plan.maintenance, at);
    if (window === undefined) return at === undefined ? undefined : comingTick(state, plan, at);
    after = window.to - 1;
  }
  return undefined;
}

/** If all ticks before so many ends of maintenances are skipped, the next one that runs isn't looked for any further. */
const windowsMax = 1_000;

/** Ticks after this instant (ms) are still to come: a jitter may delay one whose time has passed. */
export function comingAfter({ ledger, now }: State, plan: Plan): number {
  const first = firstDueFrom(plan, now.wall + 1);
  if (first > now.wall) return now.wall;
  const tick = tickAt(first);
  const isKnown =
    overSlotsOf(ledger.history, plan.id, tick) !== undefined || isOver(ledger.history, plan.id, tick, "0");
  return isKnown ? now.wall : first - 1;
}

function comingTick(state: State, plan: Plan, at: number): NextTick {
  const tick = tickAt(at);
  const { after } = plan;
  if (after === undefined && !isTickOf(plan, at))
    return { tick, startsAt: dueOf(plan, at), peers: [], skipped: "except" };
  const skip = plan.skips.get(at);
  if (skip !== undefined) {
    const said = skip.note === undefined ? {} : { note: skip.note };
    return { tick, startsAt: dueOf(plan, at), peers: [], skipped: "asked", skippedBy: skip.by, ...said };
  }
  if (windowAt(plan.maintenance, at) !== undefined)
    return { tick, startsAt: dueOf(plan, at), peers: [], skipped: "maintenance" };
  const anyOrder = { requested: undefined, declined: new Set<PeerId>() };
  const eligibility = eligibilityOf(state, plan, anyOrder);
  const isBlocked = hindrancesOf(state, plan).length > 0;
  const ranks =
    plan.target.count === "all"
      ? peersInOrder(state, plan.id, tick)
      : withPreferredFirst(state, plan, anyOrder, rank(plan.id, tick, state.members.hashes));
  const line = isBlocked ? [] : runnersInOrder(ranks, eligibility);
  const peers = line.map((id, place) => ({ id, name: shownName(state, id), rank: place }));
  const startsAt = dueOf(plan, at);
  return { tick, startsAt, peers, ...(after === undefined ? {} : { after: after.jobs }) };
}

/** The members in the order in which a tick that runs on all of them goes from peer to peer. */
function peersInOrder(state: State, job: JobId, tick: TickId): PeerId[] {
  const bySlot = new Map(state.members.hashes.ids.map((peer) => [slotOfPeer(peer), peer]));
  return slotsInOrder(job, tick, [...bySlot.keys()]).flatMap((slot) => bySlot.get(slot) ?? []);
}

function nextUnskipped(state: State, plan: Plan, after: number): number | undefined {
  let tick = nextTick(state, plan, after);
  while (tick !== undefined && plan.skips.has(tick)) tick = nextTick(state, plan, tick);
  return tick;
}

function nextUnpaused(
  plan: Plan,
  after: number,
  next: (plan: Plan, after: number) => number | undefined,
): number | undefined {
  let from = after;
  for (;;) {
    const at = next(plan, from);
    const pause = at === undefined ? undefined : pauseAt(plan, at);
    if (pause === undefined) return at;
    if (pause.until === undefined) return undefined;
    from = pause.until - 1;
  }
}

/** Of a job that runs after others, as far as its parents' ticks are known. */
function nextTick(state: State, plan: Plan, after: number): number | undefined {
  return plan.after === undefined ? nextTickOf(plan, after) : nextChainTick(state, plan, after);
}

/** … with the ticks that the job leaves out. */
function nextPlanned(state: State, plan: Plan, after: number): number | undefined {
  return plan.after === undefined ? nextPlannedTickOf(plan, after) : nextChainTick(state, plan, after);
}

// ----------------------------------------------------------------------------------------------- pending ticks

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
    const which = order.of === 1 ? "" : `${slots.length} of its ${order.of} runs are to come; the first: `;
    return { tick: order.tick, due: order.due, waitsFor, why: `${which}${why}` };
  });
  return [...pending, ...ticksAwaitingParents(state, plan).slice(0, pendingShown)];
}

function firstPending(state: State, plan: Plan): Order | undefined {
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
  const blocked = hindrancesOf(state, plan).find(({ code }) => code === "NO_PEER");
  if (blocked !== undefined) return { waitsFor: "peer", why: blocked.message };
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
      why: `${names.join(", ") || "the others"} must first answer that they don't run it`,
    };
  }
  return waitForPeer(state, plan, order);
}

function waitForStop(state: State, { why, until }: Stop): Wait {
  const end = until === Infinity ? "until it is resumed" : `until ${instantText(state, until)}`;
  if (why === "maintenance") return { waitsFor: "maintenance", why: `a maintenance goes on ${end}` };
  return { waitsFor: "pause", why: `the job is paused ${end}` };
}

function waitForRetry(state: State, { retry }: Plan, { attempt, due }: Order): Wait {
  const which = `attempt ${attempt} of ${1 + retry.attempts}`;
  return { waitsFor: "retry", why: `${which} begins at ${instantText(state, due)}` };
}

/** What a claim waits for, this peer's or another's. */
function claimOf(state: State, order: Order): Wait | undefined {
  const { local } = order;
  const own = local.stage === "claimed" || local.stage === "claiming" ? [local.claim] : [];
  for (const { state: how, waiting, peer, pool } of [...own, ...recordsOf(state.ledger, order.key)]) {
    if (how !== "claimed") continue;
    const name = shownName(state, peer);
    if (waiting === "capacity")
      return { waitsFor: "capacity", why: `${name} holds it until a place is free` };
    if (pool !== undefined) return { waitsFor: "pool", why: poolWait(state, pool, name) };
    if (waiting === "overlap")
      return { waitsFor: "overlap", why: `${name} holds it until an earlier run of the job ends` };
    return { waitsFor: "start", why: `${name} has claimed it and is about to start it` };
  }
  return undefined;
}

function poolWait(state: State, pool: string, name: string): string {
  const slots = slotsOfPool(state.jobs, pool);
  if (slots === 0) return `${name} holds it: the pool "${pool}" has 0 slots, which stops it`;
  const running = [...poolHolders(state, pool)]
    .filter(({ isRunning }) => isRunning)
    .map(({ record }) => record.job);
  const held = running.length === 0 ? "" : `, held by ${running.slice(0, 5).join(", ")}`;
  return `${name} holds it until a slot of the pool "${pool}" is free (it has ${slots}${held})`;
}

/** Of a tick that runs on all peers: its peer is away, or it is not its turn. */
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

/** When a part whose peer is there and can't run it is given up. */
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

// ------------------------------------------------------------------------------------- obstacles, in sentences

/** What keeps the job's next tick from running, for the person who asks why. */
export function obstaclesToNext(state: State, plan: Plan): string[] {
  const { job } = plan;
  if (!plan.enabled) {
    return [`The job is disabled; ${job.updatedBy} last edited it at ${instantText(state, job.updatedAt)}.`];
  }
  const pause = pauseAt(plan, state.now.wall);
  const sentences: string[] = [];
  if (pause !== undefined) {
    const until =
      pause.until === undefined ? "until it is resumed" : `until ${instantText(state, pause.until)}`;
    const note = pause.note === undefined ? "" : `: ${pause.note}`;
    sentences.push(
      `The job is paused ${until}; ${pause.by} paused it at ${instantText(state, pause.at)}${note}.`,
    );
  }
  const maintained = describeMaintenance(state, plan);
  if (maintained !== undefined) sentences.push(maintained);
  for (const { message } of hindrancesOf(state, plan)) sentences.push(`No peer can run it: ${message}.`);
  for (const { message } of fewPeers(state, plan)) sentences.push(`Fewer peers: ${message}.`);
  for (const { message } of unknownHere(state, plan)) sentences.push(`Not on this peer: ${message}.`);
  for (const { message } of missingParents(state, plan)) sentences.push(`A parent is missing: ${message}.`);
  sentences.push(...parentsWithoutTicks(state, plan));
  const [oldest] = pendingTicks(state, plan);
  if (oldest !== undefined) {
    const how = oldest.waitsFor === "retry" ? "is repeated" : "is due and waits";
    sentences.push(`Its tick ${oldest.tick} ${how}: ${oldest.why}.`);
  }
  const next = nextTickOf(plan, comingAfter(state, plan));
  const skip = next === undefined ? undefined : plan.skips.get(next);
  if (next !== undefined && skip !== undefined)
    sentences.push(`Its tick ${tickAt(next)} is to be skipped; ${skippedBy(state, skip)}.`);
  if (!plan.knowsTicks) sentences.push("This peer can't tell when its next tick is.");
  else if (plan.after !== undefined)
    sentences.push(`It has no schedule: it runs ${describeAfter(plan.after)}.`);
  else if (plan.schedule === undefined) sentences.push("It has no schedule: it runs only by hand.");
  else if (next === undefined) sentences.push("Its schedule has no further tick.");
  return sentences;
}

function skippedBy(state: State, { by, at, note }: Skip): string {
  return `${by} asked for it at ${instantText(state, at)}${note === undefined ? "" : `: ${note}`}`;
}

/** The maintenance that goes on or in which the next tick is due. */
function describeMaintenance(state: State, plan: Plan): string | undefined {
  const next = nextUnpaused(plan, state.now.wall, nextTickOf);
  const going = windowAt(plan.maintenance, state.now.wall);
  const window = going ?? (next === undefined ? undefined : windowAt(plan.maintenance, next));
  if (window === undefined) return undefined;
  const note = plan.maintenance.find(({ name }) => name === window.name)?.spec.note;
  const why = note === undefined ? "" : `: ${note}`;
  const until = `until ${instantText(state, window.to)}`;
  if (going !== undefined)
    return `The maintenance "${window.name}" goes on ${until}${why}. Its ticks are skipped meanwhile.`;
  return `Its next tick will be skipped: the maintenance "${window.name}" begins at ${instantText(state, window.from)} and goes on ${until}${why}.`;
}

/** Why the instant is no tick of the job as it is now; undefined when it is one. */
export function noTickAt(state: State, plan: Plan, instant: number): string | undefined {
  if (isTickOf(plan, instant)) {
    const skip = plan.skips.get(instant);
    return skip === undefined ? undefined : `it is to be skipped; ${skippedBy(state, skip)}`;
  }
  const { job } = plan;
  if (!plan.enabled) {
    return `it is disabled (${job.updatedBy} last edited it at ${instantText(state, job.updatedAt)})`;
  }
  if (!plan.knowsTicks) return "its schedule is of a later version, which this peer can't read";
  if (plan.after !== undefined)
    return `it runs ${describeAfter(plan.after)}, and no such tick of theirs has ended`;
  if (plan.schedule === undefined) return "it has no schedule and runs only by hand";
  if (instant <= plan.earliest) {
    const since = instantText(state, plan.earliest);
    return `its ticks count from ${since} on, when it was created or resumed, or its schedule was edited`;
  }
  return nextPlannedTickOf(plan, instant - 1) === instant
    ? "its `except` leaves it out"
    : "its current schedule has no tick then";
}
