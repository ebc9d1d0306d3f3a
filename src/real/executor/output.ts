/**
 * A run's output: both of the child's streams, and the file that they are written to. A file that exceeds its cap keeps
 * the first and the last part. If there is a pipe, both streams go through it, so that their order is kept.
 *
 * Beyond the cap the file is `HEAD`, a line `… 12,345 bytes not kept …`, and `TAIL`. The tail is in memory until the
 * run ends, so a reader only sees the head before that, at offsets that never change. At the end a small file is read
 * whole, for the database.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import type { Readable } from "node:stream";
import { smallOutputBytes } from "../../ports/disk.ts";
import { MaskedFile } from "./masked-file.ts";
import type { Masker } from "./masker.ts";

/** The tail has at most half of the cap, and at most this, because it is held in memory. */
const tailCapBytes = 8_388_608;

/**
 * Beyond its cap, a source that writes without end is read at this pace, about 50 MB/s, so that other runs get a turn.
 */
const burstBytes = 262_144;
const burstPauseMs = 5;

/** The line that stands for what was not kept. */
export const notKeptLine = /\n\xe2\x80\xa6 [\d,]+ bytes not kept \xe2\x80\xa6\n/;

export interface Finished {
  log: { logBytes: number; logTruncated: boolean };
  /** all that the file holds, if that is little */
  small: Buffer | undefined;
}

/** Reads a run's streams into its file until `finish`. */
export class Output {
  private readonly file: CappedFile;
  private readonly masked: MaskedFile[] = [];
  private readonly streams: readonly Readable[];
  private open: number;
  private readonly pace = new Pace();

  /** `onEnd`: no process holds the other end of any stream any more. */
  constructor(file: CappedFile, streams: readonly Readable[], masker: Masker | undefined, onEnd: () => void) {
    this.file = file;
    this.streams = streams;
    this.open = streams.length;
    for (const stream of streams) {
      const masked = new MaskedFile(file, masker);
      this.masked.push(masked);
      stream.on("data", (bytes: Buffer) => this.read(bytes, stream, masked));
      stream.on("close", () => {
        this.open -= 1;
        if (this.open === 0) onEnd();
      });
      stream.on("error", () => {
        // A stream that can't be read any more has ended, and `close` follows.
      });
    }
  }

  finish(): Finished {
    for (const stream of this.streams) {
      stream.removeAllListeners("close");
      stream.destroy();
    }
    for (const masked of this.masked) masked.flush();
    return this.file.finish();
  }

  private read(bytes: Buffer, stream: Readable, masked: MaskedFile): void {
    masked.write(bytes);
    if (this.file.isPastCap) this.pace.keep(bytes.length, stream);
  }
}

/** Lets a source that writes without end rest after every burst. */
export class Pace {
  private sinceBurstBytes = 0;

  keep(bytes: number, source: { pause(): unknown; resume(): unknown }): void {
    this.sinceBurstBytes += bytes;
    if (this.sinceBurstBytes < burstBytes) return;
    this.sinceBurstBytes = 0;
    source.pause();
    setTimeout(() => source.resume(), burstPauseMs);
  }
}

export class CappedFile {
  private readonly path: string;
  private readonly file: number;
  private readonly headBytes: number;
  private readonly tailBytes: number;
  private totalBytes = 0;
  /** the last bytes after the head, as a ring buffer */
  private tail = Buffer.alloc(0);
  private tailAt = 0;
  private failed = false;

  constructor(path: string, capBytes: number) {
    this.path = path;
    this.tailBytes = Math.min(Math.floor(capBytes / 2), tailCapBytes);
    this.headBytes = capBytes - this.tailBytes;
    this.file = openSync(path, "w+", 0o600);
  }

  get isPastCap(): boolean {
    return this.totalBytes > this.headBytes + this.tailBytes;
  }

  /** all that was written, whether it is kept or not */
  get writtenBytes(): number {
    return this.totalBytes;
  }

  write(bytes: Buffer): void {
    const forHead = bytes.subarray(0, Math.max(0, this.headBytes - this.totalBytes));
    this.totalBytes += bytes.length;
    if (forHead.length > 0) this.append(forHead);
    if (bytes.length > forHead.length) this.keepLast(bytes.subarray(forHead.length));
  }

  /** Puts the tail behind the head and closes the file. */
  finish(): Finished {
    const pastHeadBytes = Math.max(0, this.totalBytes - this.headBytes);
    const notKeptBytes = Math.max(0, pastHeadBytes - this.tailBytes);
    if (notKeptBytes > 0) {
      this.append(Buffer.from(`\n… ${notKeptBytes.toLocaleString("en-US")} bytes not kept …\n`));
    }
    // A full tail begins where the next byte would have gone.
    if (pastHeadBytes >= this.tailBytes) this.append(this.tail.subarray(this.tailAt));
    this.append(this.tail.subarray(0, this.tailAt));
    const small = this.readSmall();
    closeSync(this.file);
    return { log: { logBytes: this.totalBytes, logTruncated: notKeptBytes > 0 || this.failed }, small };
  }

  /** For a run that did not start: a run with an output file would count as started. */
  discard(): void {
    closeSync(this.file);
    rmSync(this.path, { force: true });
  }

  /** What can't be read here stays a file. */
  private readSmall(): Buffer | undefined {
    try {
      const { size } = fstatSync(this.file);
      if (size > smallOutputBytes) return undefined;
      const bytes = Buffer.alloc(size);
      return readSync(this.file, bytes, 0, size, 0) === size ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  private keepLast(bytes: Buffer): void {
    if (this.tailBytes === 0) return;
    if (this.tail.length === 0) this.tail = Buffer.alloc(this.tailBytes);
    let rest = bytes.subarray(Math.max(0, bytes.length - this.tailBytes));
    while (rest.length > 0) {
      const copied = rest.copy(this.tail, this.tailAt);
      this.tailAt = (this.tailAt + copied) % this.tailBytes;
      rest = rest.subarray(copied);
    }
  }

  /** A full disk costs output, but never the run. */
  private append(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.file, bytes, at);
    } catch {
      this.failed = true;
    }
  }
}
