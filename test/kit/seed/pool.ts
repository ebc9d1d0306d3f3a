/** Runs many seeds of the simulator side by side, each in the next free worker thread. */
import { Worker } from "node:worker_threads";
import type { SeedJob } from "./job.ts";
import type { SeedSummary } from "./summary.ts";

/** Starts `parallel` workers; each takes the next job until `next` returns undefined. Resolves when all are done. */
export async function runSeeds(
  parallel: number,
  next: () => SeedJob | undefined,
  report: (summary: SeedSummary, job: SeedJob) => void,
): Promise<void> {
  const one = () =>
    new Promise<void>((resolve, reject) => {
      // Most objects of a world become garbage at once; with a larger nursery the collector looks at fewer of them.
      const resourceLimits = { maxYoungGenerationSizeMb: 64 };
      const worker = new Worker(new URL("worker-child.ts", import.meta.url), { resourceLimits });
      const give = () => {
        const job = next();
        if (job === undefined) {
          worker.terminate().then(() => resolve(), reject);
          return;
        }
        worker.once("message", (summary: SeedSummary) => {
          report(summary, job);
          give();
        });
        worker.postMessage(job);
      };
      worker.on("error", reject);
      give();
    });
  await Promise.all(Array.from({ length: parallel }, one));
}
