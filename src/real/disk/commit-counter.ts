/**
 * Counts the commits of the database in a file beside it, so that the loss of the last ones is noticed.
 *
 * SQLite takes a write-ahead log with a flipped bit for one that ends there: every commit behind it is gone without
 * an error, and with it jobs, votes and runs that had been acknowledged. So each commit counts itself in the database,
 * and once it is durable the count is written to this file too. A database that counts less than the file has lost
 * something.
 *
 * The file is never ahead of what is durable, because it is written after the commit's fsync. It has no fsync of its
 * own, so after a power cut it may be behind, and a loss goes unnoticed. The death of the process doesn't matter.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { CicadaError } from "../../errors.ts";

export class CommitCounter {
  private readonly path: string;
  private readonly file: number;

  constructor(path: string) {
    this.path = path;
    // Read and written in place, and created when it isn't there.
    this.file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** Throws DATA_FOLDER_DAMAGED when the database counts fewer commits than were ever written here. */
  check(commits: number, database: string): void {
    const written = parseCount(readFileSync(this.path, "utf8"));
    if (written === undefined || written <= commits) return;
    const lost = written - commits;
    throw new CicadaError(
      "DATA_FOLDER_DAMAGED",
      `${database} has lost its last ${lost} of ${written} commits; to go on without them, remove ${this.path}`,
    );
  }

  write(commits: number): void {
    try {
      writeSync(this.file, formatCount(commits), 0);
    } catch {
      // A count that is behind does no harm: it only notices less.
    }
  }

  close(): void {
    closeSync(this.file);
  }
}

/** Has the same length for every count, so that a newer one covers the older one whole. */
function formatCount(commits: number): string {
  const count = String(commits).padStart(15, "0");
  return `${count} ${crc32(count).toString(16).padStart(8, "0")}\n`;
}

/** Undefined when nothing is written yet, or the write was torn. */
function parseCount(text: string): number | undefined {
  const count = /^(\d{15}) [\da-f]{8}\n$/.exec(text)?.[1];
  return count !== undefined && formatCount(Number(count)) === text ? Number(count) : undefined;
}
