/**
 * Leaps: the calendar moves on while nothing happens. A world of weeks would consist almost entirely of heartbeats, so
 * those of quiet stretches are left out.
 *
 * In a leap every wall clock goes on by the same time, and no monotonic clock moves, so the peers' timers and time-outs don't
 * notice it. A stretch is quiet if every running peer is idle until well after it, no child runs, no message is on its way, and
 * nothing was done to the world shortly before. A leap ends before anything is due again, by the calendar or by any peer's clock,
 * and after at most an hour. So a peer does its periodic work less often in calendar time, but what is due by the calendar it
 * does on time. Records that were written by clocks that were ahead are compared when their time is near, so leaps wait for that,
 * too. `test/leap-seeds.test.ts` compares worlds with and without.
 */
import { bucketMs } from "../../core/records/buckets.ts";
import { aheadBuckets } from "../../peer/sync/sync-records.ts";
import type { SimNetwork } from "../mesh.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Hosts } from "./hosts.ts";
import type { Queue } from "./queue.ts";

/**
 * After this time everything that was done to the world has had its consequences, and every peer knows what any peer
 * knows, ms.
 */
const consequencesMs = 45_000;
/** This long after a run's end, its record has reached every peer, ms. */
const recordedMs = 5_000;
/**
 * A leap ends this long before anything is due: several heartbeats, so that all peers have heard each other again, ms.
 */
const beforeDueMs = 8_000;
const longestMs = 3_600_000;
/** A shorter leap isn't worth its cost, ms. */
const shortestMs = 10_000;
/**
 * How often the world checks whether it is quiet, ms. It must not be a multiple of the heartbeat interval, or a
 * heartbeat would be on its way at each check.
 */
const checkEveryMs = 371;
/** Between two leaps the world runs for at least this long, ms. */
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

  /** Runs the world up to that calendar time, leaping over quiet stretches. */
  runUntil(until: number): void {
    const { queue } = this.#parts;
    for (;;) {
      const leftMs = until - (queue.now + queue.leaptMs);
      if (leftMs <= checkEveryMs) return queue.runUntil(until - queue.leaptMs);
      queue.runUntil(queue.now + checkEveryMs);
      if (queue.now - this.#leaptAt < betweenMs) continue;
      const ms = Math.min(longestMs, leftMs - beforeDueMs, this.#quietMs());
      if (ms < shortestMs) continue;
      this.#leaptAt = queue.now;
      this.#leap(Math.floor(ms));
    }
  }

  /**
   * Moves all clocks on and tells the running peers. A stopped or suspended peer notices it by itself when it resumes.
   */
  #leap(ms: number): void {
    const { queue, hosts } = this.#parts;
    queue.leap(ms);
    for (const { life } of hosts.all()) if (life?.process.running === true) life.peer.leapt?.(ms);
  }

  /** How long the world will be quiet from now on, ms; 0 or less = it isn't quiet. */
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
    return quietMs < shortestMs ? quietMs : Math.min(quietMs, this.#untilCompared(now));
  }

  /**
   * How long it is until the running peers compare a bucket of records that lies ahead now, and in which they differ, ms; 0
   * while they may be at it.
   */
  #untilCompared(now: number): number {
    const storages = [...this.#parts.hosts.all()].flatMap(({ life, storage }) =>
      life?.process.running === true ? [storage] : [],
    );
    const compared = Math.floor((now - consequencesMs) / bucketMs) + aheadBuckets;
    const ahead = new Set(
      storages.flatMap(({ buckets }) => [...buckets.keys()].filter((bucket) => bucket > compared)),
    );
    const differing = [...ahead].filter(
      (bucket) => new Set(storages.map(({ buckets }) => buckets.get(bucket)?.digest())).size > 1,
    );
    return Math.max(0, (Math.min(...differing) - aheadBuckets) * bucketMs - now);
  }
}
