/**
 * The run records' part of sync (sync.ts describes the protocol): finds the buckets that differ from a neighbour's, and fetches
 * what this side lacks in them, page by page, the newest bucket first.
 *
 * Each `want` names a stretch of some buckets that holds at most a page of records on the asking side. The serving side
 * (sync-serving.ts) also reads at most a page of it, and says how far it got. So the cost of a request is bounded on both
 * sides, however much a bucket holds, and each answer moves the place where the next request begins.
 */
import { bucketMs, digestOf } from "../../core/records/buckets.ts";
import { comparePlaces, readPlace } from "../../core/records/place.ts";
import { CicadaError } from "../../errors.ts";
import type { Log, Now } from "../../ports.ts";
import type { Disk, Things } from "../../ports/disk.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import { neverPrunedMs, roundMs } from "../history/horizons.ts";
import { bucketsPerWant, noteUnreadable, pageSize } from "./sync-serving.ts";
import { answerLimitMs } from "./sync-table.ts";
import { stepsPerDigest, stepsPerRecord } from "../messages/work-prices.ts";

/** How far back neighbours compare their records routinely. Older records are compared once for each link. */
export const exchangeWindowMs = 72 * 3_600_000;
/** How often records are compared with every neighbour, to find what gossip has lost. */
export const exchangeEveryMs = 30_000;
/**
 * While peers prune (retention.ts), that is, for this long after a round begins, routine comparisons look only at records too
 * young to be pruned: what one side has pruned a moment before the other must not count as a difference.
 */
const pruningMs = 15_000;
/** How far back `wantRecent` compares. */
const recentMs = 15 * 60_000;
/** Ticks can lie ahead of now, by a claim's lead and by clocks that differ, so the current bucket and the next are included. */
export const aheadBuckets = 2;
/**
 * A bucket that has more pages than this and is still being written to differs from every neighbour's all the time. Routine
 * comparisons skip it until it has cooled; those of new links don't.
 */
const largeBucketPages = 4;
const coolMs = 2 * bucketMs;
/** A neighbour that has been silent for this long is reported as a problem. */
const silentProblemMs = 30_000;
/** The largest number of buckets in one comparison: 28 days, and as many as a message can name. */
const bucketsCap = 8_192;

export interface RecordSyncDeps {
  disk: Pick<Disk, "digests" | "things">;
  now(): Now;
  /** The instant (ms) from which on this peer wants every record. */
  oldest(now: Now): number;
  send(to: PeerId, message: Message): void;
  charge(peer: PeerId, steps: number): void;
  onRecords(things: Omit<Things, "next">): void;
  /** This side has every record that the peer had in the window. */
  onDone(peer: PeerId): void;
  nextId(): number;
  /** 0 ≤ x < 1 */
  random(): number;
  count(name: string): void;
  log: Log;
}

/** Up to which instants (ms) `wantRecent` compares, at least: back to `since`, and ahead to `until`. */
export interface RecentReach {
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

type Digests = ReadonlyMap<number, string>;

/** One comparison with a neighbour, and the fetching that follows. */
interface Exchange {
  id: number;
  /** one of the regular comparisons, or one that the neighbour began */
  routine: boolean;
  /** the request that the neighbour has not answered yet; undefined while this side reads its own disk */
  asked: { message: Message; sinceMono: number } | undefined;
  local: Digests;
  /** differing buckets that are still to be fetched, the last group first; undefined until the neighbour has answered */
  groups: number[][] | undefined;
  /** how far the last group has been fetched, and the end of the stretch that is asked for now */
  after: string | undefined;
  upTo: string | undefined;
  /** records and orders that the neighbour still owes for the last question: they are this peer's own work */
  owed: number;
  /** requests about the last group, and about all groups */
  pages: number;
  page: number;
}

interface Neighbour {
  exchange: Exchange | undefined;
  nextAtMono: number;
  /** `wantRecent` was called during an exchange; undefined = it wasn't */
  recentWanted: RecentReach | undefined;
  /** its digests are being compared with this side's */
  answering: boolean;
  /** when its last message about records came, and since when no comparison has been finished; monotonic ms */
  heardAtMono: number;
  unfinishedSinceMono: number | undefined;
  /** this side's disk couldn't be read for the last comparison */
  unreadable: boolean;
  /** a comparison of records of all ages has been made since the link came up */
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
      recentWanted: undefined,
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

  wantRecent(peer: PeerId, now: Now, reach: RecentReach): void {
    const neighbour = this.#neighbours.get(peer);
    if (neighbour === undefined) return;
    if (neighbour.exchange === undefined) this.#compareRecent(peer, neighbour, reach, now);
    else neighbour.recentWanted = further(reach, neighbour.recentWanted);
  }

  woke(now: Now): void {
    for (const bucket of this.#large)
      if ((bucket + 1) * bucketMs + coolMs < now.wall) this.#large.delete(bucket);
    for (const [peer, neighbour] of this.#neighbours) {
      const { exchange } = neighbour;
      if (exchange === undefined) {
        if (now.mono >= neighbour.nextAtMono) this.#compareRoutinely(peer, neighbour, now);
      } else if (exchange.asked !== undefined && now.mono - exchange.asked.sinceMono >= answerLimitMs) {
        // The request or its answer was lost, or the neighbour's disk is slow. A late answer still counts.
        this.#deps.count("sync_records_timeouts");
        this.#ask(peer, exchange, exchange.asked.message);
      }
    }
  }

  /** Neighbours with which no comparison can be finished, and why, in words. */
  problems(now: Now): { peer: PeerId; what: string }[] {
    return [...this.#neighbours].flatMap(([peer, { unfinishedSinceMono, heardAtMono, unreadable }]) => {
      if (unreadable) return { peer, what: "run records can't be read from this peer's disk" };
      const isSilent = now.mono - Math.max(unfinishedSinceMono ?? Infinity, heardAtMono) >= silentProblemMs;
      return unfinishedSinceMono !== undefined && isSilent
        ? { peer, what: "it doesn't say which run records it has" }
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
    // A neighbour that was away for longer than this peer's window asks for more buckets, and gets them.
    const first = Math.max(message.from, lastBucket(now) - bucketsCap);
    const to = Math.max(first, Math.min(message.to, first + bucketsCap));
    this.#deps.disk.digests(first, to, (digests) => {
      neighbour.answering = false;
      // An unreadable disk must not look empty: the neighbour gets no answer, and asks again.
      if (digests instanceof CicadaError) return noteUnreadable(this.#deps, digests);
      this.#deps.charge(from, (digests.length + message.digests.length) * stepsPerDigest);
      this.#deps.send(from, { kind: "buckets", id: message.id, from: first, to, digests, reply: true });
      if (this.#neighbours.get(from) !== neighbour || neighbour.exchange !== undefined) return;
      const local = new Map(digests);
      if (differing(message, local, first).length === 0) return;
      const exchange = newExchange(this.#deps.nextId(), true);
      exchange.local = local;
      neighbour.exchange = exchange;
      this.#fetchDifference(from, neighbour, exchange, { ...message, from: first });
    });
  }

  heardRecords(from: PeerId, message: MessageOf<"records">, now: Now): void {
    const { records, orders, others = [] } = message;
    const things = records.length + orders.length + others.length;
    const neighbour = this.#neighbours.get(from);
    const exchange = neighbour?.exchange;
    if (!takesAsAnswer(exchange, message, things)) this.#deps.charge(from, things * stepsPerRecord);
    if (things > 0) this.#deps.onRecords({ records, orders, others });
    if (neighbour !== undefined) neighbour.heardAtMono = now.mono;
    if (neighbour === undefined || exchange?.id !== message.id || exchange.groups === undefined) return;
    if (exchange.asked === undefined || message.page !== exchange.page) return;
    exchange.asked.sinceMono = now.mono;
    if (!message.last) return;
    exchange.asked = undefined;
    const next = isFurther(message.reached, exchange.after) ? message.reached : exchange.upTo;
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
   * The first time, compares records of all ages: the two sides may have been apart for longer than either of them knows, after
   * a split with a restart in it, or with an old copy of a folder. It isn't done as soon as the link comes up, so that a link
   * that breaks at once doesn't cost that much.
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

  #compareRecent(peer: PeerId, neighbour: Neighbour, reach: RecentReach, now: Now): void {
    const { since, until } = further(reach, { since: now.wall - recentMs });
    const from = Math.max(Math.floor(since / bucketMs), this.#firstBucket(now));
    const to = Math.min(Math.floor(until / bucketMs) + 1, from + bucketsCap);
    this.#compare(peer, neighbour, { from, to, routine: false }, now);
  }

  #compare(
    peer: PeerId,
    neighbour: Neighbour,
    { from, to: least = from, routine }: { from: number; to?: number; routine: boolean },
    now: Now,
  ): void {
    this.#deps.count("sync_records_asked");
    const to = Math.max(least, lastBucket(now));
    const exchange = newExchange(this.#deps.nextId(), routine);
    neighbour.exchange = exchange;
    neighbour.unfinishedSinceMono ??= now.mono;
    this.#deps.disk.digests(from, to, (digests) => {
      if (!this.#isCurrent(peer, neighbour, exchange)) return;
      if (digests instanceof CicadaError) return this.#giveUp(neighbour, digests);
      exchange.local = new Map(digests);
      this.#ask(peer, exchange, { kind: "buckets", id: exchange.id, from, to, digests, reply: false });
    });
  }

  /** The time limit for the answer begins now, however long this side's disk took before. */
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
    const buckets = differing(theirs, exchange.local, theirs.from).filter(
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
      exchange.owed = pageSize;
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
    // Spread out, so that neighbours that met at the same moment don't compare at the same moment for ever.
    neighbour.nextAtMono = now.mono + exchangeEveryMs * (0.75 + this.#deps.random() / 2);
    const { recentWanted } = neighbour;
    if (recentWanted === undefined) {
      this.#deps.onDone(peer);
      return;
    }
    neighbour.recentWanted = undefined;
    this.#compareRecent(peer, neighbour, recentWanted, now);
  }

  #isCurrent(peer: PeerId, neighbour: Neighbour, exchange: Exchange): boolean {
    return this.#neighbours.get(peer) === neighbour && neighbour.exchange === exchange;
  }

  /** This side's disk can't be read. The comparison is repeated later; until then the two don't count as in sync. */
  #giveUp(neighbour: Neighbour, error: CicadaError): void {
    neighbour.exchange = undefined;
    neighbour.nextAtMono = this.#deps.now().mono + exchangeEveryMs;
    neighbour.unreadable = true;
    noteUnreadable(this.#deps, error);
  }
}

function further(a: RecentReach, b: RecentReach = {}): { since: number; until: number } {
  return {
    since: Math.min(a.since ?? Infinity, b.since ?? Infinity),
    until: Math.max(a.until ?? -Infinity, b.until ?? -Infinity),
  };
}

function lastBucket(now: Now): number {
  return Math.floor(now.wall / bucketMs) + aheadBuckets;
}

function newExchange(id: number, routine: boolean): Exchange {
  return {
    id,
    routine,
    asked: undefined,
    local: new Map(),
    groups: undefined,
    after: undefined,
    upTo: undefined,
    owed: 0,
    pages: 0,
    page: 0,
  };
}

/** True while this is no more than this peer has asked for. */
function takesAsAnswer(
  exchange: Exchange | undefined,
  { id, page }: MessageOf<"records">,
  things: number,
): boolean {
  if (exchange?.id !== id || exchange.page !== page) return false;
  exchange.owed -= things;
  return exchange.owed >= 0;
}

/** Whether the serving side got further than before. A text that is no place doesn't count. */
function isFurther(reached: string | undefined, after: string | undefined): boolean {
  const place = reached === undefined ? undefined : readPlace(reached);
  const before = after === undefined ? undefined : readPlace(after);
  return place !== undefined && (before === undefined || comparePlaces(place, before) > 0);
}

/** The neighbour's buckets, oldest first, that may hold something that this side lacks. */
function differing(theirs: MessageOf<"buckets">, local: Digests, first: number): number[] {
  return theirs.digests
    .filter(([bucket, digest]) => bucket >= Math.max(first, theirs.from) && local.get(bucket) !== digest)
    .map(([bucket]) => bucket)
    .toSorted((a, b) => a - b);
}
