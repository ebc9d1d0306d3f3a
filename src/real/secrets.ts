/**
 * The real Secrets door. A value of the peer's own is a file in its folder `secrets/`, named as the secret, that only the peer's
 * user may read; its version is the time at which it was last written. A person may put such a file there, too: the last line
 * break is not part of the value. A file that others may read, a link, or one that holds no valid value is no value, and a
 * fault that is shown.
 *
 * Values are read or opened when a run begins, and not kept in between.
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
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { secretValueProblem } from "../core/checks/secrets.ts";
import { CicadaError } from "../errors.ts";
import type { Keys, Log } from "../ports.ts";
import type { Secrets } from "../ports/secrets.ts";
import {
  ownSecretsMax,
  secretMaxBytes,
  secretNamePattern,
  secretsOfJobMaxBytes,
  type HeldSecrets,
  type SealedSecret,
} from "../schema/secret.ts";
import { isSystemError, syncToDisk } from "./folder/files.ts";
import { seal, unseal } from "./secrets/seal.ts";

const nameForm = new RegExp(secretNamePattern);

export type SecretValues = ReadonlyMap<string, string>;

/** What a run gets. `host`: another peer may have it; otherwise it is the job's fault. */
export type Resolved = { values: SecretValues } | { why: "host" | "error"; reason: string };

export interface RealSecrets extends Secrets {
  /** The newest values of these secrets. */
  resolve(names: readonly string[]): Resolved;
}

interface Options {
  folder: string;
  peerKey: Uint8Array;
  keys: Pick<Keys, "self" | "cluster">;
  log: Log;
}

interface OwnValue {
  version: number;
  value: string;
}

export function openSecrets({ folder, peerKey, keys, log }: Options): RealSecrets {
  let sealedNow: ReadonlyMap<string, SealedSecret> = new Map();
  /** what was found out about sealed values, which never change */
  const opened = new WeakMap<SealedSecret, boolean>();
  let faultsLogged = "";

  function open(name: string, sealed: SealedSecret): string | undefined {
    const label = { mesh: keys.cluster, name, version: sealed.version };
    return unseal(sealed, label, keys.self, peerKey);
  }

  function isOpened(name: string, sealed: SealedSecret): boolean {
    const known = opened.get(sealed) ?? open(name, sealed) !== undefined;
    opened.set(sealed, known);
    return known;
  }

  function look(): HeldSecrets {
    const own = new Map<string, number>();
    const faults = new Map<string, string>();
    for (const name of namesIn(folder)) {
      const found = readOwn(folder, name);
      if (found === undefined) continue;
      if ("fault" in found) faults.set(name, found.fault);
      else if (own.size < ownSecretsMax) own.set(name, found.version);
      else faults.set(name, `a peer has at most ${ownSecretsMax} secrets of its own`);
    }
    const told = JSON.stringify([...faults]);
    if (told !== faultsLogged && faults.size > 0) {
      log.warn("files in the folder of secrets are not used", { folder, why: told.slice(0, 1_024) });
    }
    faultsLogged = told;
    const unopened = [...sealedNow].flatMap(([name, sealed]) =>
      Object.hasOwn(sealed.keys, keys.self) && !isOpened(name, sealed) ? [name] : [],
    );
    return { own, faults, unopened };
  }

  function valueOf(name: string): string | undefined {
    const found = readOwn(folder, name);
    const own = found === undefined || "fault" in found ? undefined : found;
    const sealed = sealedNow.get(name);
    if (sealed === undefined || (own !== undefined && own.version > sealed.version)) return own?.value;
    return open(name, sealed);
  }

  return {
    look: (sealed, done) => {
      sealedNow = sealed;
      const held = look();
      setImmediate(() => done(held));
    },
    keep: (name, value, version, done) => later(done, () => writeOwn(folder, name, value, version)),
    remove: (name, done) =>
      later(done, () => {
        rmSync(join(folder, name), { force: true });
        if (namesIn(folder).length > 0) syncToDisk(folder);
      }),
    seal: (name, value, version, peers) => seal(value, { mesh: keys.cluster, name, version }, peers),
    resolve: (names) => {
      const values = new Map<string, string>();
      let bytes = 0;
      for (const name of names) {
        const value = valueOf(name);
        if (value === undefined) {
          return { why: "host", reason: `this peer doesn't have the newest value of the secret ${name}` };
        }
        bytes += Buffer.byteLength(value);
        values.set(name, value);
      }
      if (bytes <= secretsOfJobMaxBytes) return { values };
      const reason = `its secrets have ${bytes} bytes together, and ${secretsOfJobMaxBytes} is the most`;
      return { why: "error", reason };
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => nameForm.test(name));
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Undefined if there is no such file. */
function readOwn(folder: string, name: string): OwnValue | { fault: string } | undefined {
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
    if (!found.isFile()) return { fault: "it is no plain file" };
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
function writeOwn(folder: string, name: string, value: string, version: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `${name}.new`);
  rmSync(draft, { force: true });
  const file = openSync(draft, "wx", 0o600);
  try {
    writeFileSync(file, `${value}\n`);
    futimesSync(file, version / 1_000, version / 1_000);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, join(folder, name));
  syncToDisk(folder);
}

/** Calls back in a later turn, with what the disk said. */
function later(done: (error?: CicadaError) => void, act: () => void): void {
  let failed: CicadaError | undefined;
  try {
    act();
  } catch (error) {
    failed = new CicadaError("DISK_FAILED", error instanceof Error ? error.message : String(error));
  }
  setImmediate(() => done(failed));
}
