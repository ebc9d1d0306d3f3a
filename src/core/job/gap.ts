/**
 * What happens to a gap: ticks that came due while no peer took them, because every peer was down, asleep or away.
 *
 * Only ticks that may still run are named one by one, at most as many as the job's catch-up limit. All others are reported as
 * ranges with a count, computed by arithmetic, so that a gap of a year costs no more than one of a minute. The same job, gap
 * and `now` give the same answer on every peer. If a tick of a range has its own record from another peer, that record counts.
 */
import { overdueMs } from "../limits.ts";
import { countTicks } from "../time/count.ts";
import { firstDueFrom } from "./jitter.ts";
import { splitByStops, stopOfTick, type StopReason } from "./stops.ts";
import { isTickOf, nextTickOf, startWindowMs, ticksOf, type Plan } from "./plan.ts";

export type RangeReason = "policy" | "window" | "superseded" | "limit" | StopReason;

/** Ticks that will not run. Instants of the first and the last, ms. */
export interface TickRange {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly reason: RangeReason;
}

export interface Gap {
  /** ticks that enter the order book, oldest first; ms */
  readonly admit: readonly number[];
  /** oldest first */
  readonly ranges: readonly TickRange[];
}

/** from ≤ tick < to, ms */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** The time from `from` to `to` (ms, `to` not included) without the stretches, whose both ends belong to them; oldest first. */
export function intervalsBetween(
  stretches: readonly { readonly from: number; readonly to: number }[],
  from: number,
  to: number,
): Interval[] {
  const intervals: Interval[] = [];
  let begin = from;
  for (const stretch of stretches.toSorted((a, b) => a.from - b.from)) {
    if (stretch.from >= to) break;
    if (begin < stretch.from) intervals.push({ from: begin, to: stretch.from });
    begin = Math.max(begin, stretch.to + 1);
  }
  return [...intervals, { from: begin, to }];
}

/** Ticks that are not yet overdue enter the book whatever their number; no schedule has more than one a second. */
const freshMax = overdueMs / 1_000 + 2;

/**
 * Divides the ticks in the intervals, about which nothing is known. The intervals are in order, oldest first; `now` in ms. Ticks
 * that are to be skipped enter the book, so that each gets a record that says so. Of the limit, the ticks that are in the book
 * already take their part.
 */
export function divideGap(plan: Plan, unknown: readonly Interval[], now: number, inBook = 0): Gap {
  const skipped = [...plan.skips.keys()].filter(
    (tick) => unknown.some(({ from, to }) => from <= tick && tick < to) && isTickOf(plan, tick),
  );
  const stretches = skipped.map((tick) => ({ from: tick, to: tick }));
  const intervals =
    skipped.length === 0
      ? unknown
      : unknown.flatMap(({ from, to }) =>
          intervalsBetween(
            stretches.filter((one) => from <= one.from && one.to < to),
            from,
            to,
          ),
        );
  const overdueUntil = firstDueFrom(plan, now - overdueMs);
  const fresh = intervals.flatMap(({ from, to }) =>
    ticksOf(plan, Math.max(from, overdueUntil), to, freshMax),
  );
  const overdue = intervals.map(({ from, to }) => ({ from, to: Math.min(to, overdueUntil) }));
  const admit = [...skipped, ...fresh];
  const ranges: TickRange[] = [];
  const report = (interval: Interval, reason: RangeReason): void => {
    const range = rangeOf(plan, interval, reason);
    if (range === undefined) return;
    // A single tick gets a record of its own: it enters the book, and the sweep reports it with the reason.
    if (range.count === 1 && !isStop(reason)) admit.push(range.from);
    else ranges.push(range);
  };
  const { policy, limit } = plan.catchUp;
  let places =
    policy === "all"
      ? Math.max(0, limit - inBook)
      : policy === "latest" && fresh.every((tick) => stopOfTick(plan, tick) !== undefined)
        ? 1
        : 0;
  const reason = ({ all: "limit", latest: "superseded", none: "policy" } as const)[policy];
  const windowFrom = firstDueFrom(plan, now - startWindowMs(plan, false));
  for (const { from, to, stop } of overdue.toReversed().flatMap((one) => splitByStops(plan, one))) {
    if (stop !== undefined) {
      report({ from, to }, stop);
      continue;
    }
    const inWindow = Math.max(from, Math.min(to, windowFrom));
    const run = places === 0 ? [] : ticksOf(plan, inWindow, to, places);
    places -= run.length;
    admit.push(...run);
    report({ from: inWindow, to: run[0] ?? to }, reason);
    report({ from, to: inWindow }, policy === "none" ? "policy" : "window");
  }
  return {
    admit: admit.toSorted((a, b) => a - b),
    ranges: ranges.toSorted((a, b) => a.from - b.from),
  };
}

/** The newest of the job's ticks with from ≤ tick < to (ms) that is not skipped: no person asked for that, and no stop covers it. */
export function newestToRun(plan: Plan, from: number, to: number): number | undefined {
  const asked = [...plan.skips.keys()].filter((tick) => from <= tick && tick < to).length;
  for (const part of splitByStops(plan, { from, to })) {
    if (part.stop !== undefined) continue;
    const tick = ticksOf(plan, part.from, part.to, 1 + asked).findLast((one) => !plan.skips.has(one));
    if (tick !== undefined) return tick;
  }
  return undefined;
}

/** The ranges without the ticks in these stretches, whose both ends belong to them. */
export function withoutKnown(
  plan: Plan,
  ranges: readonly TickRange[],
  known: readonly { readonly from: number; readonly to: number }[],
): TickRange[] {
  return ranges.flatMap(({ from, to, reason }) =>
    intervalsBetween(known, from, to + 1).flatMap((interval) => rangeOf(plan, interval, reason) ?? []),
  );
}

/** Whether the ticks were skipped because the job was stopped. Ticks of any other range were missed. */
export function isStop(reason: string): reason is StopReason {
  return reason === "paused" || reason === "maintenance";
}

function rangeOf(plan: Plan, { from, to }: Interval, reason: RangeReason): TickRange | undefined {
  if (from >= to || plan.schedule === undefined) return undefined;
  const first = nextTickOf(plan, from - 1);
  const last = ticksOf(plan, from, to, 1)[0];
  if (first === undefined || last === undefined) return undefined;
  return { from: first, to: last, count: countTicks(plan.schedule, first, last + 1), reason };
}
