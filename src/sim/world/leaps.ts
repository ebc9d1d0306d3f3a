/**
 * Leaps: the calendar moves on while nothing happens. A world of weeks would be heartbeats almost entirely; those of quiet
 * stretches are left out.
 *
 * In a leap every wall clock goes on by the same time, and no monotonic clock moves: to the peers' timers and time-outs it
 * never was. A stretch is quiet when every peer that runs is idle until well after it, no child runs, no message is on its
 * way, and nothing was done to the world a while before. A leap ends before anything is due again, by the calendar or by any
 * peer's clock, and after an hour at the most. So what a peer does every few seconds is done less often by the calendar,
 * and what it does by the calendar is done when it is due. `test/leap-seeds.test.ts` compares worlds with and without.
 */
import type { SimNetwork } from "../mesh.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Hosts } from "./hosts.ts";
import type { Queue } from "./queue.ts";

/** What was done to the world has had its consequences, and all peers know what each knows, after so long. */
const consequencesMs = 45_000;
/** The record of a run has reached everybody so long after its end. */
const recordedMs = 5_000;
/** A leap ends so long before anything is due: several heartbeats, so that everybody has heard everybody again. */
const beforeDueMs = 8_000;
const longestMs = 3_600_000;
/** A shorter one isn't worth its price. */
const shortestMs = 10_000;
/** How often it is looked whether all is quiet; no multiple of a heartbeat, which is always on its way at the same moment. */
const lookEveryMs = 371;
/** Between two leaps the world goes on for at least so long. */
const betweenMs = 2_500;

export interface LeapsParts {
  queue: Queue;
  hosts: Hosts;
  simNetwork: SimNetwork;
  chronicle: Chronicle;
}

export class Leaps {
  readonly #parts: LeapsParts;
  #leaptAt = -Infinity;

  constructor(parts: LeapsParts) {
    this.#parts = parts;
  }

  /** Runs the world up to that calendar time, leaping over whatever is quiet. */
  runUntil(until: number): void {
    const { queue } = this.#parts;
    for (;;) {
      const leftMs = until - (queue.now + queue.leaptMs);
      if (leftMs <= lookEveryMs) return queue.runUntil(until - queue.leaptMs);
      queue.runUntil(queue.now + lookEveryMs);
      if (queue.now - this.#leaptAt < betweenMs) continue;
      const ms = Math.min(longestMs, leftMs - beforeDueMs, this.#quietMs());
      if (ms < shortestMs) continue;
      this.#leaptAt = queue.now;
      this.#leap(Math.floor(ms));
    }
  }

  /** A peer that is stopped or suspended finds out for itself. */
  #leap(ms: number): void {
    const { queue, hosts } = this.#parts;
    queue.leap(ms);
    for (const { life } of hosts.all()) if (life?.process.running === true) life.peer.leapt?.(ms);
  }

  /** How long it will be quiet from now on, ms; 0 or less = it isn't. */
  #quietMs(): number {
    const { queue, hosts, simNetwork, chronicle } = this.#parts;
    const now = chronicle.now();
    if (now - chronicle.changedAt < consequencesMs || now - chronicle.ranAt < recordedMs) return 0;
    if (!simNetwork.isStill) return 0;
    let quietMs = queue.nextOfCalendar() - (queue.now + queue.leaptMs) - beforeDueMs;
    for (const { life, clock, children, startsAgain } of hosts.all()) {
      if (startsAgain || children.alive.size > 0) return 0;
      if (life === undefined || !life.process.running) continue;
      const idleUntil = life.ready ? life.peer.idleUntil?.() : undefined;
      if (idleUntil === undefined) return 0;
      quietMs = Math.min(quietMs, idleUntil - clock.wall() - beforeDueMs);
    }
    return quietMs;
  }
}
