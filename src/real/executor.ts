/**
 * The real Executor door: passes each run to the executor for its action's kind, and keeps the outputs of all kinds: in
 * files (executor/output-files.ts, executor/copies.ts), and small ones in the database (executor/small-outputs.ts).
 *
 * The kinds are processes (executor/processes.ts) and requests (executor/http.ts). A further one gets its line in
 * `launch` and `executorOf`, and writes its output where `OutputFiles.fileOf` says.
 */
import { join } from "node:path";
import { never } from "../errors.ts";
import type {
  ChildOutcome,
  Executor,
  ExecutorEvents,
  Log,
  LogPiece,
  RunAction,
  RunSpec,
  Written,
} from "../ports.ts";
import type { Disk } from "../ports/disk.ts";
import type { RunId } from "../schema/ids.ts";
import { LogCopies } from "./executor/copies.ts";
import { folderBytes, OutputFiles, removeOldest } from "./executor/output-files.ts";
import { Masker } from "./executor/masker.ts";
import { Patterns } from "./patterns.ts";
import type { RealSecrets, Resolved } from "./secrets.ts";
import { HttpExecutor } from "./executor/http.ts";
import { ProcessExecutor, type RunEvents, type RunOutcome } from "./executor/processes.ts";
import { packSmall, SmallOutputs, unpackSmall } from "./executor/small-outputs.ts";

interface ExecutorOptions {
  /** where jobs run by default, and where their output and the scripts are kept */
  folder: { work: string; logs: string; scripts: string };
  /** for small outputs; stays open longer than the executor */
  disk: Pick<Disk, "store" | "output">;
  log: Log;
  /** what runs get that name secrets; absent = there are none */
  secrets?: Pick<RealSecrets, "resolve">;
  /** by which outputs are judged */
  patterns?: Patterns;
}

export function openExecutor(options: ExecutorOptions): Executor {
  return new RealExecutor(options);
}

class RealExecutor implements Executor {
  private readonly files: OutputFiles;
  private readonly small: SmallOutputs;
  private readonly copies: LogCopies;
  private readonly folder: string;
  /** outputs that are being removed */
  private readonly dropping = new Set<Promise<unknown>>();
  private readonly log: Log;
  private readonly processes: ProcessExecutor;
  private readonly requests: HttpExecutor;
  private events: ExecutorEvents | undefined;
  /** launched and not yet ended */
  private readonly runs = new Map<
    RunId,
    Pick<RunSpec, "patterns" | "isPrecheck"> & { kind: RunAction["kind"]; masker: Masker | undefined }
  >();
  private readonly secrets: Pick<RealSecrets, "resolve"> | undefined;
  private readonly patterns: Patterns;
  /** runs that have ended, and whose output is being judged */
  private judging = 0;
  private whenJudged: (() => void) | undefined;

  constructor({ folder, disk, log, secrets, patterns = new Patterns() }: ExecutorOptions) {
    this.secrets = secrets;
    this.files = new OutputFiles(folder.logs);
    this.small = new SmallOutputs(disk);
    this.copies = new LogCopies(join(folder.logs, "copies"));
    this.folder = folder.logs;
    this.patterns = patterns;
    this.log = log;
    const events: RunEvents = {
      started: (run, at) => this.events?.childStarted(run, at),
      stuck: (run, reason) => this.events?.childStuck(run, reason),
      ended: (run, outcome, at, output) =>
        this.judge(run, this.masked(run, outcome), (judged) => {
          // The file of a precheck that has passed becomes that of the job's own output.
          const hasPassed =
            this.runs.get(run)?.isPrecheck === true && judged.kind === "exited" && judged.exitCode === 0;
          this.runs.delete(run);
          // The output comes first: the end is stored in the same turn, and shares its fsync.
          if (outcome.kind !== "not-started" && !hasPassed) this.keepOutput(run, output);
          this.events?.childEnded(run, judged, at);
          if (this.judging === 0) this.whenJudged?.();
        }),
    };
    const [pipes, exchange] = [join(folder.logs, "pipes"), join(folder.logs, "exchange")];
    this.processes = new ProcessExecutor({
      work: folder.work,
      scripts: folder.scripts,
      pipes,
      exchange,
      outputs: this.files,
      log,
      events,
    });
    this.requests = new HttpExecutor({ outputs: this.files, events });
  }

  start(events: ExecutorEvents): void {
    this.events = events;
  }

  launch(spec: RunSpec): void {
    const { patterns, isPrecheck, secrets = [], action, ...rest } = spec;
    const resolved = this.resolve(secrets);
    if ("reason" in resolved) {
      const outcome = { kind: "not-started", ...resolved } as const;
      return void setImmediate(() => this.events?.childEnded(spec.run, outcome, Date.now()));
    }
    const { values } = resolved;
    const masker = values.size === 0 ? undefined : new Masker(values.values());
    this.runs.set(spec.run, { kind: action.kind, patterns, isPrecheck, masker });
    switch (action.kind) {
      case "process":
        return this.processes.launch({ ...rest, action }, values);
      case "http":
        return this.requests.launch({ ...rest, action }, values, masker);
      default:
        return never(action);
    }
  }

  stop(run: RunId): void {
    const launched = this.runs.get(run);
    if (launched !== undefined) this.executorOf(launched.kind).stop(run);
  }

  findStarted(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void {
    void this.lookForStarted(runs, done);
  }

  /** Only processes can outlive the peer. */
  sweep(runs: readonly RunId[]): void {
    this.processes.sweep(runs, () => undefined);
  }

  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void {
    void this.passOn("a run's output can't be read", run, this.read(run, offset, length), done);
  }

  packLog(run: RunId, capBytes: number, done: (gzip: Uint8Array | "too-large" | undefined) => void): void {
    void this.passOn("a run's output can't be packed", run, this.pack(run, capBytes), done);
  }

  keepLog(run: RunId, gzip: Uint8Array): void {
    void this.passOn(
      "a copy of a run's output can't be kept",
      run,
      this.keepCopy(run, gzip),
      () => undefined,
    );
  }

  logBytes(done: (bytes: number) => void): void {
    void this.measure(done);
  }

  freeLogs(bytes: number, done: (freed: number) => void): void {
    void this.free(bytes, done);
  }

  dropLogs(runs: readonly RunId[]): void {
    for (const run of runs) {
      const dropping = Promise.all([this.files.drop(run), this.copies.drop(run)]);
      this.dropping.add(dropping);
      void dropping.finally(() => this.dropping.delete(dropping)).catch(() => undefined);
      void this.passOn("a run's output can't be removed", run, dropping, () => undefined);
    }
  }

  close(done: () => void): void {
    this.requests.close(() =>
      this.processes.close(() => {
        this.whenJudged = () => {
          this.small.flush();
          done();
        };
        if (this.judging === 0) this.whenJudged();
      }),
    );
  }

  private resolve(names: readonly string[]): Resolved {
    if (names.length === 0) return { values: new Map() };
    return this.secrets?.resolve(names) ?? { why: "host", reason: "this peer has no secrets" };
  }

  /** Without the run's secrets in any of its texts. */
  private masked(run: RunId, outcome: RunOutcome): RunOutcome {
    const masker = this.runs.get(run)?.masker;
    if (masker === undefined) return outcome;
    const mask = (text: string | undefined) => (text === undefined ? undefined : masker.text(text));
    switch (outcome.kind) {
      case "not-started":
        return { ...outcome, reason: masker.text(outcome.reason) };
      case "answered":
        return { ...outcome, failure: mask(outcome.failure) };
      case "timeout":
        return { ...outcome, reason: mask(outcome.reason), written: maskedWritten(outcome.written, masker) };
      case "exited":
      case "signalled":
      case "cancelled":
        return { ...outcome, written: maskedWritten(outcome.written, masker) };
    }
  }

  /** Judges the output of a run that would be a success. Others are passed on at once. */
  private judge(run: RunId, outcome: RunOutcome, done: (judged: ChildOutcome) => void): void {
    const { patterns } = this.runs.get(run) ?? {};
    if (patterns === undefined || !isJudged(outcome, patterns.exitCodes)) return done(outcome);
    this.judging++;
    const { bodyFrom = 0, logTruncated: isCut } = outcome;
    this.patterns.judge(
      { rules: patterns.rules, file: this.files.fileOf(run), bodyFrom, isCut },
      (verdict) => {
        this.judging--;
        if (verdict.kind === "unjudged") return done({ ...outcome, hostFault: verdict.reason });
        const broken = verdict.kind === "broken" ? verdict.broken : undefined;
        done(outcome.kind === "exited" ? { ...outcome, broken } : { ...outcome, failure: broken });
      },
    );
  }

  /** A run has ended. What the database does not take stays a file. */
  private keepOutput(run: RunId, output: Uint8Array | undefined): void {
    const keeping =
      output === undefined
        ? this.files.keep(run)
        : this.small.store(run, output).then(
            () => this.files.removeRunning(run),
            () => this.files.keep(run),
          );
    void this.passOn(
      "a run's output can't be moved to where outputs are kept",
      run,
      keeping,
      () => undefined,
    );
  }

  private async keepCopy(run: RunId, gzip: Uint8Array): Promise<void> {
    const output = await unpackSmall(gzip);
    if (output === undefined) await this.copies.keep(run, gzip);
    else await this.small.storeSoon(run, output);
  }

  /** A run that may have started counts as started: it must not be repeated. */
  private async lookForStarted(
    runs: readonly RunId[],
    done: (started: ReadonlySet<RunId>) => void,
  ): Promise<void> {
    const started = new Set<RunId>();
    for (const run of runs) if (this.files.has(run) || (await this.isStored(run, true))) started.add(run);
    setImmediate(() => done(started));
    try {
      await this.files.moveLeftOver((run) => this.isStored(run, false));
    } catch (error) {
      this.log.warn("the outputs of an earlier life stay where they are", { reason: String(error) });
    }
  }

  private async free(bytes: number, done: (freed: number) => void): Promise<void> {
    let freed = 0;
    try {
      freed = await removeOldest([this.folder, this.copies.folder], bytes);
    } catch (error) {
      this.log.warn("old outputs can't be removed", { reason: String(error) });
    }
    done(freed);
  }

  private async measure(done: (bytes: number) => void): Promise<void> {
    // Outputs that are being removed don't count any more.
    await Promise.allSettled(this.dropping);
    let bytes = 0;
    try {
      bytes = await folderBytes(this.folder);
    } catch (error) {
      this.log.warn("the outputs can't be measured", { reason: String(error) });
    }
    done(bytes);
  }

  private async isStored(run: RunId, ifUnreadable: boolean): Promise<boolean> {
    try {
      return (await this.small.read(run)) !== undefined;
    } catch (error) {
      this.log.warn("a run's output can't be read", { run, reason: String(error) });
      return ifUnreadable;
    }
  }

  /**
   * Reads the output of a run of this peer, or the copy of another peer's. The file comes first, because it is removed
   * once the database has the output.
   */
  private async read(run: RunId, offset: number, length: number): Promise<LogPiece | undefined> {
    const complete = !this.runs.has(run);
    const own = await this.files.read(run, offset, length);
    if (own !== undefined) return { ...own, offset, complete };
    const small = await this.small.read(run);
    if (small === undefined) return this.copies.read(run, offset, length);
    return { bytes: small.subarray(offset, offset + length), offset, size: small.length, complete: true };
  }

  private async pack(run: RunId, capBytes: number): Promise<Uint8Array | "too-large" | undefined> {
    // An output is packed when its run ends; a small one is then still in memory.
    const unstored = this.small.unstored(run);
    const packed = unstored === undefined ? await this.files.pack(run, capBytes) : undefined;
    if (packed !== undefined) return packed;
    const small = unstored ?? (await this.small.read(run));
    return small === undefined ? undefined : packSmall(small, capBytes);
  }

  private executorOf(kind: RunAction["kind"]): KindExecutor {
    switch (kind) {
      case "process":
        return this.processes;
      case "http":
        return this.requests;
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

/** True if only the output can still make a failure of it. */
function isJudged(
  outcome: RunOutcome,
  exitCodes: readonly number[],
): outcome is Extract<RunOutcome, { kind: "exited" | "answered" }> {
  if (outcome.kind === "answered") return outcome.failure === undefined;
  return outcome.kind === "exited" && exitCodes.includes(outcome.exitCode);
}

function maskedWritten(written: Written | undefined, masker: Masker): Written | undefined {
  return written === undefined ? undefined : { ...written, text: masker.text(written.text) };
}

/** What the door needs of the executor of one kind. */
interface KindExecutor {
  stop(run: RunId): void;
}
