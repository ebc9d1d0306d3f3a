/**
 * What an order and a run record are (DESIGN §5, §8).
 *
 * A record is what one peer states about one order: its claim, its run, or its decision not to run it. It has one
 * writer, `peer`. Another peer (`by`) may only write that the run is `lost`, or that a dead peer's claim is
 * `withdrawn`. A record's state moves up and never down (core/records/records.ts). Fields of a newer version are
 * stored, signed and forwarded with the rest.
 *
 * A signature covers the names of a record's fields, so renaming a field would invalidate every stored record. Two
 * fields therefore have shorter names than elsewhere: `view` (living members) and `passed` (skipped peers).
 */
import { Type, type Static } from "typebox";
import { peerSlotLetters } from "./ids.ts";
import { InstantSchema, JobIdSchema, PeerIdSchema, TickIdSchema } from "./id-shapes.ts";
import { countMax, retryAttemptsMax, skipNoteMax } from "./job.ts";
import { runStates } from "./run-states.ts";

export const triggers = ["schedule", "manual", "catch-up", "retry", "chain", "backfill"] as const;
export const TriggerSchema = Type.Enum(triggers);
export type Trigger = Static<typeof TriggerSchema>;

export const RunStateSchema = Type.Enum(runStates);

export const skipReasons = [
  "dead",
  "left",
  "suspect",
  "silent",
  "declined",
  "draining",
  "warming-up",
  // The word for "warming-up" in records from before protocol 2.
  "settling",
  "not-targeted",
  "clock",
  "host",
  "duplicate",
] as const;
/** A peer that comes before the writer in rank and was passed over, and why. */
export const SkippedPeerSchema = Type.Object({ peer: PeerIdSchema, why: Type.Enum(skipReasons) });
export type SkippedPeer = Static<typeof SkippedPeerSchema>;
export type SkipReason = Exclude<SkippedPeer["why"], "settling">;

/** How often a decision may be withdrawn because a clock was ahead. After that it is final. */
export const roundsMax = 8;

/**
 * How often chosen runners may give one order back unstarted. After that nobody runs it. A higher limit costs a vote of
 * all voters for each further round; a lower one loses ticks while several hosts are at fault in turn.
 */
export const giveBacksMax = 8;

const ParamValueSchema = Type.Union([Type.String({ maxLength: 4_096 }), Type.Number(), Type.Boolean()]);
export type ParamValue = Static<typeof ParamValueSchema>;
/** The values of a run's parameters, by name. */
export const ParamValuesSchema = Type.Record(Type.String({ maxLength: 64 }), ParamValueSchema, {
  maxProperties: 64,
});
export type ParamValues = Readonly<Record<string, ParamValue>>;

/**
 * How large the values of one run may be together. Unit: bytes of JSON. They are part of the run's record, which is
 * gossiped three times and kept with the history. Larger inputs belong in a file or in the run's environment.
 */
export const paramValuesMaxBytes = 4_096;

/**
 * How large the outputs of one run may be: the file that it writes, and what is kept of it as JSON in its record. Unit: bytes. They
 * are signed, gossiped once and kept with the history, so a larger limit would fill memory and links; larger results belong in a
 * file or a store of the job's own.
 */
export const outputsMaxBytes = 65_536;

export const RunRecordSchema = Type.Object({
  job: JobIdSchema,
  tick: TickIdSchema,
  attempt: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  /** `"0"`, `"1"`… for `count: N`; for `count: all` the peer that runs it, by the last 8 characters of its id */
  slot: Type.String({ minLength: 1, maxLength: 128 }),
  /** how many slots the tick has, if it has more than one; all of its records say the same */
  of: Type.Optional(Type.Integer({ minimum: 2, maximum: countMax })),
  /** of a tick of `count: all`: the slots that it has, as far as the writer knows. The first records of a tick fix them. */
  set: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: peerSlotLetters }), {
      minItems: 1,
      maxItems: countMax,
    }),
  ),
  peer: PeerIdSchema,
  state: RunStateSchema,
  /** counts the writes of this writer, from 1 */
  version: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  revision: Type.String({ maxLength: 64 }),
  trigger: TriggerSchema,
  /** the writer's rank in its own view of the members */
  rank: Type.Integer({ minimum: 0 }),
  /** when the order was due; ms since the epoch, as are all instants below */
  due: InstantSchema,
  claimedAt: Type.Optional(InstantSchema),
  startedAt: Type.Optional(InstantSchema),
  finishedAt: Type.Optional(InstantSchema),
  exitCode: Type.Optional(Type.Integer()),
  signal: Type.Optional(Type.String({ maxLength: 16 })),
  /** a code from core/records/why.ts, such as `overlap`, `paused`, `restarted`, `window` */
  reason: Type.Optional(Type.String({ maxLength: 256 })),
  /** of a tick that a person has asked to skip: who did, and what they said about it */
  askedBy: Type.Optional(Type.String({ maxLength: 256 })),
  note: Type.Optional(Type.String({ maxLength: skipNoteMax })),
  /** one record for many ticks that nobody ran: the ticks from this instant up to `tick`, and their number */
  range: Type.Optional(Type.Object({ from: InstantSchema, count: Type.Integer({ minimum: 1 }) })),
  /** how often the writer has withdrawn a decision about this order because its clock was ahead */
  round: Type.Optional(Type.Integer({ minimum: 1, maximum: roundsMax })),
  /** of a majority job: how many chosen runners had given the order back before this was written */
  giveBacks: Type.Optional(Type.Integer({ minimum: 1, maximum: giveBacksMax })),
  /** of a run in progress: how many attempts may follow it if it fails. Until its end the tick is not over. */
  retriesLeft: Type.Optional(Type.Integer({ minimum: 1, maximum: retryAttemptsMax })),
  /** of an attempt that is repeated: when the next one is due. The tick is not over. */
  retryAt: Type.Optional(InstantSchema),
  /** what a claim is waiting for */
  waiting: Type.Optional(Type.Union([Type.Literal("overlap"), Type.Literal("capacity")])),
  /** of a run in progress: `precheck` while its job itself has not been started */
  phase: Type.Optional(Type.String({ maxLength: 32 })),
  /** of a claim that waits as for overlap: it waits for a slot of this pool. Versions without pools take it for overlap. */
  pool: Type.Optional(Type.String({ maxLength: 64 })),
  /** of a claim that first waited for something else: when it joined the queue of its pool */
  linedUpAt: Type.Optional(InstantSchema),
  /** of a run in progress: the pool of which it holds a slot, even if its job leaves that pool or is deleted */
  inPool: Type.Optional(Type.String({ maxLength: 64 })),
  /** of a run that has been launched, if its job has parameters */
  params: Type.Optional(ParamValuesSchema),
  /** what the run has written to $CICADA_OUTPUT (core/job/outputs.ts) */
  outputs: Type.Optional(
    Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: outputsMaxBytes }), {
      maxProperties: 1_024,
    }),
  ),
  /** what else a person should know about the run, in sentences */
  notes: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 })),
  logBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  logTruncated: Type.Optional(Type.Boolean()),
  /** how many living members the writer saw, itself included */
  view: Type.Integer({ minimum: 1 }),
  /** the peers that came before the writer in rank, and why each was passed over */
  passed: Type.Optional(Type.Array(SkippedPeerSchema, { maxItems: 128 })),
  /** of a majority job: the epoch of the roster whose voters chose this runner */
  epoch: Type.Optional(Type.Integer({ minimum: 0 })),
  /** the peer that wrote `lost`, when that was not `peer` itself */
  by: Type.Optional(PeerIdSchema),
  /** base64url; over wire/records.ts `signedBytes`, by `by ?? peer`; empty until signed */
  signature: Type.String({ maxLength: 128 }),
});
export type RunRecord = Static<typeof RunRecordSchema>;

/**
 * The slot of records that stand for a range of ticks. No order has this slot, so a range never replaces a tick's own
 * record.
 */
export const rangeSlot = "range";

/** A stretch of time, ms; both ends belong to it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * How far one peer knows a job's ticks to be over: every tick with `since < tick ≤ at` (ms) is over, except those in
 * `open` (core/records/history.ts).
 */
export const WatermarkSchema = Type.Object({
  job: JobIdSchema,
  since: InstantSchema,
  at: InstantSchema,
  open: Type.Array(InstantSchema, { maxItems: 256 }),
});
export type Watermark = Static<typeof WatermarkSchema>;

/** An order that a person asked for. The peer that was asked stores it and gossips it. */
export const RequestedOrderSchema = Type.Object({
  job: JobIdSchema,
  tick: TickIdSchema,
  trigger: Type.Union([Type.Literal("manual"), Type.Literal("backfill")]),
  /** ms since the epoch */
  requestedAt: InstantSchema,
  /** when its job was made, ms: a later job of that name doesn't run it. Earlier versions don't write it */
  jobCreatedAt: Type.Optional(InstantSchema),
  by: Type.String({ maxLength: 256 }),
  env: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 32_768 }))),
  /** the values of the job's parameters, with the defaults of those that weren't given */
  params: Type.Optional(ParamValuesSchema),
  /** run even if the job is paused or disabled */
  force: Type.Optional(Type.Boolean()),
  /** peer names or ids, instead of the job's own target */
  peers: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 128 })),
});
export type RequestedOrder = Static<typeof RequestedOrderSchema>;

/** How long the run took, ms; undefined if it did not start or has not ended. */
export function tookMs({ startedAt, finishedAt }: RunRecord): number | undefined {
  return startedAt === undefined || finishedAt === undefined ? undefined : finishedAt - startedAt;
}
