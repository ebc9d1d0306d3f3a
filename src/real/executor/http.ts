/**
 * The executor of requests: sends each run's request once, and reports how it was answered. It runs in the peer's own
 * process, because a request only waits. The client (undici) is loaded when the first request is sent.
 */
import type { HttpSpec } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";
import type { SecretValues } from "../secrets.ts";
import { HttpRun } from "./http-run.ts";
import type { Masker } from "./masker.ts";
import type { OutputFiles } from "./output-files.ts";
import type { RunEvents } from "./processes.ts";

interface Parts {
  outputs: OutputFiles;
  events: RunEvents;
}

export class HttpExecutor {
  private readonly parts: Parts;
  private readonly runs = new Map<RunId, HttpRun>();
  private closing: (() => void)[] | undefined;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  launch(spec: HttpSpec, secrets: SecretValues, masker: Masker | undefined): void {
    const { run } = spec;
    const { outputs, events } = this.parts;
    const request = new HttpRun(
      { spec, secrets, masker, logFile: outputs.fileOf(run) },
      {
        started: () => events.started(run, Date.now()),
        ended: (outcome, output) => {
          this.runs.delete(run);
          events.ended(run, outcome, Date.now(), output);
          this.closeWhenQuiet();
        },
      },
    );
    this.runs.set(run, request);
    if (this.closing !== undefined) request.stop();
    setImmediate(() => request.begin());
  }

  stop(run: RunId): void {
    this.runs.get(run)?.stop();
  }

  /** Breaks off every request. */
  close(done: () => void): void {
    this.closing = [...(this.closing ?? []), done];
    for (const request of this.runs.values()) request.stop();
    setImmediate(() => this.closeWhenQuiet());
  }

  private closeWhenQuiet(): void {
    if (this.closing === undefined || this.runs.size > 0) return;
    for (const done of this.closing.splice(0)) done();
  }
}
