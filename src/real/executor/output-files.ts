/**
 * The outputs of this peer's own runs, one file each, as the runs write them. A run's id is turned into a file name
 * that is safe whatever the id contains.
 */
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, statSync } from "node:fs";
import { open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { createGzip } from "node:zlib";
import type { RunId } from "../../schema/ids.ts";
import { isSystemError } from "../folder/files.ts";

/** Names longer than this are replaced by a hash. File systems allow 255 bytes, and endings are added. */
const nameCapBytes = 200;

export class Outputs {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Where a run's output is written. */
  fileOf(run: RunId): string {
    return join(this.folder, `${fileNameOf(run)}.log`);
  }

  /** Undefined when the run has no output here. */
  read(run: RunId, offset: number, length: number): Promise<{ bytes: Uint8Array; size: number } | undefined> {
    return orNothing(readPart(this.fileOf(run), offset, length));
  }

  /** The whole output, gzipped; `too-large` when that takes more than the cap; undefined when there is none. */
  pack(run: RunId, capBytes: number): Promise<Uint8Array | "too-large" | undefined> {
    return orNothing(packFile(this.fileOf(run), capBytes));
  }

  async drop(run: RunId): Promise<void> {
    await rm(this.fileOf(run), { force: true });
  }

  /** 0 when there is none. */
  sizeOf(run: RunId): number {
    return statSync(this.fileOf(run), { throwIfNoEntry: false })?.size ?? 0;
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
