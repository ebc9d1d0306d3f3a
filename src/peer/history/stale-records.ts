/**
 * Asks the disk about records that core doubts: open records of orders that were settled long ago and are no longer in
 * memory. A record that the disk knows to be over is dropped; the others are news after all and go on to core, a little
 * later. Records of the same run that are heard in the meantime count too, because the disk's answer may be older, and so
 * do records that the disk has refused.
 */
import { movesUp, recordKey } from "../../core/records/records.ts";
import { CicadaError } from "../../errors.ts";
import type { Disk } from "../../ports/disk.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { Writer } from "./writer.ts";

/** How many records of one tick and peer are read: enough for all its attempts and slots. */
const recordsOfTick = 64;

export class StaleRecords {
  readonly #disk: Disk;
  readonly #writer: Writer;
  readonly #lookups = new Map<string, RunRecord>();
  #pending = 0;
  readonly #afterwards: (() => void)[] = [];

  constructor(disk: Disk, writer: Writer) {
    this.#disk = disk;
    this.#writer = writer;
  }

  /** Asks the disk about each record, then calls `news` with those that say more than the disk does. */
  ask(records: readonly RunRecord[], news: (records: RunRecord[]) => void): void {
    for (const record of records) this.#lookups.set(recordKey(record), record);
    const next = (index: number): void => {
      const record = records[index];
      if (record === undefined) {
        const fresh = records.filter((one) => this.#take(one));
        this.#pending--;
        if (fresh.length > 0) news(fresh);
        if (this.#pending === 0) for (const run of this.#afterwards.splice(0)) run();
        return;
      }
      const { job, tick, peer } = record;
      this.#disk.history({ job, tick, peer, limit: recordsOfTick }, (page) => {
        // A record that can't be compared doesn't count as news. A sync will offer it again.
        if (page instanceof CicadaError) this.#lookups.delete(recordKey(record));
        const found = page instanceof CicadaError ? [] : page.records;
        const refused = this.#writer.refusedOf(record);
        for (const known of refused === undefined ? found : [...found, refused]) this.heard(known);
        next(index + 1);
      });
    };
    this.#pending++;
    next(0);
  }

  /** Takes note of a record that was heard. If it says as much as one that the disk is asked about, that one is no news any more. */
  heard(record: RunRecord): void {
    if (this.#lookups.size === 0) return;
    const key = recordKey(record);
    const lookup = this.#lookups.get(key);
    if (lookup !== undefined && lookup !== record && !movesUp(record, lookup)) this.#lookups.delete(key);
  }

  /** Calls `run` when all questions have been answered; at once if there are none. */
  after(run: () => void): void {
    if (this.#pending === 0) run();
    else this.#afterwards.push(run);
  }

  /** Whether the record is still news: nothing that says as much was heard. */
  #take(record: RunRecord): boolean {
    if (this.#lookups.get(recordKey(record)) !== record) return false;
    this.#lookups.delete(recordKey(record));
    return true;
  }
}
