/**
 * How long a clock must go on before history is removed by it (retention.ts). After an absence, or when the clock has leapt
 * ahead, nobody can tell at once which of the two it was, and a clock that is wrong for hours must not remove anything. So the
 * time that was skipped has to pass once more, counted by the monotonic clock: while the clock is on, whether it is set
 * meanwhile or not, and over restarts. A clock that has come back in the meantime is trusted again at once.
 */
import type { Now } from "../ports.ts";
import { neverPrunedMs } from "./horizons.ts";

/** So far after the last round the next one is begun without a question: it can't reach what is never pruned. */
const trustedSkipMs = neverPrunedMs;
/**
 * However long the absence was, no more than this is waited for. More keeps history longer after an absence; less lets a
 * clock that is wrong for hours remove history.
 */
const provedMs = 24 * 3_600_000;
/**
 * While it waits, a clock that moves by more than this begins anew. With less, a host that is off for longer than it is on, as
 * most laptops are, would never prune.
 */
const anewMs = 7 * 24 * 3_600_000;

export class ClockProof {
  /** what is still to pass, ms; 0 or less = it has passed; undefined = there was nothing to prove */
  #leftMs: number | undefined;
  #last: { wall: number; mono: number | undefined };

  /** `leftMs` of an earlier life's proof, and when that life was last on, by the wall clock, ms. */
  constructor(leftMs: number | undefined, lastAlive: number | undefined) {
    this.#leftMs = leftMs;
    this.#last = { wall: lastAlive ?? -Infinity, mono: undefined };
  }

  /** Whether a round may be begun now that lies so long after the last one, ms. Ask often. */
  isDone(now: Now, skippedMs: number): boolean {
    const evenMs = now.mono - (this.#last.mono ?? now.mono);
    const movedMs = now.wall - this.#last.wall - evenMs;
    this.#last = { wall: now.wall, mono: now.mono };
    if (skippedMs <= trustedSkipMs) this.#leftMs = undefined;
    else if (this.#leftMs === undefined || Math.abs(movedMs) > anewMs)
      this.#leftMs = Math.min(skippedMs, provedMs);
    else this.#leftMs -= evenMs;
    return (this.#leftMs ?? 0) <= 0;
  }

  /** What has to pass before it is done, ms; undefined = nothing. */
  get leftMs(): number | undefined {
    return this.#leftMs;
  }

  /** The clock has gone on for so long, ms, without a leap, but the monotonic clock has not counted it. */
  wentOn(ms: number): void {
    this.#last.wall += ms;
    if (this.#leftMs !== undefined) this.#leftMs -= ms;
  }
}
