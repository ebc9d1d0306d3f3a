/**
 * How long a clock must run before anything is removed by it: history (peer/history/retention.ts), and what core remembers of
 * what is over (orders/sweep.ts). When time has been skipped, nobody can tell at once whether the peer was absent or its clock leapt
 * ahead, and a clock that is wrong for hours must not remove anything. So the skipped time has to pass once more, counted by the
 * monotonic clock. The count goes on when the clock is set, and across restarts. A clock that has come back to the right time
 * meanwhile is trusted again at once.
 */
import type { Now } from "../../ports.ts";

/**
 * A round that begins at most this long after the last one needs no proof: nothing younger is ever removed, so it can't reach
 * what the last one had to keep.
 */
export const trustedSkipMs = 3_600_000;
/**
 * The longest proof, however long the absence was. More keeps history longer after an absence; less lets a clock that is wrong
 * for hours remove history.
 */
const proofMaxMs = 24 * 3_600_000;
/**
 * A clock that moves by more than this during its proof starts the proof again, and so does one that was behind and is ahead now.
 * With a smaller limit, a host that is off longer than it is on, such as most laptops, would never prune.
 */
const restartedByMs = 7 * 24 * 3_600_000;

export class ClockProof {
  /** the time that still has to pass, ms; 0 or less = all of it has passed; undefined = nothing has to be proved */
  #leftMs: number | undefined;
  #last: { wall: number; mono: number | undefined };

  /** `leftMs` of an earlier life's proof, and when that life was last alive by its wall clock; ms. */
  constructor(leftMs: number | undefined, lastAlive: number | undefined) {
    this.#leftMs = leftMs;
    this.#last = { wall: lastAlive ?? -Infinity, mono: undefined };
  }

  /**
   * Whether a round may begin now, `skippedMs` after the last one. That is below 0 if the clock shows a time before that round:
   * by rounds of a clock that is far behind, the right time would look like a leap ahead. Each call counts the time since the
   * call before it.
   */
  isDone(now: Now, skippedMs: number): boolean {
    const evenMs = now.mono - (this.#last.mono ?? now.mono);
    const passedMs = now.wall - this.#last.wall;
    this.#last = { wall: now.wall, mono: now.mono };
    const isRestarted =
      Math.abs(passedMs - evenMs) > restartedByMs || isOnOtherSide(skippedMs - passedMs, skippedMs);
    if (Math.abs(skippedMs) <= trustedSkipMs) this.#leftMs = undefined;
    else if (this.#leftMs === undefined || isRestarted)
      this.#leftMs = Math.min(Math.abs(skippedMs), proofMaxMs);
    else this.#leftMs -= evenMs;
    return (this.#leftMs ?? 0) <= 0;
  }

  /** The time that has to pass before the proof is complete, ms; undefined = nothing has to be proved. */
  get leftMs(): number | undefined {
    return this.#leftMs;
  }

  /** The simulator skipped this time: the wall clock ran on without a leap, and the monotonic clock did not count it. */
  wentOn(ms: number): void {
    this.#last.wall += ms;
    if (this.#leftMs !== undefined) this.#leftMs -= ms;
  }
}

/** Whether a clock that was far behind is far ahead now, or the other way round: what it has proved is of no use then. */
function isOnOtherSide(beforeMs: number, nowMs: number): boolean {
  return Math.abs(beforeMs) > trustedSkipMs && beforeMs > 0 !== nowMs > 0;
}
