/**
 * Days and dates of the Gregorian calendar, as plain numbers.
 *
 * A day is a number of days since 1970-01-01 (day 0). A civil second is what a wall clock in some zone shows, as seconds since
 * 1970-01-01 00:00:00 on that clock. The arithmetic counts years from 1 March, so that the leap day comes last (the idea of
 * Howard Hinnant's "chrono-compatible low-level date algorithms").
 */

export const daySeconds = 86_400;
/** The last second of the year 9999, because a tick's id has four digits for the year. */
export const lastSecond = 253_402_300_799;

export interface CivilDate {
  year: number;
  /** 1 to 12 */
  month: number;
  /** 1 to 31 */
  day: number;
}

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/** `month` is 1 to 12. */
export function daysInMonth(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : (monthLengths[month - 1] ?? 0);
}

const daysPerEra = 146_097;
/** The days from 1 March of year 0 to 1 January 1970. */
const daysBefore1970 = 719_468;

/** The day number of a date, which must exist. */
export function dayOfDate(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * daysPerEra + dayOfEra - daysBefore1970;
}

export function dateOfDay(dayNumber: number): CivilDate {
  const shifted = dayNumber + daysBefore1970;
  const era = Math.floor(shifted / daysPerEra);
  const dayOfEra = shifted - era * daysPerEra;
  const leapDays =
    Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  };
}

/** 0 = Sunday; 1970-01-01 was a Thursday. */
export function weekdayOf(dayNumber: number): number {
  return (((dayNumber + 4) % 7) + 7) % 7;
}

const instantPattern =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d\d):(\d\d))$/;

/** For messages: how to write an instant. */
export const instantHint = "write an RFC 3339 instant with its offset, such as 2026-12-24T18:00:00Z";

/** An RFC 3339 instant as ms since the epoch; undefined when the text is none, or its date doesn't exist. */
export function parseInstant(text: string): number | undefined {
  const match = instantPattern.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (hour === undefined || minute === undefined || second === undefined) return undefined;
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  const offsetHours = Number(match[10] ?? 0);
  const offsetMinutes = Number(match[11] ?? 0);
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offset = (offsetHours * 60 + offsetMinutes) * (match[9] === "-" ? -60 : 60);
  const seconds = dayOfDate(year, month, day) * daySeconds + hour * 3_600 + minute * 60 + second - offset;
  return seconds * 1_000 + Math.floor(Number(`0.${match[7] ?? "0"}`) * 1_000);
}

const two = (value: number) => String(value).padStart(2, "0");

/** A civil second as `2026-03-29 02:30:00`. */
export function formatCivil(civilSecond: number): string {
  const day = Math.floor(civilSecond / daySeconds);
  const rest = civilSecond - day * daySeconds;
  const { year, month, day: dayOfMonth } = dateOfDay(day);
  const time = `${two(Math.floor(rest / 3_600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(dayOfMonth)} ${time}`;
}
