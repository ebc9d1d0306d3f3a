/**
 * Notices: what a job's author wants to be notified of, the channels that carry it, and the record that says which notices have
 * been sent (DESIGN §9).
 */
import { Type, type Static } from "typebox";
import { checkOf } from "./check.ts";
import type { JobId, PeerId, RunId, TickId } from "./ids.ts";
import { InstantSchema } from "./id-shapes.ts";
import type { ReportedEvent } from "./mesh-event.ts";
import { OtherRecordSchema, type OtherRecord } from "./other-record.ts";

export const noticeEvents = [
  "failed",
  "recovered",
  "missed",
  "skipped",
  "late",
  "lost",
  "duplicate",
  "long",
  "paused",
] as const;
export type NoticeEvent = (typeof noticeEvents)[number];

export const channelNamePattern = "^[a-z0-9][a-z0-9._-]{0,63}$";
const ChannelName = Type.String({ pattern: channelNamePattern });

/** The longest row of failed ticks that `afterFailures` can wait for, and so how many ticks are read back for one notice. */
export const afterFailuresMax = 100;

/** One rule of a job's `notify`. */
export const NotifyRuleSchema = Type.Object(
  {
    on: Type.Array(Type.Enum(noticeEvents), { minItems: 1, maxItems: noticeEvents.length }),
    to: Type.Array(ChannelName, { minItems: 1, maxItems: 16 }),
    afterFailures: Type.Optional(Type.Integer({ minimum: 1, maximum: afterFailuresMax })),
  },
  { additionalProperties: false },
);
export type NotifyRule = Static<typeof NotifyRuleSchema>;

/** The longest sentence of a notice about the mesh, in characters. */
export const noticeTextMax = 2_048;

/** What a person is notified of. */
export interface Notice {
  /** the same for every copy of this notice, whichever peer sends it: receivers drop repeats by it */
  key: string;
  event: NoticeEvent | ReportedEvent | "test";
  /** undefined if it is about the mesh; so is `tick` */
  job: JobId | undefined;
  tick: TickId | undefined;
  /** the run that it is about; undefined if none was started */
  run: RunId | undefined;
  /** the state of the tick, such as `failed` */
  state: string;
  reason: string | undefined;
  exitCode: number | undefined;
  peer: { id: PeerId; name: string };
  /** ms since the epoch */
  at: number;
  startedAt: number | undefined;
  finishedAt: number | undefined;
  group: string;
  owner: string | undefined;
  description: string | undefined;
  /** one sentence for people */
  text: string;
}

/**
 * How many characters of a notice's sentence, with the line break after it, say which job's tick it is about and what became of
 * it, whatever a service's escapes make of the job's name.
 */
export function leastLength({ job, text }: Pick<Notice, "job" | "text">): number {
  return job === undefined ? Math.min(text.length, 200) + 1 : 2 * job.length + 70;
}

export function noticeKey(job: JobId, tick: TickId, event: NoticeEvent): string {
  return `${job}@${tick}:${event}`;
}

export const noticeKind = "notice";

/** By channel: whether it has the notice. */
export const NoticeChannelsSchema = Type.Record(
  Type.String(),
  Type.Object({
    state: Type.Union([Type.Literal("open"), Type.Literal("sent"), Type.Literal("failed")]),
    at: Type.Optional(InstantSchema),
    error: Type.Optional(Type.String({ maxLength: 512 })),
  }),
);
export type NoticeChannels = Static<typeof NoticeChannelsSchema>;

/**
 * Which channels one notice has reached. Its writer is the peer that sends it; `name` is the event. Peers of a version that
 * doesn't know notices keep and forward it.
 */
export const NoticeRecordSchema = Type.Intersect([
  OtherRecordSchema,
  Type.Object({
    kind: Type.Literal(noticeKind),
    at: InstantSchema,
    channels: NoticeChannelsSchema,
  }),
]);
export type NoticeRecord = Static<typeof NoticeRecordSchema>;

const noticeCheck = checkOf(NoticeRecordSchema);

export function isNoticeRecord(record: OtherRecord): record is NoticeRecord {
  return (
    record.kind === noticeKind &&
    noticeCheck.accepts(record) &&
    noticeEvents.some((event) => event === record.name)
  );
}
