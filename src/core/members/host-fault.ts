/**
 * A fault of this peer's own host: a run could not be started, for a reason that says nothing about its job. The order goes
 * back at once, and this peer takes no ticks for a while: 30 s, doubled up to 5 min while its starts go on failing. It says
 * so in its heartbeats, so that the next in rank goes on at once, and in readyz. When nobody else could run anything either,
 * or not what is due, it tries every 10 s.
 */
import type { State } from "../state.ts";
import { announceAtOnce } from "./members.ts";

/** Less hands ticks to a host that fails them again; more leaves a recovered host idle for longer. */
const firstPauseMs = 30_000;
const longestPauseMs = 300_000;
const pauseAloneMs = 10_000;

/** A start has failed for want of something on this host. Failures within one pause are one fault. */
export function noteHostFault(state: State, reason: string): void {
  const before = state.members.hostFault;
  if (before !== undefined && !before.isOnTrial) return;
  const pauseMs = Math.min(longestPauseMs, before === undefined ? firstPauseMs : 2 * before.pauseMs);
  const untilMono = state.now.mono + (isAnybodyAble(state) ? pauseMs : pauseAloneMs);
  state.members.hostFault = { reason, pauseMs, untilMono, isOnTrial: false };
  announceAtOnce(state);
}

/** A run has started. One that was on its way when the fault came says nothing about it. */
export function noteStart(state: State): void {
  if (!hasHostFault(state)) state.members.hostFault = undefined;
}

/** True while this peer takes no ticks because of its host. */
export function hasHostFault(state: State): boolean {
  return state.members.hostFault?.isOnTrial === false;
}

/**
 * To be called about once a second. True when the pause has passed, and what waits for this peer is to be looked at. When
 * the others have become unable meanwhile, or something has become due that only this peer may run, the pause is cut short.
 */
export function tryEndHostFault(state: State, isAwaitedAlone: () => boolean): boolean {
  const fault = state.members.hostFault;
  if (fault === undefined || fault.isOnTrial) return false;
  const { mono } = state.now;
  const isPatient = isAnybodyAble(state) && !isAwaitedAlone();
  const untilMono = isPatient ? fault.untilMono : Math.min(fault.untilMono, mono + pauseAloneMs);
  state.members.hostFault = { ...fault, untilMono, isOnTrial: mono >= untilMono };
  if (mono < untilMono) return false;
  announceAtOnce(state);
  return true;
}

/** Whether another member takes ticks at all, whatever the job. */
function isAnybodyAble(state: State): boolean {
  for (const { state: how, heartbeat } of state.members.byId.values()) {
    if (how !== "alive" || heartbeat?.role !== "worker") continue;
    if (!heartbeat.draining && !heartbeat.warmingUp && heartbeat.hostFault !== true) return true;
  }
  return false;
}
