/**
 * The real executor: hands runs to the launcher, a process of its own (launcher.ts), and reports what comes of them.
 *
 * When the launcher dies, its children are on their own: they are killed, reported as killed, and a new launcher is
 * started. Runs that were waiting in the old one and have no log never started, and are reported so.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { dirname, join } from "node:path";
import { getCompileCacheDir } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ChildOutcome, Executor, ExecutorEvents, Log, LogPiece, RunSpec } from "../ports.ts";
import type { RunId } from "../schema/ids.ts";
import { readLine, type FromLauncher, type ToLauncher } from "./executor/protocol.ts";
import { LogStore } from "./executor/logs.ts";

/** A launcher that dies at once is started again after this long, not in a tight loop. */
const relaunchMs = 500;
/** What the launcher itself needs of the peer's environment; jobs get theirs from core. */
const launcherVariables = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"] as const;

/** `folder`: where jobs run by default, and where their output is kept. */
export function openExecutor(options: { folder: { work: string; logs: string }; log: Log }): Executor {
  return new RealExecutor(options);
}

class RealExecutor implements Executor {
  private readonly work: string;
  private readonly pipes: string;
  private readonly logs: LogStore;
  private readonly log: Log;
  private events: ExecutorEvents | undefined;
  private launcher: ChildProcess | undefined;
  /** said while there is no launcher, for the next one */
  private unsaid: ToLauncher[] = [];
  /** handed to the launcher and not yet ended; the process id once it has started */
  private readonly runs = new Map<RunId, { pid: number | undefined }>();
  private readonly sweeps = new Map<
    number,
    { runs: readonly RunId[]; done: (started: ReadonlySet<RunId>) => void }
  >();
  private nextSweep = 1;
  private closing: (() => void)[] | undefined;
  private closed = false;

  constructor({ folder, log }: { folder: { work: string; logs: string }; log: Log }) {
    this.work = folder.work;
    this.pipes = join(folder.logs, "pipes");
    this.logs = new LogStore(folder.logs);
    this.log = log;
    this.launcher = this.startLauncher();
  }

  start(events: ExecutorEvents): void {
    this.events = events;
  }

  launch(spec: RunSpec): void {
    this.runs.set(spec.run, { pid: undefined });
    this.tell({ kind: "launch", spec, logFile: this.logs.fileOf(spec.run) });
  }

  stop(run: RunId): void {
    this.tell({ kind: "stop", run });
  }

  sweep(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void {
    const id = this.nextSweep++;
    this.sweeps.set(id, { runs, done });
    this.askSweep(id, runs);
  }

  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void {
    void this.carryOut(
      "a run's output can't be read",
      run,
      this.logs.read(run, offset, length, !this.runs.has(run)),
      done,
    );
  }

  packLog(run: RunId, done: (gzip: Uint8Array | undefined) => void): void {
    void this.carryOut("a run's output can't be packed", run, this.logs.pack(run), done);
  }

  keepLog(run: RunId, gzip: Uint8Array): void {
    void this.carryOut(
      "a copy of a run's output is not kept",
      run,
      this.logs.keep(run, gzip),
      () => undefined,
    );
  }

  dropLogs(runs: readonly RunId[]): void {
    for (const run of runs) {
      void this.carryOut("a run's output can't be removed", run, this.logs.drop(run), () => undefined);
    }
  }

  close(done: () => void): void {
    if (this.closed) return queueMicrotask(done);
    this.closing = [...(this.closing ?? []), done];
    this.tell({ kind: "close" });
  }

  private startLauncher(): ChildProcess {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = fileURLToPath(new URL(`./executor/launcher.${ending}`, import.meta.url));
    const env = Object.fromEntries(launcherVariables.map((name) => [name, process.env[name]]));
    // Node gives the folder of its own version within the one that it was told.
    const compiled = getCompileCacheDir();
    if (compiled !== undefined) env["NODE_COMPILE_CACHE"] = dirname(compiled);
    const launcher = spawn(process.execPath, [program, this.work, this.pipes], {
      // A session of its own: Ctrl-C on the peer's terminal must not end runs before the drain.
      detached: true,
      env,
      cwd: this.work,
      stdio: ["pipe", "pipe", "inherit"],
    });
    let ended = false;
    const gone = () => {
      if (!ended) this.launcherEnded();
      ended = true;
    };
    launcher.on("error", (error) => {
      this.log.error("the launcher can't be started", { reason: error.message });
      gone();
    });
    launcher.stdin.on("error", () => {
      // Its end is reported below.
    });
    const lines = createInterface({ input: launcher.stdout });
    lines.on("line", (line) => {
      const message = readLine<FromLauncher>(line);
      if (message !== undefined) this.heard(message);
    });
    // Not on its exit: what it has said before comes first.
    lines.on("close", gone);
    return launcher;
  }

  private heard(message: FromLauncher): void {
    switch (message.kind) {
      case "started":
        if (this.runs.has(message.run)) this.runs.set(message.run, { pid: message.pid });
        return this.events?.childStarted(message.run, message.at);
      case "ended":
        return this.ended(message.run, message.outcome, message.at);
      case "swept": {
        const sweep = this.sweeps.get(message.id);
        this.sweeps.delete(message.id);
        return sweep?.done(new Set(message.started));
      }
    }
  }

  private ended(run: RunId, outcome: ChildOutcome, at: number): void {
    if (this.runs.delete(run)) this.events?.childEnded(run, outcome, at);
  }

  private launcherEnded(): void {
    this.launcher = undefined;
    if (this.closing !== undefined && this.runs.size === 0) {
      this.closed = true;
      for (const done of this.closing) done();
      return;
    }
    this.log.error("the launcher has died; its runs are ended and a new one is started", {
      runs: this.runs.size,
    });
    const lost = [...this.runs];
    for (const [, { pid }] of lost) if (pid !== undefined) killGroup(pid);
    for (const [id, { runs }] of this.sweeps) this.askSweep(id, runs);
    this.sweep(
      lost.map(([run]) => run),
      (started) => this.reportLost(lost, started),
    );
    setTimeout(() => {
      this.launcher = this.startLauncher();
      for (const order of this.unsaid.splice(0)) this.tell(order);
    }, relaunchMs);
  }

  /** The new launcher has made sure that nothing of these runs is left. */
  private reportLost(
    lost: readonly [RunId, { pid: number | undefined }][],
    started: ReadonlySet<RunId>,
  ): void {
    for (const [run, { pid }] of lost) {
      if (pid === undefined && !started.has(run)) {
        const reason = "the launcher died before it came to this run";
        this.ended(run, { kind: "not-started", why: "error", reason }, Date.now());
        continue;
      }
      void this.carryOut("a run's output can't be read", run, this.logs.sizeOf(run), (logBytes = 0) => {
        this.ended(run, { kind: "signalled", signal: "SIGKILL", logBytes, logTruncated: false }, Date.now());
      });
    }
    if (this.closing !== undefined) this.tell({ kind: "close" });
  }

  private askSweep(id: number, runs: readonly RunId[]): void {
    this.tell({ kind: "sweep", id, runs: runs.map((run) => ({ run, logFile: this.logs.fileOf(run) })) });
  }

  private tell(order: ToLauncher): void {
    if (this.launcher === undefined) this.unsaid.push(order);
    else this.launcher.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** Carries a promise's value out through a callback; a failure is logged and answered with nothing. */
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
    // Outside of the promise, so that what the callback throws is not taken for a failed read.
    setImmediate(() => done(value));
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
