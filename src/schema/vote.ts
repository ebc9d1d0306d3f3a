/**
 * The messages between voters, about orders of `majority` jobs and about the roster (DESIGN §6).
 *
 * A decision is named by its order's key, or by `roster/NUMBER` for an epoch. Its value is a text: the order's runner,
 * or the epoch's voters and instant as JSON.
 */
import { Type, type Static } from "typebox";
import { checkOf } from "./check.ts";
import { isPeerId, type PeerId } from "./ids.ts";
import { InstantSchema, PeerIdSchema } from "./id-shapes.ts";
import type { Span } from "./run.ts";

const Decision = Type.String({ minLength: 1, maxLength: 512 });
const Value = Type.String({ maxLength: 4_096 });

export const BallotSchema = Type.Object({
  round: Type.Integer({ minimum: 0, maximum: 2 ** 52 }),
  peer: PeerIdSchema,
  incarnation: Type.Integer(),
});
export const AcceptedSchema = Type.Object({ ballot: BallotSchema, value: Value });
export const VoteSchema = Type.Object({ promised: BallotSchema, accepted: Type.Optional(AcceptedSchema) });

/**
 * Spans of ticks in one epoch, and of those that a voter has voted on or has forgotten its votes on. With fewer, ticks between
 * two of them are barred that nobody has voted on, if clocks were wrong that often; more makes a longer list to store.
 */
export const spansMost = 32;
const SpanSchema = Type.Object({ from: InstantSchema, to: InstantSchema });
const spansCheck = checkOf(Type.Array(SpanSchema, { maxItems: spansMost }));

/** True of spans that an epoch may name. */
export function areSpans(value: unknown): value is Span[] {
  return spansCheck.accepts(value) && value.every(({ from, to }) => from <= to);
}

export const EpochSchema = Type.Object({
  number: Type.Integer({ minimum: 0 }),
  voters: Type.Array(PeerIdSchema, { minItems: 1, maxItems: 9 }),
  /** orders whose tick is at or after this instant (ms) belong to it */
  from: InstantSchema,
  /**
   * Ticks in these spans stay with the epoch before: its voters voted on them by clocks that were ahead, and only they know what
   * they have chosen.
   */
  except: Type.Optional(Type.Array(SpanSchema, { maxItems: spansMost })),
  /** hash of the previous epoch; empty for the first */
  previous: Type.String({ maxLength: 64 }),
  /** by voter of the previous epoch, base64url */
  signatures: Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 128 })),
  /** An epoch that a person forced without a majority: the member that was asked, and its signature. Unsafe. */
  forced: Type.Optional(Type.Object({ by: PeerIdSchema, signature: Type.String({ maxLength: 128 }) })),
});
export type Epoch = Static<typeof EpochSchema>;

/** One vote as the disk keeps it. */
export const StoredVoteSchema = Type.Object({
  decision: Decision,
  /** the order's tick, ms; 0 for an epoch */
  instant: InstantSchema,
  vote: VoteSchema,
});
export type StoredVote = Static<typeof StoredVoteSchema>;

/**
 * A proposer's ballots. A ballot without a value asks the voters for a promise; one with a value asks them to accept
 * it.
 */
export const BallotsMessage = Type.Object({
  kind: Type.Literal("ballots"),
  ballots: Type.Array(
    Type.Object({
      decision: Decision,
      /** the epoch whose voters decide */
      epoch: Type.Integer({ minimum: 0 }),
      instant: InstantSchema,
      ballot: BallotSchema,
      value: Type.Optional(Value),
    }),
    { minItems: 1, maxItems: 512 },
  ),
});
export type BallotItem = Static<typeof BallotsMessage>["ballots"][number];

/** A voter's answers. `barred`: it may not vote on this decision, and `why` says why not. */
export const RepliesMessage = Type.Object({
  kind: Type.Literal("replies"),
  replies: Type.Array(
    Type.Object({
      decision: Decision,
      answer: Type.Enum(["promised", "accepted", "refused", "barred"]),
      ballot: BallotSchema,
      accepted: Type.Optional(AcceptedSchema),
      promised: Type.Optional(BallotSchema),
      why: Type.Optional(Type.String({ maxLength: 64 })),
      /** over the accepted epoch, base64url */
      signature: Type.Optional(Type.String({ maxLength: 128 })),
    }),
    { minItems: 1, maxItems: 512 },
  ),
});
export type ReplyItem = Static<typeof RepliesMessage>["replies"][number];

/** Tells the chosen runner, and others that need to know, what has been chosen. */
export const ChosenMessage = Type.Object({
  kind: Type.Literal("chosen"),
  chosen: Type.Array(Type.Object({ decision: Decision, epoch: Type.Integer({ minimum: 0 }), value: Value }), {
    minItems: 1,
    maxItems: 512,
  }),
});

/** The roster, for a peer whose heartbeat names an older epoch. */
export const RosterMessage = Type.Object({
  kind: Type.Literal("roster"),
  epochs: Type.Array(EpochSchema, { minItems: 1, maxItems: 512 }),
});

/**
 * What the voters choose for an order: one life of a peer, not just the peer. A restarted peer may have lost what it
 * did with the choice, because its disk was set back to an old copy. A copy of its folder has the same id. Neither may
 * take itself for the chosen one. If the chosen life ends, the choice is lost, as its run would be.
 */
export interface Runner {
  readonly peer: PeerId;
  readonly incarnation: number;
}

/** `INCARNATION/PEER`, as a ballot's value. */
export function writeRunner({ peer, incarnation }: Runner): string {
  return `${incarnation}/${peer}`;
}

/** Undefined for a text that names no runner. */
export function readRunner(value: string): Runner | undefined {
  const slash = value.indexOf("/");
  const incarnation = /^\d{1,16}$/.test(value.slice(0, slash)) ? Number(value.slice(0, slash)) : undefined;
  const peer = value.slice(slash + 1);
  return incarnation !== undefined && Number.isSafeInteger(incarnation) && isPeerId(peer)
    ? { peer, incarnation }
    : undefined;
}
