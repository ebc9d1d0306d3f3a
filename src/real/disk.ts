/**
 * The real Disk door: one SQLite database in the data folder, with a thread that writes and a thread that reads.
 *
 * A read sees every write that was requested before it: it is sent to the reading thread when those writes have been
 * answered. A write never waits for a read. The first read starts the reading thread. If that thread dies, the peer
 * loses nothing, and the next read starts a new one.
 */
import { join } from "node:path";
import { assert, CicadaError } from "../errors.ts";
import type { Log } from "../ports.ts";
import type {
  Disk,
  JobSince,
  Loaded,
  OthersQuery,
  Pruned,
  PruneRule,
  RunPage,
  RunQuery,
  Things,
  ThingsQuery,
  Write,
  WrongJobs,
  WrongQuery,
} from "../ports/disk.ts";
import type { AuditPage, AuditQuery } from "../schema/audit.ts";
import { instantOf, type JobId, type RunId } from "../schema/ids.ts";
import type { OtherRecord } from "../schema/other-record.ts";
import type { JobRevision } from "../schema/revision.ts";
import type { RunRecord } from "../schema/run.ts";
import type { DiskResult, ReadRequest, WriteRequest } from "./disk/protocol.ts";
import { parseAudit, parseOther, parseRevision } from "./disk/parse.ts";
import { DiskThread } from "./disk/thread.ts";
import { asLoaded, asPage, asRecordsOfJobs, asText, asThings, asWrongJobs } from "./disk/texts.ts";

/**
 * Little of what passes through a thread lives long, so a small nursery keeps its memory low. The heap has room for the
 * largest answer. A thread that needs more ends with an error.
 */
const nurseryMb = 4;
const heapMb = 512;
/**
 * A batch that takes longer means that the thread hangs. Less mistakes a slow disk for a hung one; more keeps a peer that can
 * store nothing running for longer. A list over millions of runs takes seconds.
 */
const writerSilentMs = 30_000;
const readerSilentMs = 120_000;
/**
 * The reader is ended after this time without a request. It keeps 4 MiB, and after the start, when it has read everything, also
 * as much as the table takes. Less makes more requests wait for a new reader (50 ms); more keeps the memory for longer.
 */
const readerIdleMs = 5_000;
/** Stores that share one fsync. More makes the first of them wait longer. */
const writesAtOnce = 10_000;
/** A single thread, so that each answer is sent as soon as it is ready. */
const readsAtOnce = 1;

const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
const writerProgram = new URL(`./disk/writer.${ending}`, import.meta.url);
const readerProgram = new URL(`./disk/reader.${ending}`, import.meta.url);

interface DiskOptions {
  folder: string;
  log: Log;
  /** Called once when the writing thread is dead or hangs: from then on, nothing can be promised. */
  lost?: (error: CicadaError) => void;
  /** the limit of the reader's heap, MB; an answer that needs more fails */
  readerHeapMb?: number;
  /** the reader is ended after this time without a request, ms */
  readerIdleMs?: number;
}

/** Opens `folder/cicada.db`. Rejects with a CicadaError that names the file when it can't be used. */
export function openDisk(options: DiskOptions): Promise<Disk> {
  return new Promise((resolve, reject) => {
    const disk = new RealDisk(options, (error) => {
      if (error === undefined) resolve(disk);
      else reject(error);
    });
  });
}

class RealDisk implements Disk {
  private readonly folder: string;
  private readonly log: Log;
  private readonly lost: DiskOptions["lost"];
  private readonly readerHeapMb: number;
  private readonly readerIdleMs: number;
  private readonly writer: DiskThread<WriteRequest>;
  /** undefined until the first read, and after its end until the next one */
  private reader: DiskThread<ReadRequest> | undefined;
  /** threads that read, also those that have been told to close and have not ended yet */
  private readers = 0;
  private readerIdle: NodeJS.Timeout | undefined;
  private opened = false;
  private writesAsked = 0;
  private writesAnswered = 0;
  /** reads that wait for the writes before them, in the order of their calls */
  private readonly held: { afterWrite: number; send: () => void }[] = [];
  private closing: (() => void)[] | undefined;
  private closed = false;

  /** `ready` is called once. */
  constructor(
    { folder, log, lost, readerHeapMb = heapMb, readerIdleMs: idleMs = readerIdleMs }: DiskOptions,
    ready: (error?: CicadaError) => void,
  ) {
    this.folder = folder;
    this.log = log;
    this.lost = lost;
    this.readerHeapMb = readerHeapMb;
    this.readerIdleMs = idleMs;
    const limits = { maxYoungGenerationSizeMb: nurseryMb, maxOldGenerationSizeMb: heapMb };
    const options = {
      name: "writer",
      program: writerProgram,
      folder,
      batchMax: writesAtOnce,
      silentMs: writerSilentMs,
      limits,
    } as const;
    this.writer = new DiskThread(options, {
      opened: () => {
        this.opened = true;
        ready();
      },
      ended: (error) => {
        if (this.opened) this.writerEnded(error);
        else ready(error);
      },
    });
  }

  load(since: number, done: (loaded: Loaded | CicadaError) => void): void {
    this.read({ kind: "load", since }, "loaded", asLoaded, done);
  }

  store(writes: readonly Write[], done: (error?: CicadaError) => void): void {
    this.write({ kind: "store", writes: writes.map(asText) }, (result) => {
      if (result.kind === "failed") done(new CicadaError(result.code, result.detail));
      else done();
    });
  }

  history(query: RunQuery, done: (page: RunPage | CicadaError) => void): void {
    const tickInstant = query.tick === undefined ? undefined : instantOf(query.tick);
    this.read({ kind: "history", query, tickInstant }, "page", asPage, done);
  }

  newest(jobs: readonly JobId[], limit: number, done: (records: RunRecord[][] | CicadaError) => void): void {
    this.read({ kind: "newest", jobs, limit }, "newest", asRecordsOfJobs, done);
  }

  durations(jobs: readonly JobSince[], limit: number, done: (ms: number[][] | CicadaError) => void): void {
    this.read({ kind: "durations", jobs, limit }, "durations", ({ ms }) => ms, done);
  }

  wentWrong(query: WrongQuery, done: (found: WrongJobs | CicadaError) => void): void {
    this.read({ kind: "wrong", query }, "wrong", asWrongJobs, done);
  }

  digests(
    from: number,
    to: number,
    done: (digests: [bucket: number, digest: string][] | CicadaError) => void,
  ): void {
    this.read({ kind: "digests", from, to }, "digests", ({ digests }) => digests, done);
  }

  things(page: ThingsQuery, done: (found: Things | CicadaError) => void): void {
    this.read({ kind: "things", page }, "things", asThings, done);
  }

  output(run: RunId, done: (output: Uint8Array | undefined | CicadaError) => void): void {
    this.read({ kind: "output", run }, "output", ({ bytes }) => bytes, done);
  }

  others(query: OthersQuery, done: (records: OtherRecord[] | CicadaError) => void): void {
    const tickInstant = "tick" in query.of ? instantOf(query.of.tick) : undefined;
    this.read({ kind: "others", query, tickInstant }, "others", ({ others }) => others.map(parseOther), done);
  }

  revisions(job: JobId, done: (revisions: JobRevision[] | CicadaError) => void): void {
    this.read({ kind: "revisions", job }, "revisions", ({ revisions }) => revisions.map(parseRevision), done);
  }

  audit(query: AuditQuery, done: (page: AuditPage | CicadaError) => void): void {
    this.read(
      { kind: "audit", query },
      "audited",
      ({ rows, more }) => ({
        rows: rows.map(({ place, text }) => ({ place, entry: parseAudit(text) })),
        more,
      }),
      done,
    );
  }

  jobsWithRecords(after: string, limit: number, done: (jobs: JobId[] | CicadaError) => void): void {
    this.read({ kind: "jobs", after, limit }, "jobs", ({ jobs }) => jobs, done);
  }

  prune(rules: readonly PruneRule[], done: (pruned: Pruned | CicadaError) => void): void {
    this.write({ kind: "prune", rules }, (result) =>
      done(valueOf(result, "pruned", ({ runs, horizons, more }) => ({ runs, horizons, more }))),
    );
  }

  measure(share: number, done: (measured: { bytes: number; instant: number } | CicadaError) => void): void {
    this.read({ kind: "measure", share }, "measured", ({ bytes, instant }) => ({ bytes, instant }), done);
  }

  close(done: () => void): void {
    if (this.closed) return queueMicrotask(done);
    const isFirst = this.closing === undefined;
    this.closing = [...(this.closing ?? []), done];
    if (isFirst) this.closeWhenIdle();
  }

  private write(request: WriteRequest, done: (result: DiskResult) => void): void {
    if (this.closing !== undefined) return queueMicrotask(() => done(this.closedFailure()));
    this.writesAsked += 1;
    this.writer.ask(request, (result) => {
      this.writesAnswered += 1;
      done(result);
      this.sendHeld();
    });
  }

  private read<Kind extends DiskResult["kind"], Value>(
    request: ReadRequest,
    kind: Kind,
    make: (result: Extract<DiskResult, { kind: Kind }>) => Value,
    done: (value: Value | CicadaError) => void,
  ): void {
    const answer = (result: DiskResult) => {
      this.readerIdle?.refresh();
      done(valueOf(result, kind, make));
    };
    if (this.closing !== undefined) return queueMicrotask(() => answer(this.closedFailure()));
    this.held.push({ afterWrite: this.writesAsked, send: () => this.openReader().ask(request, answer) });
    this.sendHeld();
  }

  private sendHeld(): void {
    for (let next = this.held[0]; next !== undefined; next = this.held[0]) {
      if (next.afterWrite > this.writesAnswered) return;
      this.held.shift();
      next.send();
    }
    this.closeWhenIdle();
  }

  private openReader(): DiskThread<ReadRequest> {
    if (this.reader !== undefined) return this.reader;
    const { folder } = this;
    const limits = { maxYoungGenerationSizeMb: nurseryMb, maxOldGenerationSizeMb: this.readerHeapMb };
    const options = {
      name: "reader",
      program: readerProgram,
      folder,
      batchMax: readsAtOnce,
      silentMs: readerSilentMs,
      limits,
    } as const;
    const reader = new DiskThread<ReadRequest>(options, {
      opened: () => undefined,
      ended: (error) => {
        this.readers -= 1;
        if (this.reader === reader) this.forgetReader();
        if (error !== undefined)
          this.log.error(
            "the thread that reads the database has died or hangs; the next read starts a new one",
            {
              reason: error.detail,
            },
          );
        this.closeWhenIdle();
      },
    });
    this.reader = reader;
    this.readers += 1;
    this.readerIdle = setTimeout(() => this.endIdleReader(reader), this.readerIdleMs).unref();
    return reader;
  }

  private endIdleReader(reader: DiskThread<ReadRequest>): void {
    // A busy reader stays: its next answer starts the time anew.
    if (reader.isBusy) return;
    this.forgetReader();
    reader.close();
  }

  private forgetReader(): void {
    clearTimeout(this.readerIdle);
    this.readerIdle = undefined;
    this.reader = undefined;
  }

  /** Closes the readers first and then the writer: the last connection merges the write-ahead log into the file. */
  private closeWhenIdle(): void {
    if (this.closing === undefined || this.held.length > 0) return;
    if (this.reader !== undefined) this.reader.close();
    else if (this.readers === 0) this.writer.close();
  }

  private writerEnded(error: CicadaError | undefined): void {
    this.closed = true;
    if (error !== undefined) {
      this.log.error("the thread that writes the database has died or hangs", { reason: error.detail });
      this.lost?.(error);
    }
    for (const done of this.closing ?? []) done();
  }

  private closedFailure(): DiskResult {
    const detail = `${join(this.folder, "cicada.db")} has been closed`;
    return { kind: "failed", code: "DISK_FAILED", detail };
  }
}

/** Makes values of the thread's answer. Returns its error, or the error of reading the answer. */
function valueOf<Kind extends DiskResult["kind"], Value>(
  result: DiskResult,
  kind: Kind,
  make: (result: Extract<DiskResult, { kind: Kind }>) => Value,
): Value | CicadaError {
  if (result.kind === "failed") return new CicadaError(result.code, result.detail);
  assert(isKind(result, kind), `the disk's thread answered ${result.kind}, not ${kind}`);
  try {
    return make(result);
  } catch (error) {
    if (error instanceof CicadaError) return error;
    throw error;
  }
}

function isKind<Kind extends DiskResult["kind"]>(
  result: DiskResult,
  kind: Kind,
): result is Extract<DiskResult, { kind: Kind }> {
  return result.kind === kind;
}
