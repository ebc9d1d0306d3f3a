/**
 * The run records that matter now: those that are open, those of orders that aren't over, and recent ones. The disk has the
 * rest (DESIGN §8). `history` remembers which orders are over.
 */
import { hash } from "node:crypto";
import { instantOf, type JobId, type OrderKey, type PeerId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { settle, settleRange } from "./history.ts";
import type { HistoryState, LedgerState, OpenDigest } from "./ledger-state.ts";
import { noteInSet } from "./tick-sets.ts";
import { movesUp, orderKeyOf, recordKey } from "./records.ts";

/** Whether the record's order is over: that attempt was started, or it was decided that it won't be. */
export function endsOrder(record: RunRecord): boolean {
  return record.state !== "claimed" && record.state !== "withdrawn";
}

/** Whether its tick is over, too: no other attempt will follow. */
export function settles(record: RunRecord): boolean {
  return endsOrder(record) && record.retriesLeft === undefined && record.retryAt === undefined;
}

/**
 * Whether the record gives back a claim on one of a tick's several runs. It may have been the last that kept the tick open: one
 * claim too many is given back when others have ended all runs.
 */
export function givesBackOneOfSeveral({ state, of }: RunRecord): boolean {
  return state === "withdrawn" && of !== undefined;
}

/** The digest of open records, as in heartbeats; "" for none. */
export function digestOf(open: readonly RunRecord[]): string {
  if (open.length === 0) return "";
  const keys = open.map((record) => `${orderKeyOf(record)} ${record.state}`);
  return hash("sha256", keys.toSorted().join("\n")).slice(0, 16);
}

/** When the claim was made, by its writer's clock, ms. */
export function claimedAt(record: RunRecord): number {
  return record.claimedAt ?? record.due;
}

/** Notes that the record's order, or its range of ticks, is over. */
export function settleIn(history: HistoryState, record: RunRecord): void {
  const { job, tick, range } = record;
  if (range === undefined) {
    noteInSet(history, record, true);
    settle(history, record);
  } else settleRange(history, job, range.from, instantOf(tick));
}

/**
 * Takes in a record. Returns the record that was known before, and whether this one moves up; otherwise nothing changes. Of a
 * final record that is not `recent`, memory only keeps that its order is over; whether it says more than the stored one is
 * left to the disk. With `keepOpen` an open record stays open: another peer's `lost` for a run in progress.
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
  noteInSet(ledger.history, record, settles(record));
  // An attempt that is repeated is kept until its tick is over: the next one counts on from it.
  const isTooLarge = ledger.outputBytes + outputBytesOf(record) > outputBytesMax;
  const isOnlyOne = known === undefined || [...known.keys()].every((one) => one === key);
  const isLeftOut = known === undefined ? !recent || isTooLarge : isTooLarge && isOnlyOne && !keepOpen;
  if (isLeftOut && isFinal(record.state) && record.retryAt === undefined) {
    if (settles(record)) settleIn(ledger.history, record);
    if (!keepOpen) close(ledger, key);
    if (known !== undefined) dropOrder(ledger, order);
    return { moved: true, before };
  }
  const records = known ?? new Map<string, RunRecord>();
  ledger.outputBytes += outputBytesOf(record) - outputBytesOf(records.get(key));
  if (!records.has(key)) ledger.recordCount++;
  records.set(key, record);
  if (known === undefined) ledger.orders.set(order, records);
  if (!isFinal(record.state)) markOpen(ledger, record, key);
  else if (!keepOpen) close(ledger, key);
  if (settles(record)) {
    settleIn(ledger.history, record);
    ledger.fading.push({ key: order, atMono: nowMono });
  }
  return { moved: true, before };
}

/** The records of one order that are in memory. */
export function recordsOf(ledger: LedgerState, order: OrderKey): Iterable<RunRecord> {
  return ledger.orders.get(order)?.values() ?? [];
}

/** Whether a version of this record is in memory. */
export function remembers(ledger: LedgerState, record: RunRecord): boolean {
  return latestOf(ledger, record) !== undefined;
}

/** The version of this record that is in memory. */
export function latestOf(ledger: LedgerState, record: RunRecord): RunRecord | undefined {
  return ledger.orders.get(orderKeyOf(record))?.get(recordKey(record));
}

/**
 * How large the outputs of the records in memory may be together, bytes. Beyond it, records of ended runs that are news are only
 * on the disk, as old ones are. With less, questions about such runs take longer to answer; with more, a faulty member can fill
 * this peer's memory.
 */
const outputBytesMax = 4_194_304;

/** How many bytes the record's outputs take in memory, where a letter takes one or two. */
export function outputBytesOf(record: RunRecord | undefined): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(record?.outputs ?? {})) bytes += key.length + value.length;
  return bytes;
}

/** Forgets an order, with all its records. */
function dropOrder(ledger: LedgerState, key: OrderKey): void {
  const records = ledger.orders.get(key);
  for (const record of records?.values() ?? []) ledger.outputBytes -= outputBytesOf(record);
  ledger.recordCount -= records?.size ?? 0;
  ledger.orders.delete(key);
}

/** How many records are in memory; those that are open and of no order in memory are few. */
export function recordsInMemory(ledger: LedgerState): number {
  return Math.max(ledger.recordCount, ledger.open.size);
}

/** How many records of one order are in memory. */
export function countOf(ledger: LedgerState, order: OrderKey): number {
  return ledger.orders.get(order)?.size ?? 0;
}

export function openRecords(ledger: LedgerState): Iterable<RunRecord> {
  return ledger.open.values();
}

export function openOf(ledger: LedgerState, job: JobId): Iterable<RunRecord> {
  return ledger.openByJob.get(job)?.values() ?? [];
}

/** The open records of one tick. A job may have thousands of others, which must not slow down a look at one tick. */
export function openOfTick(ledger: LedgerState, job: JobId, tick: TickId): Iterable<RunRecord> {
  return ledger.openByTick.get(tickKeyOf({ job, tick }))?.values() ?? [];
}

/** Whether any run of the tick is claimed or running. */
export function isOpen(ledger: LedgerState, job: JobId, tick: TickId): boolean {
  return ledger.openByTick.has(tickKeyOf({ job, tick }));
}

function tickKeyOf({ job, tick }: Pick<RunRecord, "job" | "tick">): string {
  return `${job}@${tick}`;
}

/** The runs in progress that hold a slot of the pool, whatever pool their jobs name now. */
export function openInPool(ledger: LedgerState, pool: string): Iterable<RunRecord> {
  return ledger.openByPool.get(pool)?.values() ?? [];
}

/** How many records of that peer are open. */
export function openCount(ledger: LedgerState, peer: PeerId): number {
  return ledger.openByPeer.get(peer)?.size ?? 0;
}

export function openOn(ledger: LedgerState, peer: PeerId): RunRecord[] {
  return [...(ledger.openByPeer.get(peer)?.values() ?? [])];
}

/** The count and digest of a peer's open records. */
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
 * The peer's records that are open here and over according to its heartbeat. A heartbeat gives only count and digest: if they
 * match the peer's latest claims that are known here, the earlier ones are over.
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

/** Closes a record that `keepOpen` had kept open. Returns its end; undefined if that isn't known. */
export function closeIfEnded(ledger: LedgerState, record: RunRecord): RunRecord | undefined {
  const known = latestOf(ledger, record);
  if (known === undefined || !isFinal(known.state)) return undefined;
  close(ledger, recordKey(record));
  return known;
}

/** Drops an open record that no longer counts. */
export function dropRecord(ledger: LedgerState, record: RunRecord): void {
  close(ledger, recordKey(record));
  const ofOrder = ledger.orders.get(orderKeyOf(record));
  ledger.outputBytes -= outputBytesOf(ofOrder?.get(recordKey(record)));
  if (ofOrder?.delete(recordKey(record)) === true) ledger.recordCount--;
}

/** Drops orders that were settled before the instant (monotonic), except those that still have an open record. */
export function fade(ledger: LedgerState, untilMono: number): void {
  let gone = 0;
  for (const { key, atMono } of ledger.fading) {
    if (atMono > untilMono) break;
    gone++;
    const records = ledger.orders.get(key);
    if (records === undefined) continue;
    const all = [...records.values()];
    // If the decision was withdrawn meanwhile, the order will be claimed again.
    if (!all.some(settles)) continue;
    if (all.every((record) => isFinal(record.state))) dropOrder(ledger, key);
    else ledger.fading.push({ key, atMono: untilMono + 1 });
  }
  ledger.fading.splice(0, gone);
}

/**
 * Forgets given-back claims of orders that are over. Until then they are needed, because the next claim of their order
 * continues their version.
 */
export function forgetGivenBack(ledger: LedgerState, isOver: (record: RunRecord) => boolean): void {
  for (const [key, records] of ledger.orders) {
    const [any] = records.values();
    const isForgotten = any === undefined || isOver(any);
    if (isForgotten && [...records.values()].every((record) => isFinal(record.state))) dropOrder(ledger, key);
  }
}

function markOpen(ledger: LedgerState, record: RunRecord, key: string): void {
  const { inPool } = ledger.open.get(key) ?? {};
  if (inPool !== undefined) takeFrom(ledger.openByPool, inPool, key);
  ledger.open.set(key, record);
  putIn(ledger.openByPeer, record.peer, key, record);
  putIn(ledger.openByJob, record.job, key, record);
  putIn(ledger.openByTick, tickKeyOf(record), key, record);
  if (record.inPool !== undefined) putIn(ledger.openByPool, record.inPool, key, record);
  forgetDigests(ledger, record.peer);
}

function close(ledger: LedgerState, key: string): void {
  const record = ledger.open.get(key);
  if (record === undefined) return;
  ledger.open.delete(key);
  takeFrom(ledger.openByPeer, record.peer, key);
  takeFrom(ledger.openByJob, record.job, key);
  takeFrom(ledger.openByTick, tickKeyOf(record), key);
  if (record.inPool !== undefined) takeFrom(ledger.openByPool, record.inPool, key);
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
