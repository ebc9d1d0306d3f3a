/**
 * The places of records and orders in the one order in which peers page through what lies in buckets: by bucket, in it
 * records before orders, and those by their keys. A page ends at a place, and the next one begins after it.
 */
import { instantOf } from "../../schema/ids.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";
import { bucketMs } from "./buckets.ts";

export type Place =
  | readonly [
      kind: "record",
      instant: number,
      tick: string,
      job: string,
      attempt: number,
      slot: string,
      peer: string,
    ]
  | readonly [kind: "order", instant: number, tick: string, job: string];

export function placeOf(thing: RunRecord | RequestedOrder): Place {
  const instant = instantOf(thing.tick);
  if (!("attempt" in thing)) return ["order", instant, thing.tick, thing.job];
  return ["record", instant, thing.tick, thing.job, thing.attempt, thing.slot, thing.peer];
}

/** Less than 0 when `a` comes first. */
export function comparePlaces(a: Place, b: Place): number {
  const byBucket = bucketAt(a) - bucketAt(b);
  if (byBucket !== 0) return byBucket;
  if (a[0] !== b[0]) return a[0] === "record" ? -1 : 1;
  for (let index = 1; index < a.length; index++) {
    const [one, other] = [a[index], b[index]];
    if (one === undefined || other === undefined || one === other) continue;
    return one < other ? -1 : 1;
  }
  return 0;
}

export function bucketAt([, instant]: Place): number {
  return Math.floor(instant / bucketMs);
}

export function writePlace(place: Place): string {
  return JSON.stringify(place);
}

/** Undefined when a stranger's text is no place. */
export function readPlace(text: string): Place | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isPlace(value) ? value : undefined;
}

const forms: Readonly<Record<Place[0], string>> = {
  record: "string number string string number string string",
  order: "string number string string",
};

function isPlace(value: unknown): value is Place {
  if (!Array.isArray(value)) return false;
  const [kind, instant] = value as unknown[];
  if ((kind !== "record" && kind !== "order") || !Number.isFinite(instant)) return false;
  return value.map((part) => typeof part).join(" ") === forms[kind];
}
