/**
 * Removes history from the database by rules (ports/disk.ts, PruneRule), a limited number of records at a time. In the
 * same transaction it stores the horizon of each job: what is below it and gone was pruned, and isn't missing.
 */
import { originalTick } from "../../schema/backfill.ts";
import { isRecordOfStart } from "../../core/records/records.ts";
import { addToSpans, readSpans, startsKept, writeSpans } from "../../core/time/spans.ts";
import { instantOf, runId, type JobId, type TickId } from "../../schema/ids.ts";
import type { Horizon, Pruned, PruneRule } from "../../ports/disk.ts";
import type { RunRecord } from "../../schema/run.ts";
import { textIn } from "./rows.ts";
import { asOrder, asOther, asRecord, type BucketChanges, type Writes } from "./writes.ts";

/** Records removed in one transaction. More delays a claim that waits behind it: about 20 µs for each record. */
const removedAtOnce = 2_000;

interface Tick {
  readonly instant: number;
  readonly tick: string;
}

export class Pruning {
  private readonly writes: Writes;

  constructor(writes: Writes) {
    this.writes = writes;
  }

  prune(rules: readonly PruneRule[]): Pruned {
    const pruned: Pruned = { runs: [], horizons: [], more: false };
    this.writes.inTransaction((changes) => {
      for (const rule of rules) {
        if (pruned.runs.length >= removedAtOnce) {
          pruned.more = true;
          return;
        }
        this.pruneJob(rule, changes, pruned);
      }
    });
    return pruned;
  }

  private pruneJob(rule: PruneRule, changes: BucketChanges, pruned: Pruned): void {
    const noted = this.horizonOf(rule.job);
    // A horizon in the future was stored when the clock was wrong.
    const known = noted === undefined || noted.before > rule.countedBefore ? 0 : noted.before;
    const before = Math.min(rule.before, Math.max(rule.olderThan, this.oldestKept(rule), known));
    const started: number[] = [];
    const rest = this.removeBefore(rule, before, changes, pruned, started);
    this.removeOthers(rule, rest ?? before, changes, pruned);
    this.removeOrders(rule, changes, pruned);
    const starts = addToSpans(noted?.starts ?? [], started, startsKept);
    const horizon = { job: rule.job, before: Math.max(known, rest ?? before), keep: rule.keep, starts };
    if (this.note(horizon, noted)) pruned.horizons.push(horizon);
  }

  /**
   * Returns the instant of the first tick that has to wait for the next round, if there is one. Those that had started are added
   * to `started`.
   */
  private removeBefore(
    rule: PruneRule,
    before: number,
    changes: BucketChanges,
    pruned: Pruned,
    started: number[],
  ): number | undefined {
    const ticks = this.statements.all(
      "SELECT DISTINCT instant, tick FROM record WHERE job = ? AND instant < ? ORDER BY instant, tick LIMIT ?",
      rule.job,
      before,
      // Up to two of the ticks stay (`lastOf`), and a further one shows that there are more.
      removedAtOnce + 3,
    );
    if (ticks.length === 0) return undefined;
    const stays = rule.keepsLast ? this.lastOf(rule.job) : new Set<string>();
    for (const row of ticks) {
      const tick = { instant: Number(row["instant"]), tick: String(row["tick"]) };
      if (stays.has(tick.tick)) continue;
      const room = removedAtOnce - pruned.runs.length;
      const removed = this.removeTick(rule.job, tick, room, changes);
      for (const record of removed) pruned.runs.push(runId(record));
      if (removed.some(isRecordOfStart)) started.push(instantOf(originalTick(tick.tick as TickId)));
      // A member can have written any number of records of one tick.
      if (removed.length === room) {
        pruned.more = true;
        return tick.instant;
      }
    }
    return undefined;
  }

  /** The instant of the oldest tick among the `keep.runs` newest; 0 if there are fewer. */
  private oldestKept({ job, keep, countedBefore }: PruneRule): number {
    const row = this.statements.first(
      `SELECT instant FROM (SELECT DISTINCT instant, tick FROM record WHERE job = ? AND instant < ?
         ORDER BY instant DESC LIMIT 1 OFFSET ?)`,
      job,
      countedBefore,
      Math.max(0, keep.runs - 1),
    );
    if (row === undefined) return 0;
    return keep.runs > 0 ? Number(row["instant"]) : Number(row["instant"]) + 1;
  }

  /** The job's last tick and its last successful one. */
  private lastOf(job: JobId): Set<string> {
    const last = this.statements.first(
      "SELECT tick FROM record WHERE job = ? ORDER BY instant DESC, tick DESC LIMIT 1",
      job,
    );
    const success = this.statements.first(
      "SELECT tick FROM record WHERE job = ? AND +state = 'succeeded' ORDER BY instant DESC LIMIT 1",
      job,
    );
    return new Set([last, success].flatMap((row) => (row === undefined ? [] : String(row["tick"]))));
  }

  /** Removes at most `most` of the tick's records, and the order of it. */
  private removeTick(job: JobId, { instant, tick }: Tick, most: number, changes: BucketChanges): RunRecord[] {
    const removed: RunRecord[] = [];
    const records = this.statements.all(
      `DELETE FROM record WHERE rowid IN (SELECT rowid FROM record
         WHERE instant = ? AND tick = ? AND job = ? LIMIT ?) RETURNING body, sum`,
      instant,
      tick,
      job,
      most,
    );
    for (const row of records) {
      const record = asRecord(textIn(row));
      this.statements.run("DELETE FROM output WHERE run = ?", runId(record));
      removed.push(record);
      changes.remove(record);
    }
    const orders = this.statements.all(
      "DELETE FROM requested_order WHERE instant = ? AND tick = ? AND job = ? RETURNING body, sum",
      instant,
      tick,
      job,
    );
    for (const row of orders) changes.remove(asOrder(textIn(row)));
    return removed;
  }

  /** Records of kinds that this version doesn't know. Their ticks may have no run, so they are looked for by themselves. */
  private removeOthers(rule: PruneRule, before: number, changes: BucketChanges, pruned: Pruned): void {
    const [last = "", success = ""] = rule.keepsLast ? this.lastOf(rule.job) : [];
    const rows = this.statements.all(
      `DELETE FROM other_record WHERE rowid IN (SELECT rowid FROM other_record
         WHERE job = ? AND instant < ? AND tick NOT IN (?, ?) LIMIT ?) RETURNING body, sum`,
      rule.job,
      before,
      last,
      success,
      removedAtOnce,
    );
    for (const row of rows) changes.remove(asOther(textIn(row)));
    if (rows.length === removedAtOnce) pruned.more = true;
  }

  /** Orders of ticks without any record. Those of other ticks go with their ticks. */
  private removeOrders(rule: PruneRule, changes: BucketChanges, pruned: Pruned): void {
    const rows = this.statements.all(
      `DELETE FROM requested_order WHERE rowid IN (SELECT rowid FROM requested_order AS requested
         WHERE job = ? AND instant < ? AND NOT EXISTS (SELECT 1 FROM record WHERE record.instant = requested.instant
           AND record.tick = requested.tick AND record.job = requested.job) LIMIT ?) RETURNING body, sum`,
      rule.job,
      rule.before,
      removedAtOnce,
    );
    for (const row of rows) changes.remove(asOrder(textIn(row)));
    if (rows.length === removedAtOnce) pruned.more = true;
  }

  private horizonOf(job: JobId): Horizon | undefined {
    const row = this.statements.first("SELECT * FROM horizon WHERE job = ?", job);
    return row === undefined ? undefined : readHorizon(row);
  }

  /** True if the horizon has changed. */
  private note(horizon: Horizon, known: Horizon | undefined): boolean {
    const { job, before, keep } = horizon;
    const starts = writeSpans(horizon.starts);
    const isKnown =
      known?.before === before &&
      known.keep.runs === keep.runs &&
      known.keep.ageMs === keep.ageMs &&
      known.keep.windowMs === keep.windowMs &&
      writeSpans(known.starts) === starts;
    if (isKnown) return false;
    this.statements.run(
      `INSERT INTO horizon VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE
         SET before = excluded.before, runs = excluded.runs, age = excluded.age, window = excluded.window,
         starts = excluded.starts`,
      job,
      before,
      keep.runs,
      keep.ageMs,
      keep.windowMs,
      starts,
    );
    return true;
  }

  private get statements() {
    return this.writes.statements;
  }
}

/** A row of the table `horizon`. */
export function readHorizon(row: Readonly<Record<string, unknown>>): Horizon {
  return {
    job: String(row["job"]) as JobId,
    before: Number(row["before"]),
    keep: { runs: Number(row["runs"]), ageMs: Number(row["age"]), windowMs: Number(row["window"]) },
    starts: readSpans(String(row["starts"])),
  };
}
