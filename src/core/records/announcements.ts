/**
 * Ticks that are over and that people may want to be notified of. Every peer keeps them until the peer whose turn it is has taken
 * them up (orders/announce.ts).
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { overdueMs } from "../limits.ts";
import { settles } from "./ledger.ts";
import { duplicatesIn } from "./records.ts";
import type { Announcement, AnnouncementsState } from "./announcements-state.ts";

/**
 * The most announcements that wait. In a larger burst of failures, people are notified of only a part. More costs memory on every
 * peer: about 200 bytes each.
 */
const waitingMax = 10_000;

/**
 * Queues the record's tick if it is over and people may want to be notified. Returns how many older announcements were
 * dropped for it.
 */
export function queueAnnouncement(
  waiting: AnnouncementsState,
  { before, record, others, self }: MovedRecord,
  nowMono: number,
): number {
  if (!isFinal(record.state) || !settles(record) || record.range !== undefined) return 0;
  const { job, tick } = record;
  const isLate = record.startedAt !== undefined && record.startedAt - record.due > overdueMs;
  // A run of which this peer knew nothing may be the second one of its tick: it comes after a split.
  const isSurprise = before === undefined && record.peer !== self && record.startedAt !== undefined;
  const isTwice = duplicatesIn([...others]).length > 0;
  const isQuiet =
    record.state === "succeeded" && waiting.healthy.has(job) && !isLate && !isSurprise && !isTwice;
  if (record.state === "succeeded") waiting.healthy.add(job);
  else waiting.healthy.delete(job);
  if (isQuiet) return 0;
  const key = `${job}@${tick}`;
  waiting.deferred.delete(key);
  waiting.queued.set(key, { job, tick, sinceMono: nowMono, isOwn: (record.by ?? record.peer) === self });
  let dropped = 0;
  for (const one of waiting.deferred.keys()) {
    if (waiting.queued.size + waiting.deferred.size <= waitingMax) break;
    waiting.deferred.delete(one);
    dropped += 1;
  }
  for (const one of waiting.queued.keys()) {
    if (waiting.queued.size <= waitingMax) break;
    waiting.queued.delete(one);
    dropped += 1;
  }
  return dropped;
}

export interface MovedRecord {
  before: RunRecord | undefined;
  record: RunRecord;
  /** the records of its order that are in memory, itself included */
  others: Iterable<RunRecord>;
  self: PeerId;
}

/** Queues the deferred announcements again: the members have changed, so this peer may be the one to make them now. */
export function reviewDeferred(waiting: AnnouncementsState): void {
  if (waiting.deferred.size === 0) return;
  waiting.queued = new Map([...waiting.deferred, ...waiting.queued]);
  waiting.deferred = new Map();
}

/** Forgets what is known of a job that is gone, or of which nobody wants to be notified any more. */
export function dropJob(waiting: AnnouncementsState, job: JobId): void {
  waiting.healthy.delete(job);
}

/** Drops the deferred announcements from before that time: the peer whose turn it was has made them. */
export function dropOldAnnouncements(waiting: AnnouncementsState, beforeMono: number): void {
  for (const [key, { sinceMono }] of waiting.deferred) {
    if (sinceMono >= beforeMono) break;
    waiting.deferred.delete(key);
  }
}

/** Takes at most `limit` queued announcements that `isReady` admits. */
export function takeQueued(
  waiting: AnnouncementsState,
  limit: number,
  isReady: (announcement: Announcement) => boolean,
): Announcement[] {
  const taken: Announcement[] = [];
  let looked = 0;
  for (const [key, announcement] of waiting.queued) {
    if (looked++ >= limit) break;
    if (!isReady(announcement)) continue;
    waiting.queued.delete(key);
    taken.push(announcement);
  }
  return taken;
}

/** Leaves the announcement to another peer. If the members change, this peer looks at it again. */
export function deferAnnouncement(waiting: AnnouncementsState, announcement: Announcement): void {
  waiting.deferred.set(`${announcement.job}@${announcement.tick}`, announcement);
}
