/**
 * Stores things in the database, in the writing thread, and offers the transaction in which pruning.ts removes things.
 *
 * All stores of a batch go into one transaction and so share one fsync (group commit). If that fails, each store is
 * tried alone, so that one failure doesn't affect the others. The digests of the 5-minute buckets
 * (core/records/buckets.ts) change in the same transaction as their contents.
 */
import { bucketOf, combine, digestOf, emptyDigest, type Thing } from "../../core/records/buckets.ts";
import { mergeOtherRecord, mergeRecord } from "../../core/records/records.ts";
import { instantOf } from "../../schema/ids.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import { deletedKeptMs, revisionBytesKept, revisionsKept } from "../../schema/kept.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";
import { writeAudit } from "./audit.ts";
import type { CommitCounter } from "./commit-counter.ts";
import type { DiskResult, TextWrite } from "./protocol.ts";
import { sumOf, textIn } from "./rows.ts";
import type { Statements } from "./statements.ts";

const byRowKey = "instant = ? AND tick = ? AND job = ? AND attempt = ? AND slot = ? AND peer = ?";
const byOtherKey = "instant = ? AND tick = ? AND job = ? AND kind = ? AND name = ? AND peer = ?";

export class Writes {
  readonly statements: Statements;
  private readonly counter: CommitCounter;

  constructor(statements: Statements, counter: CommitCounter) {
    this.statements = statements;
    this.counter = counter;
  }

  /** Makes each store durable or reports why not; returns one result for each. */
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

  private write(write: TextWrite, changes: BucketChanges): void {
    switch (write.kind) {
      case "record":
        return this.writeRecord(write.text, changes);
      case "order":
        return this.writeOrder(write.text, changes);
      case "other":
        return this.writeOther(write.text, changes);
      case "output":
        this.statements.run(
          "INSERT INTO output VALUES (?, ?, ?) ON CONFLICT (run) DO UPDATE SET body = excluded.body, sum = excluded.sum",
          write.run,
          write.bytes,
          sumOf(write.bytes),
        );
        return;
      case "update":
        return this.writeUpdate(write.update);
      case "snapshot":
        this.statements.run("DELETE FROM job_update");
        return this.writeUpdate(write.update);
      case "revision":
        return this.writeRevision(write);
      case "audit":
        return writeAudit(this.statements, write.text);
      case "meta":
        this.statements.run(
          "INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
          write.key,
          write.value,
          sumOf(write.value),
        );
        return;
      case "watermark":
        this.statements.run(
          "INSERT INTO watermark VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE SET body = excluded.body, sum = excluded.sum",
          write.job,
          write.text,
          sumOf(write.text),
        );
        return;
      case "drop-horizon":
        this.statements.run("DELETE FROM horizon WHERE job = ?", write.job);
        return;
      case "drop-watermark":
        this.statements.run("DELETE FROM watermark WHERE job = ?", write.job);
        return;
      case "vote":
        this.statements.run(
          "INSERT INTO vote VALUES (?, ?, ?, ?) ON CONFLICT (decision) DO UPDATE SET body = excluded.body, sum = excluded.sum",
          write.decision,
          write.instant,
          write.text,
          sumOf(write.text),
        );
        return;
      case "drop-votes":
        // Votes on the roster have no instant.
        this.statements.run("DELETE FROM vote WHERE instant > 0 AND instant < ?", write.before);
        return;
    }
  }

  private writeUpdate(update: Uint8Array): void {
    this.statements.run("INSERT INTO job_update (body, sum) VALUES (?, ?)", update, sumOf(update));
  }

  /** A revision that is stored already stays as it is: with each change, a peer may note the revision before it again. */
  private writeRevision({
    job,
    revision,
    at,
    deleted,
    text,
  }: Extract<TextWrite, { kind: "revision" }>): void {
    const inserted = this.statements.run(
      "INSERT INTO job_revision (job, revision, at, deleted, body, sum) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      job,
      revision,
      at,
      Number(deleted),
      text,
      sumOf(text),
    );
    if (inserted === 0) return;
    this.statements.run(
      `DELETE FROM job_revision WHERE sequence IN (
         SELECT sequence FROM (
           SELECT sequence, row_number() OVER newest AS place, sum(length(body)) OVER newest AS bytes
             FROM job_revision WHERE job = ? WINDOW newest AS (ORDER BY sequence DESC))
           WHERE place > ? OR (place > 2 AND bytes > ?))`,
      job,
      revisionsKept,
      revisionBytesKept,
    );
    if (!deleted) return;
    this.statements.run(
      `DELETE FROM job_revision WHERE job IN (
         SELECT job FROM job_revision AS gone WHERE deleted = 1 AND at < ? AND NOT EXISTS (
           SELECT 1 FROM job_revision AS later WHERE later.job = gone.job AND later.sequence > gone.sequence))`,
      at - deletedKeptMs,
    );
  }

  private writeRecord(text: string, changes: BucketChanges): void {
    const record = asRecord(text);
    const key = [instantOf(record.tick), record.tick, record.job, record.attempt, record.slot, record.peer];
    const row = this.statements.first(`SELECT rowid, body, sum FROM record WHERE ${byRowKey}`, ...key);
    if (row === undefined) {
      this.statements.run(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ...key,
        record.state,
        text,
        sumOf(text),
      );
      return changes.add(record);
    }
    const known = asRecord(textIn(row));
    if (mergeRecord(known, record) === known) return;
    this.statements.run(
      "UPDATE record SET state = ?, body = ?, sum = ? WHERE rowid = ?",
      record.state,
      text,
      sumOf(text),
      Number(row["rowid"]),
    );
    changes.remove(known);
    changes.add(record);
  }

  /** An order never changes, so the first write counts. */
  private writeOrder(text: string, changes: BucketChanges): void {
    const order = asOrder(text);
    const inserted = this.statements.run(
      "INSERT INTO requested_order VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      instantOf(order.tick),
      order.tick,
      order.job,
      order.requestedAt,
      text,
      sumOf(text),
    );
    if (inserted > 0) changes.add(order);
  }

  private writeOther(text: string, changes: BucketChanges): void {
    const record = asOther(text);
    const { tick, job, kind, name, peer } = record;
    const key = [instantOf(tick), tick, job, kind, name, peer];
    const row = this.statements.first(`SELECT body, sum FROM other_record WHERE ${byOtherKey}`, ...key);
    const known = row === undefined ? undefined : asOther(textIn(row));
    if (known !== undefined && mergeOtherRecord(known, record) === known) return;
    this.statements.run(
      "INSERT INTO other_record VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body, sum = excluded.sum",
      ...key,
      text,
      sumOf(text),
    );
    if (known !== undefined) changes.remove(known);
    changes.add(record);
  }

  /** Does the work and updates the digests of the buckets that it has changed: all of it or nothing. */
  inTransaction(work: (changes: BucketChanges) => void): void {
    const { database } = this.statements;
    database.exec("BEGIN IMMEDIATE");
    try {
      const changes = new BucketChanges();
      work(changes);
      for (const [bucket, change] of changes.all()) this.writeBucket(bucket, change);
      const counted = this.statements.first("UPDATE commits SET count = count + 1 RETURNING count");
      database.exec("COMMIT");
      this.counter.write(Number(counted?.["count"]));
    } catch (error) {
      // Some failures, such as a full disk, have rolled back already.
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }

  private writeBucket(bucket: number, change: BucketChange): void {
    const row = this.statements.first("SELECT digest, things FROM bucket WHERE bucket = ?", bucket);
    const things = Number(row?.["things"] ?? 0) + change.things;
    const digest = combine(row === undefined ? emptyDigest : String(row["digest"]), change.digest);
    if (things === 0) this.statements.run("DELETE FROM bucket WHERE bucket = ?", bucket);
    else {
      this.statements.run(
        "INSERT INTO bucket VALUES (?, ?, ?) ON CONFLICT (bucket) DO UPDATE SET digest = excluded.digest, things = excluded.things",
        bucket,
        digest,
        things,
      );
    }
  }
}

interface BucketChange {
  digest: string;
  things: number;
}

/** The changes of a transaction to the buckets, collected so that each bucket's row is written once. */
export class BucketChanges {
  private readonly changes = new Map<number, BucketChange>();

  add(thing: Thing): void {
    this.change(thing, 1);
  }

  remove(thing: Thing): void {
    this.change(thing, -1);
  }

  all(): Iterable<[bucket: number, change: BucketChange]> {
    return this.changes;
  }

  private change(thing: Thing, things: 1 | -1): void {
    const bucket = bucketOf(thing);
    const before = this.changes.get(bucket) ?? { digest: emptyDigest, things: 0 };
    this.changes.set(bucket, {
      digest: combine(before.digest, digestOf(thing)),
      things: before.things + things,
    });
  }
}

// No schema is needed here: the peer's thread checks what it stores, and each row has a checksum.

export function asRecord(text: string): RunRecord {
  return JSON.parse(text) as RunRecord;
}

export function asOrder(text: string): RequestedOrder {
  return JSON.parse(text) as RequestedOrder;
}

export function asOther(text: string): OtherRecord {
  return JSON.parse(text) as OtherRecord;
}
