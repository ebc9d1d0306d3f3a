/**
 * The steps from one format of the database file to the next. A step that has been released never changes: a further
 * change is a further step. file.ts takes all missing steps in one transaction.
 */
import type { DatabaseSync } from "node:sqlite";
import { sumOf } from "./rows.ts";

/** The file's version is the number of steps that it has taken. */
const migrations: readonly string[] = [
  `CREATE TABLE record (
     instant INTEGER NOT NULL,
     tick TEXT NOT NULL,
     job TEXT NOT NULL,
     attempt INTEGER NOT NULL,
     slot TEXT NOT NULL,
     peer TEXT NOT NULL,
     state TEXT NOT NULL,
     body TEXT NOT NULL,
     PRIMARY KEY (instant, tick, job, attempt, slot, peer)
   );
   CREATE INDEX record_of_job ON record (job, instant);
   CREATE INDEX record_in_state ON record (state, instant);
   CREATE TABLE asked (
     instant INTEGER NOT NULL,
     tick TEXT NOT NULL,
     job TEXT NOT NULL,
     asked_at REAL NOT NULL,
     body TEXT NOT NULL,
     PRIMARY KEY (instant, tick, job)
   );
   CREATE INDEX asked_of_job ON asked (job, instant);
   CREATE TABLE bucket (bucket INTEGER PRIMARY KEY, digest TEXT NOT NULL, things INTEGER NOT NULL);
   CREATE TABLE job_update (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL);
   CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
  `CREATE TABLE vote (decision TEXT PRIMARY KEY, instant REAL NOT NULL, body TEXT NOT NULL);
   CREATE INDEX vote_of_instant ON vote (instant);`,
  // Sums of the contents (rows.ts), and the count of commits (commit-counter.ts). Older rows have no sum.
  `ALTER TABLE record ADD COLUMN sum INTEGER;
   ALTER TABLE asked ADD COLUMN sum INTEGER;
   ALTER TABLE job_update ADD COLUMN sum INTEGER;
   ALTER TABLE meta ADD COLUMN sum INTEGER;
   ALTER TABLE vote ADD COLUMN sum INTEGER;
   CREATE TABLE commits (count INTEGER NOT NULL);
   INSERT INTO commits VALUES (0);`,
  `CREATE TABLE watermark (job TEXT PRIMARY KEY, body TEXT NOT NULL, sum INTEGER) WITHOUT ROWID;`,
  `CREATE TABLE horizon (
     job TEXT PRIMARY KEY,
     before REAL NOT NULL,
     runs INTEGER NOT NULL,
     age REAL NOT NULL,
     window REAL NOT NULL
   ) WITHOUT ROWID;`,
  // Orders, votes and what is said of this peer have other names (protocol 2). Signed records stay as they were signed.
  `ALTER TABLE asked RENAME TO requested_order;
   ALTER TABLE requested_order RENAME COLUMN asked_at TO requested_at;
   DROP INDEX asked_of_job;
   CREATE INDEX requested_order_of_job ON requested_order (job, instant);
   UPDATE requested_order SET body = order_of_format_6(body), sum = content_sum(order_of_format_6(body))
     WHERE sum IS NULL OR sum = content_sum(body);
   UPDATE vote SET body = vote_of_format_6(body), sum = content_sum(vote_of_format_6(body))
     WHERE sum IS NULL OR sum = content_sum(body);
   UPDATE meta SET key = 'selfForgotten' WHERE key = 'outcast';`,
  // Records of kinds that a later version has.
  `CREATE TABLE other_record (
     instant INTEGER NOT NULL,
     tick TEXT NOT NULL,
     job TEXT NOT NULL,
     kind TEXT NOT NULL,
     name TEXT NOT NULL,
     peer TEXT NOT NULL,
     body TEXT NOT NULL,
     sum INTEGER,
     PRIMARY KEY (instant, tick, job, kind, name, peer)
   );
   CREATE INDEX other_record_of_job ON other_record (job, instant);`,
  // Nobody knows which of the ticks that were pruned so far had started.
  `ALTER TABLE horizon ADD COLUMN starts TEXT NOT NULL DEFAULT '[]';
   INSERT INTO meta SELECT 'forgottenVotes', '[[0,' || value || ']]', NULL FROM meta WHERE key = 'voteFloor';
   DELETE FROM meta WHERE key = 'voteFloor';`,
  // Small outputs. Those of older runs stay files.
  `CREATE TABLE output (run TEXT PRIMARY KEY, body BLOB NOT NULL, sum INTEGER NOT NULL);`,
  // Earlier revisions of jobs.
  `CREATE TABLE job_revision (
     sequence INTEGER PRIMARY KEY,
     job TEXT NOT NULL,
     revision TEXT NOT NULL,
     at REAL NOT NULL,
     deleted INTEGER NOT NULL,
     body TEXT NOT NULL,
     sum INTEGER NOT NULL,
     UNIQUE (job, revision)
   );
   CREATE INDEX job_revision_of_job ON job_revision (job, sequence);
   CREATE INDEX job_revision_deleted ON job_revision (at) WHERE deleted = 1;`,
  // Finds the runs of a peer that has long been gone.
  `CREATE INDEX record_of_peer ON record (peer, state, instant);`,
  // Who has changed what.
  `CREATE TABLE audit (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     at REAL NOT NULL,
     actor TEXT NOT NULL,
     job TEXT,
     job_group TEXT,
     action TEXT NOT NULL,
     refused INTEGER NOT NULL,
     body TEXT NOT NULL,
     sum INTEGER NOT NULL
   );
   CREATE INDEX audit_of_job ON audit (job, sequence);
   CREATE INDEX audit_refused ON audit (refused, sequence);`,
  // Finds the jobs that went wrong (wrong.ts).
  `CREATE INDEX record_gone_wrong ON record (job, instant, state)
     WHERE state IN ('failed', 'timeout', 'lost', 'missed') AND instr(body, '"retryAt":') = 0;`,
];

export const fileVersion = migrations.length;

/**
 * The missing steps as SQL, with the functions that they call. A row with a wrong sum is left as it is, so that the
 * damage is found when it is read.
 */
export function stepsFrom(database: DatabaseSync, version: number): string {
  database.function("content_sum", (content) => sumOf(String(content)));
  database.function("order_of_format_6", (body) => orderOfFormat6(String(body)));
  database.function("vote_of_format_6", (body) => voteOfFormat6(String(body)));
  return migrations.slice(version).join("\n");
}

function orderOfFormat6(body: string): string {
  const order = parse(body);
  if (!isObject(order) || !("askedAt" in order)) return body;
  const { askedAt, ...rest } = order;
  return JSON.stringify({ ...rest, requestedAt: askedAt });
}

function voteOfFormat6(body: string): string {
  const vote = parse(body, (_key, value: unknown) => {
    if (!isObject(value) || !("life" in value)) return value;
    const { life, ...ballot } = value;
    return { ...ballot, incarnation: life };
  });
  return vote === undefined ? body : JSON.stringify(vote);
}

/** Undefined for a text that is not JSON. It is left as it is, and reported as damage when it is read. */
function parse(body: string, revive?: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(body, revive);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
