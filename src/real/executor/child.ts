/**
 * One run: starts its program in a process group of its own, and follows it until no process of the group is left.
 *
 * To stop a run, or to end it after its timeout, the group gets TERM and, after the run's grace, KILL. Processes that
 * have left the group are then found by the run's id. When the program ends by itself, its group gets a moment for the
 * rest of the output; then the rest of the group is ended in the same way, and processes that have left the group are
 * not waited for. A group that can't be ended keeps the run open and is reported, because its job must not start beside
 * it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, unlinkSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { basename, dirname } from "node:path";
import type { Readable } from "node:stream";
import type { Cancel, ChildOutcome, Clock, ProcessSpec, Written } from "../../ports.ts";
import { Exchange } from "./exchange.ts";
import { Masker } from "./masker.ts";
import { CappedFile, Output } from "./output.ts";
import { limitPrefix, limitRefusal } from "./limits.ts";
import type { Owner, Pipe, PipePool } from "./pipes.ts";
import type { Launch } from "./protocol.ts";
import type { ScriptFile, ScriptFiles } from "./script-file.ts";
import { accountFault, ownFileFault, spawnFault, type NotStarted } from "./start-faults.ts";
import type { Sweeper } from "./survivors.ts";
import { environmentOf, runAsUser, workFolderOf, type As, type Refusal } from "./users.ts";

/** How long output may still arrive after the program's end while a process holds the pipe. */
const drainMs = 250;
/** How long a killed group may take to vanish before it is reported as stuck. */
const vanishMs = 2_000;
/** The launcher's own umask, for its files. The umask of a child is set only while it is started. */
const ownUmask = 0o077;

export interface ChildDoors {
  clock: Clock;
  pipes: PipePool;
  sweeper: Sweeper;
  scripts: ScriptFiles;
  /** where jobs run that name no folder */
  work: string;
  /** for the files of exchange.ts */
  exchange: string;
}

export interface ChildEvents {
  started(pid: number): void;
  /** Called once, when the run should have ended and can't be ended. */
  stuck(reason: string): void;
  /** `output`: all of it, if that is little */
  ended(outcome: ChildOutcome, output: Buffer | undefined): void;
}

/** The peer's own files for a start. They are closed again if the start fails. */
interface OwnFiles {
  stdin: number | undefined;
  file: CappedFile;
  /** undefined if the child gets sockets */
  pipe: Pipe | undefined;
  script: ScriptFile | undefined;
  cwd: string;
  exchange: Exchange;
}

export class Child {
  private readonly spec: ProcessSpec;
  private readonly logFile: string;
  private readonly secrets: Readonly<Record<string, string>>;
  private readonly doors: ChildDoors;
  private readonly events: ChildEvents;
  private readonly alarms = new Set<Cancel>();
  private output: Output | undefined;
  private script: ScriptFile | undefined;
  private exchange: Exchange | undefined;
  private group = 0;
  private ending: "cancelled" | "timeout" | undefined;
  private isForbidden = false;
  private isStuck = false;
  private isExiting = false;
  private exit: { code: number | null; signal: string | null } | undefined;
  /** how many processes were still in its group when it had ended by itself, and were then ended */
  private leftRunning = 0;
  private outputEnded = false;
  private isFinished = false;

  constructor({ spec, logFile, secrets = {} }: Launch, doors: ChildDoors, events: ChildEvents) {
    this.spec = spec;
    this.logFile = logFile;
    this.secrets = secrets;
    this.doors = doors;
    this.events = events;
  }

  start(): void {
    const { action } = this.spec;
    let as: As | Refusal | undefined;
    try {
      as = action.user === "" ? undefined : runAsUser(action.user);
    } catch (error) {
      return this.notStarted(accountFault(error));
    }
    if (as !== undefined && "reason" in as) {
      return this.notStarted({ kind: "not-started", why: "error", reason: as.reason });
    }
    const refusal = action.limits === undefined ? undefined : limitRefusal(action.limits);
    if (refusal !== undefined) return this.notStarted({ kind: "not-started", why: "error", reason: refusal });
    let files: OwnFiles;
    try {
      this.makeLogFolder();
      files = this.openFiles(as);
    } catch (error) {
      return this.notStarted(ownFileFault(error));
    }
    try {
      this.spawn(as, files);
    } catch (error) {
      this.spawnFailed(error, files);
    }
  }

  /** TERM now, KILL after `graceMs`. A second call with a shorter grace shortens the first. */
  end(why: "cancelled" | "timeout", graceMs: number): void {
    if (this.isFinished || this.group === 0) return;
    if (this.exit === undefined) this.ending ??= why;
    this.endGroup(graceMs);
  }

  /** Like `end`, but for a launcher that is about to exit: a run that can't be ended is not waited for. */
  endForExit(graceMs: number): void {
    this.isExiting = true;
    this.end("cancelled", graceMs);
  }

  /** A person may have removed the folder of outputs and made it anew, without the folders in it. */
  private makeLogFolder(): void {
    const folder = dirname(this.logFile);
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
  }

  private openFiles(as: As | undefined): OwnFiles {
    const { action, logCapBytes } = this.spec;
    const cwd = action.cwd === "" ? workFolderOf(as, this.doors.work) : action.cwd;
    const stdin = action.stdin === "" ? undefined : openText(action.stdin, `${this.logFile}.stdin`);
    let file: CappedFile | undefined;
    let script: ScriptFile | undefined;
    let exchange: Exchange | undefined;
    try {
      if (action.script !== undefined) script = this.doors.scripts.make(action.script, otherOwnerOf(as));
      file = new CappedFile(this.logFile, logCapBytes);
      exchange = new Exchange(
        this.doors.exchange,
        basename(this.logFile, ".log"),
        this.spec.parents ?? "",
        as,
      );
      return { stdin, file, cwd, script, pipe: this.doors.pipes.take(ownerOf(as)), exchange };
    } catch (error) {
      file?.discard();
      script?.remove();
      exchange?.discard();
      if (stdin !== undefined) closeSync(stdin);
      throw error;
    }
  }

  private spawn(as: As | undefined, files: OwnFiles): void {
    const { action, hostEnv, env } = this.spec;
    const [interpreter = "", ...given] = action.argv;
    const argv = files.script === undefined ? action.argv : [interpreter, files.script.path, ...given];
    const [program = "", ...args] = [...limitPrefix(action.limits ?? {}), ...(as?.prefix ?? []), ...argv];
    const out = files.pipe?.writeEnd ?? "pipe";
    let child: ChildProcess;
    process.umask(action.umask);
    try {
      child = spawn(program, args, {
        cwd: files.cwd,
        env: environmentOf(hostEnv, { ...env, ...this.secrets, ...files.exchange.env }, as?.user),
        stdio: [files.stdin ?? "ignore", out, out],
        detached: true,
      });
    } finally {
      process.umask(ownUmask);
    }
    child.on("error", (error) => this.spawnFailed(error, files));
    // If there is no process id, an `error` event follows.
    if (child.pid === undefined) return;
    child.on("exit", (code, signal) => this.exited(code, signal));
    this.exchange = files.exchange;
    this.readOutput(child, files);
    this.script = files.script;
    this.group = child.pid;
    this.events.started(child.pid);
    if (this.spec.timeoutMs > 0)
      this.after(this.spec.timeoutMs, () => this.end("timeout", action.killGraceMs));
  }

  private readOutput(child: ChildProcess, { stdin, file, pipe }: OwnFiles): void {
    if (stdin !== undefined) closeSync(stdin);
    if (pipe !== undefined) closeSync(pipe.writeEnd);
    const streams: (Readable | null)[] =
      pipe === undefined
        ? [child.stdout, child.stderr]
        : [new Socket({ fd: pipe.readEnd, readable: true, writable: false })];
    const values = Object.values(this.secrets);
    this.output = new Output(
      file,
      streams.filter((stream) => stream !== null),
      values.length === 0 ? undefined : new Masker(values),
      () => {
        this.outputEnded = true;
        if (this.exit !== undefined) this.finishWhenGone();
      },
    );
  }

  private spawnFailed(error: unknown, { stdin, file, pipe, script, cwd, exchange }: OwnFiles): void {
    // An error of a running child is about a signal or a message, and none is sent through Node.
    if (this.isFinished || this.group !== 0) return;
    if (stdin !== undefined) closeSync(stdin);
    if (pipe !== undefined) {
      closeSync(pipe.writeEnd);
      closeSync(pipe.readEnd);
    }
    file.discard();
    script?.remove();
    exchange.discard();
    this.notStarted(spawnFault(error, this.spec.action.argv[0] ?? "", cwd));
  }

  private exited(code: number | null, signal: string | null): void {
    this.exit = { code, signal };
    this.after(drainMs, () => {
      this.doors.sweeper.ask(this.group, (running) => {
        const { killGraceMs, leavesBackground } = this.spec.action;
        const isLeft = leavesBackground === true && this.ending === undefined;
        if (running === 0 || isLeft) return this.finish();
        if (this.ending === undefined) this.leftRunning = running;
        this.endGroup(killGraceMs);
      });
    });
    if (this.outputEnded) this.finishWhenGone();
  }

  private finishWhenGone(): void {
    if (this.doors.sweeper.signal(this.group, 0) === "gone") this.finish();
  }

  private endGroup(graceMs: number): void {
    if (this.isFinished) return;
    this.signal("SIGTERM");
    this.after(graceMs, () => this.killGroup());
    this.alarms.add(this.doors.sweeper.watch(this.group, () => this.groupGone()));
  }

  private killGroup(): void {
    this.signal("SIGKILL");
    if (this.ending !== undefined) this.doors.sweeper.killRun(this.spec.run, () => undefined);
    this.after(vanishMs, () => {
      if (this.isExiting) return this.finish();
      if (this.isStuck) return;
      this.isStuck = true;
      this.events.stuck(
        this.isForbidden
          ? "its processes belong to another user, and this peer may not signal them"
          : "its processes do not end on SIGKILL; they wait for a disk or a network file system",
      );
    });
  }

  private signal(signal: "SIGTERM" | "SIGKILL"): void {
    this.isForbidden = this.doors.sweeper.signal(this.group, signal) === "forbidden";
  }

  /** The group has ended. Processes that have left it are ended, too. */
  private groupGone(): void {
    if (this.ending === undefined) return this.finish();
    this.doors.sweeper.killRun(this.spec.run, () => this.finish());
  }

  private finish(): void {
    if (this.isFinished) return;
    this.isFinished = true;
    this.silence();
    const finished = this.output?.finish();
    this.script?.remove();
    const log = finished?.log ?? { logBytes: 0, logTruncated: false };
    const written = this.exchange?.take();
    this.events.ended(
      this.outcome({ ...log, ...(written === undefined ? {} : { written }) }),
      finished?.small,
    );
  }

  private outcome(log: { logBytes: number; logTruncated: boolean; written?: Written }): ChildOutcome {
    const { code, signal } = this.exit ?? { code: null, signal: "SIGKILL" };
    if (this.ending === "timeout")
      return { kind: "timeout", ...(code === null ? {} : { exitCode: code }), ...log };
    if (this.ending !== undefined) return { kind: this.ending, ...log };
    const left = this.leftRunning === 0 ? {} : { leftRunning: this.leftRunning };
    if (code !== null) return { kind: "exited", exitCode: code, ...left, ...log };
    return { kind: "signalled", signal: signal ?? "SIGKILL", ...left, ...log };
  }

  private notStarted(outcome: NotStarted): void {
    this.isFinished = true;
    this.events.ended(outcome, undefined);
  }

  private after(ms: number, then: () => void): void {
    const { clock } = this.doors;
    const cancel = clock.alarm(clock.now().mono + ms, () => {
      this.alarms.delete(cancel);
      if (!this.isFinished) then();
    });
    this.alarms.add(cancel);
  }

  private silence(): void {
    for (const cancel of this.alarms) cancel();
    this.alarms.clear();
  }
}

/** Undefined for the peer's own user. */
function otherOwnerOf(as: As | undefined): Owner | undefined {
  return as === undefined || as.prefix.length === 0 ? undefined : as.user;
}

function ownerOf(as: As | undefined): Owner | undefined {
  return as?.user;
}

/** Opens an unnamed file that holds the text, at its beginning. */
function openText(text: string, path: string): number {
  const file = openSync(path, "w+", 0o600);
  try {
    unlinkSync(path);
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, at);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}
