/**
 * Which members understand a job. A member that lacks a capability that the job needs (core/job/needs.ts) has no rank for the
 * job, and reports its ticks only if no living member understands it. It still votes on the job's orders and stores its
 * records.
 */
import type { PeerId } from "../../schema/ids.ts";
import { assumedCapabilities, type Capability } from "../../schema/protocol.ts";
import type { Plan } from "../job/plan.ts";
import { isPlanted } from "../probes/planted.ts";
import type { State } from "../state.ts";

/** What the job needs and the peer lacks; empty = the peer understands the job. A peer that was never heard counts as able. */
export function lacking(state: State, { needs, maintenance }: Plan, peer: PeerId): string[] {
  if (isPlanted(state, "needs-ignored")) return [];
  const has = capabilitiesOf(state, peer);
  if (has === undefined) return [];
  const lacks = needs.filter((need) => !has.includes(need));
  // A peer that doesn't know of a maintenance would run the job in it.
  const isUnmaintained = maintenance.length > 0 && !has.includes("maintenance" satisfies Capability);
  return isUnmaintained ? [...lacks, "maintenance"] : lacks;
}

/** Whether the peer has said that it is capable of it. */
export function isAble(state: State, peer: PeerId, capability: Capability): boolean {
  return capabilitiesOf(state, peer)?.includes(capability) ?? false;
}

function capabilitiesOf(state: State, peer: PeerId): readonly string[] | undefined {
  if (peer === state.settings.self) return state.settings.capabilities;
  const heartbeat = state.members.byId.get(peer)?.heartbeat;
  return heartbeat === undefined ? undefined : (heartbeat.capabilities ?? assumedCapabilities);
}
