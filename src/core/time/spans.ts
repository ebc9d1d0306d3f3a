/**
 * A set of instants in bounded memory. It is kept as spans of time, and when there are too many of them those that lie closest
 * together are joined. So the largest gaps stay: what was done by a clock that was a year ahead does not cover the year.
 *
 * An instant that was added stays in the set. One that was never added may get into it, but only between two that were.
 */
import type { Span } from "../../schema/run.ts";

/**
 * Spans of a job's removed starts: 16 bytes each. With fewer, ticks between two of them don't run after clocks were ahead and have
 * been set back, if that happened more often; more takes memory for each job.
 */
export const startsKept = 8;

/** The set with these instants in it, as `joinSpans` gives it. */
export function addToSpans(
  spans: readonly Span[],
  instants: Iterable<number>,
  most: number,
): readonly Span[] {
  const added = Array.from(instants, (instant) => ({ from: instant, to: instant }));
  return added.length === 0 ? spans : joinSpans([...spans, ...added], most);
}

/** At least one span, put in order, so that none touches another. Not more than `most` of them. */
export function joinSpans(all: readonly Span[], most: number): readonly Span[] {
  const apart: Span[] = [];
  for (const { from, to } of all.toSorted((a, b) => a.from - b.from)) {
    const last = apart.at(-1);
    if (last === undefined || from > last.to) apart.push({ from, to });
    else if (to > last.to) apart[apart.length - 1] = { from: last.from, to };
  }
  const gaps = apart.slice(1).map(({ from }, index) => ({ index, ms: from - (apart[index]?.to ?? from) }));
  const kept = gaps.toSorted((a, b) => b.ms - a.ms || b.index - a.index).slice(0, most - 1);
  const joined: Span[] = [];
  let first = 0;
  for (const last of [...kept.map(({ index }) => index).toSorted((a, b) => a - b), apart.length - 1]) {
    joined.push({ from: apart[first]?.from ?? 0, to: apart[last]?.to ?? 0 });
    first = last + 1;
  }
  return joined;
}

export function isInSpans(spans: readonly Span[], instant: number): boolean {
  return spans.some(({ from, to }) => from <= instant && instant <= to);
}

/** The text under which spans are stored. */
export function writeSpans(spans: readonly Span[]): string {
  return JSON.stringify(spans.map(({ from, to }) => [from, to]));
}

/** Spans as `writeSpans` has written them. Throws on any other text. */
export function readSpans(text: string): readonly Span[] {
  const pairs = JSON.parse(text) as [number, number][];
  return pairs.map(([from, to]) => ({ from, to }));
}
