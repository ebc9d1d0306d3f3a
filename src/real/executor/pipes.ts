/**
 * Pipes for what runs print.
 *
 * Node gives a child sockets for pipes, on which `echo >/dev/stderr` fails, and can't give it one pipe twice. So
 * pipes are made by mkfifo, many at a time and ahead of need: each is opened at once and its name taken away, so that
 * nobody else can open it and nothing is left behind, however the launcher ends.
 */
import { execFile, spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  fchownSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";

/** Pipes made at once. One mkfifo costs 1 to 2 ms. */
const pipesAtOnce = 64;
/** With fewer than that ready, more are made meanwhile: a burst should not have to wait for them. */
const fewPipes = 64;
/**
 * Names made here cost no disk. That matters: for a minute ext4 looks at each deleted inode again whenever it makes a
 * file, which at 200 starts a second took a tenth of two cores.
 */
const inMemory = "/dev/shm";

export interface Pipe {
  readEnd: number;
  writeEnd: number;
}

export interface Owner {
  uid: number;
  gid: number;
}

export class PipePool {
  private readonly folder: string;
  private readonly ready: Pipe[] = [];
  private making = false;

  /** `folder` is its own, for hosts without files in memory. */
  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true, recursive: true });
  }

  /** A new pipe; it belongs to `owner`, so that the child may open /dev/stdout. Throws when none can be made. */
  take(owner: Owner | undefined): Pipe {
    const pipe = this.ready.pop() ?? this.makeNow();
    if (this.ready.length < fewPipes) this.makeMore();
    if (owner !== undefined) {
      try {
        fchownSync(pipe.readEnd, owner.uid, owner.gid);
      } catch (error) {
        close(pipe);
        throw error;
      }
    }
    return pipe;
  }

  private makeNow(): Pipe {
    const names = new Names(this.folder);
    try {
      const { error, status, stderr } = spawnSync("mkfifo", names.arguments, { encoding: "utf8" });
      if (error !== undefined || status !== 0) {
        throw new Error(`no pipe can be made for the output: ${error?.message ?? stderr}`);
      }
      const [first, ...rest] = names.open();
      this.ready.push(...rest);
      if (first === undefined) throw new Error("no pipe can be made for the output");
      return first;
    } finally {
      names.remove();
    }
  }

  /** What fails here fails again when a pipe is needed, and is told then. */
  private makeMore(): void {
    if (this.making) return;
    try {
      const names = new Names(this.folder);
      this.making = true;
      execFile("mkfifo", names.arguments, (error) => {
        this.making = false;
        this.takeIn(names, error === null);
      });
    } catch {
      // No folder for the names.
    }
  }

  private takeIn(names: Names, made: boolean): void {
    try {
      if (made) this.ready.push(...names.open());
    } catch {
      // Too many files are open, say.
    } finally {
      names.remove();
    }
  }
}

/** The names of some pipes, in a folder that nobody else may enter, for as long as it takes to open them. */
class Names {
  private readonly folder: string;
  private readonly paths: readonly string[];

  constructor(fallback: string) {
    this.folder = folderIn(inMemory) ?? mkdtempSync(join(fallback, "new-"));
    this.paths = Array.from({ length: pipesAtOnce }, (_, i) => join(this.folder, String(i)));
  }

  get arguments(): string[] {
    return ["-m", "600", ...this.paths];
  }

  open(): Pipe[] {
    const pipes: Pipe[] = [];
    try {
      for (const path of this.paths) {
        const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
        try {
          pipes.push({ readEnd, writeEnd: openSync(path, constants.O_WRONLY) });
        } catch (error) {
          closeSync(readEnd);
          throw error;
        }
      }
      return pipes;
    } catch (error) {
      for (const pipe of pipes) close(pipe);
      throw error;
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function folderIn(parent: string): string | undefined {
  try {
    return mkdtempSync(join(parent, "cicada-"));
  } catch {
    return undefined;
  }
}

function close({ readEnd, writeEnd }: Pipe): void {
  closeSync(readEnd);
  closeSync(writeEnd);
}
