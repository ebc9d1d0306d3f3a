/**
 * Clocks. A host's wall clock may be off (skew), run fast or slow (drift) and be set (steps). Its monotonic clock counts
 * true time from an origin of its own, so that readings of two hosts can't be compared. It does not count the time for which
 * the host was suspended, nor what the world leaps over.
 */
import type { Cancel, Clock, Now } from "../ports.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";
import type { Dice } from "./random.ts";

/** A host's clock; it goes on while the peer's process is dead. */
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
  /** it says that it follows a time server */
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

  /** By how much it is set wrong now, ms; skew and drift are not in it. */
  stepped(): number {
    return this.steppedMs;
  }

  /** The monotonic clock goes on by so much while nobody looks. */
  moveMono(ms: number): void {
    this.monoOrigin += ms;
  }

  /** The host has been suspended for so long: `unseenMs` that the monotonic clock counted, and what the world leapt over. */
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

/** How late a timer rings on an idle host, ms. */
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
