/**
 * Collapses repeats of one warning. The first is written at once. Its repeats are counted, and reported in one line at the end of
 * the interval, with the fields of the latest: "… (repeated 12 times in 1 min)". While the repeats go on, the intervals grow up
 * to a quarter of an hour, so a fault that lasts is never silent for longer. After an interval without a repeat, the next one is
 * written at once again, and begins a longer interval unless it comes after a quarter of an hour.
 *
 * Two lines are the same warning if level, message and all fields are the same, other than numbers and the run and tick that
 * it happened to. So no line hides another job, peer or cause.
 */
import type { LogFields } from "../../ports.ts";

export type WriteLine = (message: string, fields: LogFields) => void;

/**
 * How long repeats are counted before they are reported; the last length is that of all later intervals. More hides a fault for
 * longer.
 */
const intervalsMs = [60_000, 300_000, 900_000] as const;
const longestMs = intervalsMs[2];
/** How many warnings are remembered. Beyond that the oldest is reported and forgotten, and its next repeat is written at once. */
export const warningsCap = 1_024;

interface Repeated {
  count: number;
  /** monotonic ms of the line that was written last */
  writtenAt: number;
  /** the index of the next interval */
  interval: 0 | 1 | 2;
  /** its last interval has passed without a repeat */
  isQuiet: boolean;
  message: string;
  latest: LogFields;
  write: WriteLine;
  cancel: () => void;
}

export interface RepeatsClock {
  /** monotonic ms */
  now: () => number;
  after: (ms: number, ring: () => void) => () => void;
}

export class Repeats {
  readonly #clock: RepeatsClock;
  readonly #byKey = new Map<string, Repeated>();

  constructor(clock: RepeatsClock) {
    this.#clock = clock;
  }

  /** Writes the line, or counts it if it repeats one that was written a short while ago. `write` belongs to its level. */
  line(level: string, message: string, fields: LogFields, write: WriteLine): void {
    const key = keyOf(level, message, fields);
    const known = this.#byKey.get(key);
    if (known?.isQuiet === false) {
      known.count++;
      known.latest = fields;
      return;
    }
    if (known !== undefined) {
      known.cancel();
      known.isQuiet = false;
      known.writtenAt = this.#clock.now();
      this.#wait(key, known);
      return write(message, fields);
    }
    if (this.#byKey.size >= warningsCap) this.#forgetOldest();
    const entry: Repeated = {
      count: 0,
      writtenAt: this.#clock.now(),
      interval: 0,
      isQuiet: false,
      message,
      latest: fields,
      write,
      cancel: () => undefined,
    };
    this.#byKey.set(key, entry);
    this.#wait(key, entry);
    write(message, fields);
  }

  /** Writes what was counted and not yet reported. Call it when the process ends. */
  finish(): void {
    for (const entry of this.#byKey.values()) {
      entry.cancel();
      this.#write(entry);
    }
    this.#byKey.clear();
  }

  #wait(key: string, entry: Repeated): void {
    entry.cancel = this.#clock.after(intervalsMs[entry.interval], () => {
      if (entry.count === 0) {
        entry.isQuiet = true;
        entry.cancel = this.#clock.after(longestMs, () => this.#byKey.delete(key));
      } else {
        this.#write(entry);
        this.#wait(key, entry);
      }
    });
    entry.interval = entry.interval === 0 ? 1 : 2;
  }

  #write(entry: Repeated): void {
    const { count, writtenAt, message, latest, write } = entry;
    if (count === 0) return;
    const now = this.#clock.now();
    entry.count = 0;
    entry.writtenAt = now;
    const times = count === 1 ? "once" : `${count} times`;
    const minutes = Math.max(1, Math.round((now - writtenAt) / 60_000));
    write(`${message} (repeated ${times} in ${minutes} min)`, { ...latest, repeated: count });
  }

  #forgetOldest(): void {
    for (const [key, entry] of this.#byKey) {
      entry.cancel();
      this.#byKey.delete(key);
      return this.#write(entry);
    }
  }
}

function keyOf(level: string, message: string, { run: _run, tick: _tick, ...fields }: LogFields): string {
  const named = Object.entries(fields).filter(([, value]) => typeof value !== "number");
  return JSON.stringify([level, message, named.toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}
