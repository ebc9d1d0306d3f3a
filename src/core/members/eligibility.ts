/**
 * Which members can run an order, and why the others can't. The job's target comes first, then whether the member understands
 * the job and has the capacity for it, whether it is alive, what it says about itself, its clock, and whether it has declined
 * the order. This peer judges itself in the same way, by what it knows about itself. failover.ts says what follows for the
 * order of ranks.
 */
import { isPeerSlot, slotOfPeer, type PeerId } from "../../schema/ids.ts";
import type { RequestedOrder } from "../../schema/run.ts";
import { lacking } from "./capabilities.ts";
import { timekeepers } from "./clocks.ts";
import { missing } from "./equipment.ts";
import { hasHostFault } from "./host-fault.ts";
import type { Plan } from "../job/plan.ts";
import { stopAt } from "../job/stops.ts";
import { admits, preferredFirst } from "../job/target.ts";
import type { State } from "../state.ts";
import { standsBack } from "./duplicate-identity.ts";
import { hasSupersededKey } from "./superseded-key.ts";
import type { Eligibility } from "./failover.ts";

/** The parts of an order that decide who can run it. */
export interface CandidateOrder {
  readonly requested: Pick<RequestedOrder, "peers"> | undefined;
  /** peers that said they are at capacity */
  readonly declined: ReadonlySet<PeerId>;
  /** the peer of the attempt that is repeated */
  readonly retriedFrom?: PeerId | undefined;
  /** absent = any */
  readonly slot?: string;
  /** how many slots its tick has */
  readonly of?: number;
}

/** The eligibility of each peer for one order. */
export function eligibilityOf(
  state: State,
  plan: Plan,
  order: CandidateOrder,
): (peer: PeerId) => Eligibility {
  const keepsTime = timekeepers(state);
  const requested = order.requested?.peers;
  return (peer) => {
    if (!isForPeer(plan, order, peer) || !mayRepeat(plan, order, peer)) return "untargeted";
    if (peer === state.settings.self) {
      const { name, role, tags } = state.settings;
      if (role === "witness" || !admits(plan.target, requested, { id: peer, name, tags }))
        return "untargeted";
      if (lacking(state, plan, peer).length > 0) return "incapable";
      if (missing(state, plan, peer).length > 0) return "unequipped";
      if (plan.weight > state.settings.capacity) return "too-small";
      if (state.operator.selfForgotten !== undefined) return "untargeted";
      if (hasSupersededKey(state)) return "superseded";
      if (standsBack(state)) return "duplicate";
      if (state.upkeep.warmUp !== undefined) return "warming-up";
      if (state.operator.draining || state.operator.drained !== undefined) return "draining";
      if (!keepsTime(peer)) return "clock";
      if (hasHostFault(state)) return "host";
      return order.declined.has(peer) ? "declined" : "alive";
    }
    const member = state.members.byId.get(peer);
    if (member === undefined) return "dead";
    const says = member.heartbeat;
    if (says?.role === "witness") return "untargeted";
    if (!admits(plan.target, requested, { id: peer, name: says?.name, tags: says?.tags }))
      return "untargeted";
    if (lacking(state, plan, peer).length > 0) return "incapable";
    if (missing(state, plan, peer).length > 0) return "unequipped";
    if (says !== undefined && plan.weight > says.capacity) return "too-small";
    if (member.state === "dead" || member.state === "left") return member.state;
    // A suspect peer may have been restarted, so its last heartbeat may be of an earlier life.
    if (member.state === "alive" && (says === undefined || says.warmingUp)) return "warming-up";
    if (member.state === "alive" && says?.draining === true) return "draining";
    if (!keepsTime(peer)) return "clock";
    if (member.state === "alive" && says?.hostFault === true) return "host";
    if (order.declined.has(peer)) return "declined";
    return member.state;
  };
}

/** A slot of a tick that runs on all peers is for its own peer alone. Until the job admits one, its tick is for none. */
function isForPeer({ target }: Plan, { slot, of, retriedFrom }: CandidateOrder, peer: PeerId): boolean {
  if (slot === undefined) return true;
  if (isPeerSlot(slot)) return slotOfPeer(peer) === slot;
  return target.count !== "all" || of !== 1 || retriedFrom !== undefined;
}

/** Whether the job's `retry.where` lets the peer repeat the attempt before this one. */
function mayRepeat({ retry: { where } }: Plan, { retriedFrom, slot }: CandidateOrder, peer: PeerId): boolean {
  if (slot !== undefined && isPeerSlot(slot)) return true;
  return retriedFrom === undefined || where === "any" || (where === "same") === (peer === retriedFrom);
}

/** The ranks for one order, with the peers first that its job prefers. */
export function withPreferredFirst(
  state: State,
  plan: Plan | undefined,
  { requested }: Pick<CandidateOrder, "requested">,
  ranks: readonly PeerId[],
): readonly PeerId[] {
  const preferred = plan?.target.preferred;
  // The peers of a run by hand take the place of the job's target.
  if (preferred === undefined || requested?.peers !== undefined) return ranks;
  return preferredFirst(ranks, preferred, (peer) =>
    peer === state.settings.self ? state.settings.tags : state.members.byId.get(peer)?.heartbeat?.tags,
  );
}

/** Whether an order is due that only this peer could run, if its host had no fault. */
export function isAwaitedAlone(state: State): boolean {
  const { wall } = state.now;
  for (const order of state.book.orders.values()) {
    const plan = state.jobs.plans.get(order.job);
    if (plan === undefined || order.due > wall || stopAt(plan, wall) !== undefined) continue;
    const eligibility = eligibilityOf(state, plan, order);
    if (eligibility(state.settings.self) !== "host") continue;
    const others = [...state.members.byId.keys()].map(eligibility);
    if (!others.some((how) => how === "alive" || how === "declined")) return true;
  }
  return false;
}
