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

/** What a peer has open, as a heartbeat tells it. */
export interface OpenDigest {
  readonly count: number;
  readonly digest: string;
}

/** When the claim was made, by its writer's clock, ms. */
export function claimedAt(record: RunRecord): number {
  return record.claimedAt ?? record.due;
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
  readonly #openBy = new Map<PeerId, Map<string, RunRecord>>();
  /** of what each peer has open, until that changes: every heartbeat asks for it */
  readonly #openDigests = new Map<PeerId, string>();
  /** what a peer's word has shown to be over, until that word or what is open changes */
  readonly #overBy = new Map<PeerId, { said: OpenDigest; over: ReadonlySet<RunRecord> }>();
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
      if (!keepOpen) this.#close(key);
      return { moved: true, before };
    }
    const records = known ?? new Map<string, RunRecord>();
    records.set(key, record);
    if (known === undefined) this.#orders.set(order, records);
    if (!isFinal(record.state)) this.#openUp(record, key);
    else if (!keepOpen) this.#close(key);
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
    return this.#openBy.get(peer)?.size ?? 0;
  }

  openOn(peer: PeerId): RunRecord[] {
    return [...(this.#openBy.get(peer)?.values() ?? [])];
  }

  /** Count and digest of what a peer has open. */
  openDigest(peer: PeerId): OpenDigest {
    const count = this.openCount(peer);
    if (count === 0) return { count, digest: "" };
    let digest = this.#openDigests.get(peer);
    if (digest === undefined) {
      digest = digestOf(this.openOn(peer));
      this.#openDigests.set(peer, digest);
    }
    return { count, digest };
  }

  /**
   * The peer's open records that are over, by its own word on what it holds. That word is count and digest only: if they fit
   * the latest claims that are known of it, the earlier ones are over.
   */
  overBy(peer: PeerId, said: OpenDigest): ReadonlySet<RunRecord> {
    const known = this.#overBy.get(peer);
    if (known?.said === said) return known.over;
    let over = nothingOver;
    if (said.count < this.openCount(peer)) {
      const newestFirst = this.openOn(peer).toSorted((a, b) => claimedAt(b) - claimedAt(a));
      const held = newestFirst.slice(0, said.count);
      if (digestOf(held) === said.digest) over = new Set(newestFirst.slice(said.count));
    }
    this.#overBy.set(peer, { said, over });
    return over;
  }

  /** Closes what `keepOpen` had kept; false when no end of it is known. */
  closeIfEnded(record: RunRecord): boolean {
    const known = this.#orders.get(orderKeyOf(record))?.get(recordKey(record));
    if (known === undefined || !isFinal(known.state)) return false;
    this.#close(recordKey(record));
    return true;
  }

  /** An open record that no longer counts. */
  drop(record: RunRecord): void {
    this.#close(recordKey(record));
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
      const all = [...records.values()];
      // Where a decision was withdrawn, it will be claimed again.
      if (!all.some(settles)) continue;
      if (all.every((record) => isFinal(record.state))) this.#orders.delete(key);
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
    this.#open.set(key, record);
    putIn(this.#openBy, record.peer, key, record);
    putIn(this.#openOf, record.job, key, record);
    this.#forgetDigests(record.peer);
  }

  #close(key: string): void {
    const record = this.#open.get(key);
    if (record === undefined) return;
    this.#open.delete(key);
    takeFrom(this.#openBy, record.peer, key);
    takeFrom(this.#openOf, record.job, key);
    this.#forgetDigests(record.peer);
  }

  #forgetDigests(peer: PeerId): void {
    this.#openDigests.delete(peer);
    this.#overBy.delete(peer);
  }
}

const nothingOver: ReadonlySet<RunRecord> = new Set();

function putIn<Key>(
  index: Map<Key, Map<string, RunRecord>>,
  under: Key,
  key: string,
  record: RunRecord,
): void {
  const records = index.get(under);
  if (records === undefined) index.set(under, new Map([[key, record]]));
  else records.set(key, record);
}

function takeFrom<Key>(index: Map<Key, Map<string, RunRecord>>, under: Key, key: string): void {
  const records = index.get(under);
  records?.delete(key);
  if (records?.size === 0) index.delete(under);
}
