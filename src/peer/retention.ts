/**
 * Which history this peer keeps (DESIGN §8). Every ten minutes, at the same instants on every peer, it goes over all jobs that
 * have records on its disk: by each job's `keep`, also when the job is idle or has been deleted, and by the peer's own limit
 * on the size of records and outputs.
 *
 * It never prunes what is younger than the job's catch-up window and an hour, a tick that isn't over, or anything after such a
 * tick; nor an existing job's last tick and last success. Up to where it has pruned is the job's horizon, which is stored with
 * the removal and told to the neighbours: what lies below comes back from nobody. It prunes nothing while its clock is not
 * known to be right, nor by one that has leapt ahead until it has proved itself (clock-proof.ts): what a wrong clock takes for old
 * would be lost. By a clock that is set back it begins again from there.
 */
import { CicadaError } from "../errors.ts";
import type { Doors, Now } from "../ports.ts";
import type { Keep, PruneRule, Write } from "../ports/disk.ts";
import type { JobId } from "../schema/ids.ts";
import { metaKeys, type StoredProof } from "./boot.ts";
import type { ClockProof } from "./clock-proof.ts";
import { neverPrunedMs, roundMs, type Horizons } from "./horizons.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Jobs looked at in one transaction: a claim that is stored meanwhile waits for a few milliseconds. */
const jobsAtOnce = 100;
/**
 * What is kept of a job that is gone and of which this peer has never known what it keeps: the default age, and as many runs
 * as a job may ask for, since the default number would remove what the job wants kept if it comes back.
 */
const keepOfUnknown: Keep = { runs: 100_000, ageMs: 30 * dayMs, windowMs: hourMs };
/** The horizon of a job that is gone is forgotten when it has no records any more and nobody can bring old ones for so long. */
const horizonKeptMs = 7 * dayMs;
/** History is brought down to this share of its limit, so that not every round has to remove something. */
const filledShare = 0.9;

export interface RetentionDeps {
  doors: Pick<Doors, "disk" | "executor" | "log">;
  horizons: Horizons;
  /** the last round of an earlier life, as its instant; undefined = there was none */
  lastRound: number | undefined;
  clockProof: ClockProof;
  /** bytes of records and outputs; Infinity = no limit */
  historyMaxBytes: number;
  /** Undefined: there is no such job, or it can't be read. */
  keepOf(job: JobId): Keep | undefined;
  /** Something is in the table under that id. */
  isInTable(job: JobId): boolean;
  /** This peer has warmed up, and its clock is not doubted. */
  mayPrune(): boolean;
  /** The oldest tick (ms) of which core has an open record; Infinity = none. */
  openSince(job: JobId): number;
  count(name: string): void;
}

export class Retention {
  readonly #deps: RetentionDeps;
  /** the round that was begun last, in this life or an earlier one, as its instant; undefined = there was none */
  #round: number | undefined;
  /** in which the proof that is under way was stored last; undefined = not in this life */
  #proofStoredIn: number | undefined;
  #busy = false;
  /** jobs that are gone and had records in the present round */
  readonly #gone = new Set<JobId>();
  /** ticks before it go, for the limit of size; ms */
  #floor = 0;
  /** what is wrong, for people */
  #overfull: string | undefined;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
    this.#round = deps.lastRound;
  }

  woke(now: Now): void {
    const round = Math.floor(now.wall / roundMs) * roundMs;
    const isProved = this.#deps.clockProof.isDone(now, round - (this.#round ?? round));
    if (!isProved) this.#storeProof(round);
    if (this.#busy || round === this.#round || !this.#deps.mayPrune() || !isProved) return;
    this.#round = round;
    this.#busy = true;
    this.#floor = 0;
    this.#gone.clear();
    this.#store([{ kind: "meta", key: metaKeys.prunedAt, value: String(round) }]);
    this.#pruneAfter("", round, () => this.#limitSize(round));
  }

  /** Once in a round, so that the next life need not begin anew. */
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

  /** What a person should know, in words. */
  warnings(): string[] {
    return this.#overfull === undefined ? [] : [this.#overfull];
  }

  /** Page by page over all jobs that have records. */
  #pruneAfter(after: string, round: number, done: () => void): void {
    this.#deps.doors.disk.jobsWithRecords(after, jobsAtOnce, (jobs) => {
      if (jobs instanceof CicadaError) return this.#fail(jobs);
      const last = jobs.at(-1);
      if (last === undefined) return done();
      const rules = jobs.flatMap((job) => this.#ruleFor(job, round) ?? []);
      this.#prune(rules, () => this.#pruneAfter(last, round, done));
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

  /** Undefined for a job that is in the table but can't be read: nobody knows what it keeps. */
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

  /** When records and outputs are too large, the oldest of all jobs go. */
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

  /** Once more over all jobs, with a floor. If that finds nothing any more, the limit can't be kept. */
  #lowerTo(instant: number, bytes: number, round: number): void {
    if (instant <= this.#floor) {
      const { historyMaxBytes } = this.#deps;
      this.#overfull =
        `history takes ${mebibytes(bytes)}, above its limit of ${mebibytes(historyMaxBytes)}: nothing more of it may go, ` +
        "because it is within the jobs' catch-up windows, or is the last of its job";
      return this.#end(round);
    }
    this.#floor = instant;
    this.#pruneAfter("", round, () => this.#limitSize(round));
  }

  #end(round: number): void {
    for (const { job, before } of this.#deps.horizons.own()) {
      // The horizon of a job with records says what it kept.
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
