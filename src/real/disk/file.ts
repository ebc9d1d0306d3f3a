/**
 * Opens the database file: creates a new one, migrates an older one, and refuses by name what it can't read. A refused
 * file is never changed or deleted.
 *
 * A new file is made under another name and moved into place when its tables are durable. So an empty `cicada.db` is
 * always damage, and never taken for a peer's first start.
 *
 * An older file is migrated in one transaction, after it has been copied to `cicada.db.format-N`, where N is its
 * version. A crash before the end leaves the older file as it was, and the next start copies and migrates again. The
 * copy is for going back to the older program. The first start 30 days later removes it.
 */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CicadaError } from "../../errors.ts";
import { moveIntoPlace, syncToDisk } from "../folder/files.ts";
import type { CommitCounter } from "./commit-counter.ts";
import { fileVersion, stepsFrom } from "./migrations.ts";

/** "cica" in ASCII. SQLite keeps it in the file's header to say which program the file belongs to. */
const applicationId = 0x63696361;

/** How long to wait for a lock that a sqlite3 shell holds. More lets the shell delay starts for longer. */
const busyTimeoutMs = 5_000;

/**
 * The WAL is copied back into the file when it has this many pages of 4 KiB (16 MiB). More means rarer and longer
 * pauses and a longer recovery after a crash; less means more fsyncs under load.
 */
const checkpointPages = 4_096;

/**
 * A file up to this size is checked completely at every start. Formula: about 5 ms per MiB. More finds more damage
 * early; less starts sooner.
 */
const checkedCapBytes = 67_108_864;

/** How long the copy of an older file is kept. More lets a person go back for longer; less frees its space sooner. */
const copyKeptMs = 30 * 86_400_000;

/** The first version of the file that counts its commits. */
const countedSince = 3;

/** Opens `path`, creates or migrates it where needed. Throws a CicadaError that names the file. */
export function openForWriting(path: string, counter: CommitCounter): DatabaseSync {
  if (!existsSync(path)) createDatabase(path);
  if (statSync(path).size === 0) throw damaged(path, "it is empty");
  checkUntouched(path, counter);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    // FULL makes every commit wait for its fsync: what is acknowledged survives a power cut.
    database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${checkpointPages};`,
    );
    removeOldCopies(path);
    if (pragma(database, "user_version") < fileVersion) copyBeforeMigration(database, path);
    migrate(database, path);
    return database;
  } catch (error) {
    if (database !== undefined) closeQuietly(database);
    throw asCicadaError(error, path);
  }
}

/** Opens `path` through a connection that can't change it. A thread that writes must have opened it before. */
export function openForReading(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: busyTimeoutMs, readOnly: true });
  } catch (error) {
    throw asCicadaError(error, path);
  }
}

/**
 * Checks the file through a connection that can't write. One that can would copy the write-ahead log into a file that
 * is then refused.
 */
function checkUntouched(path: string, counter: CommitCounter): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: busyTimeoutMs, readOnly: true });
    checkOwner(database, path);
    checkPages(database, path);
    if (pragma(database, "user_version") >= countedSince) counter.check(commitsIn(database), path);
  } catch (error) {
    throw asCicadaError(error, path);
  } finally {
    if (database !== undefined) closeQuietly(database);
  }
}

function createDatabase(path: string): void {
  const draft = `${path}.new`;
  try {
    intoDraft(draft, () => {
      const database = new DatabaseSync(draft);
      database.exec(`PRAGMA synchronous = FULL; PRAGMA application_id = ${applicationId};`);
      migrate(database, draft);
      database.close();
      syncToDisk(draft);
      moveIntoPlace(draft, path);
    });
  } catch (error) {
    throw asCicadaError(error, path);
  }
}

function checkOwner(database: DatabaseSync, path: string): void {
  if (pragma(database, "application_id") !== applicationId) {
    throw damaged(path, "it is another program's database");
  }
  const version = pragma(database, "user_version");
  if (version > fileVersion) {
    throw new CicadaError(
      "DATA_FOLDER_NEWER",
      `${path} has format ${version}, and this version of cicada reads formats up to ${fileVersion}`,
    );
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const version = pragma(database, "user_version");
  if (version < 0) throw damaged(path, `its format is ${version}`);
  if (version >= fileVersion) return;
  database.exec(
    `BEGIN IMMEDIATE; ${stepsFrom(database, version)} PRAGMA user_version = ${fileVersion}; COMMIT;`,
  );
}

/** Replaces an earlier copy, because the older program may have changed the file since. */
function copyBeforeMigration(database: DatabaseSync, path: string): void {
  const copy = `${path}${copySuffix}${pragma(database, "user_version")}`;
  const draft = `${copy}.new`;
  intoDraft(draft, () => {
    database.prepare("VACUUM INTO ?").run(draft);
    syncToDisk(draft);
    moveIntoPlace(draft, copy);
  });
}

/**
 * Removes what a killed start has left of the draft, then writes it, and removes it if that fails: on a full disk it would take
 * the last room.
 */
function intoDraft(draft: string, write: () => void): void {
  removeDraft(draft);
  try {
    write();
  } catch (error) {
    removeDraft(draft);
    throw error;
  }
}

/** Removes the draft, and the journal that SQLite writes beside it. */
export function removeDraft(draft: string): void {
  for (const file of [draft, `${draft}-journal`]) rmSync(file, { force: true });
}

const copySuffix = ".format-";

function removeOldCopies(path: string): void {
  const folder = dirname(path);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(path)}${copySuffix}`)) continue;
    const copy = join(folder, name);
    if (Date.now() - statSync(copy).mtimeMs > copyKeptMs) rmSync(copy);
  }
}

function commitsIn(database: DatabaseSync): number {
  return Number(database.prepare("SELECT count FROM commits").get()?.["count"]);
}

/** Finds torn pages before the peer relies on them. In a larger file they are found when they are read. */
function checkPages(database: DatabaseSync, path: string): void {
  if (statSync(path).size > checkedCapBytes) return;
  const row = database.prepare("PRAGMA quick_check(1)").get();
  const verdict = row === undefined ? "no answer" : String(Object.values(row)[0]);
  if (verdict !== "ok") throw damaged(path, verdict);
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

export function closeQuietly(database: DatabaseSync): void {
  try {
    database.close();
  } catch {
    // The connection is given up anyway, and the error has been reported already.
  }
}

/** SQLite's result codes for a file whose content is wrong (sqlite.org/rescode.html). */
const corrupt = 11;
const notADatabase = 26;

/** Turns an error of SQLite into one of cicada's. */
export function asCicadaError(error: unknown, path: string): CicadaError {
  if (error instanceof CicadaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
  if (code === corrupt || code === notADatabase) return damaged(path, message);
  return new CicadaError("DISK_FAILED", `${path}: ${message}`);
}

function damaged(path: string, why: string): CicadaError {
  return new CicadaError("DATA_FOLDER_DAMAGED", `${path} can't be read: ${why}`);
}
