/** What a job was at some time. Each peer keeps the last revisions of every job, so that an edit can be looked up and undone. */
import { Type, type Static } from "typebox";
import { JobIdSchema } from "./id-shapes.ts";

export const JobRevisionSchema = Type.Object({
  job: JobIdSchema,
  /** the job's revision (schema/job.ts); of a deletion, the last revision with `deleted-` before it */
  revision: Type.String({ minLength: 1, maxLength: 64 }),
  /** wall ms: since when the job was so */
  at: Type.Number(),
  /** who made it so; absent for a deletion on another peer: the table keeps no name of it */
  by: Type.Optional(Type.String()),
  /** wall ms */
  createdAt: Type.Number(),
  /** what the author wrote, as it was checked then; absent = deleted */
  spec: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  /** how many there were; who began them is in the revisions that they made */
  pauses: Type.Integer({ minimum: 0 }),
});
export type JobRevision = Static<typeof JobRevisionSchema>;
