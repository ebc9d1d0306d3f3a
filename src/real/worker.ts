/**
 * Starts a worker thread. A host that is out of processes or memory has no room for one, and then Node throws. That must
 * not end the peer: it fails the one task that needed the thread, and the next task tries again.
 */
import { Worker, type WorkerOptions } from "node:worker_threads";

/** The worker, or why there is none, in words. */
export function startWorker(program: URL, options: WorkerOptions): Worker | string {
  try {
    return new Worker(program, options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `this host has no room for another thread (${why})`;
  }
}
