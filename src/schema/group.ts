/** A group of jobs, as a person writes it: defaults of its jobs' fields. A field that a job has itself wins. */
import { Type, type Static } from "typebox";
import { InstantSchema } from "./id-shapes.ts";
import { JobSpecSchema, type JobSpec } from "./job.ts";

/** The fields that a group may give. What a job does, and when, is its own. */
export const groupFields = [
  "timezone",
  "except",
  "jitter",
  "env",
  "cwd",
  "user",
  "umask",
  "timeout",
  "killGrace",
  "overlap",
  "catchUp",
  "retry",
  "pauseAfterFailures",
  "pool",
  "partition",
  "target",
  "limits",
  "background",
  "weight",
  "notify",
  "longAfter",
  "keep",
  "owner",
] as const satisfies readonly (keyof JobSpec)[];
export type GroupField = (typeof groupFields)[number];

/** An edit of one of these fields is an edit of the timetable of the group's jobs. */
export const groupTimetableFields = ["timezone", "except", "jitter"] as const satisfies readonly GroupField[];

export const GroupSchema = Type.Object(
  {
    ...Type.Partial(Type.Pick(JobSpecSchema, groupFields)).properties,
    description: Type.Optional(Type.String({ maxLength: 4_096 })),
  },
  { additionalProperties: false, $id: "Group" },
);
export type GroupDefaults = Partial<Pick<JobSpec, GroupField>>;

/** A group as the table keeps it. */
export const StoredGroupSchema = Type.Object({
  ...GroupSchema.properties,
  /** when a field that decides about ticks was last written, ms */
  timetableAt: Type.Optional(InstantSchema),
  /** a person has removed the group's defaults; what is left says when its jobs' timetable changed by that */
  removed: Type.Optional(Type.Boolean()),
});
export type StoredGroup = Static<typeof StoredGroupSchema>;
