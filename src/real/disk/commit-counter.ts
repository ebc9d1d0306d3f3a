/**
 * How many commits the database has had, kept beside it, so that the loss of its end is noticed.
 *
 * SQLite takes a write-ahead log with a flipped bit for one that ends there: every commit behind it is gone without a
 * word, and with it jobs, votes and runs that had been acknowledged. So each commit counts itself in the database, and
 * once it is durable the count is written to this file too. A database that counts less than the file has lost something.
 *
 * The file is never ahead of what is durable, for it is written after the commit's fsync. It has no fsync of its own,
 * so after a power cut it may be behind, and then a loss goes unnoticed; a process's death leaves it as it was written.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { CicadaError } from "../../errors.ts";

export class DiskMark {
  private readonly path: string;
  private readonly file: number;

  constructor(path: string) {
    this.path = path;
    // Read and written in place, and made when it isn't there.
    this.file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** Throws DATA_FOLDER_DAMAGED when the database has had fewer commits than were ever written here. */
  check(commits: number, database: string): void {
    const marked = readMark(readFileSync(this.path, "utf8"));
    if (marked === undefined || marked <= commits) return;
    const lost = marked - commits;
    throw new CicadaError(
      "DATA_FOLDER_DAMAGED",
      `${database} has lost its last ${lost} of ${marked} commits; who can do without them removes ${this.path}`,
    );
  }

  write(commits: number): void {
    try {
      writeSync(this.file, describeDst(commits), 0);
    } catch {
      // A mark that is behind is no harm: it only sees less.
    }
  }

  close(): void {
    closeSync(this.file);
  }
}

/** As long for every count, so that a newer one covers the older one whole. */
function describeDst(commits: number): string {
  const count = String(commits).padStart(15, "0");
  return `${count} ${crc32(count).toString(16).padStart(8, "0")}\n`;
}

/** Undefined when there is none yet, or it was torn. */
function readMark(text: string): number | undefined {
  const count = /^(\d{15}) [\da-f]{8}\n$/.exec(text)?.[1];
  return count !== undefined && describeDst(Number(count)) === text ? Number(count) : undefined;
}
