/**
 * Days as people write them, and the instants at which they are shown in a zone.
 *
 * A day lasts from its first to its last instant in the zone, however long it is.
 */
import { dayOfDate, daysInMonth, daySeconds, lastSecond } from "./calendar.ts";
import type { Zone } from "./zone.ts";

/** A span of time; seconds, the last one not included. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Days {
  /** days since the epoch, both included */
  readonly firstDay: number;
  readonly lastDay: number;
}

/** Reads a date such as 2026-12-24, or a range such as 2026-12-24/2027-01-02. `hint` says what else may be written. */
export function readDays(entry: string, hint: string): Days | { message: string } {
  const [first = "", last = first, ...more] = entry.split("/");
  const [firstDay, lastDay] = [dayOfText(first), dayOfText(last)];
  const wrong = firstDay === undefined ? first : last;
  if (firstDay === undefined || lastDay === undefined || more.length > 0) {
    const what =
      more.length > 0 ? `${JSON.stringify(entry)} is not a range` : `no date ${JSON.stringify(wrong)}`;
    return { message: `${what}: ${hint}` };
  }
  if (lastDay < firstDay) return { message: `${JSON.stringify(entry)} ends before it begins` };
  return { firstDay, lastDay };
}

/** Days since the epoch; undefined if the text is no date. */
export function dayOfText(text: string): number | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  return dayOfDate(year, month, day);
}

/** No zone is further than this from UTC, in seconds. */
const offsetMax = daySeconds;

/**
 * The instants at which a clock in the zone shows one of the days. Where the clocks go back over midnight, a day may be
 * shown twice with a part of the next one between.
 */
export function instantsOfDays(zone: Zone, { firstDay, lastDay }: Days): Span[] {
  const begin = firstDay * daySeconds;
  const end = (lastDay + 1) * daySeconds;
  const spans: Span[] = [];
  /** Only near the first and the last midnight do the offsets matter. */
  const addExact = (from: number, to: number) => {
    for (let at = Math.max(0, from); at < Math.min(to, lastSecond + 1);) {
      const stretch = zone.stretchAt(at);
      const until = Math.min(stretch.end, to);
      spans.push({ from: Math.max(at, begin - stretch.offset), to: Math.min(until, end - stretch.offset) });
      at = until;
    }
  };
  const [inner, innerEnd] = [begin + offsetMax, end - offsetMax];
  if (inner >= innerEnd) addExact(begin - offsetMax, end + offsetMax);
  else {
    addExact(begin - offsetMax, inner);
    spans.push({ from: inner, to: innerEnd });
    addExact(innerEnd, end + offsetMax);
  }
  return spans;
}

/**
 * The instant at which a clock in the zone shows the civil second. Of two the first; a time that is left out is read with the
 * offset before the change, as RFC 5545 says (3.3.5).
 */
export function instantOfCivil(zone: Zone, civil: number): number {
  let before = zone.stretchAt(civil - offsetMax).offset;
  for (let at = civil - offsetMax; ;) {
    const { start, end, offset } = zone.stretchAt(at);
    const instant = civil - offset;
    if (instant < start) return civil - before;
    if (instant < end) return instant;
    before = offset;
    at = end;
  }
}

/** The spans in order, without those that overlap or touch. */
export function united(spans: readonly Span[]): Span[] {
  const whole: Span[] = [];
  for (const span of spans.filter(({ from, to }) => from < to).toSorted((a, b) => a.from - b.from)) {
    const before = whole.at(-1);
    if (before === undefined || before.to < span.from) whole.push(span);
    else whole[whole.length - 1] = { from: before.from, to: Math.max(before.to, span.to) };
  }
  return whole;
}
