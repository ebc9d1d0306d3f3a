/** Runs one seed with the real peer, and says in short what came of it. */
import type { Mark } from "../../src/core/probes/marks.ts";
import { runSeed, type SeedOptions } from "../../src/sim/seed.ts";
import { startRealPeer } from "../../src/sim/world/real-peer.ts";
import { canonicalHash } from "./canonical-trace.ts";
import type { SeedJob, SeedSummary } from "./seed-pool.ts";

const breachesShown = 20;

export function summarise(job: SeedJob, onLine?: SeedOptions["onLine"]): SeedSummary {
  const began = performance.now();
  const { keptFaults, ...options } = job;
  const kept = new Set(keptFaults);
  const marks = new Set<Mark>();
  const result = runSeed({
    ...options,
    makePeer: startRealPeer,
    marks,
    ...(keptFaults === undefined ? {} : { keepFault: (number: number) => kept.has(number) }),
    ...(onLine === undefined ? {} : { onLine }),
  });
  return {
    seed: result.seed,
    traceHash: result.traceHash,
    canonicalHash: canonicalHash(result.evidence),
    starts: result.evidence.runs.length,
    events: result.events,
    messages: result.messages,
    bytes: result.bytes,
    faults: result.plan.kinds,
    drawn: result.drawn,
    marks: [...marks],
    broken: result.breaches.length,
    breaches: result.breaches.slice(0, breachesShown),
    logged: result.logged,
    tookMs: performance.now() - began,
  };
}
