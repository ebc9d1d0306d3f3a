/**
 * One run: starts its program in a process group of its own, and follows it until nothing of the group is left.
 *
 * To be stopped or to time out means TERM to the group and, after the run's grace, KILL; what has left the group is
 * then found by the run's id. After the program's own end its group gets a moment for the rest of the output, then
 * what remains of the group is ended in the same way. A process that has left the group is not waited for.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, rmSync, statSync, unlinkSync, writeSync } from "node:fs";
import type { Cancel, ChildOutcome, Clock, RunSpec } from "../../ports.ts";
import { isSystemError } from "../folder/files.ts";
import { Output } from "./output.ts";
import type { PipePool } from "./pipes.ts";
import { groupRuns, killRuns, signalGroup } from "./survivors.ts";
import { becoming, environmentOf, type As } from "./users.ts";

/** How long output may still come after the program's end while something holds the pipe. */
const drainMs = 250;
/** How often a group that is being ended is looked at. */
const lookMs = 50;
/** How long a killed group may take to vanish: an uninterruptible process can't be waited for for ever. */
const vanishMs = 2_000;
/** The launcher's own umask, for its files; a child's is set just around its start. */
const ownUmask = 0o077;

export interface ChildDoors {
  clock: Clock;
  pipes: PipePool;
  work: string;
}

export interface ChildEvents {
  started(pid: number): void;
  ended(outcome: ChildOutcome): void;
}

export class Child {
  private readonly spec: RunSpec;
  private readonly logFile: string;
  private readonly doors: ChildDoors;
  private readonly events: ChildEvents;
  private readonly alarms = new Set<Cancel>();
  private output: Output | undefined;
  private group = 0;
  private ending: "cancelled" | "timeout" | undefined;
  private exit: { code: number | null; signal: string | null } | undefined;
  private outputEnded = false;
  private settled = false;

  constructor(spec: RunSpec, logFile: string, doors: ChildDoors, events: ChildEvents) {
    this.spec = spec;
    this.logFile = logFile;
    this.doors = doors;
    this.events = events;
  }

  start(): void {
    const as = this.spec.action.user === "" ? undefined : becoming(this.spec.action.user);
    if (as !== undefined && "reason" in as) return this.notStarted(as.reason);
    try {
      const process = this.spawn(as);
      process.on("error", (error) => this.notStarted(describeReason(error, this.spec, this.cwd)));
      process.on("exit", (code, signal) => this.exited(code, signal));
      if (process.pid === undefined) return;
      this.group = process.pid;
      this.events.started(process.pid);
      if (this.spec.timeoutMs > 0)
        this.after(this.spec.timeoutMs, () => this.end("timeout", this.spec.action.killGraceMs));
    } catch (error) {
      this.notStarted(describeReason(error, this.spec, this.cwd));
    }
  }

  /** TERM now, KILL after `graceMs`. A second call with a shorter grace hurries the first. */
  end(why: "cancelled" | "timeout", graceMs: number): void {
    if (this.settled || this.group === 0) return;
    if (this.exit === undefined) this.ending ??= why;
    this.endGroup(graceMs);
  }

  private get cwd(): string {
    return this.spec.action.cwd === "" ? this.doors.work : this.spec.action.cwd;
  }

  private spawn(as: As | undefined): ChildProcess {
    const { spec } = this;
    const [program = "", ...args] = [...(as?.prefix ?? []), ...spec.action.argv];
    const stdin = spec.action.stdin === "" ? undefined : openText(spec.action.stdin, `${this.logFile}.stdin`);
    const { readEnd, writeEnd } = this.doors.pipes.take(as?.user);
    try {
      this.output = new Output(readEnd, this.logFile, spec.logCapBytes, () => {
        this.outputEnded = true;
        if (this.exit !== undefined) this.settleWhenGone();
      });
      process.umask(spec.action.umask);
      return spawn(program, args, {
        cwd: this.cwd,
        env: environmentOf(spec.env, as?.user),
        stdio: [stdin ?? "ignore", writeEnd, writeEnd],
        detached: true,
      });
    } finally {
      process.umask(ownUmask);
      closeSync(writeEnd);
      if (stdin !== undefined) closeSync(stdin);
    }
  }

  private exited(code: number | null, signal: string | null): void {
    this.exit = { code, signal };
    if (this.outputEnded && !signalGroup(this.group, 0)) return this.settle();
    this.after(drainMs, () => {
      if (groupRuns(this.group)) this.endGroup(this.spec.action.killGraceMs);
      else this.settle();
    });
    this.settleWhenGone();
  }

  private settleWhenGone(): void {
    if (this.outputEnded && !signalGroup(this.group, 0)) this.settle();
  }

  private endGroup(graceMs: number): void {
    signalGroup(this.group, "SIGTERM");
    this.after(graceMs, () => this.killGroup());
    this.watchGroup();
  }

  private killGroup(): void {
    signalGroup(this.group, "SIGKILL");
    if (this.ending !== undefined) killRuns(new Set([this.spec.run]));
    this.after(vanishMs, () => this.settle());
  }

  private watchGroup(): void {
    this.after(lookMs, () => {
      if (this.exit === undefined || groupRuns(this.group)) return this.watchGroup();
      // The group obeyed; what has left it is not let off.
      if (this.ending !== undefined) killRuns(new Set([this.spec.run]));
      this.settle();
    });
  }

  private settle(): void {
    if (this.settled) return;
    this.settled = true;
    this.silence();
    const log = this.output?.finish() ?? { logBytes: 0, logTruncated: false };
    this.events.ended(this.outcome(log));
  }

  private outcome(log: { logBytes: number; logTruncated: boolean }): ChildOutcome {
    if (this.ending !== undefined) return { kind: this.ending, ...log };
    const { code, signal } = this.exit ?? { code: null, signal: "SIGKILL" };
    if (code !== null) return { kind: "exited", exitCode: code, ...log };
    return { kind: "signalled", signal: signal ?? "SIGKILL", ...log };
  }

  private notStarted(reason: string): void {
    if (this.settled) return;
    this.settled = true;
    this.silence();
    this.output?.finish();
    // A run that has a log counts as one that was started.
    rmSync(this.logFile, { force: true });
    this.events.ended({ kind: "not-started", why: "error", reason });
  }

  private after(ms: number, then: () => void): void {
    const cancel = this.doors.clock.alarm(this.doors.clock.now().mono + ms, () => {
      this.alarms.delete(cancel);
      if (!this.settled) then();
    });
    this.alarms.add(cancel);
  }

  private silence(): void {
    for (const cancel of this.alarms) cancel();
    this.alarms.clear();
  }
}

/** A file that holds the text and has no name any more, opened at its beginning. */
function openText(text: string, path: string): number {
  const file = openSync(path, "w+", 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, at);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  } finally {
    unlinkSync(path);
  }
}

const reasons: Readonly<Record<string, string>> = {
  EAGAIN: "this host has no room for another process now (limit of processes)",
  ENOMEM: "this host has no memory for another process now",
  EMFILE: "too many files are open in the launcher",
  ENFILE: "too many files are open on this host",
  E2BIG: "the arguments and the environment are larger than this host takes",
  ENOSPC: "the disk is full",
  ENOEXEC: "it is no program that this host can run",
};

function describeReason(error: unknown, spec: RunSpec, cwd: string): string {
  const code = isSystemError(error) ? (error.code ?? "") : "";
  const program = spec.action.argv[0] ?? "";
  const folder = statSync(cwd, { throwIfNoEntry: false });
  if (code === "ENOENT" && folder === undefined) return `the folder ${cwd} is not there`;
  if (code === "ENOTDIR" || folder?.isDirectory() === false) return `${cwd} is not a folder`;
  if (code === "ENOENT") return `there is no program ${program}`;
  if (code === "EACCES") return `${program} may not be run, or ${cwd} may not be entered`;
  return reasons[code] ?? (error instanceof Error ? error.message : String(error));
}
