/**
 * Protocol `sync`: how two peers find out what each of them lacks (DESIGN §4, §8). First the job table, then the records,
 * with watermarks and prune horizons beside them. Each question brings one piece, so that neither floods the link.
 */
import { Type } from "typebox";
import { InstantSchema, JobIdSchema } from "./id-shapes.ts";
import { OtherRecordSchema } from "./other-record.ts";
import { RequestedOrderSchema, RunRecordSchema, WatermarkSchema } from "./run.ts";

const Place = Type.String({ minLength: 1, maxLength: 1_024 });
const Bytes = Type.String({ maxLength: 262_144, description: "base64" });

/** Protocol `sync`, table: what the sender has. The receiver answers with what the sender lacks, in pieces. */
export const TableHaveMessage = Type.Object({
  kind: Type.Literal("table-have"),
  id: Type.Integer(),
  digest: Type.String({ maxLength: 64 }),
  /** one piece of the state vector: how much of each client's edits the sender has */
  stateVector: Bytes,
  piece: Type.Integer({ minimum: 0 }),
  pieces: Type.Integer({ minimum: 1, maximum: 64 }),
  /** true in the answer to a table-have, so that two peers don't answer each other for ever */
  reply: Type.Boolean(),
});
export const TableDiffMessage = Type.Object({
  kind: Type.Literal("table-diff"),
  id: Type.Integer(),
  piece: Type.Integer({ minimum: 0 }),
  pieces: Type.Integer({ minimum: 1, maximum: 4_096 }),
  update: Bytes,
});
/** Asks for the next piece of a `table-have` with that `reply`. */
export const TableHaveWantMessage = Type.Object({
  kind: Type.Literal("table-have-want"),
  id: Type.Integer(),
  piece: Type.Integer({ minimum: 1 }),
  reply: Type.Boolean(),
});
/** Asks for the next piece of a diff. Each question brings one piece, so a large table never floods a link. */
export const TableWantMessage = Type.Object({
  kind: Type.Literal("table-want"),
  id: Type.Integer(),
  piece: Type.Integer({ minimum: 0 }),
});
/** Asks for the receiver's watermarks: the page after the `taken` that have arrived. */
export const WatermarksWantMessage = Type.Object({
  kind: Type.Literal("watermarks-want"),
  id: Type.Integer(),
  taken: Type.Integer({ minimum: 0 }),
});
export const WatermarksMessage = Type.Object({
  kind: Type.Literal("watermarks"),
  id: Type.Integer(),
  watermarks: Type.Array(WatermarkSchema, { maxItems: 1_024 }),
  last: Type.Boolean(),
});
/** Protocol `sync`, records: digests of 5-minute buckets; later the records that differ. */
export const BucketsMessage = Type.Object({
  kind: Type.Literal("buckets"),
  id: Type.Integer(),
  /** first bucket, and one past the last; a bucket is floor(tick's instant / 5 min) */
  from: Type.Integer(),
  to: Type.Integer(),
  /** `[bucket, digest]` of every bucket in the range that holds a record */
  digests: Type.Array(Type.Tuple([Type.Integer(), Type.String({ maxLength: 32 })]), { maxItems: 8_192 }),
  reply: Type.Boolean(),
});
export const WantMessage = Type.Object({
  kind: Type.Literal("want"),
  id: Type.Integer(),
  /** numbers the questions of one comparison, so that a late answer isn't taken for the answer to the next one */
  page: Type.Integer({ minimum: 0 }),
  buckets: Type.Array(Type.Integer(), { maxItems: 32 }),
  /** only what comes after the place `after`, up to the place `upTo` (core/records/place.ts) */
  after: Type.Optional(Place),
  upTo: Type.Optional(Place),
  /** digests (core/records/buckets.ts) of the records that the asker already has there */
  have: Type.Array(Type.String({ maxLength: 32 }), { maxItems: 1_024 }),
});
export const RecordsMessage = Type.Object({
  kind: Type.Literal("records"),
  id: Type.Integer(),
  records: Type.Array(RunRecordSchema, { maxItems: 1_024 }),
  orders: Type.Array(RequestedOrderSchema, { maxItems: 1_024 }),
  others: Type.Optional(Type.Array(OtherRecordSchema, { maxItems: 1_024 })),
  /** as in the `want` that this answers */
  page: Type.Integer({ minimum: 0 }),
  /** the place up to which the answerer has looked; absent = it has looked at everything that was asked for */
  reached: Type.Optional(Place),
  /** the last piece of the answer to one `want` */
  last: Type.Boolean(),
});
/** For each job, the instant (ms) before which the sender has pruned. */
export const HorizonsMessage = Type.Object({
  kind: Type.Literal("horizons"),
  horizons: Type.Array(Type.Object({ job: JobIdSchema, before: InstantSchema }), { maxItems: 1_024 }),
  /** there are more; the receiver may ask for them */
  more: Type.Boolean(),
});
export const HorizonsWantMessage = Type.Object({ kind: Type.Literal("horizons-want") });
