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
import { Type, type Static } from "typebox";
import { InstantSchema, JobIdSchema, PeerIdSchema } from "./ids.ts";
import { OtherRecordSchema } from "./other-record.ts";
import { RequestedOrderSchema, RunRecordSchema, WatermarkSchema } from "./run.ts";
import { BallotsMessage, ChosenMessage, RepliesMessage, RosterMessage } from "./vote.ts";

const Key = Type.String({ minLength: 1, maxLength: 512 });
const Place = Type.String({ minLength: 1, maxLength: 1_024 });
const Bytes = Type.String({ maxLength: 262_144, description: "base64" });

export const topics = ["jobs", "runs", "members"] as const;
export type Topic = (typeof topics)[number];
export const protocols = ["heartbeat", "ask", "vote", "sync", "log", "key"] as const;
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

/**
 * A peer's signed word about one life of its identity: the process that began it alone gives it (core/members/lives.ts).
 */
export const LifeSchema = Type.Object({
  incarnation: Type.Integer(),
  /** another life of the same identity, of which this one has been given the signed word */
  beside: Type.Optional(Type.Integer()),
  signature: Type.String({ maxLength: 128 }),
});
export type Life = Static<typeof LifeSchema>;

/** Protocol `heartbeat`, every second to everyone. */
export const HeartbeatMessage = Type.Object({
  kind: Type.Literal("heartbeat"),
  /** higher after every start of the same peer */
  incarnation: Type.Integer(),
  name: Type.String({ maxLength: 256 }),
  version: Type.String({ maxLength: 64 }),
  /** sender's wall clock at sending, ms */
  sentAt: InstantSchema,
  clock: Type.Object({
    /** how often the sender's wall clock has been set in this life, as its monotonic clock shows */
    count: Type.Integer({ minimum: 0 }),
    /** the sender's host says that it follows a time server */
    synchronised: Type.Boolean(),
    /** the sender's clock was set since it last agreed with the receiver's, or before this life; absent = it was not */
    jumped: Type.Optional(Type.Boolean()),
  }),
  /**
   * The last heartbeat heard from the receiver: its life, its clock's count, its `sentAt`, and the sender's wall clock
   * when the heartbeat arrived. Absent when the sender's clock has been set since.
   */
  echo: Type.Optional(
    Type.Object({
      incarnation: Type.Integer(),
      count: Type.Integer({ minimum: 0 }),
      sentAt: InstantSchema,
      heardAt: InstantSchema,
    }),
  ),
  load: Type.Integer({ minimum: 0 }),
  capacity: Type.Integer({ minimum: 0 }),
  role: Type.Union([Type.Literal("worker"), Type.Literal("witness")]),
  tags: Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 256 })),
  draining: Type.Boolean(),
  /** the sender has just started or woken up, and takes no ticks yet */
  warmingUp: Type.Boolean(),
  /** digest of the whole job table; equal tables, equal digests */
  table: Type.String({ maxLength: 64 }),
  /** count and digest of the order keys that the sender itself has claimed or is running */
  open: Type.Object({ count: Type.Integer({ minimum: 0 }), digest: Type.String({ maxLength: 32 }) }),
  tzdata: Type.String({ maxLength: 32 }),
  /** what the sender is capable of (schema/protocol.ts); unknown names are kept as they are */
  capabilities: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 128 })),
  /** number of the last epoch that the sender knows */
  epoch: Type.Optional(Type.Integer({ minimum: 0 })),
  /**
   * how many votes the sender has stored in all its lives, and the highest such count that it has heard from each voter
   */
  votes: Type.Optional(Type.Integer({ minimum: 0 })),
  seenVotes: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), Type.Integer({ minimum: 0 }))),
  /** the beginning of that epoch's hash: two rosters of equal length may differ if one of them was forced */
  roster: Type.Optional(Type.String({ maxLength: 32 })),
  /** the sender takes no ticks because a person asked for it, and not because it is being stopped */
  drained: Type.Optional(Type.Boolean()),
  /** the sender takes no ticks for a while, because its host could not start runs a moment ago */
  hostFault: Type.Optional(Type.Boolean()),
  /** the sender has received a proof that its cluster key was replaced */
  keySuperseded: Type.Optional(Type.Boolean()),
  /** the invitation by which the sender came in, if it was started with one */
  invitation: Type.Optional(Type.String({ pattern: "^[0-9a-z]{1,32}$" })),
  /** the sender hears two lives of the receiver at once */
  duplicateIdentity: Type.Optional(Type.Boolean()),
  /** the sender's word about its own life */
  life: Type.Optional(LifeSchema),
  /** while the sender hears several lives of the receiver: the word of each, which proves it */
  lives: Type.Optional(Type.Array(LifeSchema, { maxItems: 2 })),
  /** the peers that the sender has heard within the suspect time */
  hears: Type.Array(PeerIdSchema, { maxItems: 256 }),
  /** the peers that those peers hear and the sender doesn't; absent = none */
  hearsIndirectly: Type.Optional(Type.Array(PeerIdSchema, { maxItems: 256 })),
  addresses: Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 }),
});

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
  log: Type.Union([LogReadMessage, LogPieceMessage, LogCopyMessage, LogCopyNextMessage]),
  key: Type.Union([KeyMessage, KeyHeardMessage]),
} as const;

export type Heartbeat = Static<typeof HeartbeatMessage>;
export type Message =
  | Static<typeof UpdateMessage>
  | Static<typeof RunsMessage>
  | Static<typeof LeaveMessage>
  | Heartbeat
  | Static<typeof AskMessage>
  | Static<typeof AnswerMessage>
  | Static<typeof DrainMessage>
  | Static<typeof DrainedMessage>
  | Static<typeof CancelMessage>
  | Static<typeof CancelHeardMessage>
  | Static<typeof BallotsMessage>
  | Static<typeof RepliesMessage>
  | Static<typeof ChosenMessage>
  | Static<typeof RosterMessage>
  | Static<typeof TableHaveMessage>
  | Static<typeof TableHaveWantMessage>
  | Static<typeof TableDiffMessage>
  | Static<typeof TableWantMessage>
  | Static<typeof BucketsMessage>
  | Static<typeof WatermarksWantMessage>
  | Static<typeof WatermarksMessage>
  | Static<typeof WantMessage>
  | Static<typeof RecordsMessage>
  | Static<typeof HorizonsMessage>
  | Static<typeof HorizonsWantMessage>
  | Static<typeof LogReadMessage>
  | Static<typeof LogPieceMessage>
  | Static<typeof LogCopyMessage>
  | Static<typeof LogCopyNextMessage>
  | Static<typeof KeyMessage>
  | Static<typeof KeyHeardMessage>;
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
