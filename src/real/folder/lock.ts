/**
 * Lets only one peer at a time use the folder: the peer holds an exclusive lock of SQLite on `lock.db`.
 *
 * The kernel drops the lock however the process ends, so nothing has to be cleaned up. The lock also works between
 * containers that share the folder, where process ids mean nothing.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CicadaError } from "../../errors.ts";
import { readText, writeWhole } from "./files.ts";

/** SQLite's result codes (sqlite.org/rescode.html) for a lock that is held, and for a disk that fails or is full. */
const busy = 5;
const faultsOfDisk: ReadonlySet<number | undefined> = new Set([10, 13]);

/** A reference to each lock, because a lock would end when its object is garbage-collected. */
const held = new Set<DatabaseSync>();

/** Returns a function that releases the lock. Throws DATA_FOLDER_IN_USE with the process id of the holder. */
export function takeFolderLock(folder: string): () => void {
  const pidFile = join(folder, "lock.pid");
  const database = lock(folder, pidFile);
  held.add(database);
  writeWhole(pidFile, `${process.pid}\n`);
  return () => {
    if (held.delete(database)) database.close();
  };
}

function lock(folder: string, pidFile: string): DatabaseSync {
  const path = join(folder, "lock.db");
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
    if (code === busy) {
      const pid = readText(pidFile)?.trim() ?? "unknown";
      throw new CicadaError("DATA_FOLDER_IN_USE", `process ${pid} uses ${folder}`);
    }
    const kind = faultsOfDisk.has(code) ? "DISK_FAILED" : "DATA_FOLDER_UNUSABLE";
    const why = error instanceof Error ? error.message : String(error);
    throw new CicadaError(kind, `${path} can't be locked: ${why}`);
  }
}
