/**
 * The order in which peers page through buckets: by bucket, then by kind (`thingKinds`), then by key. A page ends at a place
 * in this order, and the next page begins after it.
 */
import { instantOf } from "../../schema/ids.ts";
import { bucketMs, type Thing } from "./buckets.ts";

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
  | readonly [kind: "order", instant: number, tick: string, job: string]
  | readonly [
      kind: "other",
      instant: number,
      tick: string,
      job: string,
      recordKind: string,
      name: string,
      peer: string,
    ];

/** The kinds of things in their order within a bucket. */
export const thingKinds = ["record", "order", "other"] as const satisfies readonly Place[0][];

export function placeOf(thing: Thing): Place {
  const instant = instantOf(thing.tick);
  const { tick, job } = thing;
  if ("attempt" in thing) return ["record", instant, tick, job, thing.attempt, thing.slot, thing.peer];
  if ("requestedAt" in thing) return ["order", instant, tick, job];
  return ["other", instant, tick, job, thing.kind, thing.name, thing.peer];
}

/** Less than 0 when `a` comes first. */
export function comparePlaces(a: Place, b: Place): number {
  const byBucket = bucketAt(a) - bucketAt(b);
  if (byBucket !== 0) return byBucket;
  if (a[0] !== b[0]) return thingKinds.indexOf(a[0]) - thingKinds.indexOf(b[0]);
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

/** Undefined when the text, which comes from another peer, is no place. */
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
  other: "string number string string string string string",
};

function isPlace(value: unknown): value is Place {
  if (!Array.isArray(value)) return false;
  const [kind, instant] = value as unknown[];
  const known = thingKinds.find((one) => one === kind);
  if (known === undefined || !Number.isFinite(instant)) return false;
  return value.map((part) => typeof part).join(" ") === forms[known];
}
