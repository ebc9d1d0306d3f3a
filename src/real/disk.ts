/**
 * The real disk: one SQLite database in the data folder, kept by a thread of its own.
 *
 * Requests gather while the thread is busy with the last batch and go over together, so a thousand stores that
 * wait share one fsync. `done` comes in the order of the calls, after that fsync, and never within the call.
 */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { CicadaError } from "../errors.ts";
import type { Disk, Loaded, Log, RunQuery, Write } from "../ports.ts";
import type { JobId, RunId } from "../schema/ids.ts";
import type { RequestedOrder, RunRecord } from "../schema/run.ts";
import type { DiskRequest, DiskResult, FromDiskThread, TextWrite, ToDiskThread } from "./disk/protocol.ts";
import { parseOrder, parseRecord, parseVote } from "./disk/rows.ts";

/** Opens `folder/cicada.db`. Rejects with a CicadaError that names the file when it can't be used. */
export function openDisk(options: { folder: string; log: Log }): Promise<Disk> {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./disk/worker.${ending}`, import.meta.url), {
    workerData: options.folder,
    // None of the flags that the program itself was started with.
    execArgv: [],
  });
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(new CicadaError("DISK_FAILED", `${options.folder}: the disk's thread can't start`));
    worker.once("error", reject);
    worker.once("exit", failed);
    worker.once("message", (first: FromDiskThread) => {
      worker.off("error", reject);
      worker.off("exit", failed);
      if (first.kind === "opened") return resolve(new RealDisk(worker, options));
      void worker.terminate();
      if (first.kind === "refused") reject(new CicadaError(first.code, first.detail));
    });
  });
}

interface Waiting {
  request: DiskRequest;
  done: (result: DiskResult) => void;
}

class RealDisk implements Disk {
  private readonly worker: Worker;
  private readonly path: string;
  private readonly log: Log;
  /** not yet sent */
  private queue: Waiting[] = [];
  /** sent, not yet answered */
  private sent: Waiting[] = [];
  private flushing = false;
  private ended = false;
  private closing: (() => void)[] | undefined;

  constructor(worker: Worker, options: { folder: string; log: Log }) {
    this.worker = worker;
    this.path = join(options.folder, "cicada.db");
    this.log = options.log;
    worker.on("message", (message: FromDiskThread) => {
      if (message.kind === "results") this.answered(message.results);
    });
    worker.on("error", (error) => this.log.error("the disk's thread failed", { error: error.message }));
    worker.on("exit", () => this.exited());
  }

  load(since: number, done: (loaded: Loaded | CicadaError) => void): void {
    this.ask({ kind: "load", since }, (result) => done(this.read(result, "loaded", readLoaded)));
  }

  store(writes: readonly Write[], done: (error?: CicadaError) => void): void {
    this.ask({ kind: "store", writes: writes.map(asText) }, (result) => {
      if (result.kind === "failed") done(new CicadaError(result.code, result.detail));
      else done();
    });
  }

  history(
    query: RunQuery,
    done: (page: { records: RunRecord[]; next: string | null; total: number } | CicadaError) => void,
  ): void {
    this.ask({ kind: "history", query }, (result) => {
      const read = this.read(result, "page", ({ records, next, total }) => ({
        records: records.map(parseRecord),
        next,
        total,
      }));
      done(read);
    });
  }

  digests(from: number, to: number, done: (digests: [bucket: number, digest: string][]) => void): void {
    this.ask({ kind: "digests", from, to }, (result) => {
      done(this.readOr(result, "digests", ({ digests }) => digests, []));
    });
  }

  bucket(bucket: number, done: (found: { records: RunRecord[]; orders: RequestedOrder[] }) => void): void {
    this.ask({ kind: "bucket", bucket }, (result) => {
      const found = this.readOr(
        result,
        "bucket",
        ({ records, orders }) => ({ records: records.map(parseRecord), orders: orders.map(parseOrder) }),
        { records: [], orders: [] },
      );
      done(found);
    });
  }

  prune(
    keep: { job: JobId; runs: number; ageMs: number },
    notAfter: number,
    done: (removed: RunId[]) => void,
  ): void {
    const { job, runs, ageMs } = keep;
    this.ask({ kind: "prune", job, runs, ageMs, notAfter }, (result) => {
      done(this.readOr(result, "pruned", (pruned) => pruned.runs, []));
    });
  }

  close(done: () => void): void {
    if (this.ended) return queueMicrotask(done);
    this.closing = [...(this.closing ?? []), done];
    this.closeWhenIdle();
  }

  private ask(request: DiskRequest, done: (result: DiskResult) => void): void {
    if (this.closing !== undefined || this.ended) {
      const detail = `${this.path} has been closed`;
      return queueMicrotask(() => done({ kind: "failed", code: "DISK_FAILED", detail }));
    }
    this.queue.push({ request, done });
    if (this.flushing || this.sent.length > 0) return;
    // Calls of the same turn go over together.
    this.flushing = true;
    queueMicrotask(() => this.flush());
  }

  private flush(): void {
    this.flushing = false;
    if (this.queue.length === 0) return this.closeWhenIdle();
    this.sent = this.queue;
    this.queue = [];
    this.tell({ kind: "batch", requests: this.sent.map(({ request }) => request) });
  }

  private answered(results: readonly DiskResult[]): void {
    const asked = this.sent;
    this.sent = [];
    // The next batch is under way while this one's callers are told.
    this.flush();
    for (const [index, { done }] of asked.entries()) {
      const result = results[index];
      if (result !== undefined) done(result);
    }
  }

  private closeWhenIdle(): void {
    const idle = this.queue.length === 0 && this.sent.length === 0;
    if (this.closing !== undefined && idle && !this.ended) this.tell({ kind: "close" });
  }

  private exited(): void {
    this.ended = true;
    const left = [...this.sent, ...this.queue];
    this.sent = [];
    this.queue = [];
    const detail = `${this.path}: the disk's thread has ended`;
    for (const { done } of left) done({ kind: "failed", code: "DISK_FAILED", detail });
    for (const done of this.closing ?? []) done();
  }

  private tell(message: ToDiskThread): void {
    this.worker.postMessage(message);
  }

  /** What the thread answered, made into things; or the error that it reported or that reading them brings up. */
  private read<Kind extends DiskResult["kind"], Value>(
    result: DiskResult,
    kind: Kind,
    make: (result: Extract<DiskResult, { kind: Kind }>) => Value,
  ): Value | CicadaError {
    if (result.kind === "failed") return new CicadaError(result.code, result.detail);
    try {
      return make(expect(result, kind));
    } catch (error) {
      if (error instanceof CicadaError) return error;
      throw error;
    }
  }

  /** For reads whose caller can do without: the failure is logged, and `without` is the answer. */
  private readOr<Kind extends DiskResult["kind"], Value>(
    result: DiskResult,
    kind: Kind,
    make: (result: Extract<DiskResult, { kind: Kind }>) => Value,
    without: Value,
  ): Value {
    const value = this.read(result, kind, make);
    if (!(value instanceof CicadaError)) return value;
    this.log.error("the database can't be read", { code: value.code, detail: value.detail });
    return without;
  }
}

function expect<Kind extends DiskResult["kind"]>(
  result: DiskResult,
  kind: Kind,
): Extract<DiskResult, { kind: Kind }> {
  if (!isKind(result, kind))
    throw new Error(`assertion failed: the disk's thread answered ${result.kind}, not ${kind}`);
  return result;
}

function isKind<Kind extends DiskResult["kind"]>(
  result: DiskResult,
  kind: Kind,
): result is Extract<DiskResult, { kind: Kind }> {
  return result.kind === kind;
}

function readLoaded(loaded: Extract<DiskResult, { kind: "loaded" }>): Loaded {
  return {
    updates: loaded.updates,
    records: loaded.records.map(parseRecord),
    orders: loaded.orders.map(parseOrder),
    votes: loaded.votes.map(parseVote),
    meta: new Map(loaded.meta),
  };
}

function asText(write: Write): TextWrite {
  switch (write.kind) {
    case "record":
      return { kind: "record", text: JSON.stringify(write.record) };
    case "order":
      return { kind: "order", text: JSON.stringify(write.order) };
    case "update":
    case "snapshot":
      // Copied, so that a view does not take the whole buffer that it looks at along to the other thread.
      return { kind: write.kind, update: Uint8Array.from(write.update) };
    case "vote":
      return {
        kind: "vote",
        decision: write.vote.decision,
        instant: write.vote.instant,
        text: JSON.stringify(write.vote),
      };
    case "meta":
    case "drop-votes":
      return write;
  }
}
