/**
 * The real Scripts door: one file for each script in the data folder, named by the SHA-256 of its bytes, which are checked
 * whenever they are read.
 */
import { constants } from "node:fs";
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { scriptName } from "../core/checks/script.ts";
import { CicadaError } from "../errors.ts";
import type { Log } from "../ports.ts";
import type { Scripts } from "../ports/scripts.ts";
import { sha256Pattern } from "../schema/script.ts";
import { lookUpUsers } from "./executor/users.ts";
import { syncToDisk } from "./folder/files.ts";

/** `path`: the folders in which runs look for programs, as in PATH. */
export function openScripts({ folder, path, log }: { folder: string; path: string; log: Log }): Scripts {
  const fileOf = (sha256: string): string => join(folder, sha256);
  let drafts = 0;

  async function store(sha256: string, bytes: Uint8Array): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = `${fileOf(sha256)}.${drafts++}.new`;
    try {
      const file = await open(draft, "w", 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, fileOf(sha256));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
    syncToDisk(folder);
  }

  async function read(sha256: string): Promise<Uint8Array | undefined> {
    const bytes = await readFile(fileOf(sha256));
    if (scriptName(bytes) === sha256) return bytes;
    log.warn("a script has changed on the disk and is removed", { script: sha256 });
    await rm(fileOf(sha256), { force: true });
    return undefined;
  }

  async function list(): Promise<ReadonlyMap<string, number>> {
    const kept = new Map<string, number>();
    const isName = new RegExp(sha256Pattern);
    for (const name of await readdir(folder)) {
      if (isName.test(name)) kept.set(name, (await stat(fileOf(name))).size);
      // An earlier life was killed while it wrote this.
      else if (name.endsWith(".new")) await rm(fileOf(name), { force: true });
    }
    return kept;
  }

  async function isThere(name: string): Promise<boolean> {
    const files = isAbsolute(name)
      ? [name]
      : path.split(":").map((one) => join(one === "" ? "." : one, name));
    for (const file of files) if (await isProgram(file)) return true;
    return false;
  }

  return {
    list: (done) => void pass(list(), done, () => new Map()),
    store: (sha256, bytes, done) =>
      void pass(
        store(sha256, bytes).then(() => undefined),
        done,
        (error) => new CicadaError("DISK_FAILED", `${folder}: ${reasonOf(error)}`),
      ),
    read: (sha256, done) => void pass(read(sha256), done, () => undefined),
    remove: (sha256) =>
      void pass(
        rm(fileOf(sha256), { force: true }),
        () => undefined,
        () => undefined,
      ),
    missingInterpreters: (names, done) => {
      const checks = names.map(async (name) => ((await isThere(name)) ? [] : [name]));
      void pass(
        Promise.all(checks).then((missing) => missing.flat()),
        done,
        () => names,
      );
    },
    // Called back outside of the promise, as in `pass`.
    lookUpUsers: (names, found) =>
      void lookUpUsers(names, (user, isMissing) => setImmediate(() => found(user, isMissing))),
  };
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** Calls back outside of the promise, so that an exception of the callback is not taken for a failure of the disk. */
async function pass<Value>(
  promise: Promise<Value>,
  done: (value: Value) => void,
  otherwise: (error: unknown) => Value,
): Promise<void> {
  const value = await promise.catch(otherwise);
  setImmediate(() => done(value));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
