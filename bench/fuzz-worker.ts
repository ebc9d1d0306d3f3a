/**
 * The thread that fuzzes the doors. Because it is a thread of its own, the main thread notices an input that hangs or fills the
 * memory. Before each input the thread writes down the input's number, and after each round it reports the result.
 */
import { parentPort, workerData } from "node:worker_threads";
import { runRound, type RoundResult } from "../test/kit/fuzz/door.ts";
import { doors } from "../test/kit/fuzz/doors.ts";

export interface FuzzOrder {
  seed: string;
  /** the first round of each door, in the order of `doors` */
  from: readonly number[];
  /** how many inputs each door has had already */
  inputs: readonly number[];
  /** when time is up, ms on the clock of `performance.timeOrigin` */
  until: number;
  /** only doors whose names begin with this */
  only: string;
  /** door, round, input, and how many inputs in all; written before each input */
  place: Int32Array;
}

export interface FuzzNews {
  door: number;
  round: number;
  result: RoundResult;
  /** the heap after the round's garbage has been collected, and its peak during the round */
  heapBytes: number;
  peakBytes: number;
}

const order = workerData as FuzzOrder;
const rounds = [...order.from];
const inputs = [...order.inputs];
/** After how many inputs the heap is measured. */
const sampledEvery = 200;
let peakBytes = 0;

/** The door that is furthest behind its share. */
function nextDoor(): number {
  let next = -1;
  for (const [index, { name, share }] of doors.entries()) {
    if (!name.startsWith(order.only)) continue;
    const had = (inputs[index] ?? 0) / share;
    const least = next < 0 ? Infinity : (inputs[next] ?? 0) / (doors[next]?.share ?? 1);
    if (had < least) next = index;
  }
  return next;
}

function heapAfterCollection(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const now = (): number => performance.timeOrigin + performance.now();
while (now() < order.until) {
  const index = nextDoor();
  const door = doors[index];
  if (door === undefined) break;
  const round = rounds[index] ?? 0;
  const beat = (input: number): void => {
    order.place.set([index, round, input]);
    if (Atomics.add(order.place, 3, 1) % sampledEvery === 0) {
      peakBytes = Math.max(peakBytes, process.memoryUsage().heapUsed);
    }
  };
  const stopAt = order.until - performance.timeOrigin;
  // oxlint-disable-next-line no-await-in-loop -- one round after the other
  const result = await runRound(door, `${order.seed}/${round}`, door.round, beat, stopAt);
  inputs[index] = (inputs[index] ?? 0) + result.inputs;
  rounds[index] = round + 1;
  parentPort?.postMessage({
    door: index,
    round,
    result,
    heapBytes: heapAfterCollection(),
    peakBytes,
  } satisfies FuzzNews);
}
