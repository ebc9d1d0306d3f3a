/** How a contract suite waits in the simulator: it lets the world run until the answer is there. */
import type { Queue } from "../../../src/sim/world/queue.ts";

const stepMs = 10;
const limitMs = 60_000;

export function waiting(
  queue: Queue,
): <Value>(start: (done: (value: Value) => void) => void) => Promise<Value> {
  return <Value>(start: (done: (value: Value) => void) => void) => {
    const answers: Value[] = [];
    start((value) => answers.push(value));
    for (const until = queue.now + limitMs; answers.length === 0 && queue.now < until;) {
      queue.runUntil(queue.now + stepMs);
    }
    if (answers.length === 0) return Promise.reject(new Error("nothing came within a minute"));
    // If there are several answers the first one counts, as with a promise.
    return Promise.resolve(answers[0] as Value);
  };
}
