/** Reads the records, orders and unknown records of buckets in the order of their places (core/records/place.ts), for sync. */
import type { SQLInputValue } from "node:sqlite";
import { CicadaError } from "../../errors.ts";
import { bucketMs } from "../../core/records/buckets.ts";
import { bucketAt, readPlace, thingKinds, writePlace, type Place } from "../../core/records/place.ts";
import type { ThingsQuery } from "../../ports/disk.ts";
import { textIn, type Row } from "./rows.ts";
import type { Statements } from "./statements.ts";

const keyOf: Readonly<Record<Place[0], string>> = {
  record: "instant, tick, job, attempt, slot, peer",
  order: "instant, tick, job",
  other: "instant, tick, job, kind, name, peer",
};
const tableOf: Readonly<Record<Place[0], string>> = {
  record: "record",
  order: "requested_order",
  other: "other_record",
};

export function readThings(
  statements: Statements,
  { buckets, after, upTo, limit }: ThingsQuery,
): {
  records: string[];
  orders: string[];
  others: string[];
  next: string | undefined;
} {
  const range = { after: placeIn(after), upTo: placeIn(upTo) };
  const [records, orders, others]: [string[], string[], string[]] = [[], [], []];
  const texts = { record: records, order: orders, other: others };
  let last: string | undefined;
  let room = limit;
  for (const bucket of buckets) {
    for (const kind of thingKinds) {
      const rows = thingsOf(statements, kind, bucket, range, room + 1);
      for (const row of rows.slice(0, room)) {
        texts[kind].push(textIn(row));
        last = writePlace(placeOfRow(kind, row));
      }
      if (rows.length > room) return { records, orders, others, next: last };
      room -= rows.length;
    }
  }
  return { records, orders, others, next: undefined };
}

function thingsOf(
  statements: Statements,
  kind: Place[0],
  bucket: number,
  { after, upTo }: { after: Place | undefined; upTo: Place | undefined },
  limit: number,
): Row[] {
  const terms = ["instant >= ?", "instant < ?"];
  const values: SQLInputValue[] = [bucket * bucketMs, (bucket + 1) * bucketMs];
  for (const [place, sign] of [
    [after, ">"],
    [upTo, "<="],
  ] as const) {
    if (place === undefined) continue;
    const side = sideOf(place, kind, bucket);
    if (side === "inside") {
      const [, ...key] = place;
      terms.push(`(${keyOf[kind]}) ${sign} (${key.map(() => "?").join(", ")})`);
      values.push(...key);
    } else if ((side === "before") === (sign === "<=")) {
      // The whole bucket is on the wrong side of the place.
      return [];
    }
  }
  return statements.all(
    `SELECT ${keyOf[kind]}, body, sum FROM ${tableOf[kind]} WHERE ${terms.join(" AND ")}
       ORDER BY ${keyOf[kind]} LIMIT ?`,
    ...values,
    limit,
  );
}

function placeIn(text: string | undefined): Place | undefined {
  if (text === undefined) return undefined;
  const place = readPlace(text);
  if (place === undefined) throw new CicadaError("UNPROCESSABLE", "the place is not one of a page");
  return place;
}

function placeOfRow(kind: Place[0], row: Row): Place {
  const [instant, tick, job] = [Number(row["instant"]), String(row["tick"]), String(row["job"])] as const;
  if (kind === "order") return [kind, instant, tick, job];
  const peer = String(row["peer"]);
  if (kind === "other") return [kind, instant, tick, job, String(row["kind"]), String(row["name"]), peer];
  return [kind, instant, tick, job, Number(row["attempt"]), String(row["slot"]), peer];
}

/** Whether the place is before, inside or behind the records, or orders, of a bucket. */
function sideOf(place: Place, kind: Place[0], bucket: number): "before" | "inside" | "behind" {
  const at = bucketAt(place);
  if (at !== bucket) return at < bucket ? "before" : "behind";
  if (place[0] === kind) return "inside";
  return thingKinds.indexOf(place[0]) < thingKinds.indexOf(kind) ? "before" : "behind";
}
