/**
 * When a job takes no ticks although it is enabled: while it is paused, and in a maintenance. Pure rules.
 *
 * A tick that is due while the job is stopped is skipped. What was due before (an order that waits in a queue, an attempt that
 * is to be repeated) waits until the stop ends.
 */
import type { Pause } from "../../schema/job.ts";
import { lastWindowEnd, windowAt, windowsBetween } from "./maintenance.ts";
import { ticksOf, type Plan } from "./plan.ts";

export type StopReason = "paused" | "maintenance";

export interface Stop {
  readonly why: StopReason;
  /** ms; Infinity = until a person ends it */
  readonly until: number;
}

type Stoppable = Pick<Plan, "pauses" | "maintenance">;

/**
 * What stops the job at an instant (ms). A pause counts from when this peer has it, whatever the clock of the peer at which it
 * was made said. Of several pauses the last to end counts.
 */
export function stopAt(plan: Stoppable, instant: number): Stop | undefined {
  const pause = pauseAt(plan, instant);
  if (pause !== undefined) return { why: "paused", until: endOf(pause) };
  if (plan.maintenance.length === 0) return undefined;
  const window = windowAt(plan.maintenance, instant);
  return window === undefined ? undefined : { why: "maintenance", until: window.to };
}

/** The pause in force at an instant (ms), of several the last to end. */
export function pauseAt({ pauses }: Pick<Plan, "pauses">, instant: number): Pause | undefined {
  let last: Pause | undefined;
  for (const pause of pauses) {
    const isLater = last === undefined || endOf(pause) > endOf(last);
    if (instant < endOf(pause) && isLater) last = pause;
  }
  return last;
}

/** Why a tick with that due time (ms) is skipped, whenever it is looked at. */
export function stopOfTick({ pauses, maintenance }: Stoppable, due: number): StopReason | undefined {
  if (pauses.some((pause) => covers(pause, due))) return "paused";
  return maintenance.length > 0 && windowAt(maintenance, due) !== undefined ? "maintenance" : undefined;
}

/** So many ticks of one stop have a record each. The others are reported in ranges, so that a long stop costs few records. */
const listedMost = 10;

/** Whether that many ticks before this one (ms) lie in the same stop. */
export function isDeepInStop(plan: Plan, instant: number): boolean {
  if (plan.pauses.length === 0 && plan.maintenance.length === 0) return false;
  const begins = plan.pauses.filter((pause) => covers(pause, instant)).map(({ at }) => at);
  const window = begins.length > 0 ? undefined : windowAt(plan.maintenance, instant);
  const from = Math.min(window?.from ?? Infinity, ...begins);
  return from < instant && ticksOf(plan, from, instant, listedMost).length === listedMost;
}

function covers(pause: Pause, due: number): boolean {
  return pause.at <= due && due < endOf(pause);
}

/** When the last stop ended between the two instants (ms); -Infinity = none did. */
export function lastStopEnd({ pauses, maintenance }: Stoppable, after: number, instant: number): number {
  const ofPauses = pauses.map(endOf).filter((end) => end <= instant);
  return Math.max(lastWindowEnd(maintenance, after, instant), ...ofPauses);
}

function endOf({ until = Infinity }: Pause): number {
  return until;
}

/** A part of a stretch of time, from ≤ instant < to (ms), and what stops the job in it. */
export interface Part {
  readonly from: number;
  readonly to: number;
  readonly stop: StopReason | undefined;
}

/** The stretch, split where a stop begins or ends; newest part first. */
export function splitByStops(
  { pauses, maintenance }: Stoppable,
  whole: { readonly from: number; readonly to: number },
): Part[] {
  if (whole.from >= whole.to) return [];
  const windows = windowsBetween(maintenance, whole.from, whole.to);
  const edges = [
    ...pauses.flatMap((pause) => [pause.at, endOf(pause)]),
    ...windows.flatMap(({ from, to }) => [from, to]),
  ];
  const inside = edges.filter((edge) => whole.from < edge && edge < whole.to);
  const cuts = [...new Set([whole.from, ...inside, whole.to])].toSorted((a, b) => a - b);
  const parts = cuts.slice(1).map((to, index): Part => {
    const from = cuts[index] ?? to;
    const isMaintained = windows.some((window) => window.from <= from && from < window.to);
    const isPaused = pauses.some((pause) => covers(pause, from));
    return { from, to, stop: isPaused ? "paused" : isMaintained ? "maintenance" : undefined };
  });
  return parts.toReversed();
}
