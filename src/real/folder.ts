/**
 * The data folder: everything that a peer keeps. Only its user may read it, and only one peer at a time may use it.
 *
 *   lock.db, lock.pid   held while a peer uses the folder, until its process ends in whatever way
 *   format              version of this layout
 *   peer.key            who the peer is
 *   cluster.key         which mesh it belongs to
 *   cluster.key.old     earlier keys that are still accepted after a rotation
 *   cluster.key.retired earlier keys that are no longer accepted, and only prove that they were replaced
 *   admin.token         for its own API
 *   addresses.json      where other peers were last found
 *   archived.json       up to when outputs have been copied to the archive and the syslog server
 *   broken-exits.json   when the peer ended after an internal fault, and what it was working on
 *   ready.json          only while the peer is ready
 *   cicada.db           jobs and history (disk.ts)
 *   cicada.mark         how many commits the database has had (disk/commit-counter.ts)
 *   work/, logs/        where jobs run, and their output
 *   secrets/            values of secrets that only this peer has, a file each
 *   scripts/            the scripts that jobs run, by the SHA-256 of their bytes
 *
 * Damaged files are reported and left as they are. Only what can be restored or done without (addresses, the token, earlier
 * keys) is replaced, and the damaged file is kept as NAME.damaged.
 */
import { hash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../ports.ts";
import type { Ready } from "../schema/ready.ts";
import { checkFiles, checkFolders, checkFormat, format, prepareFolder } from "./folder/checks.ts";
import { damaged, orFolderError } from "./folder/faults.ts";
import { makeFolders, readText, writeWhole } from "./folder/files.ts";
import { takeFolderLock } from "./folder/lock.ts";
import { parsePeerKey } from "./keys.ts";

export interface Folder {
  readonly path: string;
  /** where jobs run that name no folder */
  readonly work: string;
  readonly logs: string;
  readonly scripts: string;
  readonly secrets: string;
  readonly tokenFile: string;
  readonly clusterKeyFile: string;
  /** Gives the folder this version's format: from now on an older program refuses it. Before that, it can still use the folder. */
  raiseFormat(): void;
  hasPeerKey(): boolean;
  /**
   * `generate` makes the key the first time. From then on it stays the same. Throws DATA_FOLDER_DAMAGED if the file holds no
   * peer key.
   */
  peerKey(generate: () => Uint8Array): Uint8Array;
  /** The text of `cluster.key`; undefined when there is none yet. */
  clusterKey(): string | undefined;
  keepClusterKey(text: string): void;
  /** The text of `cluster.key.old`; undefined when there is none. */
  oldKeys(): string | undefined;
  /** Undefined = no old key is accepted any more. */
  keepOldKeys(text: string | undefined): void;
  /** The text of `cluster.key.retired`; undefined when there is none. */
  retiredKeys(): string | undefined;
  keepRetiredKeys(text: string | undefined): void;
  /** Renames such a file that can't be read, before a new one takes its place. Returns where it is now. */
  setAside(name: "cluster.key.old" | "cluster.key.retired"): string;
  /** 256 random bits and a checksum, as base64url. The token stays the same over restarts. */
  adminToken(): string;
  addresses(): string[];
  /** A failure is only logged, because the peer can do without. */
  rememberAddresses(addresses: readonly string[]): void;
  /** The text of `archived.json`; undefined if there is none or it can't be read. */
  archived(): string | undefined;
  /** A failure is only logged: at worst the same outputs are copied again. */
  keepArchived(text: string): void;
  /** The text of `broken-exits.json`; undefined if there is none or it can't be read. */
  brokenExits(): string | undefined;
  /** A failure is only logged, because the peer is about to end. */
  keepBrokenExits(text: string): void;
  writeReady(ready: Ready): void;
  removeReady(): void;
  /** Releases the folder for another peer. */
  close(): void;
}

/** Opens or creates the folder. Throws a CicadaError that says what is wrong with it. */
export function openFolder(path: string, log: Log): Folder {
  return orFolderError(path, () => {
    prepareFolder(path);
    checkFiles(path);
    const unlock = takeFolderLock(path);
    try {
      checkFormat(path);
      checkFolders(path);
      const folder = new RealFolder(path, log, unlock);
      // An earlier process may have had no time to remove it.
      folder.removeReady();
      return folder;
    } catch (error) {
      unlock();
      throw error;
    }
  });
}

class RealFolder implements Folder {
  readonly path: string;
  readonly work: string;
  readonly logs: string;
  readonly scripts: string;
  readonly secrets: string;
  readonly tokenFile: string;
  readonly clusterKeyFile: string;
  private readonly log: Log;
  private readonly unlock: () => void;

  constructor(path: string, log: Log, unlock: () => void) {
    this.path = path;
    this.log = log;
    this.unlock = unlock;
    this.work = join(path, "work");
    this.logs = join(path, "logs");
    this.scripts = join(path, "scripts");
    this.secrets = join(path, "secrets");
    this.tokenFile = join(path, "admin.token");
    this.clusterKeyFile = join(path, "cluster.key");
    makeFolders(this.work);
    makeFolders(this.logs);
    makeFolders(this.scripts);
  }

  hasPeerKey(): boolean {
    return existsSync(join(this.path, "peer.key"));
  }

  peerKey(generate: () => Uint8Array): Uint8Array {
    const file = join(this.path, "peer.key");
    const text = this.readSecret(file);
    if (text === undefined) {
      const key = generate();
      this.write(file, `${Buffer.from(key).toString("base64url")}\n`);
      return key;
    }
    // The line end is only there if the line is complete.
    if (!/^[\w-]+\n$/.test(text)) throw damaged(file);
    const key = Uint8Array.from(Buffer.from(text.trim(), "base64url"));
    try {
      parsePeerKey(key);
    } catch {
      throw damaged(file);
    }
    return key;
  }

  clusterKey(): string | undefined {
    return this.readSecret(this.clusterKeyFile);
  }

  keepClusterKey(text: string): void {
    this.write(this.clusterKeyFile, text.endsWith("\n") ? text : `${text}\n`);
  }

  oldKeys(): string | undefined {
    return this.readSecret(join(this.path, "cluster.key.old"));
  }

  keepOldKeys(text: string | undefined): void {
    this.writeOrRemove(join(this.path, "cluster.key.old"), text);
  }

  raiseFormat(): void {
    const file = join(this.path, "format");
    if (readText(file) !== `${format}\n`) this.write(file, `${format}\n`);
  }

  retiredKeys(): string | undefined {
    return this.readSecret(join(this.path, "cluster.key.retired"));
  }

  keepRetiredKeys(text: string | undefined): void {
    this.writeOrRemove(join(this.path, "cluster.key.retired"), text);
  }

  setAside(name: string): string {
    const [file, aside] = [join(this.path, name), join(this.path, `${name}.damaged`)];
    orFolderError(file, () => renameSync(file, aside));
    return aside;
  }

  adminToken(): string {
    const text = this.readSecret(this.tokenFile);
    if (text !== undefined && isToken(text)) return text.trim();
    if (text !== undefined) {
      const file = this.setAside("admin.token");
      this.log.warn("the admin token can't be read and is set aside; a new one is created", { file });
    }
    const secret = randomBytes(32).toString("base64url");
    const token = secret + checksumOf(secret);
    this.write(this.tokenFile, `${token}\n`);
    return token;
  }

  addresses(): string[] {
    const text = this.noted("addresses.json", "the remembered addresses can't be read");
    if (text === undefined) return [];
    const addresses = parseAddresses(text);
    if (addresses !== undefined) return addresses;
    const aside = this.setAside("addresses.json");
    this.log.warn("the remembered addresses can't be read and are set aside", { file: aside });
    return [];
  }

  rememberAddresses(addresses: readonly string[]): void {
    const text = `${JSON.stringify(addresses, undefined, 2)}\n`;
    this.note("addresses.json", text, "addresses can't be remembered");
  }

  brokenExits(): string | undefined {
    return this.noted("broken-exits.json", "this peer's broken exits can't be read");
  }

  keepBrokenExits(text: string): void {
    this.note("broken-exits.json", text, "this peer's broken exit can't be noted");
  }

  archived(): string | undefined {
    return this.noted("archived.json", "up to when outputs are archived can't be read");
  }

  keepArchived(text: string): void {
    this.note("archived.json", text, "up to when outputs are archived can't be noted");
  }

  writeReady(ready: Ready): void {
    this.write(join(this.path, "ready.json"), `${JSON.stringify(ready)}\n`);
  }

  removeReady(): void {
    rmSync(join(this.path, "ready.json"), { force: true });
  }

  close(): void {
    this.unlock();
  }

  /** Writes a file that the peer can do without: a failure is only logged. */
  private note(name: string, text: string, failure: string): void {
    try {
      writeWhole(join(this.path, name), text);
    } catch (error) {
      this.log.warn(failure, { reason: String(error) });
    }
  }

  /** Reads such a file; undefined if there is none or it can't be read. */
  private noted(name: string, failure: string): string | undefined {
    try {
      return readText(join(this.path, name));
    } catch (error) {
      this.log.warn(failure, { reason: String(error) });
      return undefined;
    }
  }

  /** Reads a secret. If other users may read it, it is made private again, and that is logged. */
  private readSecret(file: string): string | undefined {
    return orFolderError(file, () => {
      const text = readText(file);
      if (text === undefined) return undefined;
      if ((statSync(file).mode & 0o077) !== 0) {
        chmodSync(file, 0o600);
        this.log.warn("other users could read a secret; its mode is 0600 now", { file });
      }
      return text;
    });
  }

  private writeOrRemove(file: string, text: string | undefined): void {
    if (text === undefined) rmSync(file, { force: true });
    else this.write(file, text);
  }

  private write(file: string, text: string): void {
    orFolderError(file, () => writeWhole(file, text));
  }
}

/** The first versions made tokens without a checksum. */
function isToken(text: string): boolean {
  const [, secret = "", checksum] = /^([\w-]{43})([\w-]{4})?\n?$/.exec(text) ?? [];
  return secret !== "" && (checksum === undefined || checksum === checksumOf(secret));
}

/** Four characters that show when a token is damaged. */
function checksumOf(secret: string): string {
  return hash("sha256", secret, "base64url").slice(0, 4);
}

function parseAddresses(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((address) => typeof address === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}
