/** Small files that are either complete or don't exist, whatever happens while they are written. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { CicadaError } from "../../errors.ts";

/** Writes a draft beside the file, makes it durable and moves it into place. Only this user may read it. */
export function writeWhole(path: string, text: string): void {
  const draft = `${path}.new`;
  orRemove(draft, () => {
    const file = openSync(draft, "w", 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    moveIntoPlace(draft, path);
  });
}

/** Writes the draft, and removes it if that fails: on a full disk it would take the last room. */
export function orRemove(draft: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** Gives a draft that is durable its final name, which is durable when this returns. */
export function moveIntoPlace(draft: string, path: string): void {
  renameSync(draft, path);
  syncToDisk(dirname(path));
}

/** Makes a file's content, or the names in a folder, durable. */
export function syncToDisk(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a folder and the missing ones above it. (Node's recursive mkdir never returns on a file system that answers "no
 * such folder" for the new folder itself, as /proc does.)
 */
export function makeFolders(path: string): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (above !== path) makeFolders(above);
  mkdirSync(path, { mode: 0o700 });
}

/** Undefined when there is no such file. A pipe or a device in its place is refused: the start would wait for its end for ever. */
export function readText(path: string): string | undefined {
  try {
    const found = statSync(path);
    if (!found.isFile() && !found.isDirectory())
      throw new CicadaError("DATA_FOLDER_UNUSABLE", `${path}: it is not a plain file`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return undefined;
    throw error;
  }
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}
