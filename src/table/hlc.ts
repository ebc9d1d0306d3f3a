/**
 * The hybrid logical clock by which edits of the job table are ordered (Kulkarni et al., 2014): one number,
 * milliseconds × 1,024 + a counter. It follows the writer's wall clock, and is always above everything that the
 * writer has seen, so an edit made in the knowledge of another one is ordered after it, whatever the clocks say.
 *
 * The price: a stamp from a clock that is far ahead draws everybody's stamps along. Readers can't refuse it, or
 * tables would differ; so a writer that knows its clock to be far ahead must not write (core/members/clocks.ts).
 */

const ticksPerMs = 1_024;

/** No stamp at or above this (the year 2200) is believed: beyond it the counter would leave the exact integers. */
export const hlcCap = Date.UTC(2200, 0, 1) * ticksPerMs;

/** The stamp of a new edit: above `highestSeen`, and not below the wall clock (ms). */
export function nextHlc(highestSeen: number, wall: number): number {
  return Math.max(highestSeen + 1, Math.floor(wall) * ticksPerMs);
}

/** The wall clock of a stamp, ms. */
export function instantOfHlc(hlc: number): number {
  return Math.floor(hlc / ticksPerMs);
}
