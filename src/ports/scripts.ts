/**
 * The door to the scripts that a peer keeps, by the SHA-256 of their bytes, and to what its host has for jobs: interpreters
 * and users. What it reads is what was stored: bytes that have changed on the disk count as gone.
 */
import type { CicadaError } from "../errors.ts";

export interface Scripts {
  /** The names of all scripts that are kept here, and their sizes in bytes. */
  list(done: (kept: ReadonlyMap<string, number>) => void): void;
  /** Durable before `done`. The name is that of the bytes. */
  store(sha256: string, bytes: Uint8Array, done: (error?: CicadaError) => void): void;
  /** Undefined if there is none, or if it is damaged. */
  read(sha256: string, done: (bytes: Uint8Array | undefined) => void): void;
  remove(sha256: string): void;
  /** Those of the interpreters, names on the PATH or absolute paths, that this host doesn't have. */
  missingInterpreters(names: readonly string[], done: (missing: readonly string[]) => void): void;
  /** Answers once for each of the users, as soon as it is known: whether this host can't run jobs as it. Undefined if it can't tell. */
  lookUpUsers(names: readonly string[], found: (name: string, isMissing: boolean | undefined) => void): void;
}
