/**
 * Reads the database: makes the answer to each request of the reading thread.
 *
 * A request that takes several statements reads within one transaction, so that its answer shows one moment.
 */
import type { SQLInputValue } from "node:sqlite";
import { CicadaError } from "../../errors.ts";
import { bucketMs } from "../../core/records/buckets.ts";
import { bucketAt, readPlace, thingKinds, writePlace, type Place } from "../../core/records/place.ts";
import {
  countedMost,
  type JobSince,
  type OthersQuery,
  type RunQuery,
  type ThingsQuery,
} from "../../ports/disk.ts";
import { tickKeyPattern } from "../../schema/keyed-tick.ts";
import { backfillPattern } from "../../schema/backfill.ts";
import type { JobId, RunId } from "../../schema/ids.ts";
import { tookMs } from "../../schema/run.ts";
import { runStates } from "../../schema/run-states.ts";
import type { DiskResult, LoadedText, PageText, ReadRequest } from "./protocol.ts";
import { readHorizon } from "./pruning.ts";
import { readAudit } from "./audit.ts";
import { parseRecord } from "./parse.ts";
import { bytesIn, checkSum, openStates, textIn } from "./rows.ts";
import type { Statements } from "./statements.ts";

type Row = Record<string, unknown>;

const rowKey = "instant, tick, job, attempt, slot, peer";
const keyOf: Readonly<Record<Place[0], string>> = {
  record: rowKey,
  order: "instant, tick, job",
  other: "instant, tick, job, kind, name, peer",
};
const tableOf: Readonly<Record<Place[0], string>> = {
  record: "record",
  order: "requested_order",
  other: "other_record",
};
/** Enough for the records of 100 slots, several attempts each. */
const besideSql = `SELECT ${rowKey}, body, sum FROM record WHERE instant = ? AND tick = ? AND job = ? LIMIT 1000`;
const newestFirst = rowKey
  .split(", ")
  .map((column) => `${column} DESC`)
  .join(", ");

/**
 * Up to this many jobs, their newest records are looked up job by job. With more, that takes longer than going through all records,
 * which takes long when the jobs are among those that run the least.
 */
const jobsAtOnce = 50;

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
        case "newest":
          return { kind: "newest", records: request.jobs.map((job) => this.newest(job, request.limit)) };
        case "durations":
          return { kind: "durations", ms: request.jobs.map((job) => this.durations(job, request.limit)) };
        case "digests":
          return { kind: "digests", digests: this.digests(request.from, request.to) };
        case "things":
          return { kind: "things", ...this.things(request.page) };
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
      // An old order that has not ended yet must be continued as well.
      orders: this.texts(
        `SELECT body, sum FROM requested_order AS requested WHERE instant >= ?1 OR requested_at >= ?1 OR NOT EXISTS (
           SELECT 1 FROM record WHERE record.instant = requested.instant AND record.tick = requested.tick
             AND record.job = requested.job AND record.state NOT IN ${openStates})`,
        since,
      ),
      votes: this.texts("SELECT body, sum FROM vote"),
      watermarks: this.texts("SELECT body, sum FROM watermark"),
      horizons: this.statements.all("SELECT * FROM horizon").map(readHorizon),
      meta: this.statements
        .all("SELECT key, value, sum FROM meta")
        .map((row) => [String(row["key"]), checkSum(String(row["value"]), row["sum"])]),
    };
  }

  private history(query: RunQuery, tickInstant: number | undefined): PageText {
    const { where, values } = conditions(query, tickInstant, "counting");
    const counted = `SELECT count(*) AS total FROM (SELECT 1 FROM record${where} LIMIT ${countedMost})`;
    const total = this.statements.first(counted, ...values)?.["total"];
    const limit = Math.max(1, Math.floor(query.limit));
    const after = query.after === undefined ? undefined : readCursor(query.after);
    const rows = this.page(query, tickInstant, after, limit + 1);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      records: page.map(textIn),
      next: rows.length > limit && last !== undefined ? writeCursor(last) : null,
      total: Number(total),
      beside: query.beside === true ? this.beside(query, page) : [],
    };
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

  /** The records of the page's ticks that are not on the page. */
  private beside(query: RunQuery, page: readonly Row[]): string[] {
    const shown = new Set(page.map(writeCursor));
    const ticks = new Map(
      cutTicks(query, page).map((row) => [
        `${String(row["instant"])} ${String(row["tick"])} ${String(row["job"])}`,
        row,
      ]),
    );
    return [...ticks.values()].flatMap(({ instant, tick, job }) => {
      const values = [instant, tick, job] as SQLInputValue[];
      return this.statements
        .all(besideSql, ...values)
        .filter((row) => !shown.has(writeCursor(row)))
        .map(textIn);
    });
  }

  /** The newest records before the cursor. */
  private page(
    query: RunQuery,
    tickInstant: number | undefined,
    after: SQLInputValue[] | undefined,
    limit: number,
  ): Row[] {
    const queries = inOrder(query);
    const rows = queries.flatMap((one) => {
      const { where, values } = conditions(one, tickInstant, "paging");
      const older =
        after === undefined ? "" : `${where === "" ? " WHERE" : " AND"} (${rowKey}) < (?, ?, ?, ?, ?, ?)`;
      const sql = `SELECT ${rowKey}, body, sum FROM record${where}${older} ORDER BY ${newestFirst} LIMIT ?`;
      return this.statements.all(sql, ...values, ...(after ?? []), limit);
    });
    return queries.length === 1 ? rows : rows.toSorted(compareNewest).slice(0, limit);
  }

  private others({ kind, of, limit }: OthersQuery, tickInstant = 0): string[] {
    if ("from" in of) {
      const sql =
        "SELECT body, sum FROM other_record WHERE instant >= ? AND kind = ? ORDER BY instant, tick, job LIMIT ?";
      return this.texts(sql, of.from, kind, limit);
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

  private things({ buckets, after, upTo, limit }: ThingsQuery): {
    records: string[];
    orders: string[];
    others: string[];
    next: string | undefined;
  } {
    const range = { after: placeIn(after), upTo: placeIn(upTo) };
    const [records, orders, others]: [string[], string[], string[]] = [[], [], []];
    const texts = { record: records, order: orders, other: others };
    let last: string | undefined;
    let room = limit;
    for (const bucket of buckets) {
      for (const kind of thingKinds) {
        const rows = this.thingsOf(kind, bucket, range, room + 1);
        for (const row of rows.slice(0, room)) {
          texts[kind].push(textIn(row));
          last = writePlace(placeOfRow(kind, row));
        }
        if (rows.length > room) return { records, orders, others, next: last };
        room -= rows.length;
      }
    }
    return { records, orders, others, next: undefined };
  }

  private thingsOf(
    kind: Place[0],
    bucket: number,
    { after, upTo }: { after: Place | undefined; upTo: Place | undefined },
    limit: number,
  ): Row[] {
    const terms = ["instant >= ?", "instant < ?"];
    const values: SQLInputValue[] = [bucket * bucketMs, (bucket + 1) * bucketMs];
    for (const [place, sign] of [
      [after, ">"],
      [upTo, "<="],
    ] as const) {
      if (place === undefined) continue;
      const side = sideOf(place, kind, bucket);
      if (side === "inside") {
        const [, ...key] = place;
        terms.push(`(${keyOf[kind]}) ${sign} (${key.map(() => "?").join(", ")})`);
        values.push(...key);
      } else if ((side === "before") === (sign === "<=")) {
        // The whole bucket is on the wrong side of the place.
        return [];
      }
    }
    return this.statements.all(
      `SELECT ${keyOf[kind]}, body, sum FROM ${tableOf[kind]} WHERE ${terms.join(" AND ")}
         ORDER BY ${keyOf[kind]} LIMIT ?`,
      ...values,
      limit,
    );
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
           UNION ALL SELECT min(job) FROM other_record WHERE job > ?1)`,
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

/**
 * The query, or several that find the same together, each of which reads its newest records one after the other in an index. The
 * newest of each of a few jobs are few; of many jobs, the newest of all records are soon found by going through them.
 */
function inOrder(query: RunQuery): RunQuery[] {
  const { job, jobs, peer, states } = query;
  if (job !== undefined) return [query];
  if (jobs !== undefined) {
    const isFew = jobs.length > 0 && jobs.length <= jobsAtOnce;
    const { jobs: _all, ...others } = query;
    return isFew ? jobs.map((one) => ({ ...others, job: one })) : [query];
  }
  const each = states ?? (peer === undefined ? [] : runStates);
  return each.length === 0 ? [query] : each.map((state) => ({ ...query, states: [state] }));
}

/**
 * What a query asks for, as SQL. A plus before a column keeps SQLite from looking it up in that column's index: with a job, its
 * records are the fewest; and a page of many jobs is read in its order, while their records are counted in the index of jobs.
 */
function conditions(
  query: RunQuery,
  tickInstant: number | undefined,
  what: "counting" | "paging",
): { where: string; values: SQLInputValue[] } {
  const terms: string[] = [];
  const values: SQLInputValue[] = [];
  const must = (term: string, ...given: SQLInputValue[]) => {
    terms.push(term);
    values.push(...given);
  };
  const { job, jobs, tick, backfills, key, slot, peer, from, to, states, started } = query;
  const other = job === undefined ? "" : "+";
  if (job !== undefined) must("job = ?", job);
  if (jobs !== undefined)
    must(`${what === "paging" ? "+" : ""}job IN (SELECT value FROM json_each(?))`, JSON.stringify(jobs));
  if (tick !== undefined && tickInstant !== undefined) must("instant = ? AND tick = ?", tickInstant, tick);
  if (backfills !== undefined) must("tick GLOB ?", backfillPattern(backfills));
  if (key !== undefined) must("tick GLOB ?", tickKeyPattern(key));
  if (slot !== undefined) must("slot = ?", slot);
  if (peer !== undefined) must(`${other}peer = ?`, peer);
  if (from !== undefined) must("instant >= ?", from);
  if (to !== undefined) must("instant < ?", to);
  if (states !== undefined) must(`${other}state IN (${states.map(() => "?").join(", ")})`, ...states);
  if (started === true) must("json_extract(body, '$.startedAt') IS NOT NULL");
  return { where: terms.length === 0 ? "" : ` WHERE ${terms.join(" AND ")}`, values };
}

/** Orders rows as `newestFirst` does. */
function compareNewest(a: Row, b: Row): number {
  for (const column of rowKey.split(", ")) {
    const [one, two] = [a[column], b[column]];
    if (one === two) continue;
    if (typeof one === "number" && typeof two === "number") return two - one;
    // SQLite compares text by its bytes in UTF-8.
    return Buffer.compare(Buffer.from(String(two)), Buffer.from(String(one)));
  }
  return 0;
}

function placeIn(text: string | undefined): Place | undefined {
  if (text === undefined) return undefined;
  const place = readPlace(text);
  if (place === undefined) throw new CicadaError("UNPROCESSABLE", "the place is not one of a page");
  return place;
}

function placeOfRow(kind: Place[0], row: Row): Place {
  const [instant, tick, job] = [Number(row["instant"]), String(row["tick"]), String(row["job"])] as const;
  if (kind === "order") return [kind, instant, tick, job];
  const peer = String(row["peer"]);
  if (kind === "other") return [kind, instant, tick, job, String(row["kind"]), String(row["name"]), peer];
  return [kind, instant, tick, job, Number(row["attempt"]), String(row["slot"]), peer];
}

/** Whether the place is before, inside or behind the records, or orders, of a bucket. */
function sideOf(place: Place, kind: Place[0], bucket: number): "before" | "inside" | "behind" {
  const at = bucketAt(place);
  if (at !== bucket) return at < bucket ? "before" : "behind";
  if (place[0] === kind) return "inside";
  return thingKinds.indexOf(place[0]) < thingKinds.indexOf(kind) ? "before" : "behind";
}

/** The rows of a page whose ticks may have further records: where whole ticks fit the query, those at its two ends. */
function cutTicks({ states, peer, slot, started }: RunQuery, page: readonly Row[]): readonly Row[] {
  const areWhole = [states, peer, slot, started].every((filter) => filter === undefined);
  return areWhole ? [...page.slice(0, 1), ...page.slice(-1)] : page;
}

/** A cursor is the key of the page's last row: a JSON list in base64url. */
function writeCursor(row: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(rowKey.split(", ").map((column) => row[column]))).toString("base64url");
}

function readCursor(text: string): SQLInputValue[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    const known = Array.isArray(value) && value.length === rowKey.split(", ").length;
    if (known && value.every((part) => typeof part === "string" || typeof part === "number")) return value;
  } catch {
    // Reported below, like any other invalid cursor.
  }
  throw new CicadaError("UNPROCESSABLE", "the cursor is not one that a page gave as its next");
}
