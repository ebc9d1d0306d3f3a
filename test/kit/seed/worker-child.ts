/** One worker of the pool: runs the seed that it is given, and answers with its summary. */
import { parentPort } from "node:worker_threads";
import { summarise } from "./summary.ts";
import type { SeedJob } from "./job.ts";

parentPort?.on("message", (job: SeedJob) => {
  parentPort?.postMessage(summarise(job));
});
