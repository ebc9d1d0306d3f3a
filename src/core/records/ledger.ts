/**
 * The run records that matter now: those that are open, those of orders not yet over, and those of the last minute. The disk
 * has the rest (DESIGN §8). That an order is over is kept in `history`.
 */
import { hash } from "node:crypto";
import { instantOf, type JobId, type OrderKey, type PeerId } from "../../schema/ids.ts";
import { isFinal, type RunRecord } from "../../schema/run.ts";
import { settle, settleRange } from "./history.ts";
import type { HistoryState, LedgerState, OpenDigest } from "./ledger-state.ts";
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

/** When the claim was made, by its writer's clock, ms. */
export function claimedAt(record: RunRecord): number {
  return record.claimedAt ?? record.due;
}

/** The record ends the question of who runs its order, or its range of ticks. */
export function settleIn(history: HistoryState, { job, tick, slot, range }: RunRecord): void {
  if (range === undefined) settle(history, job, tick, slot);
  else settleRange(history, job, range.from, instantOf(tick));
}

/**
 * Takes a record in. Returns the record that stood before, and whether this one says more; one that says no more
 * changes nothing. Of a final record that is not `recent` only the mark is kept, and whether it says more is then
 * the disk's to find out. With `keepOpen`, what was open stays so: another's `lost` over a run that is on.
 */
export function takeRecord(
  ledger: LedgerState,
  record: RunRecord,
  nowMono: number,
  recent: boolean,
  keepOpen = false,
): { moved: boolean; before: RunRecord | undefined } {
  const order = orderKeyOf(record);
  const key = recordKey(record);
  const known = ledger.orders.get(order);
  const before = known?.get(key) ?? ledger.open.get(key);
  if (!movesUp(before, record)) return { moved: false, before };
  if (known === undefined && !recent && isFinal(record.state)) {
    if (settles(record)) settleIn(ledger.history, record);
    if (!keepOpen) close(ledger, key);
    return { moved: true, before };
  }
  const records = known ?? new Map<string, RunRecord>();
  records.set(key, record);
  if (known === undefined) ledger.orders.set(order, records);
  if (!isFinal(record.state)) openUp(ledger, record, key);
  else if (!keepOpen) close(ledger, key);
  if (settles(record)) {
    settleIn(ledger.history, record);
    ledger.fading.push({ key: order, atMono: nowMono });
  }
  return { moved: true, before };
}

/** Records of one order as far as they are still in memory. */
export function recordsOf(ledger: LedgerState, order: OrderKey): Iterable<RunRecord> {
  return ledger.orders.get(order)?.values() ?? [];
}

/** True while a writing of this record is in memory. */
export function remembers(ledger: LedgerState, record: RunRecord): boolean {
  return ledger.orders.get(orderKeyOf(record))?.has(recordKey(record)) ?? false;
}

/** How many records are in memory. */
export function recordsInMemory(ledger: LedgerState): number {
  return ledger.open.size + ledger.fading.length;
}

export function openRecords(ledger: LedgerState): Iterable<RunRecord> {
  return ledger.open.values();
}

export function openOf(ledger: LedgerState, job: JobId): Iterable<RunRecord> {
  return ledger.openByJob.get(job)?.values() ?? [];
}

/** How many records of that peer are open. */
export function openCount(ledger: LedgerState, peer: PeerId): number {
  return ledger.openByPeer.get(peer)?.size ?? 0;
}

export function openOn(ledger: LedgerState, peer: PeerId): RunRecord[] {
  return [...(ledger.openByPeer.get(peer)?.values() ?? [])];
}

/** Count and digest of what a peer has open. */
export function openDigest(ledger: LedgerState, peer: PeerId): OpenDigest {
  const count = openCount(ledger, peer);
  if (count === 0) return { count, digest: "" };
  let digest = ledger.openDigests.get(peer);
  if (digest === undefined) {
    digest = digestOf(openOn(ledger, peer));
    ledger.openDigests.set(peer, digest);
  }
  return { count, digest };
}

/**
 * The peer's open records that are over, by its own word on what it holds. That word is count and digest only: if they fit
 * the latest claims that are known of it, the earlier ones are over.
 */
export function overBy(ledger: LedgerState, peer: PeerId, said: OpenDigest): ReadonlySet<RunRecord> {
  const known = ledger.overByPeer.get(peer);
  if (known?.said === said) return known.over;
  let over = nothingOver;
  if (said.count < openCount(ledger, peer)) {
    const newestFirst = openOn(ledger, peer).toSorted((a, b) => claimedAt(b) - claimedAt(a));
    const held = newestFirst.slice(0, said.count);
    if (digestOf(held) === said.digest) over = new Set(newestFirst.slice(said.count));
  }
  ledger.overByPeer.set(peer, { said, over });
  return over;
}

/** Closes what `keepOpen` had kept; false when no end of it is known. */
export function closeIfEnded(ledger: LedgerState, record: RunRecord): boolean {
  const known = ledger.orders.get(orderKeyOf(record))?.get(recordKey(record));
  if (known === undefined || !isFinal(known.state)) return false;
  close(ledger, recordKey(record));
  return true;
}

/** An open record that no longer counts. */
export function dropRecord(ledger: LedgerState, record: RunRecord): void {
  close(ledger, recordKey(record));
  ledger.orders.get(orderKeyOf(record))?.delete(recordKey(record));
}

/** Lets go of settled orders older than the instant (monotonic), but for those with a record still open. */
export function fade(ledger: LedgerState, untilMono: number): void {
  let gone = 0;
  for (const { key, atMono } of ledger.fading) {
    if (atMono > untilMono) break;
    gone++;
    const records = ledger.orders.get(key);
    if (records === undefined) continue;
    const all = [...records.values()];
    // Where a decision was withdrawn, it will be claimed again.
    if (!all.some(settles)) continue;
    if (all.every((record) => isFinal(record.state))) ledger.orders.delete(key);
    else ledger.fading.push({ key, atMono: untilMono + 1 });
  }
  ledger.fading.splice(0, gone);
}

/**
 * Forgets claims that were given back, of orders that `isOver`. Sooner they are needed: the next round counts on from
 * them.
 */
export function forgetGivenBack(ledger: LedgerState, isOver: (record: RunRecord) => boolean): void {
  for (const [key, records] of ledger.orders) {
    const [any] = records.values();
    const isForgotten = any === undefined || isOver(any);
    if (isForgotten && [...records.values()].every((record) => isFinal(record.state)))
      ledger.orders.delete(key);
  }
}

function openUp(ledger: LedgerState, record: RunRecord, key: string): void {
  ledger.open.set(key, record);
  putIn(ledger.openByPeer, record.peer, key, record);
  putIn(ledger.openByJob, record.job, key, record);
  forgetDigests(ledger, record.peer);
}

function close(ledger: LedgerState, key: string): void {
  const record = ledger.open.get(key);
  if (record === undefined) return;
  ledger.open.delete(key);
  takeFrom(ledger.openByPeer, record.peer, key);
  takeFrom(ledger.openByJob, record.job, key);
  forgetDigests(ledger, record.peer);
}

function forgetDigests(ledger: LedgerState, peer: PeerId): void {
  ledger.openDigests.delete(peer);
  ledger.overByPeer.delete(peer);
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
