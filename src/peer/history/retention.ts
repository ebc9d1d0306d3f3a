/**
 * Which history this peer keeps (DESIGN §8). Every ten minutes, at the same instants on every peer, it goes through all jobs
 * that have records on its disk, idle and deleted jobs included. It prunes by each job's `keep`, and by the peer's own limit on
 * the size of records and outputs.
 *
 * It never prunes records younger than the job's catch-up window plus an hour, a tick that isn't over or anything after that
 * tick, nor an existing job's last tick and last success. The instant before which it has pruned is the job's horizon. It is
 * stored together with the removal and sent to the neighbours, so that pruned history comes back from none of them.
 *
 * It prunes nothing while its clock is doubted, or after the clock was set far ahead or far back and has not yet proved itself
 * (core/time/clock-proof.ts): a wrong clock would take history for old that isn't. Rounds go on from the time that is proved.
 * A round that may not prune still notes each job's `keep`, in case the job is deleted before the next one.
 */
import { CicadaError } from "../../errors.ts";
import type { Doors, Now } from "../../ports.ts";
import type { Keep, PruneRule, Write } from "../../ports/disk.ts";
import type { JobId } from "../../schema/ids.ts";
import { metaKeys, type StoredProof } from "./meta-keys.ts";
import type { ClockProof } from "../../core/time/clock-proof.ts";
import { neverPrunedMs, roundMs, type Horizons } from "./horizons.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Jobs pruned in one transaction. A claim that has to be stored meanwhile waits a few milliseconds. */
const jobsAtOnce = 100;
/**
 * What is kept of a deleted job whose `keep` this peer has never known: the default age, and the largest number of runs that a
 * job may ask for, because the default number could remove history that the job wants if it comes back.
 */
const keepOfUnknown: Keep = { runs: 100_000, ageMs: 30 * dayMs, windowMs: hourMs };
/**
 * The horizon of a deleted job without records is dropped when it is this old. More stores it for longer; with less, more peers
 * could bring back records from before it, which then stay until another round removes them.
 */
const horizonKeptMs = 7 * dayMs;
/** History that is over its limit is reduced to this share of it, so that not every round has to remove something. */
const filledShare = 0.9;

export interface RetentionDeps {
  doors: Pick<Doors, "disk" | "executor" | "log">;
  horizons: Horizons;
  /** the instant of an earlier life's last round; undefined = there was none */
  lastRound: number | undefined;
  clockProof: ClockProof;
  /** bytes of records and outputs; Infinity = no limit */
  historyMaxBytes: number;
  /** Undefined when there is no such job, or when it can't be read. */
  keepOf(job: JobId): Keep | undefined;
  /** The table holds an entry with this id, readable or not. */
  isInTable(job: JobId): boolean;
  /** This peer has warmed up, and its clock is not doubted. */
  mayPrune(): boolean;
  hasWarmedUp(): boolean;
  /** The oldest tick (ms) for which core has an open record; Infinity = none. */
  openSince(job: JobId): number;
  /** A round begins. */
  onRound(): void;
  count(name: string): void;
}

export class Retention {
  readonly #deps: RetentionDeps;
  /** the instant of the last round that was begun, in this life or an earlier one; undefined = there was none */
  #round: number | undefined;
  /** the last round that only noted what jobs keep; undefined = there was none in this life */
  #notedIn: number | undefined;
  /** the round in which the unfinished proof was last stored; undefined = not in this life */
  #proofStoredIn: number | undefined;
  #busy = false;
  /** deleted jobs that had records in the current round */
  readonly #gone = new Set<JobId>();
  /** ticks before this instant (ms) go, because of the limit on size */
  #floor = 0;
  /** why the limit on size can't be kept, in words; undefined = it is kept */
  #overfull: string | undefined;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
    this.#round = deps.lastRound;
  }

  woke(now: Now): void {
    const round = Math.floor(now.wall / roundMs) * roundMs;
    const isProved = this.#deps.clockProof.isDone(now, round - (this.#round ?? round));
    if (!isProved) this.#storeProof(round);
    if (this.#busy || round === this.#round) return;
    if (isProved && this.#deps.mayPrune()) this.#beginRound(round);
    else if (this.#deps.hasWarmedUp() && round !== this.#notedIn) this.#noteKeeps(round);
  }

  #beginRound(round: number): void {
    this.#deps.onRound();
    this.#round = round;
    this.#busy = true;
    this.#floor = 0;
    this.#gone.clear();
    this.#store([{ kind: "meta", key: metaKeys.prunedAt, value: String(round) }]);
    this.#pruneAfter(
      "",
      (job) => this.#ruleFor(job, round),
      () => this.#limitSize(round),
    );
  }

  #noteKeeps(round: number): void {
    this.#notedIn = round;
    this.#busy = true;
    this.#pruneAfter(
      "",
      (job) => this.#noteFor(job),
      () => (this.#busy = false),
    );
  }

  /** Stores the proof once per round, so that the next life can continue it. */
  #storeProof(round: number): void {
    const { leftMs } = this.#deps.clockProof;
    if (round === this.#proofStoredIn || this.#round === undefined || leftMs === undefined) return;
    this.#proofStoredIn = round;
    const proof: StoredProof = { lastRound: this.#round, leftMs };
    this.#store([
      { kind: "meta", key: metaKeys.prunedAt, value: String(this.#round) },
      { kind: "meta", key: metaKeys.clockProof, value: JSON.stringify(proof) },
    ]);
  }

  #store(writes: readonly Write[]): void {
    this.#deps.doors.disk.store(writes, (error) => {
      if (error !== undefined) this.#warn(error);
    });
  }

  /** What people should know, in words. */
  warnings(): string[] {
    return this.#overfull === undefined ? [] : [this.#overfull];
  }

  /** Prunes all jobs that have records, page by page. A job without a rule is left as it is. */
  #pruneAfter(after: string, ruleFor: (job: JobId) => PruneRule | undefined, done: () => void): void {
    this.#deps.doors.disk.jobsWithRecords(after, jobsAtOnce, (jobs) => {
      if (jobs instanceof CicadaError) return this.#fail(jobs);
      const last = jobs.at(-1);
      if (last === undefined) return done();
      const rules = jobs.flatMap((job) => ruleFor(job) ?? []);
      this.#prune(rules, () => this.#pruneAfter(last, ruleFor, done));
    });
  }

  #prune(rules: readonly PruneRule[], done: () => void): void {
    const { disk, executor } = this.#deps.doors;
    disk.prune(rules, (pruned) => {
      if (pruned instanceof CicadaError) return this.#fail(pruned);
      if (pruned.runs.length > 0) {
        this.#deps.count("history_pruned");
        executor.dropLogs(pruned.runs);
      }
      this.#deps.horizons.moved(pruned.horizons);
      if (pruned.more) this.#prune(rules, done);
      else done();
    });
  }

  /** Undefined for a job that is in the table but can't be read: its `keep` is unknown. */
  #ruleFor(job: JobId, round: number): PruneRule | undefined {
    const exists = this.#deps.isInTable(job);
    if (!exists) this.#gone.add(job);
    const ofJob = this.#deps.keepOf(job);
    if (exists && ofJob === undefined) return undefined;
    const keep = ofJob ?? this.#deps.horizons.ownOf(job)?.keep ?? keepOfUnknown;
    return {
      job,
      keep,
      before: Math.min(round - keep.windowMs - neverPrunedMs, this.#deps.openSince(job)),
      countedBefore: round,
      olderThan: Math.max(round - keep.ageMs, this.#floor),
      keepsLast: exists,
    };
  }

  /** Removes nothing, and leaves the horizon where it is. Undefined for a job whose `keep` isn't known. */
  #noteFor(job: JobId): PruneRule | undefined {
    const keep = this.#deps.keepOf(job);
    if (keep === undefined) return undefined;
    return { job, keep, before: 0, countedBefore: Number.MAX_SAFE_INTEGER, olderThan: 0, keepsLast: true };
  }

  /** When records and outputs are too large, the oldest records of all jobs go. */
  #limitSize(round: number): void {
    const { disk, executor } = this.#deps.doors;
    const { historyMaxBytes } = this.#deps;
    if (historyMaxBytes === Infinity) return this.#end(round);
    executor.logBytes((logBytes) => {
      disk.measure(0, (held) => {
        if (held instanceof CicadaError) return this.#fail(held);
        const bytes = held.bytes + logBytes;
        if (bytes <= historyMaxBytes) {
          this.#overfull = undefined;
          return this.#end(round);
        }
        const share = 1 - (filledShare * historyMaxBytes) / bytes;
        disk.measure(share, (measured) => {
          if (measured instanceof CicadaError) return this.#fail(measured);
          this.#lowerTo(measured.instant, bytes, round);
        });
      });
    });
  }

  /** Goes through all jobs again with a higher floor. If the floor can't rise any more, records have to stay, and outputs go. */
  #lowerTo(instant: number, bytes: number, round: number): void {
    if (instant <= this.#floor) return this.#dropOutputs(bytes, round);
    this.#floor = instant;
    this.#pruneAfter(
      "",
      (job) => this.#ruleFor(job, round),
      () => this.#limitSize(round),
    );
  }

  /** The oldest outputs of runs whose records have to stay. */
  #dropOutputs(bytes: number, round: number): void {
    const { historyMaxBytes, doors } = this.#deps;
    doors.executor.freeLogs(bytes - filledShare * historyMaxBytes, (freed) => {
      const rest = bytes - freed;
      if (freed > 0)
        doors.log.info("the oldest outputs were removed, because history has reached its limit", {
          bytes: freed,
        });
      this.#overfull =
        rest <= historyMaxBytes
          ? undefined
          : `history takes ${mebibytes(rest)}, above its limit of ${mebibytes(historyMaxBytes)}: nothing more can be removed, ` +
            "because the rest is records within the jobs' catch-up windows, or the last of their jobs";
      this.#end(round);
    });
  }

  #end(round: number): void {
    for (const { job, before } of this.#deps.horizons.own()) {
      // The horizon of a job with records also holds the job's last known `keep`.
      if (before > round - horizonKeptMs || this.#deps.isInTable(job) || this.#gone.has(job)) continue;
      this.#deps.horizons.forget(job);
      this.#deps.doors.disk.store([{ kind: "drop-horizon", job }], () => undefined);
    }
    this.#busy = false;
  }

  /** The next round tries again. */
  #fail(error: CicadaError): void {
    this.#warn(error);
    this.#busy = false;
  }

  #warn(error: CicadaError): void {
    this.#deps.doors.log.warn("history can't be pruned", { why: error.detail });
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}
