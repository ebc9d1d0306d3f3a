/** Reads a page of run records, the newest first, and the other records of its ticks. */
import type { SQLInputValue } from "node:sqlite";
import { CicadaError } from "../../errors.ts";
import { countedMost, type RunQuery } from "../../ports/disk.ts";
import { tickKeyPattern } from "../../schema/keyed-tick.ts";
import { backfillPattern } from "../../schema/backfill.ts";
import { runStates } from "../../schema/run-states.ts";
import type { PageText } from "./protocol.ts";
import { textIn, type Row } from "./rows.ts";
import type { Statements } from "./statements.ts";

const rowKey = "instant, tick, job, attempt, slot, peer";
/** Enough for the records of 100 slots, several attempts each. */
const besideSql = `SELECT ${rowKey}, body, sum FROM record WHERE instant = ? AND tick = ? AND job = ? LIMIT 1000`;
export const newestFirst = rowKey
  .split(", ")
  .map((column) => `${column} DESC`)
  .join(", ");

/**
 * The newest records of up to this many jobs are looked up job by job. For more jobs that takes longer than going through all
 * records, newest first, which in turn is slow if the jobs rarely run.
 */
const jobsAtOnce = 50;

export function readPage(statements: Statements, query: RunQuery, tickInstant: number | undefined): PageText {
  const { where, values } = conditions(query, tickInstant, "counting");
  const counted = `SELECT count(*) AS total FROM (SELECT 1 FROM record${where} LIMIT ${countedMost})`;
  const total = statements.first(counted, ...values)?.["total"];
  const limit = Math.max(1, Math.floor(query.limit));
  const after = query.after === undefined ? undefined : readCursor(query.after);
  const rows = newestRows(statements, query, tickInstant, after, limit + 1);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    records: page.map(textIn),
    next: rows.length > limit && last !== undefined ? writeCursor(last) : null,
    total: Number(total),
    beside: query.beside === true ? beside(statements, query, page) : [],
  };
}

/** The newest records before the cursor. */
function newestRows(
  statements: Statements,
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
    return statements.all(sql, ...values, ...(after ?? []), limit);
  });
  return queries.length === 1 ? rows : rows.toSorted(compareNewest).slice(0, limit);
}

/** The records of the page's ticks that are not on the page. */
function beside(statements: Statements, query: RunQuery, page: readonly Row[]): string[] {
  const shown = new Set(page.map(writeCursor));
  const ticks = new Map(
    cutTicks(query, page).map((row) => [
      `${String(row["instant"])} ${String(row["tick"])} ${String(row["job"])}`,
      row,
    ]),
  );
  return [...ticks.values()].flatMap(({ instant, tick, job }) => {
    const values = [instant, tick, job] as SQLInputValue[];
    return statements
      .all(besideSql, ...values)
      .filter((row) => !shown.has(writeCursor(row)))
      .map(textIn);
  });
}

/**
 * Divides a query into those that can each read their newest records in the order of an index; together they find the same
 * records. A query for many jobs stays whole: going through all records, newest first, soon finds theirs.
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
 * What a query asks for, as SQL. A plus before a column keeps SQLite from using that column's index. If the query names a job,
 * the index of jobs finds the fewest records. A page of many jobs is read in the order of the page, but their records are counted
 * by the index of jobs.
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

/** The rows of a page whose ticks may have further records: where whole ticks fit the query, those at its two ends. */
function cutTicks({ states, peer, slot, started }: RunQuery, page: readonly Row[]): readonly Row[] {
  const areWhole = [states, peer, slot, started].every((filter) => filter === undefined);
  return areWhole ? [...page.slice(0, 1), ...page.slice(-1)] : page;
}

/** A cursor is the key of the page's last row: a JSON list in base64url. */
function writeCursor(row: Row): string {
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
