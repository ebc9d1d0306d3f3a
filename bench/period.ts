/** Jobs that start once in so many seconds of the minute, as the load benches give them. */
import { parseDuration } from "../src/core/time/units.ts";

/** The seconds that `--every` names. */
export function everySecondsOf(text: string): number {
  const seconds = (parseDuration(text) ?? Number.NaN) / 1_000;
  if (Number.isInteger(seconds) && 60 % seconds === 0) return seconds;
  throw new Error(`--every ${text}: give whole seconds that divide a minute, such as 5s, or 1m`);
}

/** When a job is due that starts at this second of each period, with from ≤ due < to. Unit: ms, but of the period: s. */
export function duesOf(everySeconds: number, offsetSeconds: number, from: number, to: number): number[] {
  const [periodMs, offsetMs] = [everySeconds * 1_000, offsetSeconds * 1_000];
  const dues: number[] = [];
  for (let due = Math.ceil((from - offsetMs) / periodMs) * periodMs + offsetMs; due < to; due += periodMs)
    dues.push(due);
  return dues;
}
