/**
 * The hybrid logical clock that orders edits of the job table (Kulkarni et al., 2014). A stamp is one number:
 * milliseconds × 1,024 + a counter. It follows the writer's wall clock and is always above everything that the writer
 * has seen. So an edit made in the knowledge of another is ordered after it, even if the clocks disagree.
 *
 * The price: a stamp from a clock that is far ahead raises everybody's later stamps. Readers can't refuse it, or tables
 * would differ, so a writer that knows its clock to be far ahead must not write (core/members/clocks.ts).
 */

const ticksPerMs = 1_024;

/** A stamp at or above this (the year 2200) is refused: higher ones would no longer be exact integers. */
export const hlcCap = Date.UTC(2200, 0, 1) * ticksPerMs;

/** The stamp of a new edit: above `highestSeen`, and not below the wall clock (ms). */
export function nextHlc(highestSeen: number, wall: number): number {
  return Math.max(highestSeen + 1, Math.floor(wall) * ticksPerMs);
}

/** The wall clock of a stamp, ms. */
export function instantOfHlc(hlc: number): number {
  return Math.floor(hlc / ticksPerMs);
}
