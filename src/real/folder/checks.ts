/**
 * Checks what must hold before a peer uses its data folder (folder.ts). If something doesn't hold, the error names the file or
 * folder.
 */
import { accessSync, chmodSync, constants, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CicadaError } from "../../errors.ts";
import { damaged, orFolderError, unusable } from "./faults.ts";
import { makeFolders, readText, writeWhole } from "./files.ts";

/**
 * In format 2, `cluster.key.retired` holds more keys than format 1 would keep, and the database holds the words about membership
 * that count, which format 1 doesn't know. A program that reads only format 1 would cut the list, and follow words that nobody
 * has signed.
 */
export const format = 2;

/** What a folder may contain that no peer has used yet: files from an admin, and files of the file system. */
const preparedFiles: ReadonlySet<string> = new Set([
  "cluster.key",
  "secrets",
  "lost+found",
  "lock.db",
  "lock.pid",
]);

const plainFiles = [
  "lock.db",
  "lock.db-journal",
  "lock.pid",
  "format",
  "peer.key",
  "cluster.key",
  "cluster.key.old",
  "cluster.key.retired",
  "admin.token",
  "addresses.json",
  "archived.json",
  "broken-exits.json",
  "ready.json",
  "cicada.db",
  "cicada.db-wal",
  "cicada.db-shm",
  "cicada.db-journal",
  "cicada.mark",
] as const;

/** These are replaced by new files, so it doesn't matter who owns them. */
const replaced: ReadonlySet<string> = new Set([
  "lock.pid",
  "addresses.json",
  "archived.json",
  "broken-exits.json",
  "ready.json",
]);

/** An outer folder comes before those in it. */
const folders = [
  "logs",
  "logs/copies",
  "logs/exchange",
  "logs/pipes",
  "logs/running",
  "scripts",
  "scripts/running",
  "secrets",
  "work",
] as const;

/**
 * Refuses anything in their place that isn't a usable folder. Otherwise it would only be noticed later, when a run or a secret
 * needs it.
 */
export function checkFolders(path: string): void {
  for (const name of folders) {
    const found = statSync(join(path, name), { throwIfNoEntry: false });
    if (found === undefined) continue;
    if (!found.isDirectory()) throw unusable(join(path, name), "it is not a folder");
    checkAccess(join(path, name), constants.R_OK | constants.W_OK | constants.X_OK);
  }
}

/** SQLite and Node would wait for ever for the other end of a pipe. */
export function checkFiles(path: string): void {
  for (const name of plainFiles) {
    const found = statSync(join(path, name), { throwIfNoEntry: false });
    if (found === undefined) continue;
    if (!found.isFile()) throw unusable(join(path, name), "it is not a plain file");
    if (!replaced.has(name)) checkAccess(join(path, name), constants.R_OK | constants.W_OK);
  }
}

/** The error names the file itself. SQLite would name its database, although its log or its lock belongs to another user. */
function checkAccess(path: string, mode: number): void {
  orFolderError(path, () => accessSync(path, mode));
}

/** Makes the folder if it is missing. It must be this user's alone, and a peer's or empty. */
export function prepareFolder(path: string): void {
  makeFolders(path);
  const found = statSync(path);
  if (!found.isDirectory()) throw unusable(path, "it is a file, not a folder");
  const { mode, uid } = found;
  const self = process.getuid?.() ?? uid;
  if (uid !== self) throw unusable(path, `it belongs to user ${uid}, and this peer runs as user ${self}`);
  if ((mode & 0o022) !== 0) {
    throw unusable(path, `other users may write in it (check that none has, then chmod go-w ${path})`);
  }
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  const strangers = readdirSync(path).filter((name) => !preparedFiles.has(name));
  if (strangers.length > 0 && !strangers.includes("format")) {
    throw unusable(
      path,
      `it contains other files, such as ${strangers.slice(0, 3).join(", ")}; give an empty folder`,
    );
  }
  chmodSync(path, 0o700);
}

/** A new folder gets this version's format, and an older one keeps its own until its database is migrated. */
export function checkFormat(path: string): void {
  const file = join(path, "format");
  const text = readText(file);
  if (text === undefined) return writeWhole(file, `${format}\n`);
  if (!/^\d{1,9}\n$/.test(text)) throw damaged(file);
  if (Number(text) > format) {
    throw new CicadaError(
      "DATA_FOLDER_NEWER",
      `${path} has format ${text.trim()}, and this version of cicada reads up to ${format}`,
    );
  }
}
