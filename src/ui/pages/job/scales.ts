/** Where a chart of durations over time has its points, lines and labels: these at round values, and at round times of a zone. */
import type { Run } from "../../live/types.ts";
import { dateKey, dayText, instantText, minuteText } from "../../words.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** What people count durations and times in. Unit: ms. */
const steps: readonly number[] = [
  ...[1, 10, 100, 1_000].flatMap((unit) => [unit, 2 * unit, 5 * unit]),
  ...[10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * minuteMs),
  ...[1, 2, 3, 6, 12].map((hours) => hours * hourMs),
  ...[1, 2, 7, 14, 28, 91, 182, 364].map((days) => days * dayMs),
];

export interface Point {
  /** when the run started, wall ms */
  at: number;
  /** how long it took */
  ms: number;
  isGood: boolean;
}

/** In the order in which the runs started, which is not that of their ticks if past ticks were run later. */
export function pointsOf(runs: readonly Pick<Run, "startedAt" | "finishedAt" | "state">[]): Point[] {
  const points = runs.flatMap(({ startedAt, finishedAt, state }) => {
    if (startedAt === null || finishedAt === null) return [];
    const at = Date.parse(startedAt);
    return [{ at, ms: Date.parse(finishedAt) - at, isGood: state === "succeeded" }];
  });
  return points.toSorted((a, b) => a.at - b.at);
}

/** The smallest that divides `ms` into no more than so many parts. */
function stepOf(ms: number, partsMax: number): number {
  return steps.find((step) => ms / step <= partsMax) ?? ms;
}

const valueParts = 3;
const timeParts = 4;

/** From 0 to at most `max`. Unit: ms. */
export function valueTicks(max: number): number[] {
  const step = stepOf(max, valueParts);
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, index) => index * step);
}

export interface TimeTick {
  /** wall ms */
  at: number;
  text: string;
}

/** Between two instants, wall ms. Where midnight is among times of the day, its label is the day. */
export function timeTicks(from: number, to: number, zone: string): TimeTick[] {
  const step = Math.max(1_000, stepOf(to - from, timeParts));
  const first = Math.ceil((from + aheadOf(from, zone)) / step);
  const ticks: TimeTick[] = [];
  for (let index = first; ; index++) {
    const local = index * step;
    const at = local - aheadOf(local - aheadOf(from, zone), zone);
    if (at > to) return ticks;
    // The hour that the clocks leave out is the one before it once more.
    if (at === ticks.at(-1)?.at) continue;
    const isDay = local % dayMs === 0;
    const text = isDay
      ? dayText(at, zone)
      : step < minuteMs
        ? instantText(at, at, zone)
        : minuteText(at, zone);
    ticks.push({ at, text });
  }
}

/** How far a zone's clocks are ahead of UTC at an instant. Unit: ms. */
function aheadOf(at: number, zone: string): number {
  const minute = Math.floor(at / minuteMs) * minuteMs;
  return Date.parse(`${dateKey(at, zone)}T${minuteText(at, zone)}Z`) - minute;
}
