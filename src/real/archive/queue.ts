/**
 * The outputs that wait for one destination (an S3 store, a syslog server). Delivering never delays a run: an output waits here,
 * and is read when its turn comes. If sending fails, the same output is tried again, with growing pauses, because the destination
 * is nearly always at fault, and then the outputs behind it would fail too. An output that is given up is counted as lost.
 */
import type { Clock } from "../../ports.ts";
import type { RunRecord } from "../../schema/run.ts";

/** The most outputs that wait. More costs memory while the destination is down (about 1 KiB each); with less, more are lost. */
const waitingMax = 10_000;
/** The pause after the first failure, which doubles up to the longest; ms. */
const backoffMs = 2_000;
const longestBackoffMs = 300_000;
/** How long an output is tried, ms. Its job may keep it here for longer. */
const triedMs = 86_400_000;

/** `refused`: the destination will never take this output, but may take others. */
export type Sent = "sent" | "nothing" | { failed: string; refused: boolean };

export interface QueueOptions {
  clock: Pick<Clock, "now" | "alarm">;
  /** how many are sent at the same time */
  atOnce: number;
  /** tries once, and rejects only for an internal fault */
  send: (record: RunRecord) => Promise<Sent>;
  /** an output is lost; why */
  lost: (record: RunRecord, why: string) => void;
}

interface Waiting {
  record: RunRecord;
  /** wall clock, ms */
  since: number;
}

export class ArchiveQueue {
  readonly #options: QueueOptions;
  readonly #waiting: Waiting[] = [];
  readonly #onTheirWay = new Set<Waiting>();
  #failures = 0;
  #pausedUntilMono = 0;
  #cancelAlarm: (() => void) | undefined;
  #isClosed = false;
  /** why the last try failed; undefined = it did not */
  failure: string | undefined;
  sent = 0;
  losses = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length + this.#onTheirWay.size;
  }

  /** When the run ended (wall clock, ms) whose output has waited the longest; undefined if none waits. */
  get oldestEnd(): number | undefined {
    const ends = [...this.#onTheirWay, ...this.#waiting].map(({ record }) => record.finishedAt ?? 0);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  add(record: RunRecord): void {
    if (this.#isClosed) return;
    if (this.#waiting.length >= waitingMax) return this.#lose(record, `more than ${waitingMax} outputs wait`);
    this.#waiting.push({ record, since: this.#options.clock.now().wall });
    this.#pump();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelAlarm?.();
  }

  #pump(): void {
    const { clock, atOnce } = this.#options;
    // While the destination fails, one try at a time shows whether it still does.
    const limit = this.failure === undefined ? atOnce : 1;
    while (!this.#isClosed && this.#waiting.length > 0 && this.#onTheirWay.size < limit) {
      if (clock.now().mono < this.#pausedUntilMono) return this.#sleep();
      const next = this.#waiting.shift();
      if (next !== undefined) void this.#try(next);
    }
  }

  #sleep(): void {
    if (this.#cancelAlarm !== undefined) return;
    this.#cancelAlarm = this.#options.clock.alarm(this.#pausedUntilMono, () => {
      this.#cancelAlarm = undefined;
      this.#pump();
    });
  }

  async #try(one: Waiting): Promise<void> {
    this.#onTheirWay.add(one);
    const result = await this.#options.send(one.record);
    this.#onTheirWay.delete(one);
    this.#took(one, result);
    this.#pump();
  }

  #took(one: Waiting, result: Sent): void {
    if (typeof result === "string") {
      this.failure = undefined;
      this.#failures = 0;
      if (result === "sent") this.sent += 1;
      return;
    }
    if (result.refused) return this.#lose(one.record, result.failed);
    this.failure = result.failed;
    const now = this.#options.clock.now();
    // If several outputs on their way fail together, that counts as one failure.
    if (now.mono >= this.#pausedUntilMono) {
      this.#pausedUntilMono = now.mono + Math.min(backoffMs * 2 ** this.#failures, longestBackoffMs);
      this.#failures += 1;
    }
    if (now.wall - one.since > triedMs) this.#lose(one.record, result.failed);
    else this.#waiting.unshift(one);
  }

  #lose(record: RunRecord, why: string): void {
    this.losses += 1;
    this.#options.lost(record, why);
  }
}
