/**
 * What the messages of a neighbour cost beyond their bytes, in steps of about a microsecond (work-shares.ts). Prices follow
 * from what a message contains. The answers to questions of sync are priced where they are made, by what was read for them.
 */
import { never } from "../../errors.ts";
import type { Message } from "../../schema/message.ts";

/** A record or an order: its signature is verified, it is merged and stored, and what it changes is decided anew. */
export const stepsPerRecord = 80;
/** A record or an order that is read from the disk for an answer, and compared with what the asker has. */
export const stepsPerRow = 12;
/** The digest of a bucket, likewise. */
export const stepsPerDigest = 2;
const stepsPerOrder = 20;
const stepsPerVote = 50;
const stepsPerName = 2;
/**
 * An update is inspected, applied and stored by itself; what a neighbour has is compared with the table, and what it lacks
 * made.
 */
const stepsPerUpdate = 400;
const updateBytesPerStep = 15;
/** A person's request: what is under way of its job is looked through once. */
const stepsPerRequest = 1_000;
const unpackedBytesPerStep = 500;
/** No byte of a gzip file can stand for more than this (RFC 1951). */
const deflateRatioMax = 1_032;
/** A file is read or written, or something is stored by itself. */
const stepsPerAccess = 200;

/** An entry of the table that is read again because another one under its root was written, and a job because its group was. */
const stepsPerEntry = 4;
const stepsPerJob = 80;

/** What a change of the table costs beyond its own bytes: a root is read anew as a whole. */
export function stepsOfReread({ entries, jobs }: { entries: number; jobs: number }): number {
  return entries * stepsPerEntry + jobs * stepsPerJob;
}

export function stepsOfUpdate(bytes: number): number {
  return Math.ceil(bytes / updateBytesPerStep);
}

/** A copy of an output is unpacked once, to see that it is whole. It states its size at its end; no more than that is unpacked. */
export function stepsOfUnpacking(gzip: Uint8Array): number {
  const stated = gzip.length < 4 ? 0 : Buffer.from(gzip.subarray(-4)).readUInt32LE();
  return Math.ceil(Math.min(stated, gzip.length * deflateRatioMax) / unpackedBytesPerStep);
}

export function stepsOf(message: Message): number {
  switch (message.kind) {
    case "heartbeat":
      return (message.hears.length + (message.hearsIndirectly?.length ?? 0)) * stepsPerName;
    case "runs": {
      const { records, others = [], orders, declined, cancels } = message;
      const rest = orders.length + declined.length + cancels.length;
      return (records.length + others.length) * stepsPerRecord + rest * stepsPerOrder;
    }
    case "answer":
      return message.records.length * stepsPerRecord + message.settled.length * stepsPerName;
    case "ask":
      return message.orders.length * stepsPerOrder;
    case "skip":
      return stepsPerRequest + message.skips.length * stepsPerOrder;
    case "ballots":
      return message.ballots.length * stepsPerVote;
    case "replies":
      return message.replies.length * stepsPerVote;
    case "chosen":
      return message.chosen.length * stepsPerVote;
    case "roster":
      return message.epochs.length * stepsPerVote;
    case "update":
      return stepsPerUpdate + stepsOfUpdate((message.update.length * 3) / 4);
    case "watermarks":
      return message.watermarks.length * stepsPerOrder;
    case "horizons":
      return message.horizons.length * stepsPerOrder;
    case "audit-read":
      return stepsPerAccess + message.query.limit * stepsPerRow;
    case "blob-read":
    case "log-read":
    case "log-copy":
    case "log-copy-next":
    case "drain":
    case "cancel":
    case "key":
    case "key-heard":
    case "buckets":
    case "want":
      return stepsPerAccess;
    case "table-have":
      return stepsPerUpdate;
    case "leave":
    case "drained":
    case "cancel-heard":
    case "blob-piece":
    case "skip-heard":
    case "log-piece":
    case "audit-page":
    case "table-have-want":
    case "table-want":
    case "table-diff":
    case "records":
    case "watermarks-want":
    case "horizons-want":
      return 0;
    default:
      return never(message);
  }
}
