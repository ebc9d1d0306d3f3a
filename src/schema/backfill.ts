/**
 * The names of ticks that a person has asked for again (backfill). Such a tick is over by the job's watermark, so its run has a
 * tick of its own: a manual one, whose ULID holds when it was asked for, as every manual tick's does, and then the tick that it
 * makes up for. So its history lies and is pruned where its run was, and a version that doesn't know backfills still runs it once.
 */
import { instantOf, isManual, tickAt, type TickId } from "./ids.ts";

/** Ticks of one request. With more, its queue is longer to look through each time one of its runs ends. */
export const backfillMax = 1_000;

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Follows the ten letters of the time. Then come the tick's second in eight letters, and which of several forced ones it is. */
const backfillLetters = "BACKF";
const form = /^manual-[0-9A-HJKMNP-TV-Z]{10}BACKF([0-9A-HJKMNP-TV-Z]{8})([0-9A-HJKMNP-TV-Z]{3})$/;

/** `nonce`: 0, or a number below 32,768 that makes a forced repetition another tick. Instants in ms. */
export function backfillTick(requestedAt: number, instant: number, nonce: number): TickId {
  return `manual-${letters(requestedAt, 10)}${backfillLetters}${letters(instant / 1_000, 8)}${letters(nonce, 3)}` as TickId;
}

/** The tick (ms) that this one makes up for; undefined = it is no backfill. */
export function backfilledInstant(tick: TickId): number | undefined {
  const text = isManual(tick) ? form.exec(tick)?.[1] : undefined;
  if (text === undefined) return undefined;
  const instant = numberOf(text) * 1_000;
  return instant < instantOf(tick) ? instant : undefined;
}

/** Fits the names of all ticks that make up for the one at the instant (ms), as a GLOB pattern of SQLite. */
export function backfillPattern(instant: number): string {
  return `manual-${"?".repeat(10)}${backfillLetters}${letters(instant / 1_000, 8)}???`;
}

export function isForcedBackfill(tick: TickId): boolean {
  return form.exec(tick)?.[2] !== "000";
}

/** The tick that a run is about, as its process sees it: of a backfill, the one that it makes up for. */
export function originalTick(tick: TickId): TickId {
  const instant = backfilledInstant(tick);
  return instant === undefined ? tick : tickAt(instant);
}

function letters(number: number, count: number): string {
  let text = "";
  for (let rest = number, i = 0; i < count; i++, rest = Math.floor(rest / 32))
    text = crockford.charAt(rest % 32) + text;
  return text;
}

function numberOf(text: string): number {
  let number = 0;
  for (const letter of text) number = number * 32 + crockford.indexOf(letter);
  return number;
}
