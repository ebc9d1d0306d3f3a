/**
 * Reads the database: makes the answer to each request of the reading thread.
 *
 * A request that takes several statements reads within one transaction, so that its answer shows one moment.
 */
import type { SQLInputValue } from "node:sqlite";
import { bucketMs } from "../../core/records/buckets.ts";
import { loadedOrdersBytes, type JobSince, type OthersQuery } from "../../ports/disk.ts";
import type { JobId, RunId } from "../../schema/ids.ts";
import { tookMs } from "../../schema/run.ts";
import type { DiskResult, LoadedText, ReadRequest } from "./protocol.ts";
import { readHorizon } from "./pruning.ts";
import { readAudit } from "./audit.ts";
import { parseRecord } from "./parse.ts";
import { bytesIn, checkSum, openStates, textIn } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { readWrong } from "./wrong.ts";
import { newestFirst, readPage } from "./run-pages.ts";
import { readThings } from "./things.ts";

export class Reads {
  private readonly statements: Statements;

  constructor(statements: Statements) {
    this.statements = statements;
  }

  answer(request: ReadRequest): DiskResult {
    return this.inTransaction(() => {
      switch (request.kind) {
        case "load":
          return { kind: "loaded", ...this.load(request.since) };
        case "history":
          return { kind: "page", ...readPage(this.statements, request.query, request.tickInstant) };
        case "newest":
          return { kind: "newest", records: request.jobs.map((job) => this.newest(job, request.limit)) };
        case "durations":
          return { kind: "durations", ms: request.jobs.map((job) => this.durations(job, request.limit)) };
        case "wrong":
          return { kind: "wrong", ...readWrong(this.statements, request.query) };
        case "digests":
          return { kind: "digests", digests: this.digests(request.from, request.to) };
        case "things":
          return { kind: "things", ...readThings(this.statements, request.page) };
        case "output":
          return { kind: "output", bytes: this.output(request.run) };
        case "others":
          return { kind: "others", others: this.others(request.query, request.tickInstant) };
        case "revisions":
          return { kind: "revisions", revisions: this.revisions(request.job) };
        case "audit":
          return { kind: "audited", ...readAudit(this.statements, request.query) };
        case "jobs":
          return { kind: "jobs", jobs: this.jobs(request.after, request.limit) };
        case "measure":
          return { kind: "measured", ...this.measure(request.share) };
      }
    });
  }

  private load(since: number): LoadedText {
    return {
      updates: this.statements
        .all("SELECT body, sum FROM job_update ORDER BY sequence")
        .map((row) => checkSum(bytesIn(row["body"]), row["sum"])),
      records: this.texts(
        `SELECT body, sum FROM record WHERE instant >= ?
         UNION ALL SELECT body, sum FROM record WHERE state IN ${openStates} AND instant < ?`,
        since,
        since,
      ),
      ...this.loadOrders(since),
      votes: this.texts("SELECT body, sum FROM vote"),
      watermarks: this.texts("SELECT body, sum FROM watermark"),
      horizons: this.statements.all("SELECT * FROM horizon").map(readHorizon),
      meta: this.statements
        .all("SELECT key, value, sum FROM meta")
        .map((row) => [String(row["key"]), checkSum(String(row["value"]), row["sum"])]),
    };
  }

  /** An old order that has not ended yet must be continued as well. */
  private loadOrders(since: number): { orders: string[]; ordersLeftOut: number } {
    const wanted = `requested_order AS requested WHERE instant >= ?1 OR requested_at >= ?1 OR NOT EXISTS (
      SELECT 1 FROM record WHERE record.instant = requested.instant AND record.tick = requested.tick
        AND record.job = requested.job AND record.state NOT IN ${openStates})`;
    const orders = this.texts(
      `SELECT body, sum FROM requested_order WHERE rowid IN (
         SELECT id FROM (SELECT rowid AS id,
             sum(octet_length(body)) OVER (ORDER BY octet_length(body), instant DESC, rowid) AS bytes FROM ${wanted})
           WHERE bytes <= ?2)`,
      since,
      loadedOrdersBytes,
    );
    const all = Number(this.statements.first(`SELECT count(*) AS wanted FROM ${wanted}`, since)?.["wanted"]);
    return { orders, ordersLeftOut: all - orders.length };
  }

  private newest(job: JobId, limit: number): string[] {
    return this.texts(
      `SELECT body, sum FROM record WHERE job = ? ORDER BY ${newestFirst} LIMIT ?`,
      job,
      limit,
    );
  }

  private durations({ job, from }: JobSince, limit: number): number[] {
    const sql = `SELECT body, sum FROM record WHERE job = ? AND instant >= ? AND +state = 'succeeded'
       ORDER BY ${newestFirst} LIMIT ?`;
    return this.texts(sql, job, from, limit).flatMap((text) => tookMs(parseRecord(text)) ?? []);
  }

  private others({ kind, of, limit }: OthersQuery, tickInstant = 0): string[] {
    if ("from" in of) {
      const ofPeer = of.peer === undefined ? "" : " AND peer = ?";
      const sql = `SELECT body, sum FROM other_record WHERE instant >= ? AND kind = ?${ofPeer}
        ORDER BY instant DESC, tick DESC, job DESC LIMIT ?`;
      const peer = of.peer === undefined ? [] : [of.peer];
      return this.texts(sql, of.from, kind, ...peer, limit).toReversed();
    }
    const sql =
      "SELECT body, sum FROM other_record WHERE instant = ? AND tick = ? AND job = ? AND kind = ? LIMIT ?";
    return this.texts(sql, tickInstant, of.tick, of.job, kind, limit);
  }

  private revisions(job: JobId): string[] {
    return this.texts("SELECT body, sum FROM job_revision WHERE job = ? ORDER BY sequence DESC", job);
  }

  private digests(from: number, to: number): [bucket: number, digest: string][] {
    return this.statements
      .all("SELECT bucket, digest FROM bucket WHERE bucket >= ? AND bucket < ? ORDER BY bucket", from, to)
      .map((row) => [Number(row["bucket"]), String(row["digest"])]);
  }

  private output(run: RunId): Uint8Array | undefined {
    const row = this.statements.first("SELECT body, sum FROM output WHERE run = ?", run);
    return row === undefined ? undefined : checkSum(bytesIn(row["body"]), row["sum"]);
  }

  private jobs(after: string, limit: number): JobId[] {
    const jobs: JobId[] = [];
    // Each job takes one look-up in the index, however many records it has.
    for (let last = after; jobs.length < limit;) {
      const row = this.statements.first(
        `SELECT min(job) AS job FROM (SELECT min(job) AS job FROM record WHERE job > ?1
           UNION ALL SELECT min(job) FROM other_record WHERE job > ?1
           UNION ALL SELECT min(job) FROM requested_order WHERE job > ?1)`,
        last,
      );
      if (typeof row?.["job"] !== "string") break;
      last = row["job"];
      jobs.push(last as JobId);
    }
    return jobs;
  }

  private measure(share: number): { bytes: number; instant: number } {
    const pragma = (name: string) => Number(this.statements.first(`PRAGMA ${name}`)?.[name]);
    const bytes = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
    const all = Number(this.statements.first("SELECT sum(things) AS all_things FROM bucket")?.["all_things"]);
    const row = this.statements.first(
      `SELECT bucket FROM (SELECT bucket, sum(things) OVER (ORDER BY bucket) AS up_to FROM bucket)
         WHERE up_to >= ? LIMIT 1`,
      all * share,
    );
    return { bytes, instant: row === undefined ? 0 : (Number(row["bucket"]) + 1) * bucketMs };
  }

  private texts(sql: string, ...values: SQLInputValue[]): string[] {
    return this.statements.all(sql, ...values).map(textIn);
  }

  private inTransaction<Answer>(read: () => Answer): Answer {
    const { database } = this.statements;
    database.exec("BEGIN");
    try {
      return read();
    } finally {
      if (database.isTransaction) database.exec("COMMIT");
    }
  }
}
