/**
 * The outputs that this peer keeps, as files: of its own runs as they were written, of others' runs as gzipped
 * copies. A run's id is made into a file name that is safe whatever the id holds.
 */
import { createHash } from "node:crypto";
import { mkdirSync, statSync } from "node:fs";
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { LogPiece } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";
import { isSystemError } from "../folder/files.ts";

/**
 * What a copy may grow to when it is unpacked: a small file can hold a thousand times its size, and it came from
 * another host. More admits copies of larger logs; less makes a hostile one cheaper to refuse.
 */
const unpackedCapBytes = 67_108_864;

/** Names longer than this are replaced by a hash; file systems take 255 bytes, and endings are added. */
const nameCapBytes = 200;

const pack = promisify(gzip);
const unpack = promisify(gunzip);

export class LogStore {
  private readonly folder: string;
  private readonly copies: string;

  constructor(folder: string) {
    this.folder = folder;
    this.copies = join(folder, "copies");
    mkdirSync(this.copies, { recursive: true, mode: 0o700 });
  }

  /** Where the output of an own run is written. */
  fileOf(run: RunId): string {
    return join(this.folder, `${fileNameOf(run)}.log`);
  }

  /** Undefined when neither the output nor a copy is here. */
  async read(run: RunId, offset: number, length: number, complete: boolean): Promise<LogPiece | undefined> {
    const own = await orNothing(readPart(this.fileOf(run), offset, length));
    if (own !== undefined) return { ...own, offset, complete };
    const packed = await orNothing(readFile(this.copyOf(run)));
    if (packed === undefined) return undefined;
    const whole = await unpack(packed, { maxOutputLength: unpackedCapBytes });
    return { bytes: whole.subarray(offset, offset + length), offset, size: whole.length, complete: true };
  }

  async pack(run: RunId): Promise<Uint8Array | undefined> {
    const whole = await orNothing(readFile(this.fileOf(run)));
    return whole === undefined ? undefined : pack(whole);
  }

  /** Rejects what is no gzip, or one that unpacks beyond the cap. */
  async keep(run: RunId, packed: Uint8Array): Promise<void> {
    await unpack(packed, { maxOutputLength: unpackedCapBytes });
    const file = this.copyOf(run);
    await writeFile(`${file}.new`, packed, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  async drop(run: RunId): Promise<void> {
    await Promise.all([rm(this.fileOf(run), { force: true }), rm(this.copyOf(run), { force: true })]);
  }

  /** Of an own run's output; 0 when there is none. */
  sizeOf(run: RunId): number {
    return statSync(this.fileOf(run), { throwIfNoEntry: false })?.size ?? 0;
  }

  private copyOf(run: RunId): string {
    return join(this.copies, `${fileNameOf(run)}.log.gz`);
  }
}

/** Letters, digits and `._~@#:-` stay; all else, and a leading dot, becomes %XX. Different runs, different names. */
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

/** Undefined when the file is not there. */
async function orNothing<Value>(reading: Promise<Value>): Promise<Value | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return undefined;
    throw error;
  }
}
