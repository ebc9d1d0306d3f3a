/**
 * Passes core's writes to the disk. A write that the disk refuses and that nothing waits for is tried again until it is stored.
 * Until then a refused record is kept here for stale-records.ts, which would otherwise not find it on the disk, and this peer's
 * own records are sent to the others repeatedly, because a peer that missed one can't get it from this disk by sync.
 *
 * Of several writes to one place only the last counts: a refused write is never tried again once a newer one to the same place
 * is on its way or stored.
 */
import { movesUp, recordKey } from "../../core/records/records.ts";
import type { Doors, Now } from "../../ports.ts";
import type { Write } from "../../ports/disk.ts";
import type { RunRecord } from "../../schema/run.ts";
import { metaKeys } from "./meta-keys.ts";

/** While the disk is full, less makes more traffic; with more, a run that has ended delays others for longer. */
const resendEveryMs = 5_000;
/** How often the disk notes that this peer is alive, so that its next life knows for which time to look for missed ticks. */
const aliveEveryMs = 15_000;
/** The most records that are sent again at once. More floods the mesh with records that most peers have heard. */
const resentAtOnce = 256;

interface WriterDeps {
  /** called for every batch, with the token of the caller that waits for it */
  stored: (token: number | undefined, failed: boolean) => void;
  /** to all others, not by gossip */
  resend: (records: readonly RunRecord[]) => void;
}

/** A write that replaces another in the same place, and that the disk has not stored yet. */
interface Unstored {
  write: Write;
  refused: boolean;
}

export class Writer {
  readonly #doors: Pick<Doors, "disk" | "log" | "keys" | "clock">;
  readonly #deps: WriterDeps;
  /** the refused records, each in its latest version */
  readonly #refusedRecords = new Map<string, RunRecord>();
  /** by place, where only the last write counts: the writes that are on their way or refused, oldest first */
  readonly #places = new Map<string, Unstored[]>();
  /** the other refused writes */
  #refused: Write[] = [];
  #resendAtMono = 0;
  #aliveAtMono = -Infinity;

  constructor(doors: Pick<Doors, "disk" | "log" | "keys" | "clock">, deps: WriterDeps) {
    this.#doors = doors;
    this.#deps = deps;
  }

  /** With a token a caller waits for the result, and a failed write is not tried again here. */
  store(writes: readonly Write[], token: number | undefined): void {
    const unstored = writes.map((write) => this.#enter(write));
    this.#doors.disk.store(writes, (error) => {
      if (error !== undefined) {
        this.#doors.log.error("the data folder can't be written", { why: error.detail });
      }
      for (const [index, write] of writes.entries()) {
        const entry = unstored[index];
        if (entry !== undefined) this.#finish(entry, error === undefined, token);
        else if (error !== undefined && token === undefined) this.#putBack(write);
      }
      this.#deps.stored(token, error !== undefined);
    });
  }

  woke(now: Now): void {
    this.retry();
    if (now.mono < this.#aliveAtMono + aliveEveryMs) return;
    this.#aliveAtMono = now.mono;
    this.noteAlive(now);
  }

  /** Stores that this peer is alive now: its next life looks for the ticks since then. */
  noteAlive({ wall }: Now): void {
    const write: Write = { kind: "meta", key: metaKeys.lastAlive, value: String(wall) };
    this.#doors.disk.store([write], () => undefined);
  }

  /** Tries all refused writes again. */
  retry(): void {
    const records = [...this.#refusedRecords.values()];
    const writes: Write[] = [...this.#refused];
    for (const [place, entries] of this.#places) {
      const last = entries.at(-1);
      if (last?.refused !== true) continue;
      writes.push(last.write);
      this.#places.delete(place);
    }
    if (writes.length === 0 && records.length === 0) return;
    this.#resend(records);
    for (const record of records) writes.push({ kind: "record", record });
    this.#refused = [];
    this.#refusedRecords.clear();
    this.store(writes, undefined);
  }

  /** The latest version of this run's record, if the disk has refused it. */
  refusedOf(record: RunRecord): RunRecord | undefined {
    return this.#refusedRecords.get(recordKey(record));
  }

  #resend(records: readonly RunRecord[]): void {
    const { mono } = this.#doors.clock.now();
    if (mono < this.#resendAtMono) return;
    this.#resendAtMono = mono + resendEveryMs;
    const { self } = this.#doors.keys;
    const own = records.filter(({ peer }) => peer === self);
    if (own.length > 0) this.#deps.resend(own.slice(-resentAtOnce));
  }

  #enter(write: Write): Unstored | undefined {
    const place = placeOf(write);
    if (place === undefined) return undefined;
    const entry = { write, refused: false };
    const entries = this.#places.get(place);
    if (entries === undefined) this.#places.set(place, [entry]);
    else entries.push(entry);
    return entry;
  }

  #finish(entry: Unstored, isStored: boolean, token: number | undefined): void {
    const place = placeOf(entry.write);
    const entries = place === undefined ? undefined : this.#places.get(place);
    const index = entries?.indexOf(entry) ?? -1;
    if (place === undefined || entries === undefined || index < 0) return;
    if (isStored) entries.splice(0, index + 1);
    else if (token !== undefined) entries.splice(index, 1);
    else entry.refused = true;
    if (entries.length === 0) this.#places.delete(place);
  }

  #putBack(write: Write): void {
    if (write.kind !== "record") {
      this.#refused.push(write);
      return;
    }
    const key = recordKey(write.record);
    if (movesUp(this.#refusedRecords.get(key), write.record)) this.#refusedRecords.set(key, write.record);
  }
}

/** Undefined for a write that replaces nothing. */
function placeOf(write: Write): string | undefined {
  switch (write.kind) {
    case "meta":
      return `meta ${write.key}`;
    case "watermark":
      return `watermark ${write.watermark.job}`;
    case "drop-watermark":
      return `watermark ${write.job}`;
    case "vote":
      return `vote ${write.vote.decision}`;
    case "record":
    case "order":
    case "other":
    case "output":
    case "revision":
    case "audit":
    case "update":
    case "snapshot":
    case "drop-votes":
    case "drop-horizon":
      return undefined;
  }
}
