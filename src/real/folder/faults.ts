/** The errors of a data folder, in words. */
import { CicadaError } from "../../errors.ts";
import { isSystemError } from "./files.ts";

export function unusable(path: string, why: string): CicadaError {
  return new CicadaError("DATA_FOLDER_UNUSABLE", `${path}: ${why}`);
}

/** What `act` returns. If the system refuses, the error says in words what is wrong with the file or folder at that path. */
export function orFolderError<Value>(path: string, act: () => Value): Value {
  try {
    return act();
  } catch (error) {
    if (error instanceof CicadaError || !isSystemError(error)) throw error;
    throw asFolderError(path, error);
  }
}

/** What a person must do differs: make room or repair the disk, or give the folder to this user. */
function asFolderError(path: string, error: NodeJS.ErrnoException): CicadaError {
  const code = error.code ?? "";
  const why = reasons[code] ?? error.message;
  return faultsOfDisk.has(code) ? new CicadaError("DISK_FAILED", `${path}: ${why}`) : unusable(path, why);
}

export function damaged(file: string): CicadaError {
  return new CicadaError(
    "DATA_FOLDER_DAMAGED",
    `${file} can't be read: it is damaged, cut off or belongs to another program`,
  );
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this user may not read and write it",
  EPERM: "this user may not change it",
  EROFS: "it is on a read-only file system",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENOENT: "it can't be created there",
  ENOTDIR: "a part of the path is a file, not a folder",
  ENAMETOOLONG: "the path is too long",
  EIO: "the disk has failed to read or write it",
};
const faultsOfDisk: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO"]);
