/**
 * The schedules of the simulator's jobs, and their ticks by arithmetic of this file's own.
 *
 * All schedules have their ticks at `offset + n × period` from the epoch, in UTC. So the checkers know each tick
 * without asking the code that they check.
 */
export interface SimpleSchedule {
  /** the text of a job's `schedule` */
  text: string;
  periodMs: number;
  offsetMs: number;
  /** a zone without daylight saving; absent = UTC */
  timezone?: string;
  /** no tick before `startsAt` or after `endsAt`; ms, whole seconds */
  startsAt?: number;
  endsAt?: number;
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

/** Once a day, at that minute of the day in a zone that is `hoursAhead` of UTC. */
export function dailyAt(minuteOfDay: number, hoursAhead = 0): SimpleSchedule {
  const text = `${minuteOfDay % 60} ${Math.floor(minuteOfDay / 60)} * * *`;
  const day = 24 * 60 * minute;
  const offsetMs = (((minuteOfDay - hoursAhead * 60) % 1_440) + 1_440) % 1_440;
  // These zones have POSIX's sign: Etc/GMT-3 is three hours ahead.
  const timezone = hoursAhead === 0 ? "UTC" : `Etc/GMT${hoursAhead > 0 ? "-" : "+"}${Math.abs(hoursAhead)}`;
  return { text, periodMs: day, offsetMs: offsetMs * minute, timezone };
}

/** `hours` must divide 24. */
export function everyHours(hours: number, minuteOfHour: number): SimpleSchedule {
  const text = `${minuteOfHour} */${hours} * * *`;
  return { text, periodMs: hours * 60 * minute, offsetMs: minuteOfHour * minute };
}

/** Ticks with from ≤ tick < to, ms since the epoch. */
export function ticksOf(schedule: SimpleSchedule, from: number, to: number): number[] {
  const { periodMs, offsetMs, startsAt = -Infinity, endsAt = Infinity } = schedule;
  const ticks: number[] = [];
  const end = Math.min(to, endsAt + 1);
  const first = Math.ceil((Math.max(from, startsAt) - offsetMs) / periodMs);
  for (let n = first; n * periodMs + offsetMs < end; n++) ticks.push(n * periodMs + offsetMs);
  return ticks;
}

export function isTickOf(schedule: SimpleSchedule, instant: number): boolean {
  return ticksOf(schedule, instant, instant + 1).length === 1;
}
