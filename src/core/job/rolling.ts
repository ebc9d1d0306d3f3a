/**
 * How a tick goes from peer to peer (`target.rolling`): a limited number at once, in order of rank, with a pause after each, and
 * no further after a number of failures. Pure rules.
 *
 * A place is free again when a run and its last attempt have ended, and the pause has passed. A peer that was skipped takes no
 * place. One that is away lets the next ones go first, and has its turn when it is back.
 */
import type { JobSpec } from "../../schema/job.ts";
import { parseDuration } from "../time/units.ts";

export interface Rolling {
  /** a number, or a share (percent) of the peers */
  readonly max: { readonly count: number } | { readonly percent: number };
  readonly pauseMs: number;
  /** after this many failures the rest is skipped; 0 = never */
  readonly stopAfter: number;
}

type Written = NonNullable<NonNullable<JobSpec["target"]>["rolling"]>;

export function rollingOf({ max = 1, pause = 0, stopAfter = 1 }: Written): Rolling {
  return {
    max: typeof max === "number" ? { count: max } : { percent: Number.parseInt(max, 10) },
    pauseMs: pause === 0 ? 0 : (parseDuration(pause) ?? 0),
    stopAfter,
  };
}

/** How many of that number of peers may run the tick at once. A share is rounded down, but never to none. */
export function placesOf({ max }: Rolling, peers: number): number {
  return "count" in max ? max.count : Math.max(1, Math.floor((peers * max.percent) / 100));
}

/** What is known about one slot of the tick. */
export type SlotNow =
  /** to come; `isAway`: its peer isn't there */
  | { readonly kind: "waiting"; readonly isAway: boolean }
  /** it runs, is about to, or will be repeated */
  | { readonly kind: "on" }
  /** `at`: when it ended, ms */
  | { readonly kind: "over"; readonly ran: boolean; readonly isFailure: boolean; readonly at: number };

export type Turn =
  | { readonly kind: "go" }
  /** Infinity = until something changes */
  | { readonly kind: "wait"; readonly until: number }
  | { readonly kind: "stopped" };

/** Whether it is the turn of the slot at that place. `slots`: all of the tick, in order of rank. */
export function turnOf(rolling: Rolling, slots: readonly SlotNow[], place: number, wall: number): Turn {
  const failures = slots.filter((slot) => slot.kind === "over" && slot.isFailure).length;
  if (rolling.stopAfter > 0 && failures >= rolling.stopAfter) return { kind: "stopped" };
  const taken = slots.filter(
    (slot, at) =>
      at !== place && (slot.kind === "on" || (at < place && slot.kind === "waiting" && !slot.isAway)),
  ).length;
  const free = placesOf(rolling, slots.length) - taken;
  const pauseEnds = slots
    .flatMap((slot) => (slot.kind === "over" && slot.ran ? [slot.at + rolling.pauseMs] : []))
    .filter((end) => end > wall)
    .toSorted((a, b) => a - b);
  if (free > pauseEnds.length) return { kind: "go" };
  // Each pause that ends frees one place.
  return { kind: "wait", until: free <= 0 ? Infinity : (pauseEnds[pauseEnds.length - free] ?? Infinity) };
}

/** When the slot at that place is due: with its tick (ms), or when a place became free for it. */
export function dueInTurn(rolling: Rolling, slots: readonly SlotNow[], place: number, due: number): number {
  const before = slots.slice(0, place);
  const freed = before
    .flatMap((slot) => {
      if (slot.kind === "over") return slot.ran ? [slot.at + rolling.pauseMs] : [slot.at];
      return slot.kind === "waiting" && slot.isAway ? [due] : [];
    })
    .toSorted((a, b) => a - b);
  const needed = before.length - placesOf(rolling, slots.length);
  return needed < 0 ? due : Math.max(due, freed[needed] ?? due);
}
