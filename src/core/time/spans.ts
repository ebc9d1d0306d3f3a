/**
 * A set of instants in bounded memory. It is kept as spans of time; when there are too many spans, those closest together are
 * joined. So the largest gaps stay: an instant by a clock that was a year ahead does not make the set cover the whole year.
 *
 * An instant that was added stays in the set. Others may be in it too, but only between two that were added.
 */
import type { Span } from "../../schema/run.ts";

/**
 * How many spans of pruned starts are kept for a job, 16 bytes each. With fewer, if clocks were ahead and set back several
 * times, ticks between two spans may wrongly count as started; more takes memory for each job.
 */
export const startsKept = 8;

/** The set with these instants added, as at most `most` spans. */
export function addToSpans(
  spans: readonly Span[],
  instants: Iterable<number>,
  most: number,
): readonly Span[] {
  const added = Array.from(instants, (instant) => ({ from: instant, to: instant }));
  return added.length === 0 ? spans : joinSpans([...spans, ...added], most);
}

/** The spans (at least one) in order, without overlaps, joined until there are at most `most`. */
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

/** Spans as the text that is stored. */
export function writeSpans(spans: readonly Span[]): string {
  return JSON.stringify(spans.map(({ from, to }) => [from, to]));
}

/** Reads what `writeSpans` has written. Throws on text that isn't JSON. */
export function readSpans(text: string): readonly Span[] {
  const pairs = JSON.parse(text) as [number, number][];
  return pairs.map(([from, to]) => ({ from, to }));
}
