/**
 * Instants in words: how long ago, in UTC (marked as such), and on the clock of a time zone.
 */

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** A length of time in its largest one or two units: `850ms`, `4.2s`, `3m 20s`, `2h 5m`, `3d 4h`. */
export function durationText(ms: number): string {
  if (ms < second) return `${Math.round(ms)}ms`;
  const tenths = Math.round(ms / (second / 10)) * (second / 10);
  if (tenths < 10 * second) return `${(tenths / second).toFixed(1)}s`;
  const seconds = Math.round(ms / second) * second;
  if (seconds < minute) return `${seconds / second}s`;
  if (seconds < hour) return pair(seconds, minute, "m", second, "s");
  const minutes = Math.round(ms / minute) * minute;
  if (minutes < day) return pair(minutes, hour, "h", minute, "m");
  return pair(Math.round(ms / hour) * hour, day, "d", hour, "h");
}

/** `whole` is a multiple of the small unit. */
function pair(whole: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = (whole % large) / small;
  return `${Math.floor(whole / large)}${largeName}${rest === 0 ? "" : ` ${rest}${smallName}`}`;
}

/** `in 4m 10s`, `2h ago`, `now`. */
export function relative(instant: number, now: number): string {
  const distance = instant - now;
  if (Math.abs(distance) < second) return "now";
  const length = durationText(Math.round(Math.abs(distance) / second) * second).replace(".0s", "s");
  return distance > 0 ? `in ${length}` : `${length} ago`;
}

/** `2026-11-20T02:00:00Z` */
export function utc(instant: number): string {
  return new Date(instant).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/** On the zone's own clock, with its offset: `Fri 2026-11-20 03:00:00 +01:00`. */
export function local(instant: number, timezone: string): string {
  const parts = new Map(
    clockOf(timezone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, value]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? "";
  const offset = part("timeZoneName").replace("GMT", "") || "+00:00";
  const date = `${part("year")}-${part("month")}-${part("day")}`;
  return `${part("weekday")} ${date} ${part("hour")}:${part("minute")}:${part("second")} ${offset}`;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(timezone: string): Intl.DateTimeFormat {
  let clock = clocks.get(timezone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat("en-GB", {
      timeZone: timezone,
      weekday: "short",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
      timeZoneName: "longOffset",
    });
    clocks.set(timezone, clock);
  }
  return clock;
}
