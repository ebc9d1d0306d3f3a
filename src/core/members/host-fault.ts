/**
 * A fault of this peer's own host: a run could not be started, or its output could not be judged, for a reason that has nothing
 * to do with its job. An order that was not started goes back at once, and this peer takes no ticks for a while: 30 s, doubled up
 * to 5 min while its starts keep failing. It says so in its heartbeats, so that the next in rank takes over at once, and in
 * readyz. When no other peer takes ticks, or none can run an order that is due, it tries every 10 s.
 */
import type { State } from "../state.ts";
import { heartbeatAtOnce } from "./members.ts";

/** Less gives ticks to a host that fails them again; more leaves a recovered host idle for longer. */
const firstPauseMs = 30_000;
const longestPauseMs = 300_000;
const pauseAloneMs = 10_000;

/** Something has failed because of this host: `what` says what it could not do. Failures within one pause count as one fault. */
export function noteHostFault(state: State, reason: string, what = "start a run"): void {
  const before = state.members.hostFault;
  if (before !== undefined && !before.isOnTrial) return;
  const pauseMs = Math.min(longestPauseMs, before === undefined ? firstPauseMs : 2 * before.pauseMs);
  const untilMono = state.now.mono + (isAnotherAble(state) ? pauseMs : pauseAloneMs);
  state.members.hostFault = { what, reason, pauseMs, untilMono, isOnTrial: false };
  heartbeatAtOnce(state);
}

/** A run has started, so the fault is over, unless the run had been handed to the launcher before the fault. */
export function noteStart(state: State): void {
  if (!hasHostFault(state)) state.members.hostFault = undefined;
}

/** Whether this peer takes no ticks now because of its host. */
export function hasHostFault(state: State): boolean {
  return state.members.hostFault?.isOnTrial === false;
}

/**
 * Called about once a second. Returns true when the pause has just ended, so that waiting orders are to be reconciled. When
 * the others have become unable meanwhile, or an order has become due that only this peer may run, the pause is cut short.
 */
export function tryEndHostFault(state: State, isAwaitedAlone: () => boolean): boolean {
  const fault = state.members.hostFault;
  if (fault === undefined || fault.isOnTrial) return false;
  const { mono } = state.now;
  const isPatient = isAnotherAble(state) && !isAwaitedAlone();
  const untilMono = isPatient ? fault.untilMono : Math.min(fault.untilMono, mono + pauseAloneMs);
  state.members.hostFault = { ...fault, untilMono, isOnTrial: mono >= untilMono };
  if (mono < untilMono) return false;
  heartbeatAtOnce(state);
  return true;
}

/** Whether another member takes ticks at all, whatever the job. */
function isAnotherAble(state: State): boolean {
  for (const { state: how, heartbeat } of state.members.byId.values()) {
    if (how !== "alive" || heartbeat?.role !== "worker") continue;
    if (!heartbeat.draining && !heartbeat.warmingUp && heartbeat.hostFault !== true) return true;
  }
  return false;
}
