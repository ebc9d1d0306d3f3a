/**
 * What core has stored: hands it to the disk, and tries again, for as long as it takes, what the disk did not take
 * and nobody waits for. Until then such a record stands here, for those who ask the disk about its run; and own ones are
 * told again and again, for whoever has missed one can't get it from this disk by a sync.
 */
import { movesUp, recordKey } from "../core/records/records.ts";
import type { Doors, Write } from "../ports.ts";
import type { RunRecord } from "../schema/run.ts";

/** More often: more traffic, while the disk is full. Less: a run that has ended holds others up for longer. */
const tellAgainMs = 5_000;
/** Of those that were refused last. More floods the mesh with what most have heard. */
const toldAtOnce = 256;

interface WriterDeps {
  /** told of every batch, with the token of who waits for it */
  stored: (token: number | undefined, failed: boolean) => void;
  /** to all others, not by gossip */
  tell: (records: readonly RunRecord[]) => void;
}

export class Writer {
  readonly #doors: Pick<Doors, "disk" | "log" | "keys" | "clock">;
  readonly #deps: WriterDeps;
  /** refused by the disk: each record once, in its last writing */
  readonly #refusedRecords = new Map<string, RunRecord>();
  /** … and whatever else it has refused */
  #refused: Write[] = [];
  #tellAtMono = 0;

  constructor(doors: Pick<Doors, "disk" | "log" | "keys" | "clock">, deps: WriterDeps) {
    this.#doors = doors;
    this.#deps = deps;
  }

  /** With a token somebody waits, and a failure is theirs to deal with. */
  store(writes: readonly Write[], token: number | undefined): void {
    this.#doors.disk.store(writes, (error) => {
      if (error !== undefined) {
        this.#doors.log.error("the data folder can't be written", { why: error.detail });
        if (token === undefined) this.#putBack(writes);
      }
      this.#deps.stored(token, error !== undefined);
    });
  }

  /** Tries what was refused once more. */
  retry(): void {
    if (this.#refused.length === 0 && this.#refusedRecords.size === 0) return;
    const records = [...this.#refusedRecords.values()];
    this.#tellAgain(records);
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

  #tellAgain(records: readonly RunRecord[]): void {
    const { mono } = this.#doors.clock.now();
    if (mono < this.#tellAtMono) return;
    this.#tellAtMono = mono + tellAgainMs;
    const { self } = this.#doors.keys;
    const own = records.filter(({ peer }) => peer === self);
    if (own.length > 0) this.#deps.tell(own.slice(-toldAtOnce));
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
