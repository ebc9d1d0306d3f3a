/**
 * The statements behind the disk door: what each request reads and writes in an open database.
 *
 * All stores of a batch go into one transaction and so share one fsync (group commit); when that fails, each is
 * tried alone, so that no store takes another down with it. The digests of the 5-minute buckets (core/buckets.ts)
 * change in the same transaction as what they stand for.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { bucketMs, bucketOf, combine, digestOf, emptyDigest } from "../../core/records/buckets.ts";
import { mergeRecord } from "../../core/records/records.ts";
import { CicadaError } from "../../errors.ts";
import type { RunQuery } from "../../ports.ts";
import { instantOf, runId, type RunId } from "../../schema/ids.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";
import type { DiskResult, LoadedText, TextWrite } from "./protocol.ts";
import type { DiskMark } from "./commit-counter.ts";
import { checkSum, parseOrder, parseRecord, sumOf } from "./rows.ts";

const openStates = "('claimed', 'running')";
const rowKey = "instant, tick, job, attempt, slot, peer";
const byRowKey = "instant = ? AND tick = ? AND job = ? AND attempt = ? AND slot = ? AND peer = ?";

export class DiskTables {
  private readonly database: DatabaseSync;
  private readonly mark: DiskMark;
  private readonly statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, mark: DiskMark) {
    this.database = database;
    this.mark = mark;
  }

  /** Makes each of the stores durable or reports why not, one result each. */
  store(stores: readonly (readonly TextWrite[])[], fail: (error: unknown) => DiskResult): DiskResult[] {
    try {
      this.inTransaction((changes) => {
        for (const writes of stores) for (const write of writes) this.write(write, changes);
      });
      return stores.map(() => ({ kind: "stored" }));
    } catch (error) {
      if (stores.length === 1) return [fail(error)];
      return stores.flatMap((writes) => this.store([writes], fail));
    }
  }

  load(since: number): LoadedText {
    return {
      updates: this.all("SELECT body, sum FROM job_update ORDER BY sequence").map((row) =>
        checkSum(bytesIn(row["body"]), row["sum"]),
      ),
      records: this.texts(
        `SELECT body, sum FROM record WHERE instant >= ?
         UNION ALL SELECT body, sum FROM record WHERE state IN ${openStates} AND instant < ?`,
        since,
        since,
      ),
      // An order that is old but still has no end must be carried on as well.
      orders: this.texts(
        `SELECT body, sum FROM asked WHERE instant >= ?1 OR asked_at >= ?1 OR NOT EXISTS (
           SELECT 1 FROM record WHERE record.instant = asked.instant AND record.tick = asked.tick
             AND record.job = asked.job AND record.state NOT IN ${openStates})`,
        since,
      ),
      votes: this.texts("SELECT body, sum FROM vote"),
      meta: this.all("SELECT key, value, sum FROM meta").map((row) => [
        String(row["key"]),
        checkSum(String(row["value"]), row["sum"]),
      ]),
    };
  }

  history(query: RunQuery): { records: string[]; next: string | null; total: number } {
    const { where, values } = conditions(query);
    const total = Number(
      this.statement(`SELECT count(*) AS total FROM record${where}`).get(...values)?.["total"],
    );
    const limit = Math.max(1, Math.floor(query.limit));
    const after = query.after === undefined ? undefined : readCursor(query.after);
    const older =
      after === undefined ? "" : `${where === "" ? " WHERE" : " AND"} (${rowKey}) < (?, ?, ?, ?, ?, ?)`;
    const order = rowKey
      .split(", ")
      .map((column) => `${column} DESC`)
      .join(", ");
    const rows = this.statement(
      `SELECT ${rowKey}, body, sum FROM record${where}${older} ORDER BY ${order} LIMIT ?`,
    ).all(...values, ...(after ?? []), limit + 1);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      records: page.map(textIn),
      next: rows.length > limit && last !== undefined ? writeCursor(last) : null,
      total,
    };
  }

  digests(from: number, to: number): [bucket: number, digest: string][] {
    return this.all(
      "SELECT bucket, digest FROM bucket WHERE bucket >= ? AND bucket < ? ORDER BY bucket",
      from,
      to,
    ).map((row) => [Number(row["bucket"]), String(row["digest"])]);
  }

  bucket(bucket: number): { records: string[]; orders: string[] } {
    const range = [bucket * bucketMs, (bucket + 1) * bucketMs];
    return {
      records: this.texts("SELECT body, sum FROM record WHERE instant >= ? AND instant < ?", ...range),
      orders: this.texts("SELECT body, sum FROM asked WHERE instant >= ? AND instant < ?", ...range),
    };
  }

  /**
   * A tick with all its records counts as one run that is kept, so that no tick's story is half told. A tick with
   * an open record stays whole. An order goes with the last record of its tick.
   */
  prune(keep: { job: string; runs: number; ageMs: number }, notAfter: number, now: number): RunId[] {
    const removed: RunId[] = [];
    this.inTransaction((changes) => {
      const ticks = this.all(
        `SELECT instant, tick FROM (
           SELECT instant, tick, row_number() OVER (ORDER BY instant DESC, tick DESC) AS place,
             max(state IN ${openStates}) AS open
           FROM record WHERE job = ? GROUP BY instant, tick)
         WHERE open = 0 AND instant < ? AND (place > ? OR instant < ?)`,
        keep.job,
        notAfter,
        keep.runs,
        now - keep.ageMs,
      );
      for (const { instant, tick } of ticks) {
        const at = [Number(instant), String(tick), keep.job];
        for (const text of this.texts(
          "DELETE FROM record WHERE instant = ? AND tick = ? AND job = ? RETURNING body, sum",
          ...at,
        )) {
          const record = parseRecord(text);
          removed.push(runId(record));
          changes.remove(record);
        }
        for (const text of this.texts(
          "DELETE FROM asked WHERE instant = ? AND tick = ? AND job = ? RETURNING body, sum",
          ...at,
        )) {
          changes.remove(parseOrder(text));
        }
      }
    });
    return removed;
  }

  private write(write: TextWrite, changes: BucketChanges): void {
    switch (write.kind) {
      case "record":
        return this.writeRecord(write.text, changes);
      case "order":
        return this.writeOrder(write.text, changes);
      case "update":
        return this.writeUpdate(write.update);
      case "snapshot":
        this.run("DELETE FROM job_update");
        return this.writeUpdate(write.update);
      case "meta":
        return this.run(
          "INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
          write.key,
          write.value,
          sumOf(write.value),
        );
      case "vote":
        return this.run(
          "INSERT INTO vote VALUES (?, ?, ?, ?) ON CONFLICT (decision) DO UPDATE SET body = excluded.body, sum = excluded.sum",
          write.decision,
          write.instant,
          write.text,
          sumOf(write.text),
        );
      case "drop-votes":
        // Votes on the roster have no instant.
        return this.run("DELETE FROM vote WHERE instant > 0 AND instant < ?", write.before);
    }
  }

  private writeUpdate(update: Uint8Array): void {
    this.run("INSERT INTO job_update (body, sum) VALUES (?, ?)", update, sumOf(update));
  }

  private writeRecord(text: string, changes: BucketChanges): void {
    const record = parseRecord(text);
    const key = [instantOf(record.tick), record.tick, record.job, record.attempt, record.slot, record.peer];
    const row = this.statement(`SELECT rowid, body, sum FROM record WHERE ${byRowKey}`).get(...key);
    if (row === undefined) {
      this.run(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ...key,
        record.state,
        text,
        sumOf(text),
      );
      return changes.add(record);
    }
    const known = parseRecord(textIn(row));
    if (mergeRecord(known, record) === known) return;
    this.run(
      "UPDATE record SET state = ?, body = ?, sum = ? WHERE rowid = ?",
      record.state,
      text,
      sumOf(text),
      Number(row["rowid"]),
    );
    changes.remove(known);
    changes.add(record);
  }

  /** An order never changes, so the first writing of it stands. */
  private writeOrder(text: string, changes: BucketChanges): void {
    const order = parseOrder(text);
    const { changes: inserted } = this.statement(
      "INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    ).run(instantOf(order.tick), order.tick, order.job, order.askedAt, text, sumOf(text));
    if (Number(inserted) > 0) changes.add(order);
  }

  private inTransaction(work: (changes: BucketChanges) => void): void {
    this.database.exec("BEGIN IMMEDIATE");
    try {
      const changes = new BucketChanges();
      work(changes);
      for (const [bucket, change] of changes.all()) this.writeBucket(bucket, change);
      const counted = this.statement("UPDATE commits SET count = count + 1 RETURNING count").get();
      this.database.exec("COMMIT");
      this.mark.write(Number(counted?.["count"]));
    } catch (error) {
      // Some failures (a full disk) have rolled back already.
      if (this.database.isTransaction) this.database.exec("ROLLBACK");
      throw error;
    }
  }

  private writeBucket(bucket: number, change: BucketChange): void {
    const row = this.statement("SELECT digest, things FROM bucket WHERE bucket = ?").get(bucket);
    const things = Number(row?.["things"] ?? 0) + change.things;
    const digest = combine(row === undefined ? emptyDigest : String(row["digest"]), change.digest);
    if (things === 0) this.run("DELETE FROM bucket WHERE bucket = ?", bucket);
    else {
      this.run(
        "INSERT INTO bucket VALUES (?, ?, ?) ON CONFLICT (bucket) DO UPDATE SET digest = excluded.digest, things = excluded.things",
        bucket,
        digest,
        things,
      );
    }
  }

  private statement(sql: string): StatementSync {
    const known = this.statements.get(sql);
    if (known !== undefined) return known;
    const made = this.database.prepare(sql);
    this.statements.set(sql, made);
    return made;
  }

  private run(sql: string, ...values: SQLInputValue[]): void {
    this.statement(sql).run(...values);
  }

  private all(sql: string, ...values: SQLInputValue[]) {
    return this.statement(sql).all(...values);
  }

  private texts(sql: string, ...values: SQLInputValue[]): string[] {
    return this.all(sql, ...values).map(textIn);
  }
}

interface BucketChange {
  digest: string;
  things: number;
}

/** What a transaction does to the buckets, gathered so that each bucket's row is written once. */
class BucketChanges {
  private readonly changes = new Map<number, BucketChange>();

  add(thing: RunRecord | RequestedOrder): void {
    this.change(thing, 1);
  }

  remove(thing: RunRecord | RequestedOrder): void {
    this.change(thing, -1);
  }

  all(): Iterable<[bucket: number, change: BucketChange]> {
    return this.changes;
  }

  private change(thing: RunRecord | RequestedOrder, things: 1 | -1): void {
    const bucket = bucketOf(thing);
    const before = this.changes.get(bucket) ?? { digest: emptyDigest, things: 0 };
    this.changes.set(bucket, {
      digest: combine(before.digest, digestOf(thing)),
      things: before.things + things,
    });
  }
}

function conditions(query: RunQuery): { where: string; values: SQLInputValue[] } {
  const terms: string[] = [];
  const values: SQLInputValue[] = [];
  const must = (term: string, ...given: SQLInputValue[]) => {
    terms.push(term);
    values.push(...given);
  };
  if (query.job !== undefined) must("job = ?", query.job);
  if (query.tick !== undefined) must("instant = ? AND tick = ?", instantOf(query.tick), query.tick);
  if (query.peer !== undefined) must("peer = ?", query.peer);
  if (query.from !== undefined) must("instant >= ?", query.from);
  if (query.to !== undefined) must("instant < ?", query.to);
  if (query.states !== undefined)
    must(`state IN (${query.states.map(() => "?").join(", ")})`, ...query.states);
  return { where: terms.length === 0 ? "" : ` WHERE ${terms.join(" AND ")}`, values };
}

/** A cursor is the key of the last row of the page, as base64url of a JSON list. */
function writeCursor(row: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(rowKey.split(", ").map((column) => row[column]))).toString("base64url");
}

function readCursor(text: string): SQLInputValue[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    const known = Array.isArray(value) && value.length === rowKey.split(", ").length;
    if (known && value.every((part) => typeof part === "string" || typeof part === "number")) return value;
  } catch {
    // Said below, as for any other cursor that is not ours.
  }
  throw new CicadaError("BAD_REQUEST", "the cursor is not one that a page gave as its next");
}

function textIn(row: Record<string, unknown>): string {
  return checkSum(String(row["body"]), row["sum"]);
}

/** Copied, for SQLite's own buffer may be a view on a larger one. */
function bytesIn(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? Uint8Array.from(value) : new Uint8Array();
}
