/** The audit in the database: writes an entry and removes the oldest beyond the limits, and reads a page, newest first. */
import type { SQLInputValue } from "node:sqlite";
import type { AuditEntry, AuditQuery } from "../../schema/audit.ts";
import { auditKept, auditRefusalsKept } from "../../schema/kept.ts";
import { isWholeActor } from "../../schema/audit-actors.ts";
import { sumOf, textIn } from "./rows.ts";
import type { Statements } from "./statements.ts";

/** The oldest are removed once in this many entries. More leaves more beyond the limits meanwhile. */
const removeEvery = 64;

export function writeAudit(statements: Statements, text: string): void {
  // No schema is needed here: the peer's thread made the entry.
  const { at, actor, job = null, group = null, action, outcome } = JSON.parse(text) as AuditEntry;
  const refused = Number(outcome === "refused");
  const row = statements.first(
    `INSERT INTO audit (at, actor, job, job_group, action, refused, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       RETURNING sequence`,
    at,
    actor,
    job,
    group,
    action,
    refused,
    text,
    sumOf(text),
  );
  if (Number(row?.["sequence"]) % removeEvery !== 0) return;
  for (const [kind, kept] of [
    [0, auditKept],
    [1, auditRefusalsKept],
  ] as const) {
    statements.run(
      `DELETE FROM audit WHERE refused = ? AND sequence <= (
         SELECT sequence FROM audit WHERE refused = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`,
      kind,
      kind,
      kept,
    );
  }
}

export function readAudit(
  statements: Statements,
  { actor, job, action, groups, from, to, limit, after }: AuditQuery,
): { rows: { place: number; text: string }[]; more: boolean } {
  const conditions: string[] = [];
  const values: SQLInputValue[] = [];
  const must = (condition: string, value: SQLInputValue | undefined): void => {
    if (value === undefined) return;
    conditions.push(condition);
    values.push(value);
  };
  must(actor !== undefined && isWholeActor(actor) ? "actor = ?" : "instr(actor, ?) > 0", actor);
  must("job = ?", job);
  must("action = ?", action);
  must(
    "job_group IN (SELECT value FROM json_each(?))",
    groups === undefined ? undefined : JSON.stringify(groups),
  );
  must("at >= ?", from);
  must("at < ?", to);
  must("sequence < ?", after);
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const rows = statements.all(
    `SELECT sequence, body, sum FROM audit ${where} ORDER BY sequence DESC LIMIT ?`,
    ...values,
    limit + 1,
  );
  const shown = rows.slice(0, limit).map((row) => ({ place: Number(row["sequence"]), text: textIn(row) }));
  return { rows: shown, more: rows.length > limit };
}
