/**
 * Instants as text, such as `2026-11-20T02:00:00.000Z`: what `Date.toISOString` gives, in a third of its time. A list of 50 jobs has
 * up to 250 of them, and nearly all are of few days, so the text of the last day is kept.
 */
const dayMs = 86_400_000;
const twoDigits = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, "0"));
const threeDigits = Array.from({ length: 1_000 }, (_, value) => String(value).padStart(3, "0"));

/** Of this day a `Date` can hold only the first instant, so its text is not kept. */
const lastDay = 8.64e15 / dayMs;

let knownDay = NaN;
/** with the `T` behind it */
let knownDayText = "";

/** `instant`: ms since 1970. Throws a RangeError if no `Date` can hold it. */
export function formatInstant(instant: number): string {
  return `${toTheSecond(instant)}.${threeDigits[msOfDay(instant) % 1_000]}Z`;
}

/** … without the milliseconds. */
export function formatSecond(instant: number): string {
  return `${toTheSecond(instant)}Z`;
}

function toTheSecond(instant: number): string {
  const day = dayOf(instant);
  if (day !== knownDay || day === lastDay) {
    const text = new Date(instant).toISOString();
    knownDayText = text.slice(0, text.indexOf("T") + 1);
    knownDay = day;
  }
  const second = Math.floor(msOfDay(instant) / 1_000);
  const minute = Math.floor(second / 60);
  return `${knownDayText}${twoDigits[Math.floor(minute / 60)]}:${twoDigits[minute % 60]}:${twoDigits[second % 60]}`;
}

/** As `Date` does, which leaves out parts of a ms. */
function dayOf(instant: number): number {
  return Math.floor(Math.trunc(instant) / dayMs);
}

function msOfDay(instant: number): number {
  return Math.trunc(instant) - dayOf(instant) * dayMs;
}
