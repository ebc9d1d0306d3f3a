/**
 * The Disk door: a write is volatile until its fsync has completed, after a drawn delay.
 *
 * Operations are carried out one after the other; writes that wait together are committed together. When the process is
 * killed, the earliest of the unacknowledged writes have reached the storage nevertheless; their number is drawn. So a
 * write without an answer may or may not be there. Outputs of runs are committed with the next group, or after a short
 * time; those that still wait when the process is killed are lost.
 */
import { recordKey } from "../core/records/records.ts";
import { CicadaError } from "../errors.ts";
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
import { instantOf, type JobId, type RunId } from "../schema/ids.ts";
import type { OtherRecord } from "../schema/other-record.ts";
import type { AuditPage, AuditQuery } from "../schema/audit.ts";
import type { JobRevision } from "../schema/revision.ts";
import { tookMs, type RequestedOrder, type RunRecord } from "../schema/run.ts";
import { isFinal } from "../schema/run-states.ts";
import type { StableStorage } from "./disk/storage.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";
import type { Dice } from "./random.ts";
import { pruneJob } from "./disk/pruning.ts";
import { fits, matches, newestFirst, pageOf, wrongAmong } from "./disk/queries.ts";

/** About how many bytes a record takes in a database. */
const recordBytes = 600;

export interface DiskSettings {
  /** how long a commit takes, ms; a read takes a tenth of it */
  fsyncMs: { least: number; most: number };
}

/** If no other write is committed before, an output is durable after this time, ms. */
const outputWaitsMs = 20;
const outputReadMs = 0.5;

/** An operation that waits for its turn. `carryOut` returns the function that reports the outcome. */
interface Operation {
  writes: readonly Write[] | undefined;
  carryOut(): () => void;
}

export class SimDisk implements Disk {
  private readonly queue: Queue;
  private readonly process: Process;
  private readonly storage: StableStorage;
  private readonly settings: DiskSettings;
  private readonly dice: Dice;
  private waiting: Operation[] = [];
  /** outputs, which are committed together with the next group */
  private waitingOutputs: Operation[] = [];
  private busy = false;
  private closed = false;

  constructor(queue: Queue, process: Process, storage: StableStorage, settings: DiskSettings, dice: Dice) {
    this.queue = queue;
    this.process = process;
    this.storage = storage;
    this.settings = settings;
    this.dice = dice;
  }

  load(since: number, done: (loaded: Loaded | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.damaged) return () => done(new CicadaError("DATA_FOLDER_DAMAGED", "a page is torn"));
      const records = this.storage
        .records()
        .filter((record) => instantOf(record.tick) >= since || !isFinal(record.state));
      const loaded: Loaded = {
        updates: [...this.storage.updates],
        votes: [...this.storage.votes.values()],
        watermarks: [...this.storage.watermarks.values()],
        horizons: [...this.storage.horizons.values()],
        records,
        orders: [...this.storage.orders.values()].filter(
          (order) => order.requestedAt >= since || !this.hasEnded(order),
        ),
        ordersLeftOut: 0,
        meta: new Map(this.storage.meta),
      };
      return () => done(loaded);
    });
  }

  store(writes: readonly Write[], done: (error?: CicadaError) => void): void {
    if (this.closed) {
      this.queue.after(0, this.process, () => done(new CicadaError("DISK_FAILED", "the disk is closed")));
      return;
    }
    // Copies the bytes, because the caller may change them later.
    const kept = writes.map((write) => {
      if ("update" in write) return { ...write, update: write.update.slice() };
      return write.kind === "output" ? { ...write, bytes: write.bytes.slice() } : write;
    });
    const carryOut = () => {
      if (this.storage.full) return () => done(new CicadaError("DISK_FAILED", "no space is left"));
      for (const write of kept) this.storage.write(write);
      return () => done();
    };
    if (kept.every(({ kind }) => kind === "output")) this.enqueueOutput({ writes: kept, carryOut });
    else this.enqueue(kept, carryOut);
  }

  history(query: RunQuery, done: (page: RunPage | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const found = this.storage.records(query.job).filter((record) => matches(record, query));
      found.sort(newestFirst);
      const place = found.findIndex((record) => recordKey(record) === query.after);
      if (query.after !== undefined && place < 0) {
        return () => done(new CicadaError("UNPROCESSABLE", "that cursor didn't come from a page"));
      }
      const start = place + 1;
      const records = found.slice(start, start + query.limit);
      const last = records.at(-1);
      const next = last !== undefined && start + records.length < found.length ? recordKey(last) : null;
      const beside = query.beside === true ? this.storage.beside(records) : [];
      return () => done({ records, next, total: found.length, beside });
    });
  }

  newest(jobs: readonly JobId[], limit: number, done: (records: RunRecord[][] | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const found = jobs.map((job) => this.storage.records(job).toSorted(newestFirst).slice(0, limit));
      return () => done(found);
    });
  }

  durations(jobs: readonly JobSince[], limit: number, done: (ms: number[][] | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const found = jobs.map(({ job, from }) =>
        this.storage
          .records(job)
          .filter(({ state, tick }) => state === "succeeded" && instantOf(tick) >= from)
          .toSorted(newestFirst)
          .slice(0, limit)
          .flatMap((record) => tookMs(record) ?? []),
      );
      return () => done(found);
    });
  }

  wentWrong(query: WrongQuery, done: (found: WrongJobs | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const found = wrongAmong(this.storage.records(), query);
      return () => done(found);
    });
  }

  digests(
    from: number,
    to: number,
    done: (digests: [bucket: number, digest: string][] | CicadaError) => void,
  ): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const digests: [number, string][] = [];
      for (const [number, bucket] of this.storage.buckets) {
        if (number < from || number >= to || bucket.isEmpty) continue;
        digests.push([number, bucket.digest()]);
      }
      digests.sort((a, b) => a[0] - b[0]);
      return () => done(digests);
    });
  }

  things(query: ThingsQuery, done: (found: Things | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const page = pageOf(
        query.buckets.flatMap((bucket) => this.storage.thingsIn(bucket)),
        query,
      );
      return () => done(page);
    });
  }

  /** Doesn't wait for a group. An output that is not yet committed is found too. */
  output(run: RunId, done: (output: Uint8Array | undefined | CicadaError) => void): void {
    this.queue.after(outputReadMs, this.process, () => {
      if (this.storage.unreadable) return done(unreadable());
      const waiting = this.waitingOutputs
        .flatMap(({ writes = [] }) => writes)
        .findLast((write) => write.kind === "output" && write.run === run);
      done(waiting?.kind === "output" ? waiting.bytes : this.storage.outputs.get(run));
    });
  }

  others({ kind, of, limit }: OthersQuery, done: (records: OtherRecord[] | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const found = [...this.storage.others.values()]
        .filter((record) => record.kind === kind)
        .filter((record) =>
          "from" in of
            ? instantOf(record.tick) >= of.from && (of.peer ?? record.peer) === record.peer
            : record.job === of.job && record.tick === of.tick,
        )
        .toSorted((a, b) => instantOf(a.tick) - instantOf(b.tick))
        .slice(-limit);
      return () => done(found);
    });
  }

  revisions(job: JobId, done: (revisions: JobRevision[] | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const revisions = [...(this.storage.revisions.get(job) ?? [])];
      return () => done(revisions);
    });
  }

  audit(query: AuditQuery, done: (page: AuditPage | CicadaError) => void): void {
    const { limit } = query;
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const found = this.storage.audit.toReversed().filter((one) => fits(one, query));
      return () => done({ rows: found.slice(0, limit), more: found.length > limit });
    });
  }

  jobsWithRecords(after: string, limit: number, done: (jobs: JobId[] | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const jobs = this.storage.jobs().filter((job) => job > after);
      return () => done(jobs.toSorted().slice(0, limit));
    });
  }

  prune(rules: readonly PruneRule[], done: (pruned: Pruned | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const pruned: Pruned = { runs: [], horizons: [], more: false };
      for (const rule of rules) pruneJob(this.storage, rule, pruned);
      return () => done(pruned);
    });
  }

  measure(share: number, done: (measured: { bytes: number; instant: number } | CicadaError) => void): void {
    this.enqueue(undefined, () => {
      if (this.storage.unreadable) return () => done(unreadable());
      const instants = this.storage
        .records()
        .map(({ tick }) => instantOf(tick))
        .toSorted((a, b) => a - b);
      const instant = instants[Math.max(0, Math.ceil(instants.length * share) - 1)] ?? 0;
      let bytes = instants.length * recordBytes;
      for (const output of this.storage.outputs.values()) bytes += output.length;
      return () => done({ bytes, instant });
    });
  }

  close(done: () => void): void {
    this.closed = true;
    this.enqueue(undefined, () => done);
  }

  private hasEnded({ job, tick }: RequestedOrder): boolean {
    return this.storage.records(job).some((record) => record.tick === tick && isFinal(record.state));
  }

  /**
   * Called when the process is killed: a drawn number of the unacknowledged writes, the first ones, reach the storage.
   */
  lost(): void {
    const writes = this.waiting.filter((operation) => operation.writes !== undefined);
    const reached = this.dice.below(writes.length + 1);
    for (const operation of writes.slice(0, reached)) operation.carryOut();
    this.waiting = [];
    this.waitingOutputs = [];
  }

  /** An output comes with the end of its run, or as a copy for which nobody waits, so it causes no commit of its own. */
  private enqueueOutput(operation: Operation): void {
    this.waitingOutputs.push(operation);
    this.queue.after(outputWaitsMs, undefined, () => this.commitOutputs());
  }

  private commitOutputs(): void {
    if (!this.process.alive || this.waitingOutputs.length === 0) return;
    const outcomes = this.waitingOutputs.splice(0).map((operation) => operation.carryOut());
    this.queue.after(0, this.process, () => {
      for (const outcome of outcomes) outcome();
    });
  }

  private enqueue(writes: readonly Write[] | undefined, carryOut: () => () => void): void {
    this.waiting.push({ writes, carryOut });
    if (!this.busy) this.begin();
  }

  /** Carries out everything that waits now, as one group, after a drawn time. */
  private begin(): void {
    const group = this.waiting.length;
    const writes = this.waiting.some((operation) => operation.writes !== undefined);
    const { least, most } = this.settings.fsyncMs;
    const chance = this.dice.next();
    const fsyncMs = least + (most - least) * chance * chance * chance + this.storage.slowMs * chance;
    this.busy = true;
    this.queue.after(writes ? fsyncMs : fsyncMs / 10, undefined, () => this.complete(group));
  }

  private complete(group: number): void {
    if (!this.process.alive) return;
    this.commitOutputs();
    const outcomes = this.waiting.splice(0, group).map((operation) => operation.carryOut());
    this.queue.after(0, this.process, () => {
      for (const outcome of outcomes) outcome();
    });
    this.busy = false;
    if (this.waiting.length > 0) this.begin();
  }
}

function unreadable(): CicadaError {
  return new CicadaError("DATA_FOLDER_DAMAGED", "a page can't be read");
}
