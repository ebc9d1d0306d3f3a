/**
 * Sends each run of this peer that has ended as a span to an OpenTelemetry collector (OTLP over HTTP), in the trace that
 * TRACEPARENT names to the run. Loaded only when an endpoint is given.
 *
 * No run ever waits for it. Spans are sent in batches, one request at a time, and again with growing pauses while the collector
 * doesn't answer or is overloaded. What doesn't fit or is refused is counted as lost. Spans that wait are lost with the
 * process; a clean stop tries once more to send them.
 */
import type { Clock, Log } from "../ports.ts";
import type { Control } from "../ports/control.ts";
import { runId, type PeerId, type RunId } from "../schema/ids.ts";
import type { RunRecord } from "../schema/run.ts";
import { isFinal } from "../schema/run-states.ts";
import { describeFetchFailure, readSome } from "./fetch-answer.ts";
import { spanOf, traceRequest, type Span } from "./otlp/spans.ts";
import type { OtlpTarget } from "./otlp/target.ts";

/** The most spans that wait, about 1 KiB each. */
export const waitingMax = 10_000;
const batchMax = 512;
/** A batch is sent after this time, ms, or when it is full. */
const batchEveryMs = 5_000;
const backoffMs = 2_000;
const longestBackoffMs = 300_000;
/** How much of the collector's answer is read, UTF-16 units. A normal answer about refused spans is far shorter. */
const readChars = 65_536;
/** How long the last try at a stop may take, ms. */
const lastTryMs = 2_000;
/** How many ended runs are remembered as sent: a record moves once more when another peer's copy comes back. */
const knownMax = 4_096;
/** Statuses after which the specification has the same request sent again. */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export interface OtlpOptions {
  target: OtlpTarget;
  self: { id: PeerId; name: string };
  host: string;
  version: string;
  clock: Pick<Clock, "now" | "alarm">;
  log: Log;
}

export class Otlp {
  readonly #options: OtlpOptions;
  readonly #resource: Readonly<Record<string, string>>;
  readonly #waiting: Span[] = [];
  readonly #known = new Set<RunId>();
  #isSending = false;
  #failures = 0;
  #failure: string | undefined;
  #sent = 0;
  #lost = 0;
  #cancelAlarm: (() => void) | undefined;
  #isClosed = false;

  constructor(options: OtlpOptions) {
    this.#options = options;
    const { target, self, host, version } = options;
    this.#resource = {
      "host.name": host,
      ...target.attributes,
      "service.name": target.serviceName,
      "service.version": version,
      "service.instance.id": self.id,
      "cicada.peer": self.name,
    };
  }

  /** Follows the runs. Returns a function that ends this, after one last try to send the waiting spans. */
  open(runs: Pick<Control, "subscribe">): () => Promise<void> {
    const unsubscribe = runs.subscribe((event) => {
      if (event.kind === "run") this.#moved(event.record);
    });
    return async () => {
      unsubscribe();
      this.#isClosed = true;
      this.#cancelAlarm?.();
      if (!this.#isSending && this.#waiting.length > 0) await this.#send(lastTryMs);
    };
  }

  warnings(): string[] {
    const { url } = this.#options.target;
    if (this.#failure === undefined) return [];
    return [`spans of runs can't be sent to ${new URL(url).host}: ${this.#failure}`];
  }

  counters(): Record<string, number> {
    return { otlp_sent: this.#sent, otlp_lost: this.#lost };
  }

  #moved(record: RunRecord): void {
    if (record.peer !== this.#options.self.id || !isFinal(record.state)) return;
    const run = runId(record);
    const span = this.#known.has(run) ? undefined : spanOf(record);
    if (span === undefined) return;
    this.#known.add(run);
    for (const oldest of this.#known) {
      if (this.#known.size <= knownMax) break;
      this.#known.delete(oldest);
    }
    if (this.#waiting.length >= waitingMax) this.#lost += 1;
    else this.#waiting.push(span);
    this.#sendSoon();
  }

  #sendSoon(): void {
    if (this.#isClosed || this.#isSending || this.#waiting.length === 0) return;
    const isFull = this.#waiting.length >= batchMax && this.#failures === 0;
    if (isFull) return void this.#send(this.#options.target.timeoutMs);
    if (this.#cancelAlarm !== undefined) return;
    const pauseMs =
      this.#failures === 0 ? batchEveryMs : Math.min(backoffMs * 2 ** (this.#failures - 1), longestBackoffMs);
    const { clock, target } = this.#options;
    this.#cancelAlarm = clock.alarm(clock.now().mono + pauseMs, () => void this.#send(target.timeoutMs));
  }

  async #send(limitMs: number): Promise<void> {
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    this.#isSending = true;
    const batch = this.#waiting.splice(0, batchMax);
    const outcome = await this.#post(batch, limitMs);
    this.#isSending = false;
    if (outcome.kind === "again") {
      this.#failed(outcome.why);
      this.#waiting.unshift(...batch);
    } else {
      this.#sent += batch.length - outcome.refused;
      this.#lost += outcome.refused;
      if (outcome.why === undefined) {
        this.#failures = 0;
        this.#failure = undefined;
      } else this.#failed(outcome.why);
    }
    this.#sendSoon();
  }

  /** The first failure is logged; while it lasts, it is a warning of the peer. */
  #failed(why: string): void {
    if (this.#failure === undefined) {
      this.#options.log.warn("spans can't be sent", { to: this.#options.target.url, why });
    }
    this.#failure = why;
    this.#failures += 1;
  }

  async #post(
    spans: readonly Span[],
    limitMs: number,
  ): Promise<{ kind: "again"; why: string } | { kind: "done"; refused: number; why: string | undefined }> {
    const { target, version } = this.#options;
    try {
      const response = await fetch(target.url, {
        method: "POST",
        headers: { ...target.headers, "content-type": "application/json" },
        body: JSON.stringify(traceRequest(this.#resource, version, spans)),
        signal: AbortSignal.timeout(limitMs),
        redirect: "manual",
      });
      const text = await readSome(response, readChars);
      if (response.ok) {
        const refused = Math.min(rejectedIn(text), spans.length);
        return {
          kind: "done",
          refused,
          why: refused === 0 ? undefined : "the collector refused some of them",
        };
      }
      const why = `it answered ${response.status}`;
      if (retryable.has(response.status)) return { kind: "again", why };
      return { kind: "done", refused: spans.length, why };
    } catch (error) {
      return { kind: "again", why: describeFetchFailure(error, limitMs) };
    }
  }
}

/** `partialSuccess.rejectedSpans` of the answer: a 64-bit number, so a text or a number. */
function rejectedIn(text: string): number {
  try {
    const answer = JSON.parse(text) as { partialSuccess?: { rejectedSpans?: unknown } } | null;
    const count = Number(answer?.partialSuccess?.rejectedSpans ?? 0);
    return Number.isFinite(count) && count > 0 ? count : 0;
  } catch {
    return 0;
  }
}
