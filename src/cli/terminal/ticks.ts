/**
 * Reads ticks as people write them: `03:00`, `yesterday 03:00`, `tomorrow 03:00` or `2026-11-28T03:54`, in the job's zone,
 * or in full, as the lists show them.
 */
import { dayOfDate, daySeconds, daysInMonth, parseInstant } from "../../core/time/calendar.ts";
import { zoneOf } from "../../core/time/zone.ts";
import { CicadaError } from "../../errors.ts";
import { tickAt, tickIdPattern } from "../../schema/ids.ts";

const wholeTick = new RegExp(tickIdPattern);

export function isTickId(text: string): boolean {
  return wholeTick.test(text);
}

/** The job's last tick, where a tick may be given as a word. */
export const latestTick = "latest";
export const instantExample = "2026-11-28T03:54:00Z";

/** Which instant a time without a date means: the last one, or the next one for ticks to come. */
export type Direction = "last" | "next";

/** An instant (ms) as people write it: in full, or on the clock of the zone; undefined for any other text. */
export function readInstant(
  text: string,
  timezone: string,
  now: number,
  direction: Direction = "last",
): number | undefined {
  return parseInstant(text) ?? onTheClock(text, timezone, now, direction);
}

/** The tick's id. Throws USAGE for any other text. `now` in ms. */
export function readTick(text: string, timezone: string, now: number, direction: Direction = "last"): string {
  if (isTickId(text)) return text;
  const instant = readInstant(text, timezone, now, direction);
  if (instant !== undefined) return tickAt(Math.floor(instant / 1_000) * 1_000);
  const examples =
    direction === "next"
      ? `03:00, "tomorrow 03:00", 2026-11-28T03:54 or ${instantExample}`
      : `03:00, "yesterday 03:00", 2026-11-28T03:54, ${instantExample} or ${latestTick}`;
  throw new CicadaError("USAGE", `${text} is not a tick; write ${examples}`);
}

const civil = /^(?:(\d{4})-(\d\d)-(\d\d)[T ]|(today|yesterday|tomorrow) )?(\d{1,2}):(\d\d)(?::(\d\d))?$/i;

function onTheClock(text: string, timezone: string, now: number, direction: Direction): number | undefined {
  const match = civil.exec(text);
  const zone = zoneOf(timezone);
  if (match === null || zone === undefined) return undefined;
  const [, year, month, date, word] = match;
  const [hour, minute, second] = [match[5], match[6], match[7]].map((part) => Number(part ?? 0));
  if (hour === undefined || minute === undefined || second === undefined) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const time = hour * 3_600 + minute * 60 + second;
  const toInstant = (day: number): number => {
    const shown = day * daySeconds + time;
    // The offset is looked up twice, because the first guess may lie on the other side of a clock change.
    const guess = shown - zone.stretchAt(shown).offset;
    return (shown - zone.stretchAt(guess).offset) * 1_000;
  };
  if (year !== undefined) {
    const [y, m, d] = [year, month, date].map(Number);
    if (y === undefined || m === undefined || d === undefined) return undefined;
    if (m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m)) return undefined;
    return toInstant(dayOfDate(y, m, d));
  }
  const nowSecond = Math.floor(now / 1_000);
  const today = Math.floor((nowSecond + zone.stretchAt(nowSecond).offset) / daySeconds);
  if (word !== undefined) return toInstant(today + (daysFromToday[word.toLowerCase()] ?? 0));
  const todays = toInstant(today);
  if (direction === "last") return todays > now ? toInstant(today - 1) : todays;
  return todays < now ? toInstant(today + 1) : todays;
}

const daysFromToday: Readonly<Record<string, number>> = { yesterday: -1, today: 0, tomorrow: 1 };
