/**
 * What core has stored: hands it to the disk, and tries again, for as long as it takes, what the disk did not take
 * and nobody waits for. Until then such a record stands here, for those who ask the disk about its run.
 */
import { movesUp, recordKey } from "../core/records.ts";
import type { Disk, Log, Write } from "../ports.ts";
import type { RunRecord } from "../schema/run.ts";

export class Writer {
  readonly #doors: { readonly disk: Disk; readonly log: Log };
  readonly #stored: (token: number | undefined, failed: boolean) => void;
  /** refused by the disk: each record once, in its last writing */
  readonly #refusedRecords = new Map<string, RunRecord>();
  #refused: Write[] = [];

  /** `stored` is told of every batch, with the token of who waits for it. */
  constructor(
    doors: { readonly disk: Disk; readonly log: Log },
    stored: (token: number | undefined, failed: boolean) => void,
  ) {
    this.#doors = doors;
    this.#stored = stored;
  }

  /** With a token somebody waits, and a failure is theirs to deal with. */
  store(writes: readonly Write[], token: number | undefined): void {
    this.#doors.disk.store(writes, (error) => {
      if (error !== undefined) {
        this.#doors.log.error("the data folder can't be written", { why: error.detail });
        if (token === undefined) this.#putBack(writes);
      }
      this.#stored(token, error !== undefined);
    });
  }

  /** Tries what was refused once more. */
  retry(): void {
    if (this.#refused.length === 0 && this.#refusedRecords.size === 0) return;
    const records = [...this.#refusedRecords.values()];
    const writes: Write[] = [
      ...this.#refused,
      ...records.map((record): Write => ({ kind: "record", record })),
    ];
    this.#refused = [];
    this.#refusedRecords.clear();
    this.store(writes, undefined);
  }

  /** The writing of this run's record that the disk has refused so far. */
  refusedOf(record: RunRecord): RunRecord | undefined {
    return this.#refusedRecords.get(recordKey(record));
  }

  #putBack(writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.kind !== "record") {
        this.#refused.push(write);
        continue;
      }
      const key = recordKey(write.record);
      if (movesUp(this.#refusedRecords.get(key), write.record)) this.#refusedRecords.set(key, write.record);
    }
  }
}
