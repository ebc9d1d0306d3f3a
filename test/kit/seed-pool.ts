/** Runs many seeds of the simulator side by side, each in whichever worker thread is free. */
import { Worker } from "node:worker_threads";
import type { Mark } from "../../src/core/probes/marks.ts";
import type { PlantedBug } from "../../src/core/probes/planted.ts";
import type { DrawnFault, FaultKind } from "../../src/sim/faults/faults.ts";
import type { Breach } from "../../src/sim/world/truth.ts";

export interface SeedJob {
  seed: string;
  peers: number;
  jobs: number;
  hours: number;
  faults: "none" | "swarm";
  /** majority jobs and all that comes with them (src/sim/faults/wide.ts) */
  wide?: boolean;
  planted?: PlantedBug;
  /** of a wide world: the numbers of the faults that are to happen; all when absent */
  keptFaults?: readonly number[];
  /** … and their kinds, instead of those that the seed draws */
  kinds?: readonly FaultKind[];
}

export interface SeedSummary {
  seed: string;
  traceHash: string;
  /** of what anybody outside could have seen (canonical-trace.ts) */
  canonicalHash: string;
  starts: number;
  events: number;
  messages: number;
  bytes: number;
  faults: readonly string[];
  /** the single faults of a wide world */
  drawn: readonly DrawnFault[];
  /** the rare branches that were taken */
  marks: readonly Mark[];
  /** how many rules were broken, and the first few of them */
  broken: number;
  breaches: readonly Breach[];
  logged: Readonly<Record<string, number>>;
  tookMs: number;
}

/** Starts `parallel` workers; each takes the next job until `next` returns undefined. Resolves when all are done. */
export async function runSeeds(
  parallel: number,
  next: () => SeedJob | undefined,
  report: (summary: SeedSummary) => void,
): Promise<void> {
  const one = () =>
    new Promise<void>((resolve, reject) => {
      // Most of what a world makes is garbage at once: a larger nursery means less of it is looked at.
      const resourceLimits = { maxYoungGenerationSizeMb: 64 };
      const worker = new Worker(new URL("seed-worker.ts", import.meta.url), { resourceLimits });
      const give = () => {
        const job = next();
        if (job === undefined) worker.terminate().then(() => resolve(), reject);
        else worker.postMessage(job);
      };
      worker.on("message", (summary: SeedSummary) => {
        report(summary);
        give();
      });
      worker.on("error", reject);
      give();
    });
  await Promise.all(Array.from({ length: parallel }, one));
}
