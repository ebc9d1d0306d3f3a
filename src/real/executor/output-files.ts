/**
 * The files of this peer's own outputs. A run in progress writes into `running/`. When it has ended, its file leaves that
 * folder: a large output stays a file, and the file of a small one is removed once the database has it
 * (small-outputs.ts).
 *
 * After a peer was killed, its next life moves the files left in `running/` out, whatever their size, or removes those
 * that the database already has. A run's id is turned into a file name that is safe whatever the id contains.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream";
import { createGzip } from "node:zlib";
import type { RunId } from "../../schema/ids.ts";
import { smallOutputBytes } from "../../ports/disk.ts";
import { isSystemError } from "../folder/files.ts";

/** Names longer than this are replaced by a hash. File systems allow 255 bytes, and endings are added. */
const nameCapBytes = 200;

export class OutputFiles {
  private readonly folder: string;
  private readonly running: string;
  /** names of files that an earlier life has left in `running/` */
  private leftOver: string[];

  constructor(folder: string) {
    this.folder = folder;
    this.running = join(folder, "running");
    mkdirSync(this.running, { recursive: true, mode: 0o700 });
    this.leftOver = readdirSync(this.running);
  }

  /** Where a run in progress writes its output. */
  fileOf(run: RunId): string {
    return join(this.running, `${fileNameOf(run)}.log`);
  }

  /** Undefined when the run has no output here. */
  async read(
    run: RunId,
    offset: number,
    length: number,
  ): Promise<{ bytes: Uint8Array; size: number } | undefined> {
    // In the order in which a file moves, so that one that is moved meanwhile is found.
    return (
      (await orNothing(readPart(this.fileOf(run), offset, length))) ??
      (await orNothing(readPart(this.keptFileOf(run), offset, length)))
    );
  }

  /** The whole output, gzipped; `too-large` if it takes more than the cap; undefined if there is none. */
  async pack(run: RunId, capBytes: number): Promise<Uint8Array | "too-large" | undefined> {
    return (
      (await orNothing(packFile(this.fileOf(run), capBytes))) ??
      (await orNothing(packFile(this.keptFileOf(run), capBytes)))
    );
  }

  /** The run has ended, and its output stays a file. */
  async keep(run: RunId): Promise<void> {
    await orNothing(rename(this.fileOf(run), this.keptFileOf(run)));
  }

  /** The database has the output. */
  async removeRunning(run: RunId): Promise<void> {
    await rm(this.fileOf(run), { force: true });
  }

  async drop(run: RunId): Promise<void> {
    await Promise.all([this.removeRunning(run), rm(this.keptFileOf(run), { force: true })]);
  }

  has(run: RunId): boolean {
    return existsSync(this.fileOf(run)) || existsSync(this.keptFileOf(run));
  }

  /** For a run that was killed: how much it has written, and all of its output, if that is little. */
  measure(run: RunId): { bytes: number; small: Uint8Array | undefined } {
    const path = this.fileOf(run);
    const bytes = statSync(path, { throwIfNoEntry: false })?.size;
    if (bytes === undefined) return { bytes: 0, small: undefined };
    return { bytes, small: bytes <= smallOutputBytes ? readFileSync(path) : undefined };
  }

  /** Moves what an earlier life has left. Call it once, when none of its processes writes any more. */
  async moveLeftOver(isStored: (run: RunId) => Promise<boolean>): Promise<void> {
    for (const name of this.leftOver.splice(0)) {
      const path = join(this.running, name);
      const run = runOf(basename(name, ".log"));
      const isAlsoStored = run !== undefined && (await isStored(run));
      await orNothing(isAlsoStored ? rm(path, { force: true }) : rename(path, join(this.folder, name)));
    }
  }

  private keptFileOf(run: RunId): string {
    return join(this.folder, `${fileNameOf(run)}.log`);
  }
}

/**
 * Letters, digits and `._~@#:-` stay. All other bytes, and a leading dot, become %XX. Different runs have different
 * names.
 */
export function fileNameOf(run: RunId): string {
  const name = [...Buffer.from(run)]
    .map((byte, index) => {
      const letter = String.fromCharCode(byte);
      const isPlain = /[A-Za-z0-9._~@#:-]/.test(letter) && !(index === 0 && letter === ".");
      return isPlain ? letter : `%${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
  return name.length <= nameCapBytes ? name : `%${createHash("sha256").update(run).digest("hex")}`;
}

/** The run whose file has that name; undefined when the name is a hash, or not one that `fileNameOf` makes. */
function runOf(name: string): RunId | undefined {
  const bytes = Buffer.from(
    name.replaceAll(/%([\da-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
  const run = bytes.toString() as RunId;
  return fileNameOf(run) === name ? run : undefined;
}

/** Undefined when the file is not there. */
export async function orNothing<Value>(reading: Promise<Value>): Promise<Value | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function readPart(
  path: string,
  offset: number,
  length: number,
): Promise<{ bytes: Uint8Array; size: number }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    return { bytes: buffer.subarray(0, bytesRead), size };
  } finally {
    await file.close();
  }
}

/** Stops reading when the cap is reached, because an output may be a hundred times as large. */
async function packFile(path: string, capBytes: number): Promise<Uint8Array | "too-large"> {
  const packed = createGzip();
  pipeline(createReadStream(path), packed, () => undefined);
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of packed) {
    parts.push(part as Buffer);
    bytes += (part as Buffer).length;
    if (bytes > capBytes) return "too-large";
  }
  return Buffer.concat(parts);
}

/** The sizes of all files in a folder and its folders. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { size } = (await orNothing(stat(join(entry.parentPath, entry.name)))) ?? { size: 0 };
    bytes += size;
  }
  return bytes;
}

/** Removes the oldest files that lie directly in the folders, until so many bytes are free. Returns how many are. */
export async function removeOldest(folders: readonly string[], bytes: number): Promise<number> {
  const files: { path: string; size: number; mtimeMs: number }[] = [];
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const found = entry.isFile() ? await orNothing(stat(path)) : undefined;
      if (found !== undefined) files.push({ path, size: found.size, mtimeMs: found.mtimeMs });
    }
  }
  let freed = 0;
  for (const { path, size } of files.toSorted((a, b) => a.mtimeMs - b.mtimeMs)) {
    if (freed >= bytes) break;
    await rm(path, { force: true });
    freed += size;
  }
  return freed;
}
