/**
 * A peer's data in one file, and a new data folder made of it.
 *
 * A backup is the database as it was at one instant, copied through a connection that can't write while the peer goes on
 * (one read transaction of SQLite), with the scripts and a description in a table of its own. It holds no key, no token in
 * clear and no secret's value. What is bound to the peer that wrote it (its votes, its writer's id in the job table, what
 * was said about it) is left out of a folder that is made of it, because that folder is a new peer.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CicadaError } from "../errors.ts";
import type { JobId } from "../schema/ids.ts";
import type { RequestedOrder, Watermark } from "../schema/run.ts";
import { sha256Pattern } from "../schema/script.ts";
import { asCicadaError, closeQuietly, removeDraft } from "./disk/file.ts";
import { fileVersion } from "./disk/migrations.ts";
import { parseOrder, parseWatermark } from "./disk/parse.ts";
import { bytesIn, checkSum, sumOf, textIn } from "./disk/rows.ts";
import { orRemove, syncToDisk } from "./folder/files.ts";

/** Written into the backup. */
export interface About {
  format: number;
  /** wall clock, ms */
  madeAt: number;
  version: string;
  /** undefined = it was not running */
  peer: { id: string; name: string } | undefined;
}

const format = 1;
const script = new RegExp(sha256Pattern);
const busyTimeoutMs = 5_000;

/** Writes the backup of the peer in `folder`, running or not, to `file` (0600). Throws CicadaErrors that name the file. */
export function makeBackup(folder: string, file: string, about: Omit<About, "format">): void {
  // A file of the same name would take the place of a device or a pipe, /dev/null included.
  if (existsSync(file)) refuseOther(file);
  const above = dirname(file);
  if (!existsSync(above) || !statSync(above).isDirectory())
    throw new CicadaError("BAD_FILE", `${above}: there is no such folder`);
  const source = join(folder, "cicada.db");
  if (!existsSync(source)) throw new CicadaError("BAD_FILE", `${source}: there is no such file`);
  const draft = `${file}.new`;
  removeDraft(draft);
  try {
    // SQLite fills an empty file, and this one is private from the beginning.
    closeSync(openSync(draft, "wx", 0o600));
    using reading = opened(source, true);
    reading.database.prepare("VACUUM INTO ?").run(draft);
    using writing = opened(draft, false);
    const { database } = writing;
    database.exec("CREATE TABLE backup (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID");
    const keep = database.prepare("INSERT INTO backup VALUES (?, ?)");
    keep.run("about", Buffer.from(JSON.stringify({ format, ...about })));
    const scripts = namesIn(join(folder, "scripts")).filter((name) => script.test(name));
    for (const name of scripts) keep.run(`script ${name}`, readFileSync(join(folder, "scripts", name)));
    closeQuietly(database);
    syncToDisk(draft);
    renameSync(draft, file);
    syncToDisk(dirname(file));
  } catch (error) {
    removeDraft(draft);
    throw named(error, file);
  }
}

/** Throws BAD_FILE for anything that is not a plain file: SQLite would wait for the writer of a pipe. */
function refuseOther(file: string): void {
  const found = statSync(file);
  if (found.isFile()) return;
  throw new CicadaError(
    "BAD_FILE",
    `${file}: it is ${found.isDirectory() ? "a folder" : "not a plain file"}`,
  );
}

/** What a backup holds, as far as it decides what would run. */
export interface Backup {
  about: About;
  updates: Uint8Array[];
  watermarks: Watermark[];
  orders: RequestedOrder[];
  /** ticks (ms) of the job after the instant of which something is recorded */
  ticksAfter(job: JobId, instant: number): number[];
  runs: number;
  scripts: number;
  [Symbol.dispose](): void;
}

/** Opens a backup to read it. Throws BAD_FILE for any other file, and DATA_FOLDER_NEWER for one of a later version. */
export function openBackup(file: string): Backup {
  let reading: Opened | undefined;
  try {
    if (!existsSync(file)) throw new CicadaError("BAD_FILE", `${file}: there is no such file`);
    refuseOther(file);
    reading = opened(file, true);
    const { database } = reading;
    const about = aboutIn(database, file);
    const [verdict] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
    if (verdict !== "ok") throw new CicadaError("BAD_FILE", `${file} is damaged: ${String(verdict)}`);
    const rows = (sql: string) => database.prepare(sql).all();
    const ticks = database.prepare(
      "SELECT DISTINCT instant FROM record WHERE job = ? AND instant > ? AND state NOT IN ('claimed', 'withdrawn')",
    );
    return {
      about,
      updates: rows("SELECT body, sum FROM job_update ORDER BY sequence").map((row) =>
        checkSum(bytesIn(row["body"]), row["sum"]),
      ),
      watermarks: rows("SELECT body, sum FROM watermark").map((row) => parseWatermark(textIn(row))),
      orders: rows(
        `SELECT body, sum FROM requested_order AS wanted WHERE NOT EXISTS (
           SELECT 1 FROM record WHERE record.job = wanted.job AND record.tick = wanted.tick)`,
      ).map((row) => parseOrder(textIn(row))),
      ticksAfter: (job, instant) => ticks.all(job, instant).map((row) => Number(row["instant"])),
      runs: count(database, "SELECT count(*) AS count FROM record"),
      scripts: count(database, "SELECT count(*) AS count FROM backup WHERE name LIKE 'script %'"),
      [Symbol.dispose]: reading[Symbol.dispose],
    };
  } catch (error) {
    reading?.[Symbol.dispose]();
    throw named(error, file);
  }
}

/**
 * Makes the database and the scripts of a data folder that no peer has used. The database comes last: until it is there, the
 * folder counts as unused. `drained`: who asked that the peer takes no ticks until it is undrained.
 */
export function restoreInto(
  folder: string,
  file: string,
  drained: { by: string; at: number } | undefined,
): void {
  const path = join(folder, "cicada.db");
  const draft = `${path}.new`;
  removeDraft(draft);
  try {
    closeSync(openSync(draft, "wx", 0o600));
    using reading = opened(file, true);
    reading.database.prepare("VACUUM INTO ?").run(draft);
    using writing = opened(draft, false);
    const { database } = writing;
    for (const row of database.prepare("SELECT name, body FROM backup WHERE name LIKE 'script %'").all()) {
      const name = String(row["name"]).slice("script ".length);
      if (script.test(name)) writeScript(join(folder, "scripts", name), bytesIn(row["body"]));
    }
    database.exec(
      `DROP TABLE backup; DELETE FROM vote; UPDATE commits SET count = 0;
       DELETE FROM meta WHERE key NOT IN ('lastAlive', 'prunedAt');`,
    );
    if (drained !== undefined) {
      const value = JSON.stringify(drained);
      database
        .prepare("INSERT INTO meta (key, value, sum) VALUES ('drained', ?, ?)")
        .run(value, sumOf(value));
    }
    closeQuietly(database);
    syncToDisk(draft);
    renameSync(draft, path);
    syncToDisk(folder);
  } catch (error) {
    removeDraft(draft);
    throw named(error, file);
  }
}

function writeScript(path: string, bytes: Uint8Array): void {
  const draft = `${path}.restored.new`;
  orRemove(draft, () => {
    writeFileSync(draft, bytes, { mode: 0o600 });
    syncToDisk(draft);
    renameSync(draft, path);
  });
}

function aboutIn(database: DatabaseSync, file: string): About {
  const isBackup = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'backup'").get() !== undefined;
  const row = isBackup ? database.prepare("SELECT body FROM backup WHERE name = 'about'").get() : undefined;
  if (row === undefined) throw new CicadaError("BAD_FILE", `${file} is not a backup of cicada`);
  const about = readAbout(new TextDecoder().decode(bytesIn(row["body"])));
  if (about === undefined) throw new CicadaError("BAD_FILE", `${file} is damaged: its description is gone`);
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (version > fileVersion || about.format > format) {
    throw new CicadaError(
      "DATA_FOLDER_NEWER",
      `${file} was made by cicada ${about.version}, whose data this version can't read`,
    );
  }
  return about;
}

function readAbout(text: string): About | undefined {
  try {
    // The types are checked below.
    const { format: form, madeAt, version, peer } = JSON.parse(text) as Record<string, unknown>;
    if (typeof form !== "number" || typeof madeAt !== "number" || typeof version !== "string")
      return undefined;
    const { id, name }: Record<string, unknown> = { ...Object(peer) };
    const isNamed = typeof id === "string" && typeof name === "string";
    return { format: form, madeAt, version, peer: isNamed ? { id, name } : undefined };
  } catch {
    return undefined;
  }
}

/** The error as one about that file. */
function named(error: unknown, file: string): CicadaError {
  const known = asCicadaError(error, file);
  if (known.code === "BAD_FILE" || known.code === "DATA_FOLDER_NEWER") return known;
  if (known.code === "DATA_FOLDER_DAMAGED")
    return new CicadaError("BAD_FILE", `${file} is not a backup of cicada, or is damaged`);
  return new CicadaError("BAD_FILE", known.detail);
}

interface Opened {
  database: DatabaseSync;
  [Symbol.dispose](): void;
}

function opened(path: string, readOnly: boolean): Opened {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, readOnly });
  return { database, [Symbol.dispose]: () => closeQuietly(database) };
}

function count(database: DatabaseSync, sql: string): number {
  return Number(database.prepare(sql).get()?.["count"]);
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
