/**
 * The real Executor door: passes each run to the executor for its action's kind, and keeps the outputs of all kinds.
 *
 * There is one kind so far: processes (executor/processes.ts). A further one implements `KindExecutor`, writes its
 * output where `Outputs.fileOf` says, and gets its line in `executorOf`.
 */
import { join } from "node:path";
import { never } from "../errors.ts";
import type { Executor, ExecutorEvents, Log, LogPiece, RunAction, RunSpec } from "../ports.ts";
import type { RunId } from "../schema/ids.ts";
import { LogCopies } from "./executor/copies.ts";
import { folderBytes, Outputs } from "./executor/output-files.ts";
import { ProcessExecutor, type RunEvents } from "./executor/processes.ts";

/** `folder`: where jobs run by default, and where their output is kept. */
export function openExecutor(options: { folder: { work: string; logs: string }; log: Log }): Executor {
  return new RealExecutor(options);
}

class RealExecutor implements Executor {
  private readonly outputs: Outputs;
  private readonly copies: LogCopies;
  private readonly folder: string;
  /** outputs that are being removed */
  private readonly dropping = new Set<Promise<unknown>>();
  private readonly log: Log;
  private readonly processes: ProcessExecutor;
  private events: ExecutorEvents | undefined;
  /** launched and not yet ended */
  private readonly runs = new Map<RunId, RunAction["kind"]>();

  constructor({ folder, log }: { folder: { work: string; logs: string }; log: Log }) {
    this.outputs = new Outputs(folder.logs);
    this.copies = new LogCopies(join(folder.logs, "copies"));
    this.folder = folder.logs;
    this.log = log;
    const events: RunEvents = {
      started: (run, at) => this.events?.childStarted(run, at),
      stuck: (run, reason) => this.events?.childStuck(run, reason),
      ended: (run, outcome, at) => {
        this.runs.delete(run);
        this.events?.childEnded(run, outcome, at);
      },
    };
    const pipes = join(folder.logs, "pipes");
    this.processes = new ProcessExecutor({ work: folder.work, pipes, outputs: this.outputs, log, events });
  }

  start(events: ExecutorEvents): void {
    this.events = events;
  }

  launch(spec: RunSpec): void {
    this.runs.set(spec.run, spec.action.kind);
    this.executorOf(spec.action.kind).launch(spec);
  }

  stop(run: RunId): void {
    const kind = this.runs.get(run);
    if (kind !== undefined) this.executorOf(kind).stop(run);
  }

  /** Only processes can outlive the peer. */
  sweep(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void {
    this.processes.sweep(runs, done);
  }

  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void {
    void this.passOn("a run's output can't be read", run, this.read(run, offset, length), done);
  }

  packLog(run: RunId, capBytes: number, done: (gzip: Uint8Array | "too-large" | undefined) => void): void {
    void this.passOn("a run's output can't be packed", run, this.outputs.pack(run, capBytes), done);
  }

  keepLog(run: RunId, gzip: Uint8Array): void {
    const keeping = this.copies.keep(run, gzip);
    void this.passOn("a copy of a run's output can't be kept", run, keeping, () => undefined);
  }

  logBytes(done: (bytes: number) => void): void {
    void this.measure(done);
  }

  dropLogs(runs: readonly RunId[]): void {
    for (const run of runs) {
      const dropping = Promise.all([this.outputs.drop(run), this.copies.drop(run)]);
      this.dropping.add(dropping);
      void dropping.finally(() => this.dropping.delete(dropping)).catch(() => undefined);
      void this.passOn("a run's output can't be removed", run, dropping, () => undefined);
    }
  }

  close(done: () => void): void {
    this.processes.close(done);
  }

  private async measure(done: (bytes: number) => void): Promise<void> {
    // Outputs that are being removed don't count any more.
    await Promise.allSettled(this.dropping);
    let bytes = 0;
    try {
      bytes = await folderBytes(this.folder);
    } catch (error) {
      this.log.warn("the outputs can't be measured", { why: String(error) });
    }
    done(bytes);
  }

  /** Reads the output of an own run, or the copy of another peer's. */
  private async read(run: RunId, offset: number, length: number): Promise<LogPiece | undefined> {
    const complete = !this.runs.has(run);
    const own = await this.outputs.read(run, offset, length);
    return own === undefined ? this.copies.read(run, offset, length) : { ...own, offset, complete };
  }

  private executorOf(kind: RunAction["kind"]): KindExecutor {
    switch (kind) {
      case "process":
        return this.processes;
      default:
        return never(kind);
    }
  }

  /** Passes a promise's value to a callback. A failure is logged and answered with undefined. */
  private async passOn<Value>(
    failure: string,
    run: RunId,
    promise: Promise<Value | undefined>,
    done: (value: Value | undefined) => void,
  ): Promise<void> {
    let value: Value | undefined;
    try {
      value = await promise;
    } catch (error) {
      this.log.warn(failure, { run, reason: String(error) });
    }
    // Called outside the promise, so that an exception of the callback is not taken for a failed read.
    setImmediate(() => done(value));
  }
}

/** What the door needs of the executor of one kind. */
interface KindExecutor {
  launch(spec: RunSpec): void;
  stop(run: RunId): void;
}
