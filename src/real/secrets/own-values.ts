/**
 * The peer's own secrets: each is a file in its folder `secrets/`, named as the secret, that only the peer's user may read; its
 * version is the time at which it was last written. A person may put such a file there, too: the last line break is not part of
 * the value. A file that others may read, a link, or a file without a valid value doesn't count as a value, and is shown as a
 * fault.
 */
import {
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { secretValueProblem } from "../../core/checks/secrets.ts";
import { ownSecretsMax, secretMaxBytes, secretNamePattern } from "../../schema/secret.ts";
import { isSystemError, moveIntoPlace, orRemove, syncToDisk } from "../folder/files.ts";

const nameForm = new RegExp(secretNamePattern);

interface OwnValue {
  version: number;
  value: string;
}

/** Returns the versions of all values, and what is wrong with the files that don't count as values. */
export function ownValuesIn(folder: string): { own: Map<string, number>; faults: Map<string, string> } {
  const own = new Map<string, number>();
  const faults = new Map<string, string>();
  for (const name of namesIn(folder)) {
    const found = readOwnValue(folder, name);
    if (found === undefined) continue;
    if ("fault" in found) faults.set(name, found.fault);
    else if (own.size < ownSecretsMax) own.set(name, found.version);
    else faults.set(name, `a peer has at most ${ownSecretsMax} secrets of its own`);
  }
  return { own, faults };
}

/** Undefined if there is no such file. */
export function readOwnValue(folder: string, name: string): OwnValue | { fault: string } | undefined {
  let file: number;
  try {
    file = openSync(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === "ENOENT") return undefined;
    return { fault: error.code === "ELOOP" ? "it is a link" : `it can't be read (${error.code})` };
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) return { fault: "it is not a plain file" };
    const self = process.getuid?.() ?? found.uid;
    if (found.uid !== self) return { fault: `it belongs to user ${found.uid}, not to the peer's user` };
    if ((found.mode & 0o077) !== 0) {
      return { fault: `other users may read it (mode ${(found.mode & 0o777).toString(8)}): chmod 600` };
    }
    if (found.size > secretMaxBytes + 2) return { fault: `it has more than ${secretMaxBytes} bytes` };
    const bytes = readFileSync(file);
    const value = bytes.toString().replace(/\r?\n$/, "");
    if (!Buffer.from(bytes.toString()).equals(bytes)) return { fault: "it is not UTF-8 text" };
    const problem = secretValueProblem(value);
    return problem === undefined ? { version: Math.round(found.mtimeMs), value } : { fault: problem };
  } finally {
    closeSync(file);
  }
}

/** The line break at the end is not read back, so a value that ends with one stays as it is. */
export function writeOwnValue(folder: string, name: string, value: string, version: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `${name}.new`);
  rmSync(draft, { force: true });
  orRemove(draft, () => {
    const file = openSync(draft, "wx", 0o600);
    try {
      writeFileSync(file, `${value}\n`);
      futimesSync(file, version / 1_000, version / 1_000);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    moveIntoPlace(draft, join(folder, name));
  });
}

export function removeOwnValue(folder: string, name: string): void {
  rmSync(join(folder, name), { force: true });
  if (namesIn(folder).length > 0) syncToDisk(folder);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => nameForm.test(name));
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return [];
    throw error;
  }
}
