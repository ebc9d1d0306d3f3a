/**
 * The heartbeat: what a peer says about itself to every other one, each second (DESIGN §3). An older version's heartbeat
 * lacks the optional fields.
 */
import { Type, type Static } from "typebox";
import { InstantSchema, PeerIdSchema } from "./id-shapes.ts";
import { ownSecretsMax } from "./secret.ts";

/**
 * A peer's signed statement about one life of its identity: the process that began it alone gives it (core/members/lives.ts).
 */
export const LifeSchema = Type.Object({
  incarnation: Type.Integer(),
  /** another life of the same identity, of which this one has been given the signed statement */
  beside: Type.Optional(Type.Integer()),
  signature: Type.String({ maxLength: 128 }),
});
export type Life = Static<typeof LifeSchema>;

/** A voter's signed statement about how many votes it has stored in all its lives (core/voting/memory.ts). */
export const SignedVoteCountSchema = Type.Object({
  votes: Type.Integer({ minimum: 0 }),
  signature: Type.String({ maxLength: 128 }),
});
export type SignedVoteCount = Static<typeof SignedVoteCountSchema>;

/**
 * The most that a heartbeat may say, because each peer keeps the last one of every member (core/members/members.ts has the most
 * members). `bytes`: a longer one is refused; the longest honest one, of a peer that hears 512 others, has 60 KiB. `plainBytes`:
 * a longer one is kept without its unknown fields, which may unfold to ten times their bytes in memory. A receiver keeps only so
 * many tags and voters, and a peer that has more doesn't start.
 */
export const heartbeatLimits = {
  bytes: 65_536,
  plainBytes: 8_192,
  tags: 64,
  tagLetters: 8_192,
  voters: 64,
} as const;

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
  /** what the sender's host lacks, or doesn't allow, to run jobs that need it (core/members/equipment.ts); absent = nothing */
  lacks: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 128 })),
  /** the secrets of which the sender has a value of its own, with their versions (schema/secret.ts); absent = none */
  secrets: Type.Optional(
    Type.Record(Type.String({ maxLength: 64 }), InstantSchema, { maxProperties: ownSecretsMax }),
  ),
  /** number of the last epoch that the sender knows */
  epoch: Type.Optional(Type.Integer({ minimum: 0 })),
  /**
   * how many votes the sender has stored in all its lives, and the highest such count that it has heard from each voter
   */
  votes: Type.Optional(Type.Integer({ minimum: 0 })),
  seenVotes: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), Type.Integer({ minimum: 0 }))),
  /** the sender's statement about `votes`, and the highest one of the receiver's that the sender has */
  voteWord: Type.Optional(SignedVoteCountSchema),
  heardVoteWord: Type.Optional(SignedVoteCountSchema),
  /** the sender doesn't vote, because its disk lacks votes that it has given */
  votesLost: Type.Optional(Type.Boolean()),
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
  /** the sender's statement about its own life */
  life: Type.Optional(LifeSchema),
  /** while the sender hears several lives of the receiver: the statement of each, which proves it */
  lives: Type.Optional(Type.Array(LifeSchema, { maxItems: 2 })),
  /** the peers that the sender has heard within the suspect time */
  hears: Type.Array(PeerIdSchema, { maxItems: 256 }),
  /** the peers that those peers hear and the sender doesn't; absent = none */
  hearsIndirectly: Type.Optional(Type.Array(PeerIdSchema, { maxItems: 256 })),
  addresses: Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 }),
});
export type Heartbeat = Static<typeof HeartbeatMessage>;
