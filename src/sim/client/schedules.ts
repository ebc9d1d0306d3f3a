/**
 * The schedules of the simulator's jobs, and their ticks by own arithmetic.
 *
 * Only such schedules are used whose ticks lie at `offset + n × period` from the epoch, in UTC. So the checkers
 * know each tick without asking the code that they check.
 */
export interface SimpleSchedule {
  /** as a job's `schedule` says it */
  text: string;
  periodMs: number;
  offsetMs: number;
}

const second = 1_000;
const minute = 60 * second;

export function everySeconds(seconds: number): SimpleSchedule {
  return { text: `@every ${seconds}s`, periodMs: seconds * second, offsetMs: 0 };
}

export const everyMinute: SimpleSchedule = { text: "* * * * *", periodMs: minute, offsetMs: 0 };

/** Six fields: at one second of each minute. */
export function atSecond(of: number): SimpleSchedule {
  return { text: `${of} * * * * *`, periodMs: minute, offsetMs: of * second };
}

/** `minutes` must divide 60. */
export function everyMinutes(minutes: number): SimpleSchedule {
  return { text: `*/${minutes} * * * *`, periodMs: minutes * minute, offsetMs: 0 };
}

export function hourlyAt(of: number): SimpleSchedule {
  return { text: `${of} * * * *`, periodMs: 60 * minute, offsetMs: of * minute };
}

/** Ticks with from ≤ tick < to, ms since the epoch. */
export function ticksOf(schedule: SimpleSchedule, from: number, to: number): number[] {
  const ticks: number[] = [];
  const first = Math.ceil((from - schedule.offsetMs) / schedule.periodMs);
  for (let n = first; n * schedule.periodMs + schedule.offsetMs < to; n++) {
    ticks.push(n * schedule.periodMs + schedule.offsetMs);
  }
  return ticks;
}

export function isTickOf(schedule: SimpleSchedule, instant: number): boolean {
  return (instant - schedule.offsetMs) % schedule.periodMs === 0;
}
