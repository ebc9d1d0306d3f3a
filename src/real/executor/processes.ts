/**
 * The executor of processes: passes runs to the launcher, a separate process, and reports their outcomes.
 *
 * When the launcher dies, no process follows its children any more. They are killed and reported as killed, and a new
 * launcher is started. A run that still waited in the old one and has no log never started, and is reported as such.
 */
import type { ChildOutcome, Log, ProcessSpec } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";
import type { SecretValues } from "../secrets.ts";
import { LauncherLink } from "./launcher-link.ts";
import type { OutputFiles } from "./output-files.ts";
import type { FromLauncher, ToLauncher } from "./protocol.ts";

/** The pause before a dead launcher is replaced. Without it, a launcher that dies at once would make a tight loop. */
const relaunchMs = 500;

/** As the executors of single kinds report it. */
export type RunOutcome = ChildOutcome & {
  /** of an answer: where its body begins in the output, bytes */
  bodyFrom?: number;
};

export interface RunEvents {
  started(run: RunId, at: number): void;
  stuck(run: RunId, reason: string): void;
  /** `output`: all of it, if that is little */
  ended(run: RunId, outcome: RunOutcome, at: number, output: Uint8Array | undefined): void;
}

interface Parts {
  /** where jobs run that name no folder */
  work: string;
  /** where scripts are kept */
  scripts: string;
  /** a folder of the launcher's own, for new pipes */
  pipes: string;
  /** … and for what runs and their peer tell each other */
  exchange: string;
  outputs: OutputFiles;
  log: Log;
  events: RunEvents;
}

interface Sweep {
  runs: readonly RunId[];
  done(): void;
}

interface Launched {
  /** known once the launcher has reported the start */
  pid: number | undefined;
  /** the launcher that had the run has died, and the next one has to find out its outcome */
  isLost: boolean;
  /** reported just before its end */
  output?: Uint8Array;
}

export class ProcessExecutor {
  private readonly parts: Parts;
  /** undefined between the death of a launcher and the start of the next one */
  private launcher: LauncherLink | undefined;
  /** orders for the next launcher, given while there was none */
  private unsent: ToLauncher[] = [];
  /** passed to the launcher and not yet ended */
  private readonly runs = new Map<RunId, Launched>();
  private readonly sweeps = new Map<number, Sweep>();
  private nextSweep = 1;
  private closing: (() => void)[] | undefined;
  private closed = false;

  constructor(parts: Parts) {
    this.parts = parts;
    this.startLauncher();
  }

  launch(spec: ProcessSpec, secrets: SecretValues): void {
    this.runs.set(spec.run, { pid: undefined, isLost: false });
    const logFile = this.parts.outputs.fileOf(spec.run);
    const values = secrets.size === 0 ? {} : { secrets: Object.fromEntries(secrets) };
    this.send({ kind: "launch", spec, logFile, ...values });
  }

  stop(run: RunId): void {
    this.send({ kind: "stop", run });
  }

  /** Ends what is left of these runs. */
  sweep(runs: readonly RunId[], done: () => void): void {
    const id = this.nextSweep++;
    this.sweeps.set(id, { runs, done });
    this.sendSweep(id, runs);
  }

  /** Ends every run and then the launcher. */
  close(done: () => void): void {
    if (this.closed) return queueMicrotask(done);
    this.closing = [...(this.closing ?? []), done];
    this.send({ kind: "close" });
  }

  private startLauncher(): void {
    let isOver = false;
    const ended = (wasUp: boolean) => {
      if (!isOver) this.launcherEnded(wasUp);
      isOver = true;
    };
    try {
      const report = (message: FromLauncher) => this.reported(message);
      this.launcher = new LauncherLink(this.parts, this.parts.log, { report, ended });
    } catch (error) {
      // If there are no descriptors, for example, Node throws before there is a process.
      this.parts.log.error("the launcher can't be started", { reason: String(error) });
      ended(false);
    }
    for (const order of this.launcher === undefined ? [] : this.unsent.splice(0)) this.send(order);
  }

  private reported(message: FromLauncher): void {
    switch (message.kind) {
      case "started":
        if (!this.runs.has(message.run)) return;
        this.runs.set(message.run, { pid: message.pid, isLost: false });
        return this.parts.events.started(message.run, message.at);
      case "stuck":
        if (this.runs.has(message.run)) this.parts.events.stuck(message.run, message.reason);
        return;
      case "notice":
        return this.parts.log.warn(message.message, { reason: message.reason });
      case "pong":
        return;
      case "output": {
        const launched = this.runs.get(message.run);
        if (launched !== undefined) launched.output = Buffer.from(message.base64, "base64");
        return;
      }
      case "ended":
        return this.ended(message.run, message.outcome, message.at, this.runs.get(message.run)?.output);
      case "swept": {
        const sweep = this.sweeps.get(message.id);
        this.sweeps.delete(message.id);
        return sweep?.done();
      }
    }
  }

  private ended(run: RunId, outcome: ChildOutcome, at: number, output?: Uint8Array): void {
    if (this.runs.delete(run)) this.parts.events.ended(run, outcome, at, output);
  }

  private launcherEnded(wasUp: boolean): void {
    this.launcher = undefined;
    if (!wasUp) this.giveBack();
    if (this.closing !== undefined && this.runs.size === 0) {
      this.closed = true;
      for (const done of this.closing) done();
      return;
    }
    if (wasUp) this.endLost();
    else for (const [id, { runs }] of this.sweeps) this.sendSweep(id, runs);
    setTimeout(() => this.startLauncher(), relaunchMs);
  }

  /** No launcher could be started. Runs that no launcher ever had have certainly not started. */
  private giveBack(): void {
    const kept = this.unsent.filter(({ kind }) => kind === "stop" || kind === "close");
    this.unsent = kept;
    const reason = "this host could not start the launcher";
    for (const [run, { isLost }] of this.runs) {
      if (!isLost) this.ended(run, { kind: "not-started", why: "host", reason }, Date.now());
    }
  }

  /** Ends the runs of the dead launcher, whose children no process follows any more. */
  private endLost(): void {
    this.parts.log.error("the launcher has died: its runs are killed and a new launcher is started", {
      runs: this.runs.size,
    });
    for (const [id, { runs }] of this.sweeps) this.sendSweep(id, runs);
    const lost = [...this.runs].filter(([, { isLost }]) => !isLost);
    for (const [, launched] of lost) {
      launched.isLost = true;
      if (launched.pid !== undefined) killGroup(launched.pid);
    }
    this.sweep(
      lost.map(([run]) => run),
      () => this.reportLost(lost),
    );
  }

  /** Called when the new launcher has made sure that no process of these runs is left. */
  private reportLost(lost: readonly (readonly [RunId, Launched])[]): void {
    for (const [run, { pid }] of lost) {
      if (pid === undefined && !this.parts.outputs.has(run)) {
        const reason = "the launcher died before it started this run";
        this.ended(run, { kind: "not-started", why: "host", reason }, Date.now());
      } else {
        const { bytes: logBytes, small } = this.parts.outputs.measure(run);
        const outcome = { kind: "signalled", signal: "SIGKILL", logBytes, logTruncated: false } as const;
        this.ended(run, outcome, Date.now(), small);
      }
    }
    if (this.closing !== undefined) this.send({ kind: "close" });
  }

  private sendSweep(id: number, runs: readonly RunId[]): void {
    this.send({ kind: "sweep", id, runs: [...runs] });
  }

  private send(order: ToLauncher): void {
    if (this.launcher === undefined) this.unsent.push(order);
    else this.launcher.send(order);
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group has ended already.
  }
}
