/** When the jobs of the load benches are due: once in each period, which is a number of seconds. */
import { parseDuration } from "../src/core/time/units.ts";

/** Reads `--every`. Unit: s. */
export function everySecondsOf(text: string): number {
  const seconds = (parseDuration(text) ?? Number.NaN) / 1_000;
  if (Number.isInteger(seconds) && 60 % seconds === 0) return seconds;
  throw new Error(`--every ${text}: give whole seconds that divide a minute, such as 5s, or 1m`);
}

/** When a job with this offset in each period is due: from ≤ due < to. Instants are in ms, the period and the offset in s. */
export function duesOf(everySeconds: number, offsetSeconds: number, from: number, to: number): number[] {
  const [periodMs, offsetMs] = [everySeconds * 1_000, offsetSeconds * 1_000];
  const dues: number[] = [];
  for (let due = Math.ceil((from - offsetMs) / periodMs) * periodMs + offsetMs; due < to; due += periodMs)
    dues.push(due);
  return dues;
}
