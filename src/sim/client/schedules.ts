/**
 * The schedules of the simulator's jobs, and their ticks by arithmetic of this file's own.
 *
 * All schedules have their ticks at `offset + n × period` from the epoch, in UTC. So the checkers know each tick
 * without asking the code that they check.
 */
import { createHash } from "node:crypto";
import { tickAt, type JobId } from "../../schema/ids.ts";

export interface SimpleSchedule {
  /** the text of a job's `schedule` */
  text: string;
  periodMs: number;
  offsetMs: number;
  /** a zone without daylight saving; absent = UTC */
  timezone?: string;
  /** that zone's offset; absent = 0 */
  hoursAhead?: number;
  /** no tick before `startsAt` or after `endsAt`; ms, whole seconds */
  startsAt?: number;
  endsAt?: number;
  /** ticks that are left out; absent = none */
  except?: Exclusions;
}

export interface Exclusions {
  /** the text of a job's `except` */
  texts: readonly string[];
  /** instants from `from` (in) to `to` (out), ms */
  spans: readonly { from: number; to: number }[];
  /** instants that leave such a remainder when divided by `periodMs`: from `from` (in) to `to` (out), ms */
  phases: readonly { periodMs: number; from: number; to: number }[];
  /** the spans are those of the world's calendar (client/shared.ts) */
  isCalendar?: true;
}

const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;

export function everySeconds(seconds: number): SimpleSchedule {
  return { text: `@every ${seconds}s`, periodMs: seconds * second, offsetMs: 0 };
}

/** Of a job that runs after others: it has no ticks by itself. */
export const noSchedule: SimpleSchedule = { text: "", periodMs: Infinity, offsetMs: 0 };

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
  const offsetMs = (((minuteOfDay - hoursAhead * 60) % 1_440) + 1_440) % 1_440;
  // These zones have POSIX's sign: Etc/GMT-3 is three hours ahead.
  const timezone = hoursAhead === 0 ? "UTC" : `Etc/GMT${hoursAhead > 0 ? "-" : "+"}${Math.abs(hoursAhead)}`;
  return { text, periodMs: day, offsetMs: offsetMs * minute, timezone, hoursAhead };
}

/** `hours` must divide 24. */
export function everyHours(hours: number, minuteOfHour: number): SimpleSchedule {
  const text = `${minuteOfHour} */${hours} * * *`;
  return { text, periodMs: hours * 60 * minute, offsetMs: minuteOfHour * minute };
}

/** Without that many days from the instant on, in a zone that is `hoursAhead` of UTC. */
export function exceptDays(from: number, days: number, hoursAhead: number): Exclusions {
  const aheadMs = hoursAhead * 60 * minute;
  const first = Math.floor((from + aheadMs) / day);
  const [begin, last] = [first * day, (first + days - 1) * day].map((at) =>
    new Date(at).toISOString().slice(0, "2026-12-24".length),
  );
  const span = { from: first * day - aheadMs, to: (first + days) * day - aheadMs };
  return { texts: [days === 1 ? `${begin}` : `${begin}/${last}`], spans: [span], phases: [] };
}

/** Without the ticks of a whole minute in that hour of each day, in a zone that is `hoursAhead` of UTC. */
export function exceptHour(hour: number, hoursAhead: number): Exclusions {
  const from = ((((hour - hoursAhead) % 24) + 24) % 24) * 60 * minute;
  return { texts: [`* ${hour} * * *`], spans: [], phases: [{ periodMs: day, from, to: from + 60 * minute }] };
}

/** Without the ticks of odd minutes, at that second of each minute. */
export function exceptOddMinutes(of: number): Exclusions {
  const phase = { periodMs: 2 * minute, from: minute + of * second, to: minute + (of + 1) * second };
  return { texts: [`${of} 1-59/2 * * * *`], spans: [], phases: [phase] };
}

function isLeftOut({ except }: SimpleSchedule, instant: number): boolean {
  if (except === undefined) return false;
  if (except.spans.some(({ from, to }) => from <= instant && instant < to)) return true;
  return except.phases.some(({ periodMs, from, to }) => {
    const phase = instant % periodMs;
    return from <= phase && phase < to;
  });
}

/** Ticks with from ≤ tick < to, ms since the epoch. */
export function ticksOf(schedule: SimpleSchedule, from: number, to: number): number[] {
  const { periodMs, offsetMs, startsAt = -Infinity, endsAt = Infinity } = schedule;
  const ticks: number[] = [];
  const end = Math.min(to, endsAt + 1);
  const first = Math.ceil((Math.max(from, startsAt) - offsetMs) / periodMs);
  for (let n = first; n * periodMs + offsetMs < end; n++) {
    const tick = n * periodMs + offsetMs;
    if (!isLeftOut(schedule, tick)) ticks.push(tick);
  }
  return ticks;
}

/**
 * When the job's tick is due: as core/job/jitter.ts promises it to peers of every version, computed here once more.
 */
export function dueOfTick({ id, jitterMs = 0 }: { id: JobId; jitterMs?: number }, tick: number): number {
  if (jitterMs === 0) return tick;
  const hash = createHash("sha256")
    .update(`${id}@${tickAt(tick)}`)
    .digest();
  return tick + Math.floor((hash.readUIntBE(0, 6) / 2 ** 48) * jitterMs);
}

export function isTickOf(schedule: SimpleSchedule, instant: number): boolean {
  return ticksOf(schedule, instant, instant + 1).length === 1;
}
