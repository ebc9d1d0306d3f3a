/**
 * Final words of ticks that somebody may want to be told about: kept by every peer until the one whose turn it is has taken
 * them up (orders/announce.ts).
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import { isFinal, type RunRecord } from "../../schema/run.ts";
import { overdueMs } from "../limits.ts";
import { settles } from "./ledger.ts";
import { duplicatesIn } from "./records.ts";
import type { Word, WordsState } from "./words-state.ts";

/**
 * The most words that wait. A burst of failures beyond it is told in part. More costs memory on every peer: about 200 bytes each.
 */
const wordsMax = 10_000;

/** Takes the record's word in, if its tick is over and there may be news in it. Returns how many older words had to go. */
export function noteWord(
  words: WordsState,
  { before, record, others, self }: WordFacts,
  nowMono: number,
): number {
  if (!isFinal(record.state) || !settles(record) || record.range !== undefined) return 0;
  const { job, tick } = record;
  const isLate = record.startedAt !== undefined && record.startedAt - record.due > overdueMs;
  // A run of which this peer knew nothing may be the second one of its tick: it comes after a split.
  const isSurprise = before === undefined && record.peer !== self && record.startedAt !== undefined;
  const isTwice = duplicatesIn([...others]).length > 0;
  const isQuiet =
    record.state === "succeeded" && words.healthy.has(job) && !isLate && !isSurprise && !isTwice;
  if (record.state === "succeeded") words.healthy.add(job);
  else words.healthy.delete(job);
  if (isQuiet) return 0;
  const key = `${job}@${tick}`;
  words.left.delete(key);
  words.fresh.set(key, { job, tick, sinceMono: nowMono, isOwn: (record.by ?? record.peer) === self });
  let dropped = 0;
  for (const one of words.left.keys()) {
    if (words.fresh.size + words.left.size <= wordsMax) break;
    words.left.delete(one);
    dropped += 1;
  }
  for (const one of words.fresh.keys()) {
    if (words.fresh.size <= wordsMax) break;
    words.fresh.delete(one);
    dropped += 1;
  }
  return dropped;
}

export interface WordFacts {
  before: RunRecord | undefined;
  record: RunRecord;
  /** the records of its order that are in memory, itself included */
  others: Iterable<RunRecord>;
  self: PeerId;
}

/** The members have changed, so another peer's turn may be this one's now. */
export function reviewWords(words: WordsState): void {
  if (words.left.size === 0) return;
  words.fresh = new Map([...words.left, ...words.fresh]);
  words.left = new Map();
}

/** The job is gone, or nobody wants to be told about it any more. */
export function dropJob(words: WordsState, job: JobId): void {
  words.healthy.delete(job);
}

/** The words that have waited for longer are over: whoever had to tell them has done so. */
export function dropOldWords(words: WordsState, beforeMono: number): void {
  for (const [key, { sinceMono }] of words.left) {
    if (sinceMono >= beforeMono) break;
    words.left.delete(key);
  }
}

/** Takes at most so many words of which `isReady` says that they can be looked at now. */
export function takeWords(words: WordsState, limit: number, isReady: (word: Word) => boolean): Word[] {
  const taken: Word[] = [];
  let looked = 0;
  for (const [key, word] of words.fresh) {
    if (looked++ >= limit) break;
    if (!isReady(word)) continue;
    words.fresh.delete(key);
    taken.push(word);
  }
  return taken;
}

/** It is another peer's turn; should that one die, this one looks again. */
export function leaveWord(words: WordsState, word: Word): void {
  words.left.set(`${word.job}@${word.tick}`, word);
}
