/**
 * Counts the commits of the database in a file beside it, so that the loss of the last ones is noticed.
 *
 * If a bit of the write-ahead log is flipped, SQLite reads the log as if it ended there. All later commits are gone
 * without an error, and with them jobs, votes and runs that had been acknowledged. So each commit counts itself in the
 * database, and once it is durable the count is also written to this file. A database that counts less than the file
 * has lost commits.
 *
 * The file is never ahead of what is durable, because it is written after the commit's fsync. It has no fsync of its
 * own, so after a power cut it may be behind, and a loss goes unnoticed. The death of the process does no harm.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { CicadaError } from "../../errors.ts";

export class CommitCounter {
  private readonly path: string;
  private readonly file: number;

  constructor(path: string) {
    this.path = path;
    // The file is read and written in place, and created if it doesn't exist.
    this.file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** Throws DATA_FOLDER_DAMAGED when the database counts fewer commits than this file. */
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
      // A count that is behind does no harm; fewer losses are noticed.
    }
  }

  close(): void {
    closeSync(this.file);
  }
}

/** Every count has the same length, so that a new one completely overwrites the old one. */
function formatCount(commits: number): string {
  const count = String(commits).padStart(15, "0");
  return `${count} ${crc32(count).toString(16).padStart(8, "0")}\n`;
}

/** Undefined if nothing has been written yet, or if the last write was torn. */
function parseCount(text: string): number | undefined {
  const count = /^(\d{15}) [\da-f]{8}\n$/.exec(text)?.[1];
  return count !== undefined && formatCount(Number(count)) === text ? Number(count) : undefined;
}
