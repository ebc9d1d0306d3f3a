/**
 * The real Executor door: hands each run to the executor of its action's kind, and keeps the outputs of all kinds.
 *
 * There is one kind so far, processes (executor/processes.ts). A further one implements `KindExecutor`, writes its
 * output where `LogStore.fileOf` says, and gets its line in `executorOf`.
 */
import { join } from "node:path";
import { never } from "../errors.ts";
import type { Executor, ExecutorEvents, Log, LogPiece, RunAction, RunSpec } from "../ports.ts";
import type { RunId } from "../schema/ids.ts";
import { LogStore } from "./executor/logs.ts";
import { ProcessExecutor, type RunEvents } from "./executor/processes.ts";

/** `folder`: where jobs run by default, and where their output is kept. */
export function openExecutor(options: { folder: { work: string; logs: string }; log: Log }): Executor {
  return new RealExecutor(options);
}

class RealExecutor implements Executor {
  private readonly logs: LogStore;
  private readonly log: Log;
  private readonly processes: ProcessExecutor;
  private events: ExecutorEvents | undefined;
  /** handed over and not yet ended */
  private readonly runs = new Map<RunId, RunAction["kind"]>();

  constructor({ folder, log }: { folder: { work: string; logs: string }; log: Log }) {
    this.logs = new LogStore(folder.logs);
    this.log = log;
    const events: RunEvents = {
      started: (run, at) => this.events?.childStarted(run, at),
      ended: (run, outcome, at) => {
        this.runs.delete(run);
        this.events?.childEnded(run, outcome, at);
      },
    };
    const pipes = join(folder.logs, "pipes");
    this.processes = new ProcessExecutor({ work: folder.work, pipes, logs: this.logs, log, events });
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
    const reading = this.logs.read(run, offset, length, !this.runs.has(run));
    void this.carryOut("a run's output can't be read", run, reading, done);
  }

  packLog(run: RunId, done: (gzip: Uint8Array | undefined) => void): void {
    void this.carryOut("a run's output can't be packed", run, this.logs.pack(run), done);
  }

  keepLog(run: RunId, gzip: Uint8Array): void {
    const keeping = this.logs.keep(run, gzip);
    void this.carryOut("a copy of a run's output can't be kept", run, keeping, () => undefined);
  }

  dropLogs(runs: readonly RunId[]): void {
    for (const run of runs) {
      void this.carryOut("a run's output can't be removed", run, this.logs.drop(run), () => undefined);
    }
  }

  close(done: () => void): void {
    this.processes.close(done);
  }

  private executorOf(kind: RunAction["kind"]): KindExecutor {
    switch (kind) {
      case "process":
        return this.processes;
      default:
        return never(kind);
    }
  }

  /** Hands a promise's value to a callback. A failure is logged and answered with nothing. */
  private async carryOut<Value>(
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
    // Called outside the promise, so that what the callback throws is not taken for a failed read.
    setImmediate(() => done(value));
  }
}

/** What the door needs of the executor of one kind. */
interface KindExecutor {
  launch(spec: RunSpec): void;
  stop(run: RunId): void;
}
