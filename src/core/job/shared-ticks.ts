/**
 * Whether several schedules have ticks in common: always, sometimes or never. Only a limited number of ticks is looked at,
 * because a person waits for the answer: those of the rarest schedule for the next years decide whether there is a common one
 * at all.
 */
import type { JobId } from "../../schema/ids.ts";
import { countTicks } from "../time/count.ts";
import { nextTick, type Schedule } from "../time/schedule.ts";

/** A tick (ms) that one schedule has and another hasn't. */
export interface Apart {
  readonly at: number;
  readonly having: JobId;
  readonly lacking: JobId;
}

export type SharedTicks =
  | { readonly kind: "always" }
  | { readonly kind: "sometimes"; readonly apart: Apart }
  /** no common tick was found up to the instant (ms) */
  | { readonly kind: "never"; readonly until: number };

interface Named {
  readonly id: JobId;
  readonly schedule: Schedule;
}

const dayMs = 86_400_000;
/** Twelve years contain every combination of weekday, month and day that people use, leap days and clock changes included. */
const yearsMs = 12 * 366 * dayMs;
/**
 * Ticks of the rarest schedule, which take about 40 ms for two schedules. If it ticks every hour, they cover more than a year,
 * and so the clock changes; with `@every` schedules, they go on until any two periods below an hour or so have met.
 */
const ticksMax = 10_000;
/** Ticks of each schedule that are compared with the others. */
const comparedMax = 500;

export function sharedTicks(schedules: readonly Named[], now: number): SharedTicks {
  const apart = firstApart(schedules, now);
  if (apart === undefined) return { kind: "always" };
  const [rarest, ...others] = schedules.toSorted((a, b) => perYear(a, now) - perYear(b, now));
  if (rarest === undefined) return { kind: "always" };
  let at = now;
  for (let count = 0; count < ticksMax; count++) {
    const tick = nextTick(rarest.schedule, at);
    if (tick === undefined || tick > now + yearsMs) return { kind: "never", until: tick ?? now + yearsMs };
    if (others.every(({ schedule }) => hasTick(schedule, tick))) return { kind: "sometimes", apart };
    at = tick;
  }
  return { kind: "never", until: at };
}

function firstApart(schedules: readonly Named[], now: number): Apart | undefined {
  let first: Apart | undefined;
  for (const one of schedules) {
    let at = now;
    for (let count = 0; count < comparedMax; count++) {
      const tick = nextTick(one.schedule, at);
      if (tick === undefined || (first !== undefined && tick >= first.at)) break;
      const lacking = schedules.find(({ schedule }) => !hasTick(schedule, tick));
      if (lacking !== undefined) first = { at: tick, having: one.id, lacking: lacking.id };
      at = tick;
    }
  }
  return first;
}

function perYear({ schedule }: Named, now: number): number {
  return countTicks(schedule, now, now + 365 * dayMs);
}

function hasTick(schedule: Schedule, instant: number): boolean {
  return nextTick(schedule, instant - 1) === instant;
}
