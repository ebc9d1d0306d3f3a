/** Runs one seed with the real peer, and says in short what came of it. */
import { runSeed, type SeedOptions } from "../src/sim/seed.ts";
import { startRealPeer } from "../src/sim/starting.ts";
import type { SeedJob, SeedSummary } from "./seed-pool.ts";

const breachesShown = 20;

export function summarise(job: SeedJob, onLine?: SeedOptions["onLine"]): SeedSummary {
  const began = performance.now();
  const result = runSeed({
    ...job,
    makePeer: startRealPeer,
    ...(onLine === undefined ? {} : { onLine }),
  });
  return {
    seed: result.seed,
    traceHash: result.traceHash,
    starts: result.evidence.runs.length,
    events: result.events,
    messages: result.messages,
    bytes: result.bytes,
    faults: result.plan.kinds,
    broken: result.breaches.length,
    breaches: result.breaches.slice(0, breachesShown),
    logged: result.logged,
    tookMs: performance.now() - began,
  };
}
