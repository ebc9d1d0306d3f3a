/** How the micro benches measure: rounds that are long enough for clock and collector to average out, and their median. */
import { percentile } from "./report.ts";

const rounds = 15;
const roundMs = 20;

/** Results land here, so that no work can be optimised away. */
let sink: unknown;

/** Median cost of one call in µs. The call is given a number that differs each time. */
export function medianMicroseconds(work: (number: number) => unknown): number {
  let iterations = 1;
  let number = 0;
  const round = (): number => {
    const from = performance.now();
    for (let i = 0; i < iterations; i++) sink = work(number++);
    return performance.now() - from;
  };
  while (round() < roundMs) iterations *= 2;
  const costs = Array.from({ length: rounds }, () => (round() / iterations) * 1_000);
  return percentile(
    costs.toSorted((a, b) => a - b),
    50,
  );
}

/** What the last measured call returned. */
export function lastResult(): unknown {
  return sink;
}
