/**
 * The run records that matter now: those that are open, those of orders not yet over, and those of the last minute. The disk
 * has the rest (DESIGN §8). That an order is over is kept in `history`.
 */
import { hash } from "node:crypto";
import { instantOf, type JobId, type OrderKey, type PeerId } from "../../schema/ids.ts";
import { isFinal, type RunRecord } from "../../schema/run.ts";
import { History } from "./history.ts";
import { movesUp, orderKeyOf, recordKey } from "./records.ts";

/** True when the record ends the question of who runs its order. */
export function settles(record: RunRecord): boolean {
  return record.state !== "claimed" && record.state !== "withdrawn";
}

/** Of open records, as a heartbeat tells it; none have "". */
export function digestOf(open: readonly RunRecord[]): string {
  if (open.length === 0) return "";
  const keys = open.map((record) => `${orderKeyOf(record)} ${record.state}`);
  return hash("sha256", keys.toSorted().join("\n")).slice(0, 16);
}

/** The record ends the question of who runs its order, or its range of ticks. */
export function settleIn(history: History, { job, tick, slot, range }: RunRecord): void {
  if (range === undefined) history.settle(job, tick, slot);
  else history.settleRange(job, range.from, instantOf(tick));
}

export class Ledger {
  readonly history = new History();
  /** By order, then by record key. */
  readonly #orders = new Map<OrderKey, Map<string, RunRecord>>();
  /** Everybody's claimed and running records. */
  readonly #open = new Map<string, RunRecord>();
  readonly #openOf = new Map<JobId, Map<string, RunRecord>>();
  readonly #openCounts = new Map<PeerId, number>();
  /** of what each peer has open, until that changes: every heartbeat asks for it */
  readonly #openDigests = new Map<PeerId, string>();
  /** Settled orders in the order of their settling, to be let go of. */
  readonly #fading: { key: OrderKey; atMono: number }[] = [];

  /**
   * Takes a record in. Returns the record that stood before, and whether this one says more; one that says no more
   * changes nothing. Of a final record that is not `recent` only the mark is kept, and whether it says more is then
   * the disk's to find out. With `keepOpen`, what was open stays so: another's `lost` over a run that is on.
   */
  take(
    record: RunRecord,
    nowMono: number,
    recent: boolean,
    keepOpen = false,
  ): { moved: boolean; before: RunRecord | undefined } {
    const order = orderKeyOf(record);
    const key = recordKey(record);
    const known = this.#orders.get(order);
    const before = known?.get(key) ?? this.#open.get(key);
    if (!movesUp(before, record)) return { moved: false, before };
    if (known === undefined && !recent && isFinal(record.state)) {
      if (settles(record)) settleIn(this.history, record);
      if (!keepOpen) this.#close(record.job, key);
      return { moved: true, before };
    }
    const records = known ?? new Map<string, RunRecord>();
    records.set(key, record);
    if (known === undefined) this.#orders.set(order, records);
    if (!isFinal(record.state)) this.#openUp(record, key);
    else if (!keepOpen) this.#close(record.job, key);
    if (settles(record)) {
      settleIn(this.history, record);
      this.#fading.push({ key: order, atMono: nowMono });
    }
    return { moved: true, before };
  }

  /** Records of one order as far as they are still in memory. */
  of(order: OrderKey): Iterable<RunRecord> {
    return this.#orders.get(order)?.values() ?? [];
  }

  /** True while a writing of this record is in memory. */
  remembers(record: RunRecord): boolean {
    return this.#orders.get(orderKeyOf(record))?.has(recordKey(record)) ?? false;
  }

  /** records in memory */
  get size(): number {
    return this.#open.size + this.#fading.length;
  }

  open(): Iterable<RunRecord> {
    return this.#open.values();
  }

  openOf(job: JobId): Iterable<RunRecord> {
    return this.#openOf.get(job)?.values() ?? [];
  }

  /** how many records of that peer are open */
  openCount(peer: PeerId): number {
    return this.#openCounts.get(peer) ?? 0;
  }

  openOn(peer: PeerId): RunRecord[] {
    return [...this.#open.values()].filter((record) => record.peer === peer);
  }

  /** Count and digest of what a peer has open. */
  openDigest(peer: PeerId): { count: number; digest: string } {
    const count = this.openCount(peer);
    if (count === 0) return { count, digest: "" };
    let digest = this.#openDigests.get(peer);
    if (digest === undefined) {
      digest = digestOf(this.openOn(peer));
      this.#openDigests.set(peer, digest);
    }
    return { count, digest };
  }

  /** Closes what `keepOpen` had kept; false when no end of it is known. */
  closeIfEnded(record: RunRecord): boolean {
    const known = this.#orders.get(orderKeyOf(record))?.get(recordKey(record));
    if (known === undefined || !isFinal(known.state)) return false;
    this.#close(record.job, recordKey(record));
    return true;
  }

  /** An open record that no longer counts. */
  drop(record: RunRecord): void {
    this.#close(record.job, recordKey(record));
    this.#orders.get(orderKeyOf(record))?.delete(recordKey(record));
  }

  /** Lets go of settled orders older than the instant (monotonic), but for those with a record still open. */
  fade(untilMono: number): void {
    let gone = 0;
    for (const { key, atMono } of this.#fading) {
      if (atMono > untilMono) break;
      gone++;
      const records = this.#orders.get(key);
      if (records === undefined) continue;
      if ([...records.values()].every((record) => isFinal(record.state))) this.#orders.delete(key);
      else this.#fading.push({ key, atMono: untilMono + 1 });
    }
    this.#fading.splice(0, gone);
  }

  /**
   * Forgets claims that were given back, of orders that `isOver`. Sooner they are needed: the next attempt counts on from
   * them.
   */
  forgetGivenBack(isOver: (record: RunRecord) => boolean): void {
    for (const [key, records] of this.#orders) {
      const [any] = records.values();
      const isForgotten = any === undefined || isOver(any);
      if (isForgotten && [...records.values()].every((record) => isFinal(record.state)))
        this.#orders.delete(key);
    }
  }

  #openUp(record: RunRecord, key: string): void {
    if (!this.#open.has(key)) this.#openCounts.set(record.peer, this.openCount(record.peer) + 1);
    this.#open.set(key, record);
    this.#openDigests.delete(record.peer);
    const ofJob = this.#openOf.get(record.job);
    if (ofJob === undefined) this.#openOf.set(record.job, new Map([[key, record]]));
    else ofJob.set(key, record);
  }

  #close(job: JobId, key: string): void {
    const record = this.#open.get(key);
    this.#open.delete(key);
    if (record !== undefined) {
      this.#countDown(record.peer);
      this.#openDigests.delete(record.peer);
    }
    const ofJob = this.#openOf.get(job);
    ofJob?.delete(key);
    if (ofJob?.size === 0) this.#openOf.delete(job);
  }
  #countDown(peer: PeerId): void {
    const left = this.openCount(peer) - 1;
    if (left > 0) this.#openCounts.set(peer, left);
    else this.#openCounts.delete(peer);
  }
}
