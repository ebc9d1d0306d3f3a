/**
 * A run, and the account of a tick, as the API shows them (INTERFACE, Run): instants in RFC 3339, null for what isn't
 * known.
 */
import { backfilledInstant, originalTick } from "../../schema/backfill.ts";
import { Type, type Static } from "typebox";
import type { Decisions } from "../options.ts";
import { waits, type TickStory, type View } from "../../ports/control.ts";
import { runId } from "../../schema/ids.ts";
import { formatInstant } from "../../schema/instant.ts";
import {
  ParamValuesSchema,
  SkippedPeerSchema,
  RunStateSchema,
  TriggerSchema,
  type RunRecord,
} from "../../schema/run.ts";

export const Instant = Type.String({ format: "date-time" });
export const orNull = <Some extends Parameters<typeof Type.Union>[0][number]>(some: Some) =>
  Type.Union([some, Type.Null()]);

export const RunSchema = Type.Object({
  id: Type.String({ description: "JOB@TICK~ATTEMPT@PEER" }),
  job: Type.String(),
  revision: Type.String(),
  tick: Type.String(),
  backfills: orNull(Type.String({ description: "of a backfill: the past tick that it makes up for" })),
  attempt: Type.Integer(),
  retryAt: orNull(Type.String({ description: "when the next attempt is due, if this one is repeated" })),
  slot: Type.String(),
  slots: Type.Integer({ description: "how many runs its tick has; each has a slot" }),
  trigger: TriggerSchema,
  state: RunStateSchema,
  reason: orNull(Type.String({ description: "why it ended like this, or why there was no run" })),
  askedBy: orNull(Type.String({ description: "who asked for the tick to be skipped" })),
  note: orNull(Type.String({ description: "what they said about it" })),
  peer: Type.String(),
  peerName: orNull(Type.String()),
  rank: Type.Integer(),
  due: Instant,
  claimedAt: orNull(Instant),
  startedAt: orNull(Instant),
  finishedAt: orNull(Instant),
  exitCode: orNull(Type.Integer()),
  signal: orNull(Type.String()),
  params: orNull(ParamValuesSchema),
  outputs: orNull(
    Type.Record(Type.String(), Type.String(), { description: "what it wrote to $CICADA_OUTPUT" }),
  ),
  notes: Type.Array(Type.String(), { description: "what else to know about it, in sentences" }),
  phase: orNull(Type.String({ description: "`precheck` while only its precheck has been started" })),
  waiting: orNull(Type.String({ description: "what the claim waits for: overlap, capacity or pool" })),
  logBytes: orNull(Type.Integer()),
  logTruncated: Type.Boolean(),
  range: orNull(
    Type.Object(
      { from: Instant, to: Instant, count: Type.Integer() },
      {
        description:
          "the record stands for this many ticks that nobody ran; a tick's own record overrides it",
      },
    ),
  ),
  duplicate: Type.Boolean({ description: "another peer ran the same order" }),
  livingMembers: Type.Integer({
    description: "how many peers were up, as the run's peer saw it, itself included",
  }),
  skippedPeers: Type.Array(SkippedPeerSchema, {
    description: "peers before it in rank, and why they were passed over",
  }),
  lostBy: orNull(Type.String({ description: "the peer that declared it lost" })),
  signature: Type.String(),
});
export type Run = Static<typeof RunSchema>;

export const TickSchema = Type.Object({
  tick: Type.String(),
  due: Instant,
  state: Type.Union([RunStateSchema, Type.Literal("pending")]),
  duplicate: Type.Boolean(),
  waitsFor: orNull(
    Type.Enum(waits, {
      description: "what a pending tick waits for",
    }),
  ),
  runs: Type.Array(RunSchema),
  why: Type.Array(Type.String(), { description: "what was decided, by whom and why, in sentences" }),
});
export type Tick = Static<typeof TickSchema>;

export function showInstant(instant: number): string {
  return formatInstant(instant);
}

export function showInstantOrNull(instant: number | undefined): string | null {
  return instant === undefined ? null : showInstant(instant);
}

export function showRun(record: RunRecord, view: View, duplicate: boolean): Run {
  return {
    id: runId(record),
    job: record.job,
    revision: record.revision,
    tick: record.tick,
    backfills: showBackfilled(record),
    attempt: record.attempt,
    retryAt: showInstantOrNull(record.retryAt),
    slot: record.slot,
    slots: record.of ?? 1,
    trigger: record.trigger,
    state: record.state,
    reason: record.reason ?? null,
    askedBy: record.askedBy ?? null,
    note: record.note ?? null,
    peer: record.peer,
    peerName: view.members.find((member) => member.id === record.peer)?.name ?? null,
    rank: record.rank,
    due: showInstant(record.due),
    claimedAt: showInstantOrNull(record.claimedAt),
    startedAt: showInstantOrNull(record.startedAt),
    finishedAt: showInstantOrNull(record.finishedAt),
    exitCode: record.exitCode ?? null,
    signal: record.signal ?? null,
    params: record.params ?? null,
    outputs: record.outputs ?? null,
    notes: record.notes ?? [],
    waiting: record.pool === undefined ? (record.waiting ?? null) : "pool",
    phase: record.phase ?? null,
    logBytes: record.logBytes ?? null,
    logTruncated: record.logTruncated ?? false,
    range: showRange(record),
    duplicate,
    livingMembers: record.view,
    skippedPeers: record.passed ?? [],
    lostBy: record.by ?? null,
    signature: record.signature,
  };
}

/** The tick that a backfill's run, or the run of a child of its, makes up for. */
function showBackfilled({ tick }: RunRecord): Run["backfills"] {
  return backfilledInstant(tick) === undefined ? null : originalTick(tick);
}

function showRange({ range, due }: RunRecord): Run["range"] {
  if (range === undefined) return null;
  return { from: showInstant(range.from), to: showInstant(due), count: range.count };
}

export function showTick(story: TickStory, view: View, decisions: Decisions): Tick {
  const twice = new Set(decisions.duplicatesIn(story.records));
  return {
    tick: story.tick,
    due: showInstant(story.due),
    state: story.state,
    duplicate: story.duplicate,
    waitsFor: story.waitsFor ?? null,
    runs: story.records.map((record) => showRun(record, view, twice.has(record))),
    why: story.why,
  };
}

/**
 * Shows records. Whether a second peer ran the same tick can only be seen from all records of the tick, so `beside` holds those
 * that are not shown.
 */
export function showRuns(
  records: readonly RunRecord[],
  beside: readonly RunRecord[],
  view: View,
  decisions: Decisions,
): Run[] {
  const ticks = Map.groupBy([...records, ...beside], ({ job, tick }) => `${job}@${tick}`);
  const twice = new Set(ticks.values().flatMap((story) => decisions.duplicatesIn(story)));
  return records.map((record) => showRun(record, view, twice.has(record)));
}

/** How many records of one tick are read: 100 slots, each with several attempts. */
export const recordsOfTick = 1_000;
