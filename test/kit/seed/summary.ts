/** Runs one seed with the real peer, and summarises the result. */
import type { Mark } from "../../../src/core/probes/marks.ts";
import { runLongSeed } from "../../../src/sim/long.ts";
import type { SeedOptions, SeedResult } from "../../../src/sim/any-world.ts";
import { runSeed } from "../../../src/sim/seed.ts";
import type { Breach } from "../../../src/sim/world/truth.ts";
import { startRealPeer } from "../../../src/sim/world/real-peer.ts";
import { canonicalHash } from "./canonical-trace.ts";
import type { SeedJob } from "./job.ts";

const breachesShown = 20;

export interface SeedSummary {
  seed: string;
  traceHash: string;
  /** the hash of what an outside observer could have seen (canonical-trace.ts) */
  canonicalHash: string;
  starts: number;
  events: number;
  messages: number;
  bytes: number;
  faults: readonly string[];
  /** the single faults of a wide world */
  drawn: SeedResult["drawn"];
  /** the rare branches that were taken */
  marks: readonly Mark[];
  /** how many rules were broken, and the first few of them */
  broken: number;
  breaches: readonly Breach[];
  logged: Readonly<Record<string, number>>;
  tookMs: number;
}

export function summarise(job: SeedJob, onLine?: SeedOptions["onLine"]): SeedSummary {
  const began = performance.now();
  const { keptFaults, world = "plain", ...options } = job;
  const kept = new Set(keptFaults);
  const marks = new Set<Mark>();
  const run = world === "long" || world === "long-mixed" ? runLongSeed : runSeed;
  const result = run({
    ...options,
    wide: world === "wide",
    mixed: world === "mixed" || world === "long-mixed",
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
    faults: result.kinds,
    drawn: result.drawn,
    marks: [...marks],
    broken: result.breaches.length,
    breaches: result.breaches.slice(0, breachesShown),
    logged: result.logged,
    tookMs: performance.now() - began,
  };
}
