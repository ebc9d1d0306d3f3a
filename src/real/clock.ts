/**
 * The real clock: wall time from the system, monotonic time from the process's own counter, alarms from timers.
 *
 * When a timer fires late, the process was held up, and messages that arrived in the meantime still wait in the
 * sockets. So a late alarm waits for the next round of reads, and so do the alarms behind it. Otherwise a peer could be taken
 * for silent although its message is already here.
 */
import type { Clock, Now } from "../ports.ts";
import { isSynchronised, uptimeMs } from "./clock/host-time.ts";

/** Longest single sleep. Node's timers overflow after 24.8 days. Less costs wake-ups; more gains nothing. */
const sleepCapMs = 60_000;

/** An alarm that is later than this waits for the sockets. Less delays alarms that are late by chance. */
const lateMs = 50;

/** If the process is stopped between reading the two clocks, they seem to differ. They are then read again. */
const apartMs = 20;
const readsMax = 5;

/** Reads both clocks at the same moment. */
function readBoth(): { wall: number; mono: number } {
  for (let read = 1; ; read++) {
    const before = performance.now();
    const wall = Date.now();
    const mono = performance.now();
    if (mono - before < apartMs || read === readsMax) return { wall, mono };
  }
}

/** If the wall clock has run ahead of the monotonic one by more than this, the host may have slept. Unit: ms. */
const sleptMs = 500;
/** How often to ask the host whether it follows a time server. Unit: ms. */
const askEveryMs = 10_000;

/** `synchronised` overrides what the host says about its clock. */
export function openClock(options: { synchronised?: boolean | undefined } = {}): Clock {
  const opened = readBoth();
  const bootedMono = opened.mono - (uptimeMs() ?? opened.mono);
  let apart = opened.wall - opened.mono;
  let suspendedMs = 0;
  let asked = { atMono: -Infinity, synchronised: false };
  /** alarms that wait for the next round of reads */
  let waiting = 0;

  /**
   * /proc/uptime includes suspends, and the monotonic clock doesn't. It is only read when the two clocks have moved
   * apart.
   */
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
        if (lateByMs <= lateMs && waiting === 0) return ring();
        waiting++;
        setImmediate(() => {
          waiting--;
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
