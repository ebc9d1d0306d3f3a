/**
 * How the micro benches measure: the median of rounds that are long enough to average out clock and garbage collector.
 */
import { percentile } from "./report.ts";

const rounds = 15;
const roundMs = 20;

/** Holds the last result, so that the compiler can't optimise the work away. */
let sink: unknown;

/** The median cost of one call in µs. Each call gets a different number. */
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

/** The result of the last measured call. */
export function lastResult(): unknown {
  return sink;
}
