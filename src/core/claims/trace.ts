/**
 * The trace of a tick and the span of a run (W3C Trace Context). Both ids are hashes of the names of tick and run, so every peer
 * computes the same, and so can anyone who knows the names.
 */
import { hash } from "node:crypto";
import type { JobId, RunId, TickId } from "../../schema/ids.ts";

export interface SpanIds {
  /** 32 hex digits */
  trace: string;
  /** 16 hex digits */
  span: string;
}

export function spanIdsOf(job: JobId, tick: TickId, run: RunId): SpanIds {
  return {
    trace: hash("sha256", `${job}@${tick}`).slice(0, 32),
    span: hash("sha256", run).slice(0, 16),
  };
}

export function traceparentOf(job: JobId, tick: TickId, run: RunId): string {
  const { trace, span } = spanIdsOf(job, tick, run);
  return `00-${trace}-${span}-01`;
}
