/**
 * A stage for sync: actors with a table and a disk in memory, and a wire between them that may lose and repeat
 * messages. Messages pass through the codec, so that too large or malformed ones are noticed.
 */
import assert from "node:assert/strict";
import { bucketMs, bucketOf, combine, digestOf, emptyDigest } from "../../src/core/records/buckets.ts";
import { mergeRecord, recordKey } from "../../src/core/records/records.ts";
import { CicadaError } from "../../src/errors.ts";
import type { Log, Now } from "../../src/ports.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { Horizons } from "../../src/peer/history/horizons.ts";
import { Sync } from "../../src/peer/sync/sync.ts";
import { exchangeWindowMs } from "../../src/peer/sync/sync-records.ts";
import { tickAt, ulid, type JobId, type PeerId, type TickId } from "../../src/schema/ids.ts";
import type { Message } from "../../src/schema/message.ts";
import type { RequestedOrder, RunRecord } from "../../src/schema/run.ts";
import { pageOf } from "../../src/sim/disk/queries.ts";
import { Dice } from "../../src/sim/random.ts";
import type { JobTable } from "../../src/table/table.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { makeTable } from "./tables.ts";

const cluster = "0123456789abcdef";
const latencyMs = 5;
const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

const unreadable = new CicadaError("DATA_FOLDER_DAMAGED", "a page can't be read");

function nothing(): void {}

/** The part of a disk that sync uses. */
export class MemoryDisk {
  readonly records = new Map<string, RunRecord>();
  readonly orders = new Map<string, RequestedOrder>();
  /** every read fails while this is set */
  unreadable = false;
  /** how many reads there were, and the largest of them */
  reads = 0;
  largestPage = 0;
  readonly #later: (call: () => void) => void;

  constructor(later: (call: () => void) => void) {
    this.#later = later;
  }

  keep(record: RunRecord): void {
    const known = this.records.get(recordKey(record));
    this.records.set(recordKey(record), known === undefined ? record : mergeRecord(known, record));
  }

  keepOrder(order: RequestedOrder): void {
    this.orders.set(`${order.job}@${order.tick}`, order);
  }

  digests: Disk["digests"] = (from, to, done) => {
    if (this.unreadable) return this.#later(() => done(unreadable));
    const digests = new Map<number, string>();
    for (const thing of [...this.records.values(), ...this.orders.values()]) {
      const bucket = bucketOf(thing);
      if (bucket < from || bucket >= to) continue;
      digests.set(bucket, combine(digests.get(bucket) ?? emptyDigest, digestOf(thing)));
    }
    this.#later(() => done([...digests]));
  };

  things: Disk["things"] = (query, done) => {
    if (this.unreadable) return this.#later(() => done(unreadable));
    this.reads++;
    const all = [...this.records.values(), ...this.orders.values()];
    const page = pageOf(
      all.filter((thing) => query.buckets.includes(bucketOf(thing))),
      query,
    );
    if (!(page instanceof CicadaError)) {
      this.largestPage = Math.max(this.largestPage, page.records.length + page.orders.length);
    }
    this.#later(() => done(page));
  };
}

export interface Actor {
  name: PeerId;
  table: JobTable;
  disk: MemoryDisk;
  sync: Sync;
  /** the peers with which it was reported to be in sync, in order */
  synced: PeerId[];
  updates: Uint8Array[];
  /** it refuses all records */
  refuses: boolean;
  horizons: Horizons;
}

export class SyncStage {
  now: Now = { wall: Date.UTC(2026, 0, 10), mono: 0 };
  /** every sent message, even lost ones */
  readonly sent: Message[] = [];
  readonly sentTo: { to: PeerId; message: Message }[] = [];
  largestBytes = 0;
  /** how long a disk takes to read */
  diskMs = 1;
  /** nothing arrives while this is set */
  deaf = false;
  readonly #dice: Dice;
  readonly #loss: number;
  readonly #repeat: number;
  readonly #links = new Set<string>();
  readonly #actors = new Map<PeerId, Actor>();
  #queue: { at: number; call: () => void }[] = [];

  constructor(seed: string, { loss = 0, repeat = 0 }: { loss?: number; repeat?: number } = {}) {
    this.#dice = new Dice(seed);
    this.#loss = loss;
    this.#repeat = repeat;
  }

  actor(name: string): Actor {
    const self = name as PeerId;
    const table = makeTable(name);
    const disk = new MemoryDisk((call) => this.#in(this.diskMs, call));
    const horizons = new Horizons({
      settings: {},
      stored: [],
      exchangeWindowMs,
      now: () => this.now,
      send: (to, message) => this.#send(self, to, message),
      onPrunedElsewhere: nothing,
    });
    const sync = new Sync({
      table,
      disk,
      horizons,
      random: this.#dice.fork(name),
      oldest: ({ wall }) => wall - exchangeWindowMs,
      charge: nothing,
      onHave: nothing,
      send: (to, message) => this.#send(self, to, message),
      onUpdate: (update) => actor.updates.push(update),
      onRecords: ({ records, orders }) => {
        if (actor.refuses) return;
        for (const record of records) if (!horizons.isPruned(record)) disk.keep(record);
        for (const order of orders) disk.keepOrder(order);
      },
      now: () => this.now,
      watermarks: () => [],
      onWatermarks: nothing,
      onSynced: (peer) => actor.synced.push(peer),
      count: nothing,
      log: silent,
    });
    const actor: Actor = {
      name: self,
      table,
      disk,
      sync,
      synced: [],
      updates: [],
      refuses: false,
      horizons,
    };
    this.#actors.set(self, actor);
    return actor;
  }

  /** A claim of the peer for a tick in that bucket, counted from 20:00; the test's time begins four hours later. */
  record(peer: string, bucket: number, number = 0): RunRecord {
    const due = Date.UTC(2026, 0, 9, 20) + bucket * bucketMs;
    return {
      job: `job-${number}` as JobId,
      tick: tickAt(due),
      attempt: 1,
      slot: "0",
      peer: peer as PeerId,
      state: "claimed",
      version: 1,
      revision: "r",
      trigger: "schedule",
      rank: 0,
      due,
      view: 1,
      signature: `${peer}-${bucket}-${number}`,
    };
  }

  order(number: number): RequestedOrder {
    const requestedAt = Date.UTC(2026, 0, 9, 23);
    const letters = Uint8Array.from({ length: 16 }, () => number);
    const tick = `manual-${ulid(requestedAt, letters)}` as TickId;
    return { job: "backup" as JobId, tick, trigger: "manual", requestedAt, by: "ann" };
  }

  link(a: Actor, b: Actor): void {
    this.#links.add(linkName(a.name, b.name));
    a.sync.linkUp(b.name, this.now);
    b.sync.linkUp(a.name, this.now);
  }

  unlink(a: Actor, b: Actor): void {
    this.#links.delete(linkName(a.name, b.name));
    a.sync.linkDown(b.name);
    b.sync.linkDown(a.name);
  }

  /**
   * Lets that many ms pass: due messages arrive, and every actor wakes each second and gets its neighbours' digests.
   */
  pass(ms: number): void {
    const end = this.now.mono + ms;
    while (this.now.mono < end) {
      this.now = { wall: this.now.wall + 1, mono: this.now.mono + 1 };
      const due = this.#queue.filter(({ at }) => at <= this.now.mono);
      if (due.length > 0) this.#queue = this.#queue.filter(({ at }) => at > this.now.mono);
      for (const { call } of due) call();
      if (this.now.mono % 1_000 === 0) this.#second();
    }
  }

  #second(): void {
    for (const actor of this.#actors.values()) actor.sync.woke(this.now);
    if (this.deaf) return;
    for (const one of this.#actors.values()) {
      for (const other of this.#actors.values()) {
        if (!this.#links.has(linkName(one.name, other.name)) || one === other) continue;
        one.sync.tableDigest(other.name, other.table.digest(), this.now);
      }
    }
  }

  #send(from: PeerId, to: PeerId, message: Message): void {
    this.sent.push(message);
    this.sentTo.push({ to, message });
    const bytes = encode({ cluster, sender: from, seq: this.sent.length }, message);
    this.largestBytes = Math.max(this.largestBytes, bytes.length);
    const times = this.#dice.next() < this.#repeat ? 2 : 1;
    for (let i = 0; i < times; i++) {
      if (this.deaf || this.#dice.next() < this.#loss) continue;
      this.#in(latencyMs, () => {
        if (!this.#links.has(linkName(from, to))) return;
        const decoded = decode("sync", bytes, from, cluster);
        assert.ok(decoded.ok, JSON.stringify(decoded));
        this.#actors.get(to)?.sync.heard(from, decoded.message, this.now);
      });
    }
  }

  #in(ms: number, call: () => void): void {
    this.#queue.push({ at: this.now.mono + ms, call });
  }
}

function linkName(a: PeerId, b: PeerId): string {
  return [a, b].toSorted((one, other) => (one < other ? -1 : 1)).join(" ");
}
