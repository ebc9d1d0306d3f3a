/**
 * The real clock: wall time from the system, monotonic time from the process's own counter, alarms from timers.
 *
 * When a timer fires late, the process was held up, and what arrived meanwhile still waits in the sockets. Such a ring is
 * put behind the next round of reads, so that nobody is taken for silent whose message is already here.
 */
import type { Clock, Now } from "../ports.ts";
import { isSynchronised, uptimeMs } from "./clock/host-time.ts";

/** Longest single sleep. Node's timers overflow past 24.8 days; less costs wake-ups, more gains nothing. */
const sleepCapMs = 60_000;

/** A ring that is later than this waits for the sockets. Less defers rings that are late by chance. */
const lateMs = 50;

/** A process that is stopped between two looks would see its clocks apart; they are looked at again. */
const apartMs = 20;
const looksMax = 5;

/** Both clocks at one moment. */
function readBoth(): { wall: number; mono: number } {
  for (let look = 1; ; look++) {
    const before = performance.now();
    const wall = Date.now();
    const mono = performance.now();
    if (mono - before < apartMs || look === looksMax) return { wall, mono };
  }
}

/** The wall clock may have run ahead of the monotonic one because the host slept, if by more than this, ms. */
const sleptMs = 500;
/** How often the host is asked whether it follows a time server. */
const askEveryMs = 10_000;

/** `synchronised` is said of the host's clock instead of what the host says itself. */
export function openClock(options: { synchronised?: boolean | undefined } = {}): Clock {
  const opened = readBoth();
  const bootedMono = opened.mono - (uptimeMs() ?? opened.mono);
  let apart = opened.wall - opened.mono;
  let suspendedMs = 0;
  let asked = { atMono: -Infinity, synchronised: false };

  /** /proc/uptime counts suspends, and the monotonic clock doesn't. It is read only when the two clocks have moved apart. */
  const noteSuspend = ({ wall, mono }: { wall: number; mono: number }): void => {
    if (Math.abs(wall - mono - apart) <= sleptMs) return;
    apart = wall - mono;
    const uptime = uptimeMs();
    if (uptime !== undefined) suspendedMs = Math.max(suspendedMs, uptime - mono + bootedMono);
  };

  const now = (): Now => {
    const both = readBoth();
    noteSuspend(both);
    if (options.synchronised === undefined && both.mono - asked.atMono >= askEveryMs) {
      asked = { atMono: both.mono, synchronised: isSynchronised(both.wall) };
    }
    return { ...both, suspendedMs, synchronised: options.synchronised ?? asked.synchronised };
  };

  return {
    now,
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
