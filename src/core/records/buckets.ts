/**
 * Digests by which two peers find out which run records they don't share (DESIGN §8).
 *
 * Records are in buckets of 5 minutes, by the instant of their tick. A bucket's digest is the exclusive-or of the digests of
 * what it holds, so it can be updated one record at a time and in any order.
 */
import { hash } from "node:crypto";
import { instantOf } from "../../schema/ids.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";
import { otherRecordKey, recordKey } from "./records.ts";

/** What lies in a bucket. */
export type Thing = RunRecord | RequestedOrder | OtherRecord;

export const bucketMs = 300_000;
/** The digest of an empty bucket. */
export const emptyDigest = "0000000000000000";

export function bucketOf(thing: Thing): number {
  return Math.floor(instantOf(thing.tick) / bucketMs);
}

/** Digests that were computed before. A record object never changes; a newer version of the record is another object. */
const known = new WeakMap<Thing, string>();

/** 16 hex digits. The signature stands for the content, because two versions of one record have different signatures. */
export function digestOf(thing: Thing): string {
  const before = known.get(thing);
  if (before !== undefined) return before;
  const text = textFor(thing);
  const digest = hash("sha256", text).slice(0, 16);
  known.set(thing, digest);
  return digest;
}

function textFor(thing: Thing): string {
  if ("attempt" in thing) return `r${recordKey(thing)}${thing.signature}`;
  if ("requestedAt" in thing) return `o${thing.job}@${thing.tick}`;
  return `k${otherRecordKey(thing)}${thing.signature}`;
}

/** Adds a digest to a bucket's digest or takes it out again, which is the same operation. Both have 16 hex digits. */
export function combine(a: string, b: string): string {
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(16).padStart(16, "0");
}
