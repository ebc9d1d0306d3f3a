/** The figures that the partition bench computes from a scenario's evidence. All times are true time, in ms. */
import { requiredTicks } from "../checkers/ticks.ts";
import type { ScenarioRun } from "../faults/scenarios.ts";

export interface Measures {
  ticks: number;
  /** ticks without any start */
  missed: number;
  /** starts beyond each tick's first */
  doubled: number;
  /** first start − due: median, 99th percentile and maximum */
  latenessMs: { p50: number; p99: number; max: number };
  /** the longest time for which a tick due during the fault waited for its start */
  stepInMs: number;
  /** from the end of the fault to the last tick that was missed, doubled, or late by over 1 s; 0 = none was */
  resumptionMs: number;
  messagesPerTick: number;
  bytesPerTick: number;
}

const countedBeforeMs = 60_000;
const marginMs = 30_000;
const onTimeMs = 1_000;

export function measure(run: ScenarioRun): Measures {
  const { evidence } = run;
  const required = requiredTicks(evidence, run.from - countedBeforeMs, evidence.to - marginMs, marginMs);
  const starts = Map.groupBy(evidence.runs, ({ job, tick }) => `${job}@${tick}`);
  const lateness: number[] = [];
  const measures = { missed: 0, doubled: 0, stepInMs: 0, resumptionMs: 0 };
  for (const { job, tick, instant } of required) {
    const found = starts.get(`${job}@${tick}`) ?? [];
    const lateMs = Math.min(...found.map(({ start }) => start)) - instant;
    if (found.length === 0) measures.missed++;
    else lateness.push(lateMs);
    measures.doubled += Math.max(0, found.length - 1);
    const within = instant >= run.from && instant < run.to;
    if (within && found.length > 0) measures.stepInMs = Math.max(measures.stepInMs, lateMs);
    const wrong = found.length !== 1 || lateMs > onTimeMs;
    if (instant >= run.to && wrong) measures.resumptionMs = instant - run.to;
  }
  lateness.sort((a, b) => a - b);
  const at = (share: number) =>
    lateness[Math.min(lateness.length - 1, Math.floor(lateness.length * share))] ?? 0;
  return {
    ticks: required.length,
    ...measures,
    latenessMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    messagesPerTick: run.messages / Math.max(1, required.length),
    bytesPerTick: run.bytes / Math.max(1, required.length),
  };
}

/** Combines several runs of one scenario: the sums of counts, the worst times, and the median of the medians. */
export function combineMeasures(all: readonly Measures[]): Measures {
  const sum = (of: (one: Measures) => number) => all.reduce((total, one) => total + of(one), 0);
  const worst = (of: (one: Measures) => number) => Math.max(...all.map(of));
  const middle = (of: (one: Measures) => number) =>
    all.map(of).toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
  return {
    ticks: sum((one) => one.ticks),
    missed: sum((one) => one.missed),
    doubled: sum((one) => one.doubled),
    latenessMs: {
      p50: middle((one) => one.latenessMs.p50),
      p99: worst((one) => one.latenessMs.p99),
      max: worst((one) => one.latenessMs.max),
    },
    stepInMs: worst((one) => one.stepInMs),
    resumptionMs: worst((one) => one.resumptionMs),
    messagesPerTick: middle((one) => one.messagesPerTick),
    bytesPerTick: middle((one) => one.bytesPerTick),
  };
}
