/**
 * The run records' half of sync (the protocol is told in sync.ts): which buckets differ from a neighbour's, and the
 * fetching of what this side lacks in them, a little at a time and the newest first.
 */
import { bucketMs, digestOf } from "../core/records/buckets.ts";
import { CicadaError } from "../errors.ts";
import type { Disk, Log, Now } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";
import type { RequestedOrder, RunRecord } from "../schema/run.ts";
import { answerLimitMs } from "./sync-table.ts";

/** How far back neighbours compare their records; what is older is exchanged after a longer absence only. */
export const exchangeWindowMs = 72 * 3_600_000;
/** All records are compared with every neighbour this often, for whatever gossip has lost. */
export const exchangeEveryMs = 30_000;
/** What `wantRecent` looks at. */
const recentMs = 15 * 60_000;
/** Ticks lie ahead of now by a claim's lead and by clocks that differ: the bucket of now and the next. */
const aheadBuckets = 2;
/** Things given for one `want`: the credit that keeps a full disk from flooding a link. */
const answerCap = 1_024;
/** Things held in the buckets of one `want`; more are asked for in parts. 4,096 digests are 78 KB. */
const haveCap = 4_096;
const bucketsPerWant = 32;
/** Bytes of records in one message. */
const recordsBytes = 131_072;
/**
 * A bucket that holds more than this and is still being written to differs from every neighbour's all the time, and
 * reading it costs a tenth of a second. Routine comparisons leave it until it has cooled; new links don't.
 */
const largeBucket = 4_096;
const coolMs = 2 * bucketMs;
/** Buckets in one comparison: 28 days, and as many as a message can name. */
const bucketsCap = 8_192;

export interface RecordSyncDeps {
  disk: Disk;
  /** The oldest instant (ms) from which on this peer has pruned nothing and wants to know everything. */
  oldest(now: Now): number;
  send(to: PeerId, message: Message): void;
  onRecords(records: RunRecord[], orders: RequestedOrder[]): void;
  /** This side has all that the peer had in the window. */
  onDone(peer: PeerId): void;
  nextId(): number;
  /** 0 ≤ x < 1 */
  random(): number;
  count(name: string): void;
  log: Log;
}

type Digests = ReadonlyMap<number, string>;

/** One comparison with a neighbour, and the fetching that follows from it. */
interface Exchange {
  id: number;
  /** nobody waits for it */
  routine: boolean;
  /** monotonic ms of the last sign of the neighbour; undefined while this side's own disk is at work */
  since: number | undefined;
  /** What differs and is still to be fetched; the last is next. Undefined until the neighbour has answered. */
  wants: Want[] | undefined;
  mine: Digests;
  /** things that came for the want that is out */
  came: number;
}

interface Want {
  buckets: number[];
  part: { index: number; of: number };
  /** how much this side held when it last asked for the same; -1 = not asked yet */
  held: number;
}

interface Neighbour {
  exchange: Exchange | undefined;
  nextAt: number;
  /** asked for while an exchange was on */
  recentWanted: boolean;
}

const whole = { index: 0, of: 1 };
const blank = { since: undefined, wants: undefined, mine: new Map<number, string>(), came: 0 } as const;

export class RecordSync {
  readonly #deps: RecordSyncDeps;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  /** buckets found to be large, until they have cooled */
  readonly #large = new Set<number>();
  /**
   * Who is being given something, and what it has wanted since then: the last only, for whoever wants something else
   * has given up what it wanted before. So one neighbour never has more than one answer in this peer's memory.
   */
  readonly #serving = new Map<PeerId, MessageOf<"want"> | undefined>();

  constructor(deps: RecordSyncDeps) {
    this.#deps = deps;
  }

  linkUp(peer: PeerId, now: Now): void {
    const neighbour = { exchange: undefined, nextAt: 0, recentWanted: false };
    this.#neighbours.set(peer, neighbour);
    this.#compare(peer, neighbour, { from: this.#firstBucket(now), routine: false }, now);
  }

  linkDown(peer: PeerId): void {
    this.#neighbours.delete(peer);
  }

  wantRecent(peer: PeerId, now: Now): void {
    const neighbour = this.#neighbours.get(peer);
    if (neighbour === undefined) return;
    if (neighbour.exchange === undefined) this.#compareRecent(peer, neighbour, now);
    else neighbour.recentWanted = true;
  }

  woke(now: Now): void {
    for (const bucket of this.#large)
      if ((bucket + 1) * bucketMs + coolMs < now.wall) this.#large.delete(bucket);
    const from = this.#firstBucket(now);
    for (const [peer, neighbour] of this.#neighbours) {
      const { exchange } = neighbour;
      if (exchange?.since !== undefined && now.mono - exchange.since >= answerLimitMs) {
        this.#deps.count("sync_records_timeouts");
        this.#compare(peer, neighbour, { from, routine: exchange.routine }, now);
      } else if (exchange === undefined && now.mono >= neighbour.nextAt) {
        this.#compare(peer, neighbour, { from, routine: true }, now);
      }
    }
  }

  heardBuckets(from: PeerId, message: MessageOf<"buckets">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    if (message.reply) {
      const exchange = neighbour?.exchange;
      if (neighbour === undefined || exchange?.id !== message.id || exchange.wants !== undefined) return;
      this.#fetchDifference(from, neighbour, exchange, message, now);
      return;
    }
    // What lies below this peer's own prune mark is no difference: it had it, and has let it go.
    const first = Math.max(message.from, this.#firstBucket(now));
    const to = Math.max(first, Math.min(message.to, first + bucketsCap));
    this.#deps.disk.digests(first, to, (digests) => {
      // What can't be read is not "nothing": the neighbour gets no answer, and asks again.
      if (digests instanceof CicadaError) return this.#unreadable(digests);
      this.#deps.send(from, { kind: "buckets", id: message.id, from: first, to, digests, reply: true });
      const current = this.#neighbours.get(from);
      if (current === undefined || current !== neighbour || current.exchange !== undefined) return;
      const mine = new Map(digests);
      if (differing(message, mine, first).length === 0) return;
      const exchange = { ...blank, id: this.#deps.nextId(), routine: true, mine };
      current.exchange = exchange;
      this.#fetchDifference(from, current, exchange, { ...message, from: first }, now);
    });
  }

  /** Gives of the buckets what the asker lacks, the first of it at least; to each asker one thing at a time. */
  heardWant(from: PeerId, message: MessageOf<"want">): void {
    const isBusy = this.#serving.has(from);
    this.#serving.set(from, isBusy ? message : undefined);
    if (!isBusy) this.#give(from, message);
  }

  #give(from: PeerId, message: MessageOf<"want">): void {
    const have = new Set(message.have);
    this.#read(message.buckets.slice(0, bucketsPerWant), (read) => {
      if (read instanceof CicadaError) {
        this.#serving.delete(from);
        return this.#unreadable(read);
      }
      const { records, orders } = read;
      const lacks = (thing: RunRecord | RequestedOrder): boolean => {
        const digest = digestOf(thing);
        return !have.has(digest) && isInPart(digest, message.part);
      };
      const missing = records.filter(lacks).slice(0, answerCap);
      this.#sendPieces(from, message.id, missing, orders.filter(lacks).slice(0, answerCap - missing.length));
      const next = this.#serving.get(from);
      this.#serving.delete(from);
      if (next !== undefined) this.heardWant(from, next);
    });
  }

  heardRecords(from: PeerId, message: MessageOf<"records">, now: Now): void {
    const { records, orders } = message;
    if (records.length + orders.length > 0) this.#deps.onRecords(records, orders);
    const neighbour = this.#neighbours.get(from);
    const exchange = neighbour?.exchange;
    if (neighbour === undefined || exchange?.id !== message.id || exchange.wants === undefined) return;
    exchange.since = now.mono;
    exchange.came += records.length + orders.length;
    if (!message.last) return;
    if (exchange.came < answerCap) exchange.wants.pop();
    this.#fetchNext(from, neighbour, exchange, now);
  }

  #firstBucket(now: Now): number {
    const last = Math.floor(now.wall / bucketMs) + aheadBuckets;
    return Math.max(Math.ceil(this.#deps.oldest(now) / bucketMs), last - bucketsCap);
  }

  #compareRecent(peer: PeerId, neighbour: Neighbour, now: Now): void {
    const first = Math.max(Math.floor((now.wall - recentMs) / bucketMs), this.#firstBucket(now));
    this.#compare(peer, neighbour, { from: first, routine: false }, now);
  }

  #compare(
    peer: PeerId,
    neighbour: Neighbour,
    { from, routine }: { from: number; routine: boolean },
    now: Now,
  ): void {
    this.#deps.count("sync_records_asked");
    const to = Math.max(from, Math.floor(now.wall / bucketMs) + aheadBuckets);
    const id = this.#deps.nextId();
    const exchange: Exchange = { ...blank, id, routine };
    neighbour.exchange = exchange;
    this.#deps.disk.digests(from, to, (digests) => {
      if (!this.#isCurrent(peer, neighbour, exchange)) return;
      if (digests instanceof CicadaError) return this.#giveUp(neighbour, digests, now);
      exchange.mine = new Map(digests);
      exchange.since = now.mono;
      this.#deps.send(peer, { kind: "buckets", id, from, to, digests, reply: false });
    });
  }

  #fetchDifference(
    peer: PeerId,
    neighbour: Neighbour,
    exchange: Exchange,
    theirs: MessageOf<"buckets">,
    now: Now,
  ): void {
    const buckets = differing(theirs, exchange.mine, this.#firstBucket(now)).filter(
      (bucket) => !exchange.routine || !this.#large.has(bucket),
    );
    const wants: Want[] = [];
    for (let end = buckets.length; end > 0; end -= bucketsPerWant) {
      wants.unshift({
        buckets: buckets.slice(Math.max(0, end - bucketsPerWant), end),
        part: whole,
        held: -1,
      });
    }
    exchange.wants = wants;
    this.#fetchNext(peer, neighbour, exchange, now);
  }

  #fetchNext(peer: PeerId, neighbour: Neighbour, exchange: Exchange, now: Now): void {
    const want = exchange.wants?.at(-1);
    if (want === undefined) {
      this.#finish(peer, neighbour, now);
      return;
    }
    exchange.since = undefined;
    this.#read(want.buckets, (read) => {
      if (!this.#isCurrent(peer, neighbour, exchange)) return;
      if (read instanceof CicadaError) return this.#giveUp(neighbour, read, now);
      const { records, orders } = read;
      const all = [...records, ...orders].map(digestOf);
      if (want.buckets.length === 1 && all.length > largeBucket) this.#large.add(want.buckets[0] ?? 0);
      const have = all.filter((digest) => isInPart(digest, want.part));
      if (have.length > haveCap) {
        this.#splitWant(exchange, want, have.length);
        this.#fetchNext(peer, neighbour, exchange, now);
        return;
      }
      if (have.length <= want.held) {
        // What came last time was not kept (a bad signature, say): asking again would bring the same for ever.
        exchange.wants?.pop();
        this.#fetchNext(peer, neighbour, exchange, now);
        return;
      }
      want.held = have.length;
      exchange.came = 0;
      exchange.since = now.mono;
      const { buckets, part } = want;
      this.#deps.send(peer, { kind: "want", id: exchange.id, buckets, have, part });
    });
  }

  /** Into its buckets, or a single bucket into parts. */
  #splitWant(exchange: Exchange, want: Want, held: number): void {
    exchange.wants?.pop();
    if (want.buckets.length > 1) {
      for (const bucket of want.buckets) exchange.wants?.push({ buckets: [bucket], part: whole, held: -1 });
      return;
    }
    const parts = Math.ceil((2 * held) / haveCap);
    for (let index = 0; index < parts; index++) {
      const part = { index: want.part.index + index * want.part.of, of: want.part.of * parts };
      exchange.wants?.push({ buckets: want.buckets, part, held: -1 });
    }
  }

  #finish(peer: PeerId, neighbour: Neighbour, now: Now): void {
    neighbour.exchange = undefined;
    // Spread out, so that neighbours who met at one moment don't all compare at one moment for ever.
    neighbour.nextAt = now.mono + exchangeEveryMs * (0.75 + this.#deps.random() / 2);
    if (!neighbour.recentWanted) {
      this.#deps.onDone(peer);
      return;
    }
    neighbour.recentWanted = false;
    this.#compareRecent(peer, neighbour, now);
  }

  #isCurrent(peer: PeerId, neighbour: Neighbour, exchange: Exchange): boolean {
    return this.#neighbours.get(peer) === neighbour && neighbour.exchange === exchange;
  }

  /** This side's disk can't be read: the comparison is made anew later. Nothing is known to be in sync. */
  #giveUp(neighbour: Neighbour, error: CicadaError, now: Now): void {
    neighbour.exchange = undefined;
    neighbour.nextAt = now.mono + exchangeEveryMs;
    this.#unreadable(error);
  }

  #unreadable({ detail }: CicadaError): void {
    this.#deps.count("sync_reads_failed");
    this.#deps.log.error("run records can't be read, so they can't be compared with other peers", {
      why: detail,
    });
  }

  /** All that lies in the buckets, read one after the other. */
  #read(
    buckets: readonly number[],
    done: (read: { records: RunRecord[]; orders: RequestedOrder[] } | CicadaError) => void,
  ): void {
    const records: RunRecord[] = [];
    const orders: RequestedOrder[] = [];
    const next = (index: number): void => {
      const bucket = buckets[index];
      if (bucket === undefined) {
        done({ records, orders });
        return;
      }
      this.#deps.disk.bucket(bucket, (found) => {
        if (found instanceof CicadaError) return done(found);
        records.push(...found.records);
        orders.push(...found.orders);
        next(index + 1);
      });
    };
    next(0);
  }

  #sendPieces(to: PeerId, id: number, records: RunRecord[], orders: RequestedOrder[]): void {
    let piece: { records: RunRecord[]; orders: RequestedOrder[] } = { records: [], orders: [] };
    let bytes = 0;
    const flush = (last: boolean): void => {
      this.#deps.send(to, { kind: "records", id, ...piece, last });
      piece = { records: [], orders: [] };
      bytes = 0;
    };
    const fits = (thing: RunRecord | RequestedOrder): boolean => {
      const size = Buffer.byteLength(JSON.stringify(thing));
      if (size > recordsBytes) {
        this.#deps.count("sync_records_too_large");
        return false;
      }
      if (bytes + size > recordsBytes) flush(false);
      bytes += size;
      return true;
    };
    for (const record of records) if (fits(record)) piece.records.push(record);
    for (const order of orders) if (fits(order)) piece.orders.push(order);
    flush(true);
  }
}

/** The buckets, oldest first, that hold something at the neighbour which may not be here. */
function differing(theirs: MessageOf<"buckets">, mine: Digests, first: number): number[] {
  return theirs.digests
    .filter(([bucket, digest]) => bucket >= Math.max(first, theirs.from) && mine.get(bucket) !== digest)
    .map(([bucket]) => bucket)
    .toSorted((a, b) => a - b);
}

/** A thing's part is told by the first 8 digits of its digest. */
function isInPart(digest: string, part: { index: number; of: number }): boolean {
  return part.of === 1 || Number.parseInt(digest.slice(0, 8), 16) % part.of === part.index;
}
