/**
 * The Executor door: children that last for a drawn time, end in a drawn way, and write down the truth when they start
 * and end.
 *
 * As with the real launcher, a child's start takes a moment, `notAfter` is checked just before it, and the launcher
 * outlives the peer's process just long enough to end its children. It doesn't stop while the peer is paused.
 */
import { CicadaError, never } from "../errors.ts";
import type { ChildOutcome, Executor, ExecutorEvents, LogPiece, RunSpec } from "../ports.ts";
import { smallOutputBytes, type Disk } from "../ports/disk.ts";
import { parseRunReference, type PeerId, type RunId } from "../schema/ids.ts";
import type { HostClock } from "./clock.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";
import type { Dice } from "./random.ts";
import type { Run } from "./world/truth.ts";

export interface ChildSettings {
  spawnMs: { least: number; most: number };
  /** how long a child of this run lasts, ms, whether it fails, and how many bytes it prints at least; default: a line */
  behaviour(
    spec: RunSpec,
    dice: Dice,
  ): {
    lastsMs: number;
    exitCode: number;
    printsBytes?: number;
    /** what it writes to $CICADA_OUTPUT */
    writes?: string;
  };
}

/** What a host keeps of its children: the files of their outputs, and which of them still run. */
export class Children {
  readonly logs = new Map<RunId, Uint8Array>();
  /** runs whose file is still where the outputs of running children are */
  readonly unmoved = new Set<RunId>();
  readonly alive = new Map<RunId, Child>();
  /** the host has no room for another process */
  isStarved = false;

  copyFiles(): Pick<Children, "logs" | "unmoved"> {
    return { logs: new Map(this.logs), unmoved: new Set(this.unmoved) };
  }

  /** The files are what they were when they were copied. */
  restoreFiles({ logs, unmoved }: Pick<Children, "logs" | "unmoved">): void {
    this.logs.clear();
    this.unmoved.clear();
    for (const [run, log] of logs) this.logs.set(run, log);
    for (const run of unmoved) this.unmoved.add(run);
  }
}

interface Child {
  run: Run;
  /** ends the child and reports this outcome */
  end(outcome: ChildOutcome): void;
}

export class SimExecutor implements Executor {
  private readonly peer: PeerId;
  private readonly queue: Queue;
  private readonly host: HostClock;
  private readonly process: Process;
  private readonly disk: Pick<Disk, "store" | "output">;
  private readonly children: Children;
  private readonly settings: ChildSettings;
  private readonly dice: Dice;
  private readonly life: number;
  private readonly record: (run: Run) => void;
  private readonly ended: (run: Run) => void;
  /** the true time now, ms since the epoch */
  private readonly trueTime: () => number;
  private events: ExecutorEvents | undefined;
  /** runs whose precheck has passed, and whose job has not been started */
  private readonly checked = new Map<RunId, Run>();
  /** the launcher takes no more runs */
  private closed = false;
  private onQuiet: (() => void) | undefined;

  constructor(parts: {
    peer: PeerId;
    queue: Queue;
    host: HostClock;
    process: Process;
    disk: Pick<Disk, "store" | "output">;
    children: Children;
    settings: ChildSettings;
    dice: Dice;
    life: number;
    record: (run: Run) => void;
    ended: (run: Run) => void;
    trueTime: () => number;
  }) {
    this.peer = parts.peer;
    this.queue = parts.queue;
    this.host = parts.host;
    this.process = parts.process;
    this.disk = parts.disk;
    this.children = parts.children;
    this.settings = parts.settings;
    this.dice = parts.dice;
    this.life = parts.life;
    this.record = parts.record;
    this.ended = parts.ended;
    this.trueTime = parts.trueTime;
  }

  start(events: ExecutorEvents): void {
    this.events = events;
  }

  launch(spec: RunSpec): void {
    const { kind } = spec.action;
    switch (kind) {
      case "process":
      case "http": {
        const { least, most } = this.settings.spawnMs;
        this.queue.after(this.dice.between(least, most), undefined, () => this.spawn(spec));
        return;
      }
      default:
        return never(kind);
    }
  }

  stop(run: RunId): void {
    const child = this.children.alive.get(run);
    if (child === undefined) return;
    this.queue.after(this.dice.between(1, 200), undefined, () =>
      child.end({ kind: "cancelled", logBytes: outputBytes(this.children, run), logTruncated: false }),
    );
  }

  findStarted(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void {
    const started = new Set(runs.filter((run) => this.children.logs.has(run)));
    const unsure = runs.filter((run) => !started.has(run));
    // The disk answers before the children are gone.
    let stored: ReadonlySet<RunId> = new Set();
    this.whichAreStored(unsure, true, (found) => (stored = found));
    this.queue.after(this.dice.between(1, 20), this.process, () => done(started.union(stored)));
    this.moveLeftOver();
  }

  sweep(runs: readonly RunId[]): void {
    for (const run of runs) this.children.alive.get(run)?.end(killed(this.children, run));
  }

  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void {
    const complete = !this.children.alive.has(run);
    this.find(run, (log) => {
      const bytes = log?.slice(offset, offset + length);
      done(log && bytes && { bytes, offset, size: log.length, complete });
    });
  }

  /** Doesn't compress, because `readLog` reads the copy as it is. */
  packLog(run: RunId, capBytes: number, done: (gzip: Uint8Array | "too-large" | undefined) => void): void {
    this.find(run, (log) => done(log !== undefined && log.length > capBytes ? "too-large" : log));
  }

  keepLog(run: RunId, gzip: Uint8Array): void {
    if (gzip.length > smallOutputBytes) this.children.logs.set(run, gzip);
    else this.disk.store([{ kind: "output", run, bytes: gzip }], () => undefined);
  }

  dropLogs(runs: readonly RunId[]): void {
    for (const run of runs) this.children.logs.delete(run);
  }

  logBytes(done: (bytes: number) => void): void {
    let bytes = 0;
    for (const log of this.children.logs.values()) bytes += log.length;
    this.queue.after(1, this.process, () => done(bytes));
  }

  freeLogs(bytes: number, done: (freed: number) => void): void {
    let freed = 0;
    for (const [run, log] of this.children.logs) {
      if (freed >= bytes) break;
      if (this.children.alive.has(run)) continue;
      this.children.logs.delete(run);
      freed += log.length;
    }
    this.queue.after(1, this.process, () => done(freed));
  }

  close(done: () => void): void {
    this.closed = true;
    for (const run of this.children.alive.keys()) this.stop(run);
    this.onQuiet = () => this.queue.after(1, this.process, done);
    this.whenQuiet();
  }

  /**
   * Called when the peer's process is gone: the launcher notices it and ends its children; on a dark host they end at
   * once.
   */
  orphaned(hostToo: boolean): void {
    const noticesMs = hostToo ? 0 : this.dice.between(1, 60);
    this.queue.after(noticesMs, undefined, () => {
      this.closed = true;
      for (const [run, child] of this.children.alive) {
        if (child.run.life !== this.life) continue;
        const endsMs = hostToo ? 0 : this.dice.between(1, 300);
        this.queue.after(endsMs, undefined, () => child.end(killed(this.children, run)));
      }
    });
  }

  private spawn(spec: RunSpec): void {
    if (this.closed) return;
    if (this.host.wall() > spec.notAfter) {
      this.report(spec.run, { kind: "not-started", why: "late", reason: "after notAfter" });
      return;
    }
    if (this.children.isStarved) {
      this.report(spec.run, { kind: "not-started", why: "host", reason: "no room for another process" });
      return;
    }
    const { lastsMs, exitCode, printsBytes, writes } = this.settings.behaviour(spec, this.dice);
    const breaksPattern = spec.patterns !== undefined && this.dice.chance(0.3);
    const checked = this.checked.get(spec.run);
    this.checked.delete(spec.run);
    if (checked !== undefined) {
      checked.end = undefined;
      delete checked.outcome;
    }
    const run: Run = checked ?? {
      job: spec.job,
      tick: spec.tick,
      attempt: parseRunReference(spec.run)?.attempt ?? 1,
      slot: parseRunReference(spec.run)?.slot ?? "0",
      peer: this.peer,
      life: this.life,
      start: this.trueTime(),
      end: undefined,
      ...(spec.parents === undefined ? {} : { parentsJson: spec.parents }),
    };
    // A precheck is a process, whatever follows it.
    if (spec.action.kind === "http") run.asks = true;
    if (checked === undefined) this.record(run);
    this.children.logs.set(spec.run, printedBy(spec.run, printsBytes));
    this.children.unmoved.add(spec.run);
    this.children.alive.set(spec.run, { run, end: (outcome) => this.end(spec.run, run, outcome) });
    const at = this.host.wall();
    this.queue.after(0, this.process, () => this.events?.childStarted(spec.run, at));
    if (spec.isPrecheck === true) return this.precheck(spec.run, run);
    const timedOut = spec.timeoutMs > 0 && lastsMs > spec.timeoutMs;
    this.queue.after(timedOut ? spec.timeoutMs : lastsMs, undefined, () => {
      const logBytes = outputBytes(this.children, spec.run);
      if (timedOut) this.end(spec.run, run, { kind: "timeout", logBytes, logTruncated: false });
      else this.end(spec.run, run, withWritten(ownEnd(spec, exitCode, breaksPattern, logBytes), writes));
    });
  }

  /** A precheck is short. If it passes, the run goes on with the job itself, unless the peer decides otherwise. */
  private precheck(id: RunId, run: Run): void {
    const exitCode = this.dice.chance(0.2) ? 1 : 0;
    this.queue.after(this.dice.between(5, 500), undefined, () => {
      if (run.end !== undefined) return;
      const logBytes = outputBytes(this.children, id);
      this.end(id, run, { kind: "exited", exitCode, logBytes, logTruncated: false });
      run.outcome = exitCode === 0 ? "checked" : "skipped";
      if (exitCode === 0) this.checked.set(id, run);
    });
  }

  private end(id: RunId, run: Run, outcome: ChildOutcome): void {
    if (run.end !== undefined) return;
    run.end = this.trueTime();
    run.outcome = outcomeOf(outcome);
    this.ended(run);
    this.children.alive.delete(id);
    this.report(id, outcome);
    this.whenQuiet();
  }

  private report(run: RunId, outcome: ChildOutcome): void {
    const at = this.host.wall();
    this.queue.after(0, this.process, () => {
      if (outcome.kind !== "not-started") this.moveOutput(run);
      this.events?.childEnded(run, outcome, at);
    });
  }

  /** Moves the output of a run that has ended: a small one into the database, a large one to the files that stay. */
  private moveOutput(run: RunId): void {
    const { logs, unmoved } = this.children;
    const bytes = logs.get(run);
    if (bytes === undefined || bytes.length > smallOutputBytes) return void unmoved.delete(run);
    this.disk.store([{ kind: "output", run, bytes }], (error) => {
      unmoved.delete(run);
      if (error === undefined) logs.delete(run);
    });
  }

  /** Moves the files that an earlier life left when it was killed: removes those that the database has, keeps the rest. */
  private moveLeftOver(): void {
    const { logs, unmoved, alive } = this.children;
    const left = [...unmoved].filter((run) => !alive.has(run));
    this.whichAreStored(left, false, (stored) => {
      for (const run of left) unmoved.delete(run);
      for (const run of stored) logs.delete(run);
    });
  }

  /** Finds the runs whose output the database has. If it can't be read, it counts as having them if `ifUnreadable`. */
  private whichAreStored(
    runs: readonly RunId[],
    ifUnreadable: boolean,
    done: (stored: ReadonlySet<RunId>) => void,
  ): void {
    const stored = new Set<RunId>();
    let waiting = runs.length;
    if (waiting === 0) return done(stored);
    for (const run of runs) {
      this.disk.output(run, (output) => {
        if (output instanceof CicadaError ? ifUnreadable : output !== undefined) stored.add(run);
        if (--waiting === 0) done(stored);
      });
    }
  }

  /** The output from its file, or else from the database. */
  private find(run: RunId, done: (log: Uint8Array | undefined) => void): void {
    const log = this.children.logs.get(run);
    this.queue.after(this.dice.between(0.1, 2), this.process, () => {
      if (log !== undefined) return done(log);
      this.disk.output(run, (output) => done(output instanceof Uint8Array ? output : undefined));
    });
  }

  private whenQuiet(): void {
    if (this.children.alive.size > 0) return;
    this.onQuiet?.();
    this.onQuiet = undefined;
  }
}

/**
 * How a child ends by itself. A request that fails is one that was not answered as the job expects. What a child prints may
 * break the job's patterns, which are asked only about a child that would be a success.
 */
function ownEnd(
  { action, patterns }: RunSpec,
  exitCode: number,
  breaksPattern: boolean,
  logBytes: number,
): ChildOutcome {
  const log = { logBytes, logTruncated: false };
  const rule = breaksPattern ? 'success.mustMatch: the output doesn\'t match "ok"' : undefined;
  if (action.kind === "http") {
    const failure = exitCode === 0 ? rule : "status: 503 is not one of http.expectStatus (200)";
    return { kind: "answered", failure, ...log };
  }
  const broken = patterns?.exitCodes.includes(exitCode) === true ? rule : undefined;
  return { kind: "exited", exitCode, ...(broken === undefined ? {} : { broken }), ...log };
}

function withWritten(outcome: ChildOutcome, text: string | undefined): ChildOutcome {
  return outcome.kind === "exited" && text !== undefined
    ? { ...outcome, written: { text, isCut: false } }
    : outcome;
}

function outcomeOf(outcome: ChildOutcome): NonNullable<Run["outcome"]> {
  switch (outcome.kind) {
    case "exited":
      return outcome.exitCode === 0 && outcome.broken === undefined ? "succeeded" : "failed";
    case "answered":
      return outcome.failure === undefined ? "succeeded" : "failed";
    case "timeout":
    case "cancelled":
      return outcome.kind;
    case "signalled":
    case "not-started":
      return "killed";
  }
}

function printedBy(run: RunId, bytes = 0): Uint8Array {
  return new TextEncoder().encode(`${run}\n`.padEnd(bytes, "."));
}

function outputBytes(children: Children, run: RunId): number {
  return children.logs.get(run)?.length ?? 0;
}

function killed(children: Children, run: RunId): ChildOutcome {
  return { kind: "signalled", signal: "SIGKILL", logBytes: outputBytes(children, run), logTruncated: false };
}
