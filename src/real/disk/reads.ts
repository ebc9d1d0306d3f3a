/**
 * What is read from the database: the answer to each request of the reading thread.
 *
 * A request that takes several statements reads within one transaction, so that its answer is of one moment.
 */
import type { SQLInputValue } from "node:sqlite";
import { CicadaError } from "../../errors.ts";
import type { RunQuery } from "../../ports.ts";
import type { DiskResult, LoadedText, ReadRequest } from "./protocol.ts";
import { bytesIn, checkSum, openStates, textIn } from "./rows.ts";
import type { Statements } from "./statements.ts";

const rowKey = "instant, tick, job, attempt, slot, peer";
const newestFirst = rowKey
  .split(", ")
  .map((column) => `${column} DESC`)
  .join(", ");

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
          return { kind: "page", ...this.history(request.query, request.tickInstant) };
        case "digests":
          return { kind: "digests", digests: this.digests(request.from, request.to) };
        case "bucket":
          return { kind: "bucket", ...this.bucket(request.from, request.to) };
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
      // An order that is old but still has no end must be carried on as well.
      orders: this.texts(
        `SELECT body, sum FROM asked WHERE instant >= ?1 OR asked_at >= ?1 OR NOT EXISTS (
           SELECT 1 FROM record WHERE record.instant = asked.instant AND record.tick = asked.tick
             AND record.job = asked.job AND record.state NOT IN ${openStates})`,
        since,
      ),
      votes: this.texts("SELECT body, sum FROM vote"),
      watermarks: this.texts("SELECT body, sum FROM watermark"),
      meta: this.statements
        .all("SELECT key, value, sum FROM meta")
        .map((row) => [String(row["key"]), checkSum(String(row["value"]), row["sum"])]),
    };
  }

  private history(
    query: RunQuery,
    tickInstant: number | undefined,
  ): { records: string[]; next: string | null; total: number } {
    const { where, values } = conditions(query, tickInstant);
    const total = this.statements.first(`SELECT count(*) AS total FROM record${where}`, ...values)?.["total"];
    const limit = Math.max(1, Math.floor(query.limit));
    const after = query.after === undefined ? undefined : readCursor(query.after);
    const older =
      after === undefined ? "" : `${where === "" ? " WHERE" : " AND"} (${rowKey}) < (?, ?, ?, ?, ?, ?)`;
    const rows = this.statements.all(
      `SELECT ${rowKey}, body, sum FROM record${where}${older} ORDER BY ${newestFirst} LIMIT ?`,
      ...values,
      ...(after ?? []),
      limit + 1,
    );
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      records: page.map(textIn),
      next: rows.length > limit && last !== undefined ? writeCursor(last) : null,
      total: Number(total),
    };
  }

  private digests(from: number, to: number): [bucket: number, digest: string][] {
    return this.statements
      .all("SELECT bucket, digest FROM bucket WHERE bucket >= ? AND bucket < ? ORDER BY bucket", from, to)
      .map((row) => [Number(row["bucket"]), String(row["digest"])]);
  }

  private bucket(from: number, to: number): { records: string[]; orders: string[] } {
    return {
      records: this.texts("SELECT body, sum FROM record WHERE instant >= ? AND instant < ?", from, to),
      orders: this.texts("SELECT body, sum FROM asked WHERE instant >= ? AND instant < ?", from, to),
    };
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

function conditions(
  query: RunQuery,
  tickInstant: number | undefined,
): { where: string; values: SQLInputValue[] } {
  const terms: string[] = [];
  const values: SQLInputValue[] = [];
  const must = (term: string, ...given: SQLInputValue[]) => {
    terms.push(term);
    values.push(...given);
  };
  if (query.job !== undefined) must("job = ?", query.job);
  if (query.tick !== undefined && tickInstant !== undefined)
    must("instant = ? AND tick = ?", tickInstant, query.tick);
  if (query.slot !== undefined) must("slot = ?", query.slot);
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
