/**
 * The file that a run's interpreter reads: a copy of the script for this run alone, made just before the start and checked by
 * the SHA-256 of its bytes. So what runs is what was uploaded, whatever happens to the kept script or to another run's copy.
 * It belongs to the run's user, who may only read it, and is removed when the run has ended.
 *
 * A run of another user can't enter the data folder, so its copy is in the host's folder for temporary files.
 */
import { hash } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Owner } from "./pipes.ts";
import { ScriptGone } from "./start-faults.ts";

export interface ScriptFile {
  path: string;
  remove(): void;
}

export class ScriptFiles {
  private readonly folder: string;
  /** own copies */
  private readonly running: string;
  /** the beginning of the names of copies for other users; it differs between data folders */
  private readonly prefix: string;

  constructor(folder: string) {
    this.folder = folder;
    this.running = join(folder, "running");
    this.prefix = `cicada-script-${hash("sha256", folder).slice(0, 12)}-`;
  }

  /** Removes what an earlier launcher has left that was killed. */
  removeLeftOver(): void {
    rmSync(this.running, { recursive: true, force: true });
    for (const name of readdirSync(tmpdir())) {
      if (name.startsWith(this.prefix)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }

  /** Throws ScriptGone, or the error of the file system. */
  make(sha256: string, owner: Owner | undefined): ScriptFile {
    const bytes = this.read(sha256);
    const parent = owner === undefined ? this.running : tmpdir();
    if (owner === undefined) mkdirSync(parent, { recursive: true, mode: 0o700 });
    const folder = mkdtempSync(join(parent, this.prefix));
    const path = join(folder, "script");
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    try {
      writeFileSync(path, bytes, { mode: 0o400 });
      if (owner !== undefined) {
        chownSync(path, owner.uid, owner.gid);
        chownSync(folder, owner.uid, owner.gid);
      }
    } catch (error) {
      remove();
      throw error;
    }
    return { path, remove };
  }

  private read(sha256: string): Buffer {
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(this.folder, sha256));
    } catch {
      throw new ScriptGone(sha256);
    }
    if (hash("sha256", bytes) !== sha256) throw new ScriptGone(sha256);
    return bytes;
  }
}
