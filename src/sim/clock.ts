/**
 * The clocks of simulated hosts. A host's wall clock may be off (skew), run fast or slow (drift) and be set (steps).
 * Its monotonic clock counts true time from an origin of its own, so readings of two hosts can't be compared. It
 * doesn't count the time for which the host was suspended, nor the time that the world leaps over.
 */
import type { Cancel, Clock, Now } from "../ports.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";
import type { Dice } from "./random.ts";

/** A host's clock. It keeps going while the peer's process is dead. */
export class HostClock {
  private readonly queue: Queue;
  private readonly epoch: number;
  private monoOrigin: number;
  private skewMs: number;
  private driftPpm = 0;
  private driftSince = 0;
  /** by how much it has been set, ms */
  private steppedMs = 0;
  /** for how long it has been suspended, ms */
  suspendedMs = 0;
  /** the host says that it follows a time server */
  synchronised = false;
  /** the largest offset from true time that skew and drift have brought so far, ms */
  private worst = 0;

  /** `epoch` is the true wall time (ms) at the queue's time 0. */
  constructor(queue: Queue, epoch: number, skewMs: number, monoOrigin: number) {
    this.queue = queue;
    this.epoch = epoch;
    this.skewMs = skewMs;
    this.monoOrigin = monoOrigin;
  }

  private wander(): number {
    return this.skewMs + ((this.queue.now - this.driftSince) * this.driftPpm) / 1_000_000;
  }

  wall(): number {
    return Math.floor(this.epoch + this.queue.now + this.queue.leaptMs + this.steppedMs + this.wander());
  }

  mono(): number {
    return this.monoOrigin + this.queue.now;
  }

  /** The queue's time at which the monotonic clock shows `mono`. */
  instantOfMono(mono: number): number {
    return mono - this.monoOrigin;
  }

  step(ms: number): void {
    this.steppedMs += ms;
  }

  /** By how much steps have set the clock wrong, ms, without skew and drift. */
  stepped(): number {
    return this.steppedMs;
  }

  /** Moves the monotonic clock on by this much, as if it had run during a leap. */
  advanceMono(ms: number): void {
    this.monoOrigin += ms;
  }

  /**
   * Notes that the host was suspended: for `unseenMs` that the queue counted, and for `leaptMs` that the world leapt
   * over.
   */
  suspend(unseenMs: number, leaptMs: number): void {
    this.monoOrigin -= unseenMs;
    this.suspendedMs += unseenMs + leaptMs;
  }

  drift(ppm: number): void {
    this.noteOffset();
    this.skewMs = this.wander();
    this.driftSince = this.queue.now;
    this.driftPpm = ppm;
  }

  /** The largest distance from true time that skew and drift have brought so far, ms. */
  worstWander(): number {
    this.noteOffset();
    return this.worst;
  }

  private noteOffset(): void {
    this.worst = Math.max(this.worst, Math.abs(this.wander()));
  }
}

/** How late a timer rings at most on an idle host, ms. */
const ringsLateMs = 1.5;

export class SimClock implements Clock {
  private readonly queue: Queue;
  private readonly host: HostClock;
  private readonly process: Process;
  private readonly dice: Dice;

  constructor(queue: Queue, host: HostClock, process: Process, dice: Dice) {
    this.queue = queue;
    this.host = host;
    this.process = process;
    this.dice = dice;
  }

  now(): Now {
    const { suspendedMs, synchronised } = this.host;
    return { wall: this.host.wall(), mono: this.host.mono(), suspendedMs, synchronised };
  }

  alarm(atMono: number, ring: () => void): Cancel {
    const at = Math.max(this.host.instantOfMono(atMono), this.queue.now) + this.dice.next() * ringsLateMs;
    const entry = this.queue.schedule(at, this.process, ring, true);
    return () => {
      entry.run = undefined;
    };
  }
}
