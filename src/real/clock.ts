/**
 * The real clock: wall time from the system, monotonic time from the process's own counter, alarms from timers.
 *
 * When a timer fires late, the process was held up, and what arrived meanwhile still waits in the sockets. Such a ring is
 * put behind the next round of reads, so that nobody is taken for silent whose message is already here.
 */
import type { Clock } from "../ports.ts";

/** Longest single sleep. Node's timers overflow past 24.8 days; less costs wake-ups, more gains nothing. */
const sleepCapMs = 60_000;

/** A ring that is later than this waits for the sockets. Less defers rings that are late by chance. */
const lateMs = 50;

export function openClock(): Clock {
  return {
    now: () => ({ wall: Date.now(), mono: performance.now() }),
    alarm(atMono, ring) {
      let cancelled = false;
      let timer: NodeJS.Timeout;
      const sleep = () => {
        const restMs = Math.max(0, Math.ceil(atMono - performance.now()));
        timer = setTimeout(wake, Math.min(restMs, sleepCapMs));
      };
      const wake = () => {
        const lateByMs = performance.now() - atMono;
        // Timers may fire a fraction of a millisecond early.
        if (lateByMs < 0) return sleep();
        if (lateByMs <= lateMs) return ring();
        setImmediate(() => {
          if (!cancelled) ring();
        });
      };
      sleep();
      return () => {
        cancelled = true;
        clearTimeout(timer);
      };
    },
  };
}
