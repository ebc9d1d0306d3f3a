/**
 * A record of a kind that this version of the program doesn't know (DESIGN §8), for example the notice that a later
 * version sent about a run. It is kept, given to other peers and pruned with its tick like a run's record, and has no
 * other effect here.
 *
 * Every kind has these fields. Its version may add any others except `attempt` and `requestedAt`. Records of runs, with
 * their decisions and ranges, have a form of their own (run.ts).
 */
import { Type, type Static } from "typebox";
import { JobIdSchema, PeerIdSchema, TickIdSchema } from "./id-shapes.ts";

export const OtherRecordSchema = Type.Object({
  kind: Type.String({ pattern: "^[a-z][a-z0-9-]{0,31}$" }),
  job: JobIdSchema,
  tick: TickIdSchema,
  /** distinguishes several records of one kind, tick and peer; may be empty */
  name: Type.String({ maxLength: 128 }),
  /** its only writer */
  peer: PeerIdSchema,
  /** of two records that agree in all fields above, the one with the higher version counts */
  version: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  /** base64url; over wire/records.ts `signedOtherBytes`, by `peer` */
  signature: Type.String({ maxLength: 128 }),
});
export type OtherRecord = Static<typeof OtherRecordSchema>;

/**
 * Longest JSON of such a record, in bytes. More gives later versions more room in one record, but lets one member fill
 * more of the others' disks.
 */
export const otherRecordBytesMax = 16_384;
