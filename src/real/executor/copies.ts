/**
 * Copies of other peers' outputs, as gzip files. A copy is checked when it arrives, because it comes from another host.
 *
 * Outputs are read piece by piece, and gzip can only be unpacked from its beginning. So the reader of a copy stays open
 * between two pieces. Reading a whole output then unpacks it once, and holds only one piece in memory.
 */
import { createReadStream, mkdirSync } from "node:fs";
import { open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { LogPiece } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";
import { fileNameOf, orNothing } from "./output-files.ts";

/**
 * The largest size that a copy may unpack to, because a small file can hold a thousand times its size. More admits
 * copies of larger outputs; less makes it cheaper to refuse a hostile copy.
 */
const unpackedCapBytes = 67_108_864;

/**
 * How many readers are kept open. Each takes about 100 KiB and a file descriptor. With too few, outputs are unpacked
 * again.
 */
const openReadersMax = 16;
/** A reader is closed if its next piece is not requested within this time. */
const idleReaderMs = 30_000;

export class LogCopies {
  readonly folder: string;
  /** not in use at the moment, the longest unused first */
  private readonly idle = new Set<CopyReader>();

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Undefined if there is no copy here. */
  async read(run: RunId, offset: number, length: number): Promise<LogPiece | undefined> {
    const path = this.fileOf(run);
    const size = await orNothing(readUnpackedSize(path));
    if (size === undefined) return undefined;
    const reader = this.takeReader(path, offset);
    try {
      const bytes = await reader.read(offset, length);
      this.putReader(reader);
      return { bytes, offset, size, complete: true };
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  /** Rejects bytes that are not gzip, that unpack to more than the cap, or to another size than they state. */
  async keep(run: RunId, packed: Uint8Array): Promise<void> {
    await checkPacked(packed);
    const path = this.fileOf(run);
    const draft = `${path}.new`;
    try {
      await writeFile(draft, packed, { mode: 0o600 });
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async drop(run: RunId): Promise<void> {
    const path = this.fileOf(run);
    for (const reader of this.idle) if (reader.path === path) this.close(reader);
    await rm(path, { force: true });
  }

  private fileOf(run: RunId): string {
    return join(this.folder, `${fileNameOf(run)}.log.gz`);
  }

  /** The open reader of the file that has to skip the least, or a new one. */
  private takeReader(path: string, offset: number): CopyReader {
    let best: CopyReader | undefined;
    for (const reader of this.idle) {
      const fits = reader.path === path && reader.position <= offset;
      if (fits && reader.position >= (best?.position ?? 0)) best = reader;
    }
    if (best === undefined) return new CopyReader(path);
    this.idle.delete(best);
    best.keepOpen();
    return best;
  }

  private putReader(reader: CopyReader): void {
    this.idle.add(reader);
    reader.closeAfter(idleReaderMs, () => this.close(reader));
    const [oldest] = this.idle;
    if (this.idle.size > openReadersMax && oldest !== undefined) this.close(oldest);
  }

  private close(reader: CopyReader): void {
    this.idle.delete(reader);
    reader.close();
  }
}

/** Unpacks one file from its beginning, as far as it is read. */
class CopyReader {
  readonly path: string;
  /** position of the next byte in the output */
  position = 0;
  private readonly source: Readable;
  private readonly chunks: AsyncIterator<Buffer>;
  private chunk: Buffer = Buffer.alloc(0);
  private idle: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.path = path;
    this.source = createReadStream(path);
    const unpacked = createGunzip();
    // A failure of either stream is thrown to the caller that reads.
    pipeline(this.source, unpacked, () => undefined);
    this.chunks = unpacked[Symbol.asyncIterator]();
  }

  /** Returns at most `length` bytes; fewer at the end of the output. `offset` must not be before `position`. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const parts: Buffer[] = [];
    const end = offset + length;
    while (this.position < end) {
      if (this.chunk.length === 0 && !(await this.unpackMore())) break;
      const skipped = Math.min(this.chunk.length, Math.max(0, offset - this.position));
      const taken = this.chunk.subarray(skipped, skipped + end - Math.max(offset, this.position));
      if (taken.length > 0) parts.push(taken);
      this.chunk = this.chunk.subarray(skipped + taken.length);
      this.position += skipped + taken.length;
    }
    return Buffer.concat(parts);
  }

  closeAfter(idleMs: number, close: () => void): void {
    this.idle = setTimeout(close, idleMs).unref();
  }

  keepOpen(): void {
    clearTimeout(this.idle);
  }

  close(): void {
    this.keepOpen();
    this.source.destroy();
  }

  private async unpackMore(): Promise<boolean> {
    const { value, done } = await this.chunks.next();
    if (done === true) return false;
    this.chunk = value;
    return true;
  }
}

async function readUnpackedSize(path: string): Promise<number> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, Math.max(0, size - 4));
    return statedSize(buffer);
  } finally {
    await file.close();
  }
}

/**
 * Unpacks the copy without keeping the result. The length that the copy states must be true, because readers are told
 * it.
 */
async function checkPacked(packed: Uint8Array): Promise<void> {
  const stated = statedSize(packed);
  if (stated > unpackedCapBytes) throw new Error(`it unpacks to more than ${unpackedCapBytes} bytes`);
  const unpacked = createGunzip();
  pipeline(Readable.from([packed]), unpacked, () => undefined);
  let bytes = 0;
  for await (const chunk of unpacked) {
    bytes += (chunk as Buffer).length;
    // The price of unpacking it was computed from the size that it states (peer/messages/work-prices.ts).
    if (bytes > stated) throw new Error(`it unpacks to more than the ${stated} bytes that it states`);
  }
  checkStatedSize(packed, bytes);
}

/** The last four bytes of a gzip file state how long the unpacked content is (RFC 1952). 0 if there are fewer. */
export function statedSize(packed: Uint8Array): number {
  return packed.length < 4 ? 0 : Buffer.from(packed.subarray(-4)).readUInt32LE();
}

export function checkStatedSize(packed: Uint8Array, bytes: number): void {
  const stated = statedSize(packed);
  if (stated !== bytes)
    throw new Error(`it states that it unpacks to ${stated} bytes, but unpacks to ${bytes}`);
}
