/**
 * The messages between peers (DESIGN §3). Each travels in an envelope `{cluster, version, sender, seq, body}` of at
 * most 256 KiB and is checked against these schemas at the edge.
 *
 * The schemas are open: a field that this version doesn't know is let through. In signed and replicated values it is
 * kept and forwarded unchanged. The size of the envelope and `depthCap` (wire/codec.ts) bound what such a field can
 * cost.
 *
 * A topic is gossiped to all peers. A protocol goes from one peer to another, in order, and is lost with the link. No
 * request must be answered: each asker also has a time limit after which it continues.
 */
import { AuditQuerySchema, AuditRowSchema } from "./audit.ts";
import { Type, type Static } from "typebox";
import { InstantSchema, JobIdSchema, PeerIdSchema } from "./id-shapes.ts";
import { skipNoteMax, skipsMax } from "./job.ts";
import { HeartbeatMessage } from "./heartbeat.ts";
import { OtherRecordSchema } from "./other-record.ts";
import { RequestedOrderSchema, RunRecordSchema } from "./run.ts";
import {
  BucketsMessage,
  HorizonsMessage,
  HorizonsWantMessage,
  RecordsMessage,
  TableDiffMessage,
  TableHaveMessage,
  TableHaveWantMessage,
  TableWantMessage,
  WantMessage,
  WatermarksMessage,
  WatermarksWantMessage,
} from "./sync.ts";
import { scriptCapBytes, sha256Pattern } from "./script.ts";
import { BallotsMessage, ChosenMessage, RepliesMessage, RosterMessage } from "./vote.ts";

const Key = Type.String({ minLength: 1, maxLength: 512 });
const Bytes = Type.String({ maxLength: 262_144, description: "base64" });

export const topics = ["jobs", "runs", "members"] as const;
export type Topic = (typeof topics)[number];
export const protocols = ["heartbeat", "ask", "vote", "sync", "log", "blob", "key"] as const;
export type Protocol = (typeof protocols)[number];
export type Channel = Topic | Protocol;

/** Topic `jobs`: one Yjs update (V1). */
export const UpdateMessage = Type.Object({ kind: Type.Literal("update"), update: Bytes });

/** Topic `runs`: what the sender has decided since its last batch. */
export const RunsMessage = Type.Object({
  kind: Type.Literal("runs"),
  records: Type.Array(RunRecordSchema, { maxItems: 1_024 }),
  /** records of kinds that a later version has; absent = none */
  others: Type.Optional(Type.Array(OtherRecordSchema, { maxItems: 1_024 })),
  /** orders that the sender will not run because it is at capacity */
  declined: Type.Array(Key, { maxItems: 4_096 }),
  orders: Type.Array(RequestedOrderSchema, { maxItems: 1_024 }),
  /** runs (or `JOB@TICK`) to stop, on whichever peer they are */
  cancels: Type.Array(
    Type.Object({ run: Key, by: Type.String({ maxLength: 256 }), reason: Type.String({ maxLength: 256 }) }),
    { maxItems: 1_024 },
  ),
});

/** Topic `members`: this life of the sender ends in an orderly way. */
export const LeaveMessage = Type.Object({ kind: Type.Literal("leave"), incarnation: Type.Integer() });

/** Protocol `ask`: sent before a start that was not claimed in time (DESIGN §5.5). */
export const AskMessage = Type.Object({
  kind: Type.Literal("ask"),
  id: Type.Integer(),
  orders: Type.Array(
    Type.Object({ key: Key, job: JobIdSchema, rank: Type.Integer({ minimum: 0 }), due: InstantSchema }),
    { minItems: 1, maxItems: 1_024 },
  ),
});
/**
 * The answer: the records that are known. `goesFirst` lists orders that the answerer asks about, too, and may start first.
 */
export const AnswerMessage = Type.Object({
  kind: Type.Literal("answer"),
  id: Type.Integer(),
  records: Type.Array(RunRecordSchema, { maxItems: 4_096 }),
  goesFirst: Type.Array(Key, { maxItems: 1_024 }),
  /** orders that the answerer knows are over, although it no longer has their records in memory */
  settled: Type.Array(Key, { maxItems: 1_024 }),
});

/** Protocol `ask`: a person wants the receiver to take no ticks (`on`), or to take them again. */
export const DrainMessage = Type.Object({
  kind: Type.Literal("drain"),
  id: Type.Integer(),
  on: Type.Boolean(),
  by: Type.String({ maxLength: 256 }),
});
/** The answer: whether the receiver has done so and stored it. */
export const DrainedMessage = Type.Object({
  kind: Type.Literal("drained"),
  id: Type.Integer(),
  stored: Type.Boolean(),
});

/** Protocol `ask`: a person wants to end a run of the receiver. */
export const CancelMessage = Type.Object({
  kind: Type.Literal("cancel"),
  id: Type.Integer(),
  run: Key,
  by: Type.String({ maxLength: 256 }),
  reason: Type.String({ maxLength: 256 }),
});
/** The answer: the run is being ended, or there was nothing left to end. */
export const CancelHeardMessage = Type.Object({ kind: Type.Literal("cancel-heard"), id: Type.Integer() });

/** Protocol `ask`: a person wants ticks to be skipped that the receiver has claimed. */
export const SkipMessage = Type.Object({
  kind: Type.Literal("skip"),
  id: Type.Integer(),
  job: JobIdSchema,
  skips: Type.Array(
    Type.Object({
      tick: InstantSchema,
      by: Type.String({ maxLength: 256 }),
      at: InstantSchema,
      note: Type.Optional(Type.String({ maxLength: skipNoteMax })),
    }),
    { maxItems: skipsMax },
  ),
});
/** The answer: the receiver starts none of them, except those that had begun. */
export const SkipHeardMessage = Type.Object({
  kind: Type.Literal("skip-heard"),
  id: Type.Integer(),
  begun: Type.Array(InstantSchema, { maxItems: skipsMax }),
});

/** Protocol `log`: each question brings one piece, so a fast sender can't flood a slow receiver. */
export const LogReadMessage = Type.Object({
  kind: Type.Literal("log-read"),
  id: Type.Integer(),
  run: Key,
  offset: Type.Integer({ minimum: 0 }),
  length: Type.Integer({ minimum: 0, maximum: 131_072 }),
});
export const LogPieceMessage = Type.Object({
  kind: Type.Literal("log-piece"),
  id: Type.Integer(),
  found: Type.Boolean(),
  offset: Type.Integer({ minimum: 0 }),
  bytes: Bytes,
  size: Type.Integer({ minimum: 0 }),
  /** no more will be written */
  complete: Type.Boolean(),
});
/** Protocol `log`: asks for the newest entries of the receiver's audit that fit; one request, one page. */
export const AuditReadMessage = Type.Object({
  kind: Type.Literal("audit-read"),
  id: Type.Integer(),
  query: AuditQuerySchema,
});
/** The answer; `found` is false if they can't be read. */
export const AuditPageMessage = Type.Object({
  kind: Type.Literal("audit-page"),
  id: Type.Integer(),
  found: Type.Boolean(),
  rows: Type.Array(AuditRowSchema, { maxItems: 1_000 }),
  more: Type.Boolean(),
});
/** The runner sends the finished output, gzipped, to a peer that is to keep a copy. */
export const LogCopyMessage = Type.Object({
  kind: Type.Literal("log-copy"),
  run: Key,
  piece: Type.Integer({ minimum: 0 }),
  pieces: Type.Integer({ minimum: 1, maximum: 4_096 }),
  bytes: Bytes,
});
/** The keeper has every piece before this one. When this is the number of pieces, it has them all. */
export const LogCopyNextMessage = Type.Object({
  kind: Type.Literal("log-copy-next"),
  run: Key,
  piece: Type.Integer({ minimum: 1, maximum: 4_096 }),
});

const Sha256 = Type.String({ pattern: sha256Pattern });
/** Protocol `blob`: asks for a script's bytes from `offset` on; one request, one piece. */
export const BlobReadMessage = Type.Object({
  kind: Type.Literal("blob-read"),
  id: Type.Integer(),
  sha256: Sha256,
  offset: Type.Integer({ minimum: 0, maximum: scriptCapBytes }),
});
/** The answer; without bytes if the sender doesn't have the script. */
export const BlobPieceMessage = Type.Object({
  kind: Type.Literal("blob-piece"),
  id: Type.Integer(),
  sha256: Sha256,
  offset: Type.Integer({ minimum: 0, maximum: scriptCapBytes }),
  size: Type.Integer({ minimum: 0, maximum: scriptCapBytes }),
  bytes: Bytes,
});

/**
 * For how long after a rotation the key before it may be accepted. Unit: ms. People can't ask for more, and what a member says
 * counts for no longer: a lying one would keep the replaced key good for ever.
 */
export const graceMaxMs = 30 * 86_400_000;

/** Protocol `key`: a new cluster key, sent over encrypted links to peers whose identity is proven. */
export const KeyMessage = Type.Object({
  kind: Type.Literal("key"),
  /** base64url */
  key: Type.String({ pattern: "^[\\w-]{43}$" }),
  madeAt: InstantSchema,
  oldUntil: InstantSchema,
  heirs: Type.Array(PeerIdSchema, { maxItems: 1_024 }),
  proofs: Type.Record(Type.String({ pattern: "^[0-9a-f]{16}$" }), Type.String({ maxLength: 64 })),
});
/** Whether the receiver has stored, on its disk, the key that was made at `madeAt`. */
export const KeyHeardMessage = Type.Object({
  kind: Type.Literal("key-heard"),
  madeAt: InstantSchema,
  stored: Type.Boolean(),
});

export const bodiesOf = {
  jobs: Type.Union([UpdateMessage]),
  runs: Type.Union([RunsMessage]),
  members: Type.Union([LeaveMessage]),
  heartbeat: Type.Union([HeartbeatMessage]),
  ask: Type.Union([
    AskMessage,
    AnswerMessage,
    DrainMessage,
    DrainedMessage,
    CancelMessage,
    CancelHeardMessage,
    SkipMessage,
    SkipHeardMessage,
  ]),
  vote: Type.Union([BallotsMessage, RepliesMessage, ChosenMessage, RosterMessage]),
  sync: Type.Union([
    TableHaveMessage,
    TableHaveWantMessage,
    TableDiffMessage,
    TableWantMessage,
    BucketsMessage,
    WantMessage,
    RecordsMessage,
    WatermarksWantMessage,
    WatermarksMessage,
    HorizonsMessage,
    HorizonsWantMessage,
  ]),
  log: Type.Union([
    LogReadMessage,
    LogPieceMessage,
    LogCopyMessage,
    LogCopyNextMessage,
    AuditReadMessage,
    AuditPageMessage,
  ]),
  blob: Type.Union([BlobReadMessage, BlobPieceMessage]),
  key: Type.Union([KeyMessage, KeyHeardMessage]),
} as const;

export type Message = Static<(typeof bodiesOf)[Channel]>;
export type MessageOf<Kind extends Message["kind"]> = Extract<Message, { kind: Kind }>;

/** Largest envelope, in bytes. More lets one message delay the others; less splits syncs into more pieces. */
export const messageCapBytes = 262_144;

/** Largest JSON of a list in one message: half of the cap, so that the rest of the message always fits. */
const partBytes = messageCapBytes / 2;

/**
 * The items in their order, cut into lists that each fit into one message; receivers refuse a larger one. An item that
 * is itself too large gets a list of its own.
 */
export function inParts<Item>(items: readonly Item[]): Item[][] {
  const parts: Item[][] = [];
  let part: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (bytes + size > partBytes && part.length > 0) {
      parts.push(part);
      [part, bytes] = [[], 0];
    }
    part.push(item);
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
