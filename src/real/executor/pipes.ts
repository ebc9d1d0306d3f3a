/**
 * Pipes for the output of runs.
 *
 * Node gives a child sockets instead of pipes, on which `echo >/dev/stderr` fails, and it can't use one pipe for two
 * streams. So mkfifo makes the pipes, many at a time and in advance. Each is opened at once and its name removed, so
 * that no other process can open it and nothing is left behind when the launcher exits. Where no named pipe can be
 * made, the caller gets none and uses sockets.
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
import { isSystemError } from "../folder/files.ts";
import { ownLimit } from "../process-limits.ts";
import { isHostFault } from "./start-faults.ts";

/**
 * How many pipes are made at once. One mkfifo costs 1 to 2 ms. When fewer than this are ready, more are made, so that a
 * burst doesn't have to wait for them.
 */
const pipesAtOnceMax = 64;
/** Each pipe holds two descriptors, and twice `pipesAtOnce` may be ready: at most a quarter of the limit. */
const limitShare = 16;
/** The limit of open files where the host doesn't say. */
const assumedFiles = 256;
/** Where mkfifo doesn't work, it is tried again after this time. */
const tryAgainMs = 60_000;
/**
 * Names in this folder cost no disk. This matters because ext4, for a minute, examines each deleted inode again
 * whenever it makes a file, which took a tenth of two cores at 200 starts a second.
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

export interface PipeOptions {
  /** tried in this order; the last one is the pool's own folder */
  folders: readonly string[];
  pipesAtOnce: number;
  /** Called when pipes can't be made, at most once in `tryAgainMs`. */
  unavailable(reason: string): void;
}

export class PipePool {
  private readonly options: PipeOptions;
  private readonly ready: Pipe[] = [];
  private making = false;
  private tryAgainAt = 0;
  /** folders that could not be removed when they should have been */
  private leftovers: string[] = [];

  constructor(options: PipeOptions) {
    this.options = options;
  }

  /**
   * Returns a new pipe. It belongs to `owner`, so that the child may open /dev/stdout. Undefined where no named pipe
   * can be made. Throws when the host has no room for one at the moment.
   */
  take(owner: Owner | undefined): Pipe | undefined {
    const pipe = this.ready.pop() ?? this.makeNow();
    if (pipe === undefined) return undefined;
    if (this.ready.length < this.options.pipesAtOnce) this.makeMore();
    if (owner === undefined) return pipe;
    try {
      fchownSync(pipe.readEnd, owner.uid, owner.gid);
      return pipe;
    } catch (error) {
      closePipe(pipe);
      throw error;
    }
  }

  private makeNow(): Pipe | undefined {
    if (performance.now() < this.tryAgainAt) return undefined;
    let reason = "";
    for (const folder of this.options.folders) {
      try {
        const [first, ...rest] = this.makeIn(folder);
        this.ready.push(...rest);
        return first;
      } catch (error) {
        if (isHostFault(error)) throw error;
        reason = String(error);
      }
    }
    this.tryAgainAt = performance.now() + tryAgainMs;
    this.options.unavailable(reason);
    return undefined;
  }

  private makeIn(folder: string): Pipe[] {
    const names = new Names(folder, this.options.pipesAtOnce);
    try {
      const { error, status, stderr } = spawnSync("mkfifo", names.arguments, { encoding: "utf8" });
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(stderr.trim().split("\n")[0]);
      return names.open();
    } finally {
      this.remove(names.folder);
    }
  }

  /** Makes pipes in advance. A failure here will happen again when a pipe is needed, and is reported then. */
  private makeMore(): void {
    const names = this.making ? undefined : this.namesAnywhere();
    if (names === undefined) return;
    this.making = true;
    execFile("mkfifo", names.arguments, (error) => {
      this.making = false;
      if (error === null) this.takeIn(names);
      this.remove(names.folder);
    });
  }

  private takeIn(names: Names): void {
    try {
      this.ready.push(...names.open());
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  private namesAnywhere(): Names | undefined {
    for (const folder of this.options.folders) {
      try {
        return new Names(folder, this.options.pipesAtOnce);
      } catch (error) {
        if (!isSystemError(error)) throw error;
      }
    }
    return undefined;
  }

  /** Removes a folder. If that fails, for example because there is no descriptor, it is removed later. */
  private remove(folder: string): void {
    const folders = [...this.leftovers, folder];
    this.leftovers = folders.filter((path) => !isRemoved(path));
  }
}

/** `own` is a folder for this launcher alone. It is emptied. */
export function openPipes(own: string, unavailable: (reason: string) => void): PipePool {
  mkdirSync(own, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(own)) rmSync(join(own, name), { force: true, recursive: true });
  const files = ownLimit("Max open files") ?? assumedFiles;
  const pipesAtOnce = Math.max(1, Math.min(pipesAtOnceMax, Math.floor(files / limitShare)));
  return new PipePool({ folders: [inMemory, own], pipesAtOnce, unavailable });
}

/** The names of some pipes, in a folder that no other user may enter, for as long as it takes to open them. */
class Names {
  readonly folder: string;
  private readonly paths: readonly string[];

  constructor(parent: string, count: number) {
    this.folder = mkdtempSync(join(parent, "cicada-"));
    this.paths = Array.from({ length: count }, (_, i) => join(this.folder, String(i)));
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
      for (const pipe of pipes) closePipe(pipe);
      throw error;
    }
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

export function closePipe({ readEnd, writeEnd }: Pipe): void {
  closeSync(readEnd);
  closeSync(writeEnd);
}
