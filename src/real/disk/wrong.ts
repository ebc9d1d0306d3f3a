/**
 * Finds the jobs that had ticks which went wrong. An index holds only the records of such ticks, so the search takes a few steps
 * for each job that has any, however often jobs run.
 */
import { wrongCounted, type JobSince, type WrongQuery } from "../../ports/disk.ts";
import type { JobId } from "../../schema/ids.ts";
import type { WrongState } from "../../schema/run-states.ts";
import { parseRecord } from "./parse.ts";
import type { WrongJobText } from "./protocol.ts";
import { textIn } from "./rows.ts";
import type { Statements } from "./statements.ts";

/** As in the index (migrations.ts), or SQLite doesn't use it. */
const wrong = `FROM record INDEXED BY record_gone_wrong
  WHERE state IN ('failed', 'timeout', 'lost', 'missed') AND instr(body, '"retryAt":') = 0`;

const allSql = `WITH RECURSIVE found(job) AS (
    SELECT min(job) ${wrong}
    UNION ALL SELECT (SELECT min(job) ${wrong} AND job > found.job) FROM found WHERE job IS NOT NULL)
  SELECT job FROM found WHERE job IS NOT NULL`;
const lastSql = `SELECT max(instant) AS instant ${wrong} AND job = ? AND instant >= ?`;
const countsSql = `SELECT state, count(*) AS records FROM (
    SELECT state ${wrong} AND job = ? AND instant >= ? ORDER BY instant DESC LIMIT ${wrongCounted}) GROUP BY state`;
const newestSql = `SELECT body, sum ${wrong} AND job = ? AND instant = ?
  ORDER BY tick DESC, attempt DESC, slot DESC, peer DESC LIMIT 1`;
const rangesSql = `SELECT body, sum ${wrong} AND job = ? AND instant >= ? AND state = 'missed'
    AND instr(body, '"range":') > 0 LIMIT ${wrongCounted}`;

export function readWrong(
  statements: Statements,
  { from, jobs, limit }: WrongQuery,
): { jobs: WrongJobText[]; total: number } {
  const asked: readonly JobSince[] =
    jobs ?? statements.all(allSql).map((row) => ({ job: String(row["job"]) as JobId, from }));
  const found = asked.flatMap(({ job, from: own }) => {
    const since = Math.max(from, own);
    const instant = statements.first(lastSql, job, since)?.["instant"];
    return typeof instant === "number" ? [{ job, since, instant }] : [];
  });
  const newest = found.toSorted((a, b) => b.instant - a.instant || (a.job < b.job ? -1 : 1));
  return {
    jobs: newest.slice(0, limit).flatMap(({ job, since, instant }) => {
      const row = statements.first(newestSql, job, instant);
      return row === undefined ? [] : [{ last: textIn(row), counts: countsOf(statements, job, since) }];
    }),
    total: newest.length,
  };
}

function countsOf(statements: Statements, job: JobId, since: number): WrongJobText["counts"] {
  const counts: WrongJobText["counts"] = {};
  for (const row of statements.all(countsSql, job, since))
    counts[String(row["state"]) as WrongState] = Number(row["records"]);
  if (counts.missed === undefined) return counts;
  for (const row of statements.all(rangesSql, job, since))
    counts.missed += (parseRecord(textIn(row)).range?.count ?? 1) - 1;
  return counts;
}
