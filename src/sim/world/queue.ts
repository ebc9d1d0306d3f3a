/**
 * The queue of the simulated world: everything that will happen, in order.
 *
 * Its time is in ms and is no host's clock. It stands still while an event runs, then jumps to the next one. Two events
 * of one instant happen in the order in which they were scheduled. Every event is mixed into the trace hash, by which
 * two runs of one seed are compared (DESIGN I15).
 *
 * Calendar time is the queue's time plus all time that was leapt over. A leap (leaps.ts) moves the calendar on while
 * the peers do nothing: it brings calendar entries nearer, and all other entries keep their distance.
 */
import { mixBits } from "../random.ts";

/** The process that gets an event: a dead one drops it, a paused one keeps it back. */
export interface Owner {
  admits(entry: Entry): boolean;
}

export interface Entry {
  at: number;
  order: number;
  readonly owner: Owner | undefined;
  /** a timer; after a pause it rings only when everything that had arrived has been read */
  readonly timer: boolean;
  /** scheduled by calendar time, not by a timer */
  readonly calendar: boolean;
  /** undefined once cancelled */
  run: (() => void) | undefined;
}

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

export class Queue {
  now = 0;
  /** how much calendar time was leapt over so far, ms */
  leaptMs = 0;
  /** how many events have happened */
  count = 0;
  private readonly heap: Entry[] = [];
  private scheduled = 0;
  private traceHigh = 0x6a09e667;
  private traceLow = 0xbb67ae85;

  schedule(at: number, owner: Owner | undefined, run: () => void, timer = false): Entry {
    return this.enter(at, owner, run, timer, false);
  }

  /** `at` is calendar time. */
  scheduleByCalendar(at: number, run: () => void): void {
    this.enter(at - this.leaptMs, undefined, run, false, true);
  }

  /** The calendar time of the next calendar entry; Infinity = there is none. */
  nextOfCalendar(): number {
    let soonest = Infinity;
    for (const { calendar, at } of this.heap) if (calendar && at < soonest) soonest = at;
    return soonest + this.leaptMs;
  }

  /** Moves the calendar on, but not beyond its next entry. */
  leap(ms: number): void {
    this.leaptMs += ms;
    const entries = this.heap.splice(0);
    for (const entry of entries) {
      if (entry.calendar) entry.at = Math.max(this.now, entry.at - ms);
      this.push(entry);
    }
  }

  after(delayMs: number, owner: Owner | undefined, run: () => void): Entry {
    return this.schedule(this.now + delayMs, owner, run);
  }

  /** Schedules an event that was kept back at the end of this instant. */
  requeue(entry: Entry): void {
    entry.at = this.now;
    entry.order = this.scheduled++;
    this.push(entry);
  }

  /** Runs all events due up to and at `until`, then sets the time to it. */
  runUntil(until: number): void {
    for (let next = this.heap[0]; next !== undefined && next.at <= until; next = this.heap[0]) {
      this.pop();
      if (next.run === undefined) continue;
      this.now = next.at;
      if (next.owner !== undefined && !next.owner.admits(next)) continue;
      this.count++;
      float[0] = next.at;
      this.trace((words[0] ?? 0) ^ (words[1] ?? 0));
      this.trace(next.order);
      next.run();
    }
    this.now = Math.max(this.now, until);
  }

  /** Mixes 32 bits into the trace hash. */
  trace(bits: number): void {
    this.traceHigh = (Math.imul(this.traceHigh ^ bits, 0x01000193) + this.traceLow) | 0;
    this.traceLow = Math.imul(this.traceLow ^ (bits >>> 15) ^ this.traceHigh, 0x85ebca6b);
  }

  traceHash(): string {
    return hex(this.traceHigh) + hex(this.traceLow);
  }

  private enter(
    at: number,
    owner: Owner | undefined,
    run: () => void,
    timer: boolean,
    calendar: boolean,
  ): Entry {
    const order = this.scheduled++;
    const entry: Entry = { at: Math.max(at, this.now), order, owner, timer, calendar, run };
    this.push(entry);
    return entry;
  }

  private push(entry: Entry): void {
    const heap = this.heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || comesBefore(parent, entry)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = entry;
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      let child = heap[below];
      if (child === undefined) break;
      const right = heap[below + 1];
      if (right !== undefined && comesBefore(right, child)) {
        child = right;
        below++;
      }
      if (comesBefore(last, child)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
  }
}

function hex(bits: number): string {
  return mixBits(bits).toString(16).padStart(8, "0");
}

function comesBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
