/**
 * The run records' half of sync (sync.ts describes the protocol): which buckets differ from a neighbour's, and fetching what
 * this side lacks in them, page by page and the newest first.
 *
 * Each `want` names a stretch of what lies in some buckets, which holds no more than a page on the asker's side. The giver
 * (sync-giving.ts) reads no more than a page of it either, and says how far it came. So what a question costs is bounded on
 * both sides, however much lies in a bucket, and every answer moves the place from which the next question goes on.
 */
import { bucketMs, digestOf } from "../core/records/buckets.ts";
import { comparePlaces, readPlace } from "../core/records/place.ts";
import { CicadaError } from "../errors.ts";
import type { Log, Now } from "../ports.ts";
import type { Disk, Things } from "../ports/disk.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";
import { neverPrunedMs, roundMs } from "./horizons.ts";
import { bucketsPerWant, noteUnreadable, pageSize } from "./sync-giving.ts";
import { answerLimitMs } from "./sync-table.ts";

/** How far back neighbours compare their records; all that is older is compared once for each link. */
export const exchangeWindowMs = 72 * 3_600_000;
/** All records are compared with every neighbour this often, for whatever gossip has lost. */
export const exchangeEveryMs = 30_000;
/**
 * While peers prune (retention.ts), for so long after the beginning of a round, only what is never pruned is compared routinely:
 * what one side has pruned a moment before the other is no difference.
 */
const pruningMs = 15_000;
/** What `wantRecent` looks at. */
const recentMs = 15 * 60_000;
/** Ticks lie ahead of now by a claim's lead and by clocks that differ: the bucket of now and the next. */
const aheadBuckets = 2;
/**
 * A bucket that has more pages than this and is still being written to differs from every neighbour's all the time. Routine
 * comparisons leave it until it has cooled; new links don't.
 */
const largeBucketPages = 4;
const coolMs = 2 * bucketMs;
/** A neighbour that has been silent for so long is shown as trouble. */
const silentTroubleMs = 30_000;
/** Buckets in one comparison: 28 days, and as many as a message can name. */
const bucketsCap = 8_192;

export interface RecordSyncDeps {
  disk: Pick<Disk, "digests" | "things">;
  now(): Now;
  /** The oldest instant (ms) from which on this peer wants to know everything. */
  oldest(now: Now): number;
  send(to: PeerId, message: Message): void;
  onRecords(things: Omit<Things, "next">): void;
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
  /** the question that the neighbour has not answered yet; undefined while this side's own disk is at work */
  asked: { message: Message; sinceMono: number } | undefined;
  mine: Digests;
  /** Buckets that differ and are still to be fetched; the last group is next. Undefined until the neighbour has answered. */
  groups: number[][] | undefined;
  /** how far the last group has been fetched, and what is asked for now */
  after: string | undefined;
  upTo: string | undefined;
  /** questions about the last group, and about all of them */
  pages: number;
  page: number;
}

interface Neighbour {
  exchange: Exchange | undefined;
  nextAtMono: number;
  /** asked for while an exchange was on */
  recentWanted: boolean;
  /** its digests are being compared with this side's */
  answering: boolean;
  /** when it last said something about records, and since when no comparison has been finished; monotonic ms */
  heardAtMono: number;
  unfinishedSinceMono: number | undefined;
  /** this side's disk could not be read for the last comparison */
  unreadable: boolean;
  /** Records of all ages have been compared since the link is up. */
  isComparedInDepth: boolean;
}

export class RecordSync {
  readonly #deps: RecordSyncDeps;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  /** buckets found to be large, until they have cooled */
  readonly #large = new Set<number>();

  constructor(deps: RecordSyncDeps) {
    this.#deps = deps;
  }

  linkUp(peer: PeerId, now: Now): void {
    const neighbour: Neighbour = {
      exchange: undefined,
      nextAtMono: 0,
      recentWanted: false,
      answering: false,
      heardAtMono: now.mono,
      unfinishedSinceMono: now.mono,
      unreadable: false,
      isComparedInDepth: false,
    };
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
    for (const [peer, neighbour] of this.#neighbours) {
      const { exchange } = neighbour;
      if (exchange === undefined) {
        if (now.mono >= neighbour.nextAtMono) this.#compareRoutinely(peer, neighbour, now);
      } else if (exchange.asked !== undefined && now.mono - exchange.asked.sinceMono >= answerLimitMs) {
        // The question or its answer was lost, or the neighbour's disk is slow. A late answer counts as well.
        this.#deps.count("sync_records_timeouts");
        this.#ask(peer, exchange, exchange.asked.message);
      }
    }
  }

  /** Neighbours with whom no comparison can be finished, and why, in words. */
  troubles(now: Now): { peer: PeerId; what: string }[] {
    return [...this.#neighbours].flatMap(([peer, { unfinishedSinceMono, heardAtMono, unreadable }]) => {
      if (unreadable) return { peer, what: "run records can't be read from this peer's disk" };
      const isSilent = now.mono - Math.max(unfinishedSinceMono ?? Infinity, heardAtMono) >= silentTroubleMs;
      return unfinishedSinceMono !== undefined && isSilent
        ? { peer, what: "it doesn't answer which run records it has" }
        : [];
    });
  }

  heardBuckets(from: PeerId, message: MessageOf<"buckets">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined) return;
    neighbour.heardAtMono = now.mono;
    if (message.reply) {
      const { exchange } = neighbour;
      if (exchange?.id !== message.id || exchange.groups !== undefined) return;
      this.#fetchDifference(from, neighbour, exchange, message);
      return;
    }
    if (neighbour.answering) return;
    neighbour.answering = true;
    // A neighbour that was away for longer than this peer's own window asks for more, and gets it.
    const first = Math.max(message.from, lastBucket(now) - bucketsCap);
    const to = Math.max(first, Math.min(message.to, first + bucketsCap));
    this.#deps.disk.digests(first, to, (digests) => {
      neighbour.answering = false;
      // What can't be read is not "nothing": the neighbour gets no answer, and asks again.
      if (digests instanceof CicadaError) return noteUnreadable(this.#deps, digests);
      this.#deps.send(from, { kind: "buckets", id: message.id, from: first, to, digests, reply: true });
      if (this.#neighbours.get(from) !== neighbour || neighbour.exchange !== undefined) return;
      const mine = new Map(digests);
      if (differing(message, mine, first).length === 0) return;
      const exchange = newExchange(this.#deps.nextId(), true);
      exchange.mine = mine;
      neighbour.exchange = exchange;
      this.#fetchDifference(from, neighbour, exchange, { ...message, from: first });
    });
  }

  heardRecords(from: PeerId, message: MessageOf<"records">, now: Now): void {
    const { records, orders, others = [] } = message;
    if (records.length + orders.length + others.length > 0) this.#deps.onRecords({ records, orders, others });
    const neighbour = this.#neighbours.get(from);
    const exchange = neighbour?.exchange;
    if (neighbour !== undefined) neighbour.heardAtMono = now.mono;
    if (neighbour === undefined || exchange?.id !== message.id || exchange.groups === undefined) return;
    if (exchange.asked === undefined || message.page !== exchange.page) return;
    exchange.asked.sinceMono = now.mono;
    if (!message.last) return;
    exchange.asked = undefined;
    const next = isBehind(message.reached, exchange.after) ? message.reached : exchange.upTo;
    if (next === undefined) {
      exchange.groups.pop();
      exchange.pages = 0;
    }
    exchange.after = next;
    this.#fetchNext(from, neighbour, exchange);
  }

  #firstBucket(now: Now): number {
    return Math.max(Math.ceil(this.#deps.oldest(now) / bucketMs), lastBucket(now) - bucketsCap);
  }

  /**
   * The first time, records of all ages: either side may have been apart from the other for longer than both of them know, by
   * a split with a restart in it or an older folder. A link that breaks again at once doesn't cost that much.
   */
  #compareRoutinely(peer: PeerId, neighbour: Neighbour, now: Now): void {
    const isPruning = now.wall % roundMs < pruningMs;
    let from = this.#firstBucket(now);
    if (isPruning) from = Math.max(from, Math.floor((now.wall - neverPrunedMs) / bucketMs));
    else if (!neighbour.isComparedInDepth) {
      neighbour.isComparedInDepth = true;
      from = lastBucket(now) - bucketsCap;
    }
    this.#compare(peer, neighbour, { from, routine: true }, now);
  }

  #compareRecent(peer: PeerId, neighbour: Neighbour, now: Now): void {
    const from = Math.max(Math.floor((now.wall - recentMs) / bucketMs), this.#firstBucket(now));
    this.#compare(peer, neighbour, { from, routine: false }, now);
  }

  #compare(
    peer: PeerId,
    neighbour: Neighbour,
    { from, routine }: { from: number; routine: boolean },
    now: Now,
  ): void {
    this.#deps.count("sync_records_asked");
    const to = Math.max(from, lastBucket(now));
    const exchange = newExchange(this.#deps.nextId(), routine);
    neighbour.exchange = exchange;
    neighbour.unfinishedSinceMono ??= now.mono;
    this.#deps.disk.digests(from, to, (digests) => {
      if (!this.#isCurrent(peer, neighbour, exchange)) return;
      if (digests instanceof CicadaError) return this.#giveUp(neighbour, digests);
      exchange.mine = new Map(digests);
      this.#ask(peer, exchange, { kind: "buckets", id: exchange.id, from, to, digests, reply: false });
    });
  }

  /** The limit for the answer begins now, whatever this side's disk took before. */
  #ask(peer: PeerId, exchange: Exchange, message: Message): void {
    exchange.asked = { message, sinceMono: this.#deps.now().mono };
    this.#deps.send(peer, message);
  }

  #fetchDifference(
    peer: PeerId,
    neighbour: Neighbour,
    exchange: Exchange,
    theirs: MessageOf<"buckets">,
  ): void {
    exchange.asked = undefined;
    const buckets = differing(theirs, exchange.mine, theirs.from).filter(
      (bucket) => !exchange.routine || !this.#large.has(bucket),
    );
    const groups: number[][] = [];
    for (let end = buckets.length; end > 0; end -= bucketsPerWant) {
      groups.unshift(buckets.slice(Math.max(0, end - bucketsPerWant), end));
    }
    exchange.groups = groups;
    this.#fetchNext(peer, neighbour, exchange);
  }

  #fetchNext(peer: PeerId, neighbour: Neighbour, exchange: Exchange): void {
    const buckets = exchange.groups?.at(-1);
    if (buckets === undefined) return this.#finish(peer, neighbour);
    const { id, after } = exchange;
    this.#deps.disk.things({ buckets, after, upTo: undefined, limit: pageSize }, (found) => {
      if (!this.#isCurrent(peer, neighbour, exchange)) return;
      if (found instanceof CicadaError) return this.#giveUp(neighbour, found);
      exchange.pages++;
      exchange.page++;
      const newest = buckets.at(-1);
      if (newest !== undefined && exchange.pages > largeBucketPages) this.#large.add(newest);
      exchange.upTo = found.next;
      const have = [...found.records, ...found.orders, ...found.others].map(digestOf);
      const stretch = { ...(after && { after }), ...(found.next && { upTo: found.next }) };
      this.#ask(peer, exchange, { kind: "want", id, page: exchange.page, buckets, have, ...stretch });
    });
  }

  #finish(peer: PeerId, neighbour: Neighbour): void {
    const now = this.#deps.now();
    neighbour.exchange = undefined;
    neighbour.unfinishedSinceMono = undefined;
    neighbour.unreadable = false;
    // Spread out, so that neighbours who met at one moment don't all compare at one moment for ever.
    neighbour.nextAtMono = now.mono + exchangeEveryMs * (0.75 + this.#deps.random() / 2);
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
  #giveUp(neighbour: Neighbour, error: CicadaError): void {
    neighbour.exchange = undefined;
    neighbour.nextAtMono = this.#deps.now().mono + exchangeEveryMs;
    neighbour.unreadable = true;
    noteUnreadable(this.#deps, error);
  }
}

function lastBucket(now: Now): number {
  return Math.floor(now.wall / bucketMs) + aheadBuckets;
}

function newExchange(id: number, routine: boolean): Exchange {
  return {
    id,
    routine,
    asked: undefined,
    mine: new Map(),
    groups: undefined,
    after: undefined,
    upTo: undefined,
    pages: 0,
    page: 0,
  };
}

/** The giver came so far, and that is further than before; a place that isn't one brings nobody further. */
function isBehind(reached: string | undefined, after: string | undefined): boolean {
  const place = reached === undefined ? undefined : readPlace(reached);
  const before = after === undefined ? undefined : readPlace(after);
  return place !== undefined && (before === undefined || comparePlaces(place, before) > 0);
}

/** The buckets, oldest first, that hold something at the neighbour which may not be here. */
function differing(theirs: MessageOf<"buckets">, mine: Digests, first: number): number[] {
  return theirs.digests
    .filter(([bucket, digest]) => bucket >= Math.max(first, theirs.from) && mine.get(bucket) !== digest)
    .map(([bucket]) => bucket)
    .toSorted((a, b) => a - b);
}
