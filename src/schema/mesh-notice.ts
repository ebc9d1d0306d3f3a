/**
 * Notices about the mesh and its peers, and the record that says which channels have received them. Such a notice belongs to no
 * job; its record is kept under an id that no ordinary job has.
 */
import { Type, type Static } from "typebox";
import { checkOf } from "./check.ts";
import type { JobId } from "./ids.ts";
import { InstantSchema } from "./id-shapes.ts";
import { digestStates } from "./digest.ts";
import { reportedEvents, type ReportedEvent } from "./mesh-event.ts";
import { NoticeChannelsSchema, noticeTextMax } from "./notice.ts";
import { OtherRecordSchema, type OtherRecord } from "./other-record.ts";

/** The mesh itself as the subject of a problem. */
export const votersSubject = "voters";

/** The id under which the records of these notices are kept, synced and pruned. */
export const meshJob = "cicada.mesh" as JobId;

/** What a notice is about. `episode` distinguishes this problem of the subject from its earlier ones. */
export interface MeshTopic {
  event: ReportedEvent;
  /** a peer's id, `voters`, a key's fingerprint, or the channel of a digest */
  subject: string;
  episode: string;
}

export function topicName({ event, subject, episode }: MeshTopic): string {
  return `${event}/${subject}/${episode}`;
}

export function readTopic(name: string): MeshTopic | undefined {
  const [first, subject, episode, ...more] = name.split("/");
  const event = reportedEvents.find((one) => one === first);
  if (event === undefined || subject === undefined || episode === undefined || more.length > 0)
    return undefined;
  return { event, subject, episode };
}

/** The same for every copy, whichever peer sends it. */
export function meshNoticeKey(name: string): string {
  return `mesh:${name}`;
}

export const meshNoticeKind = "mesh-notice";

/** `name` is the topic's. The text is kept, because another peer may have to send it. */
export const MeshNoticeRecordSchema = Type.Intersect([
  OtherRecordSchema,
  Type.Object({
    kind: Type.Literal(meshNoticeKind),
    at: InstantSchema,
    text: Type.String({ maxLength: noticeTextMax }),
    /** of a digest */
    state: Type.Optional(Type.Enum(digestStates)),
    channels: NoticeChannelsSchema,
  }),
]);
export type MeshNoticeRecord = Static<typeof MeshNoticeRecordSchema>;

const check = checkOf(MeshNoticeRecordSchema);

export function isMeshNoticeRecord(record: OtherRecord): record is MeshNoticeRecord {
  return (
    record.kind === meshNoticeKind &&
    record.job === meshJob &&
    readTopic(record.name) !== undefined &&
    check.accepts(record)
  );
}
