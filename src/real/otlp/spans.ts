/**
 * Runs as spans in OTLP's JSON encoding: ids in hex, instants in ns and other 64-bit numbers as texts, enums as numbers. Written by
 * hand, because it is one message, and the SDK for it would be larger than the rest of the exporter.
 */
import { spanIdsOf } from "../../core/claims/trace.ts";
import { runId, type RunId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";

type AnyValue = { stringValue: string } | { intValue: string };
interface Attribute {
  key: string;
  value: AnyValue;
}

export interface Span {
  traceId: string;
  spanId: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  status: { code: number; message?: string };
}

const kindInternal = 1;
const statusCodes = { unset: 0, ok: 1, error: 2 } as const;

/** Undefined for a run that never began. */
export function spanOf(record: RunRecord): Span | undefined {
  const { job, tick, attempt, trigger, state, reason, startedAt, finishedAt, exitCode, signal } = record;
  if (startedAt === undefined || finishedAt === undefined) return undefined;
  const run: RunId = runId(record);
  const ids = spanIdsOf(job, tick, run);
  return {
    traceId: ids.trace,
    spanId: ids.span,
    name: job,
    kind: kindInternal,
    startTimeUnixNano: nanoseconds(startedAt),
    endTimeUnixNano: nanoseconds(Math.max(startedAt, finishedAt)),
    attributes: attributesOf({
      "cicada.job": job,
      "cicada.run": run,
      "cicada.tick": tick,
      "cicada.attempt": attempt,
      "cicada.trigger": trigger,
      "cicada.state": state,
      "cicada.reason": reason,
      "process.exit.code": exitCode,
      "cicada.signal": signal,
    }),
    status: statusOf(record),
  };
}

function statusOf({ state, reason }: RunRecord): Span["status"] {
  if (state === "succeeded") return { code: statusCodes.ok };
  if (state !== "failed" && state !== "timeout" && state !== "lost") return { code: statusCodes.unset };
  return { code: statusCodes.error, message: reason ?? state };
}

/** The message of one request. */
export function traceRequest(
  resource: Readonly<Record<string, string>>,
  version: string,
  spans: readonly Span[],
): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: "cicada", version }, spans }],
      },
    ],
  };
}

function attributesOf(values: Readonly<Record<string, string | number | undefined>>): Attribute[] {
  return Object.entries(values).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return [{ key, value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value } }];
  });
}

/** An instant in ms, maybe with a fraction, as whole ns: beyond what a number holds exactly. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1_000)) * 1_000n);
}
