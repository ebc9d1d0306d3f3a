/**
 * The long fuzzing run: gives hostile inputs, drawn from a seed, to every door until the time is up.
 *
 *   npm run fuzz -- --minutes M --seed N [--door PREFIX]
 *     prints inputs, findings and the slowest input of each door, and the heap's peak; ends with 1 on a finding
 *   npm run fuzz -- --door NAME --seed N --round R
 *     runs the round of a finding again
 *
 * A worker thread with a cap on its heap does the work. This thread watches it and reports an input that never ends.
 */
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { runRound, type Finding } from "../test/kit/fuzz/door.ts";
import { doors } from "../test/kit/fuzz/doors.ts";
import type { FuzzNews, FuzzOrder } from "./fuzz-worker.ts";
import { printTable } from "./report.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    door: { type: "string", default: "" },
    round: { type: "string" },
  },
});

/** The cap on the worker's heap. Beyond it the thread ends, which is a finding. */
const heapCapMb = 1_024;
/** An input that takes longer counts as a hang. */
const hangAfterMs = 60_000;
const checkEveryMs = 5_000;
/** How much of a finding's input is shown; to see the rest, run the round again. */
const shownLetters = 2_000;

interface Tally {
  rounds: number;
  inputs: number;
  slowestMs: number;
}

const tallies: Tally[] = doors.map(() => ({ rounds: 0, inputs: 0, slowestMs: 0 }));
const findings: (Finding & { round: number })[] = [];
let keptBytes = 0;
let peakBytes = 0;

function report(finding: Finding, round: number): void {
  findings.push({ ...finding, round });
  const { door, input, kind, what, last } = finding;
  console.log(`\n${kind} at ${door}, seed ${values.seed}, round ${round}, input ${input}: ${what}`);
  console.log(`  input: ${last.slice(0, shownLetters)}`);
}

function take(news: FuzzNews): void {
  const { door, round, result, heapBytes } = news;
  const tally = tallies[door];
  if (tally === undefined) return;
  tally.rounds = round + 1;
  tally.inputs += result.inputs;
  tally.slowestMs = Math.max(tally.slowestMs, result.slowestMs);
  keptBytes = Math.max(keptBytes, heapBytes);
  peakBytes = Math.max(peakBytes, news.peakBytes);
  if (result.finding !== undefined) report(result.finding, round);
}

/** Runs one worker until the time is up, or it hangs or exceeds its heap. */
function runWorker(until: number): Promise<void> {
  const place = new Int32Array(new SharedArrayBuffer(16));
  const order: FuzzOrder = {
    seed: values.seed,
    from: tallies.map(({ rounds }) => rounds),
    inputs: tallies.map(({ inputs }) => inputs),
    until,
    only: values.door,
    place,
  };
  const worker = new Worker(new URL("./fuzz-worker.ts", import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: heapCapMb },
  });
  const lost = (kind: Finding["kind"], what: string): void => {
    const [index = 0, round = 0, input = 0] = place;
    const tally = tallies[index];
    if (tally === undefined) return;
    // The next worker continues after the round that ended this one.
    tally.rounds = round + 1;
    const door = doors[index]?.name ?? "";
    report(
      { door, seed: `${values.seed}/${round}`, input, kind, what, last: "run the round again to see it" },
      round,
    );
  };
  return new Promise((resolve) => {
    let beats = -1;
    let sinceMs = performance.now();
    const watch = setInterval(() => {
      const current = Atomics.load(place, 3);
      if (current !== beats) {
        beats = current;
        sinceMs = performance.now();
      } else if (performance.now() - sinceMs > hangAfterMs) {
        lost("hang", `it did not end within ${hangAfterMs} ms`);
        void worker.terminate();
      }
    }, checkEveryMs);
    worker.on("message", take);
    worker.on("error", (error) => lost("crash", error.message));
    worker.on("exit", () => {
      clearInterval(watch);
      resolve();
    });
  });
}

async function hunt(): Promise<void> {
  const began = performance.now();
  const until = performance.timeOrigin + began + Number(values.minutes) * 60_000;
  while (performance.timeOrigin + performance.now() < until) {
    // oxlint-disable-next-line no-await-in-loop -- one thread after the other
    await runWorker(until);
  }
  const rows = doors.flatMap(({ name }, index) => {
    const { inputs, rounds, slowestMs } = tallies[index] ?? { inputs: 0, rounds: 0, slowestMs: 0 };
    const found = findings.filter(({ door }) => door === name).length;
    const row = [name, inputs.toLocaleString("en"), rounds, found, Math.round(slowestMs)];
    return inputs === 0 ? [] : [row];
  });
  printTable(["door", "inputs", "rounds", "findings", "slowest ms"], rows);
  const total = tallies.reduce((sum, { inputs }) => sum + inputs, 0);
  const minutes = (performance.now() - began) / 60_000;
  const [peakMb, keptMb] = [peakBytes, keptBytes].map((bytes) => Math.round(bytes / 1_048_576));
  console.log(`${total.toLocaleString("en")} inputs in ${minutes.toFixed(1)} minutes, seed ${values.seed}`);
  console.log(`${findings.length} findings`);
  console.log(`heap at most ${peakMb} MiB, after a round at most ${keptMb} MiB (cap ${heapCapMb} MiB)`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

async function replay(round: string): Promise<void> {
  const door = doors.find(({ name }) => name === values.door);
  if (door === undefined)
    throw new Error(
      `no door is called ${values.door}; give one of ${doors.map(({ name }) => name).join(", ")}`,
    );
  const { inputs, slowestMs, finding } = await runRound(door, `${values.seed}/${round}`);
  console.log(`${inputs} inputs, the slowest took ${Math.round(slowestMs)} ms`);
  if (finding !== undefined) report(finding, Number(round));
  process.exitCode = finding === undefined ? 0 : 1;
}

await (values.round === undefined ? hunt() : replay(values.round));
