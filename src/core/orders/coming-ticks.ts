/** A job's next ticks as things are, each with the peers that would run it. */
import type { JobHindrance, NextTick } from "../../ports/control.ts";
import { slotOfPeer, tickAt, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { dueOf, firstDueFrom } from "../job/jitter.ts";
import { windowAt } from "../job/maintenance.ts";
import { isTickOf, nextPlannedTickOf, nextTickOf, type Plan } from "../job/plan.ts";
import { rank } from "../job/rank.ts";
import { slotsInOrder } from "../job/slots.ts";
import { pauseAt } from "../job/stops.ts";
import { eligibilityOf, withPreferredFirst } from "../members/eligibility.ts";
import { runnersInOrder } from "../members/failover.ts";
import { shownName } from "../members/names.ts";
import { isOver, overSlotsOf } from "../records/history.ts";
import type { State } from "../state.ts";
import { nextChainTick, nextTickOfParents } from "./chain-status.ts";
import { hindrancesOf } from "./hindrances.ts";

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
  const at = nextRunAt(state, plan);
  return at === undefined ? undefined : comingTick(state, plan, at);
}

/** The instant (ms) of that tick. It costs far less than `nextRun`, which also says who would run it. */
export function nextRunAt(state: State, plan: Plan): number | undefined {
  let after = comingAfter(state, plan);
  for (let windows = 0; windows < windowsMax; windows++) {
    const at = nextUnpaused(plan, after, (one, from) => nextUnskipped(state, one, from));
    const window = at === undefined ? undefined : windowAt(plan.maintenance, at);
    if (window === undefined) return at;
    after = window.to - 1;
  }
  return undefined;
}

/** Why none of the job's ticks to come will run, if `nextRun` finds none; undefined = it has no ticks, or is paused for good. */
export function allSkipped(state: State, plan: Plan): JobHindrance | undefined {
  // A job that runs after a failure is not expected to run.
  if (!plan.enabled || plan.after?.on === "failure") return undefined;
  const from = comingAfter(state, plan);
  const first = nextUnpaused(plan, from, (one, after) =>
    one.after === undefined ? nextTickOf(one, after) : nextTickOfParents(state, one, after),
  );
  if (first === undefined) return undefined;
  const unskipped = nextUnpaused(plan, from, (one, after) => nextUnskipped(state, one, after));
  const window = unskipped === undefined ? undefined : windowAt(plan.maintenance, unskipped);
  const isAsked = plan.after === undefined || plan.skips.has(first);
  const message =
    window !== undefined
      ? `all its coming ticks are in maintenance ("${window.name}"), and are skipped`
      : isAsked
        ? "all its coming ticks are to be skipped"
        : "its parents' coming ticks are skipped, and its own with them";
  return { code: "ALL_SKIPPED", pointer: "", message };
}

/** After how many ends of maintenances the search for the next tick that runs is given up, if all ticks before are skipped. */
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
  const runners = isBlocked ? [] : runnersInOrder(ranks, eligibility);
  const peers = runners.map((id, place) => ({ id, name: shownName(state, id), rank: place }));
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

export function nextUnpaused(
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

/** The next tick after the instant (ms); for a job that runs after others, as far as its parents' ticks are known. */
function nextTick(state: State, plan: Plan, after: number): number | undefined {
  return plan.after === undefined ? nextTickOf(plan, after) : nextChainTick(state, plan, after);
}

/** The same, with the ticks that the job leaves out. */
function nextPlanned(state: State, plan: Plan, after: number): number | undefined {
  return plan.after === undefined ? nextPlannedTickOf(plan, after) : nextChainTick(state, plan, after);
}
