/**
 * Asks the disk about records that core has doubts of: open ones of orders that it settled and let go of long ago.
 * What the disk knows to be over is dropped; the rest is news after all and goes on to core, a little later. What is
 * heard of the same run while the disk is being asked counts too, for the answer may be older than that; and so does
 * what the disk should have by now and has refused.
 */
import { movesUp, recordKey } from "../core/records/records.ts";
import { CicadaError } from "../errors.ts";
import type { Disk } from "../ports/disk.ts";
import type { RunRecord } from "../schema/run.ts";
import type { Writer } from "./writer.ts";

/** Records of one tick by one peer: its attempts and slots. */
const recordsOfTick = 64;

export class StaleRecords {
  readonly #disk: Disk;
  readonly #writer: Writer;
  readonly #asked = new Map<string, RunRecord>();
  #pending = 0;
  readonly #afterwards: (() => void)[] = [];

  constructor(disk: Disk, writer: Writer) {
    this.#disk = disk;
    this.#writer = writer;
  }

  /** `news` gets those of the records that say more than the disk does, when it has been asked about each. */
  ask(records: readonly RunRecord[], news: (records: RunRecord[]) => void): void {
    for (const record of records) this.#asked.set(recordKey(record), record);
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
        // A record that can't be compared is no news. A sync will offer it again.
        if (page instanceof CicadaError) this.#asked.delete(recordKey(record));
        const found = page instanceof CicadaError ? [] : page.records;
        const refused = this.#writer.refusedOf(record);
        for (const known of refused === undefined ? found : [...found, refused]) this.heard(known);
        next(index + 1);
      });
    };
    this.#pending++;
    next(0);
  }

  /** A record that is asked about is forgotten when something is heard that says as much. */
  heard(record: RunRecord): void {
    if (this.#asked.size === 0) return;
    const key = recordKey(record);
    const asked = this.#asked.get(key);
    if (asked !== undefined && asked !== record && !movesUp(record, asked)) this.#asked.delete(key);
  }

  /** Calls at once, or when all that is being asked about has been answered. */
  after(run: () => void): void {
    if (this.#pending === 0) run();
    else this.#afterwards.push(run);
  }

  /** True when nothing was heard against it. */
  #take(record: RunRecord): boolean {
    if (this.#asked.get(recordKey(record)) !== record) return false;
    this.#asked.delete(recordKey(record));
    return true;
  }
}
