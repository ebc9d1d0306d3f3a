/**
 * One thread of the disk (writer.ts or reader.ts), seen from the peer's thread.
 *
 * Requests are collected while the thread works on the last batch, and then sent together: a thousand waiting stores
 * share one fsync. Answers come in the order of the requests, and never within the call. When the thread ends, or
 * doesn't answer for too long, all unanswered requests fail.
 */
import type { ResourceLimits, Worker } from "node:worker_threads";
import { CicadaError } from "../../errors.ts";
import { startWorker } from "../worker.ts";
import type { DiskResult, FromDiskThread, ToDiskThread } from "./protocol.ts";

export interface ThreadOptions {
  name: "writer" | "reader";
  program: URL;
  folder: string;
  /** the most requests that are sent together */
  batchMax: number;
  /** if a batch is not answered within this time, the thread has failed */
  silentMs: number;
  limits: ResourceLimits;
}

export interface ThreadEvents {
  opened(): void;
  /** Called once when the thread has ended; without an error if it was closed. */
  ended(error?: CicadaError): void;
}

const checkEveryMs = 1_000;

interface Waiting<Request> {
  request: Request;
  done: (result: DiskResult) => void;
}

export class DiskThread<Request> {
  /** undefined = it could not be started, which is reported like the end of a thread */
  private readonly worker: Worker | undefined;
  private readonly batchMax: number;
  private readonly silentMs: number;
  /** runs while a batch is under way */
  private watch: NodeJS.Timeout | undefined;
  private readonly events: ThreadEvents;
  private opened = false;
  /** not yet sent */
  private queue: Waiting<Request>[] = [];
  /** sent, not yet answered */
  private sent: Waiting<Request>[] = [];
  private sending = false;
  private closing = false;
  private ended = false;
  /** the error for unanswered requests */
  private error: CicadaError;

  constructor({ name, program, folder, batchMax, silentMs, limits }: ThreadOptions, events: ThreadEvents) {
    this.batchMax = batchMax;
    this.silentMs = silentMs;
    this.events = events;
    this.error = new CicadaError("DISK_FAILED", `${folder}: the disk's ${name} has ended`);
    const worker = startWorker(program, {
      workerData: folder,
      resourceLimits: limits,
      // The thread gets none of the flags that the program was started with.
      execArgv: [],
    });
    const fail = (why: string): void => {
      this.error = new CicadaError("DISK_FAILED", `${folder}: the disk's ${name} has failed: ${why}`);
    };
    if (typeof worker === "string") {
      fail(worker);
      queueMicrotask(() => this.exited());
      return;
    }
    this.worker = worker;
    worker.on("message", (message: FromDiskThread) => this.received(message));
    worker.on("error", ({ message }) => fail(message));
    worker.on("exit", () => this.exited());
  }

  ask(request: Request, done: (result: DiskResult) => void): void {
    if (this.ended || this.closing) return queueMicrotask(() => done(failureOf(this.error)));
    this.queue.push({ request, done });
    this.sendSoon();
  }

  /** Some requests have not been answered yet. */
  get isBusy(): boolean {
    return this.sent.length > 0 || this.queue.length > 0;
  }

  /** Ends the thread when all earlier requests have been answered. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    this.sendSoon();
  }

  private received(message: FromDiskThread): void {
    switch (message.kind) {
      case "opened":
        this.opened = true;
        this.events.opened();
        return this.send();
      case "refused":
        this.error = new CicadaError(message.code, message.detail);
        return void this.worker?.terminate();
      case "results":
        return this.answered(message.results);
    }
  }

  /** Calls of the same turn are sent together. */
  private sendSoon(): void {
    if (this.sending || !this.opened) return;
    this.sending = true;
    queueMicrotask(() => this.send());
  }

  private send(): void {
    this.sending = false;
    if (this.sent.length > 0 || this.ended) return;
    if (this.queue.length === 0) {
      if (this.closing) this.post({ kind: "close" });
      return;
    }
    this.sent = this.queue.splice(0, this.batchMax);
    this.post({ kind: "batch", requests: this.sent.map(({ request }) => request) });
    this.watchBatch();
  }

  private answered(results: readonly DiskResult[]): void {
    const asked = this.sent;
    this.sent = [];
    clearInterval(this.watch);
    // The next batch is sent before the callers of this one get their answers.
    this.send();
    for (const [index, { done }] of asked.entries()) {
      const result = results[index];
      if (result !== undefined) done(result);
    }
  }

  /** Time is counted in checks, so that a pause of this process counts as a single check. */
  private watchBatch(): void {
    let checks = 0;
    this.watch = setInterval(() => {
      checks += 1;
      if (checks * checkEveryMs < this.silentMs) return;
      const detail = `${this.error.detail}: it does not answer`;
      this.error = new CicadaError("DISK_FAILED", detail);
      void this.worker?.terminate();
      this.exited();
    }, checkEveryMs);
  }

  private exited(): void {
    if (this.ended) return;
    clearInterval(this.watch);
    this.ended = true;
    const left = [...this.sent, ...this.queue];
    this.sent = [];
    this.queue = [];
    const isClosed = this.closing && left.length === 0;
    this.events.ended(isClosed ? undefined : this.error);
    for (const { done } of left) done(failureOf(this.error));
  }

  private post(message: ToDiskThread<Request>): void {
    this.worker?.postMessage(message);
  }
}

function failureOf({ code, detail }: CicadaError): DiskResult {
  return { kind: "failed", code, detail };
}
