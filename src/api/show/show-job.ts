/**
 * A job as the API shows it: exactly what its author wrote (no default filled in, so that it can be edited and sent
 * back), and the read-only fields of INTERFACE. Those are always there, null when there is nothing to say.
 */
import type { FastifyReply } from "fastify";
import { Type, type Static } from "typebox";
import type { Control, View } from "../../ports.ts";
import { runId, type JobId } from "../../schema/ids.ts";
import { JobSpecSchema, jobStates, type Job, type JobState, type Quarantined } from "../../schema/job.ts";
import { RunStateSchema, type RunRecord } from "../../schema/run.ts";
import { Instant, orNull, showInstant, showInstantOrNull, startedStates } from "./show-run.ts";

/** Any text may be looked up; only core decides what an id may be. */
export const JobParams = Type.Object({ id: Type.Unsafe<JobId>(Type.String({ maxLength: 512 })) });

const LastRunSchema = Type.Object({
  id: Type.String(),
  tick: Type.String(),
  state: RunStateSchema,
  peer: Type.String(),
  startedAt: orNull(Instant),
  finishedAt: orNull(Instant),
  exitCode: orNull(Type.Integer()),
});

const readOnly = {
  revision: orNull(Type.String({ description: "changes with every edit; also the ETag" })),
  createdAt: orNull(Instant),
  updatedAt: orNull(Instant),
  updatedBy: orNull(Type.String()),
  paused: orNull(
    Type.Object({ note: orNull(Type.String()), by: Type.String(), until: orNull(Instant), at: Instant }),
  ),
  nextTick: orNull(Type.String({ description: "the next tick's UTC instant" })),
  nextPeer: orNull(
    Type.Object({ id: Type.String(), name: Type.String() }, { description: "who would run the next tick" }),
  ),
  lastRun: orNull(LastRunSchema),
  state: Type.Enum(jobStates),
  problems: Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() })),
};

export const JobSchema = Type.Object(
  { ...Type.Partial(JobSpecSchema).properties, id: Type.String(), ...readOnly },
  { description: "what was written, and the read-only fields; instants in RFC 3339" },
);
export type ShownJob = Static<typeof JobSchema>;

export function stateOf(job: Job, running: ReadonlySet<JobId>): JobState {
  if (job.spec.enabled === false) return "disabled";
  if (job.pauses.length > 0) return "paused";
  if (running.has(job.id)) return "running";
  return job.spec.schedule === undefined ? "manual" : "scheduled";
}

export function runningJobs(view: View): ReadonlySet<JobId> {
  return new Set(view.open.filter(({ state }) => state === "running").map(({ job }) => job));
}

export async function showJob(job: Job, control: Control, running: ReadonlySet<JobId>): Promise<ShownJob> {
  const { id, ...fields } = job.spec;
  const [next] = control.next(job.id, 1) ?? [];
  const [runner] = next?.peers ?? [];
  const { records } = await control.history({ job: job.id, states: startedStates, limit: 1 });
  return {
    // First, as a person writes it; the table gives the fields back in an order of its own.
    id,
    ...fields,
    revision: job.revision,
    createdAt: showInstant(job.createdAt),
    updatedAt: showInstant(job.updatedAt),
    updatedBy: job.updatedBy,
    paused: showPause(job),
    nextTick: next?.tick ?? null,
    nextPeer: runner === undefined ? null : { id: runner.id, name: runner.name },
    lastRun: showLastRun(records[0]),
    state: stateOf(job, running),
    problems: [],
  };
}

/** With the headers that go with it. */
export async function answerJob(
  reply: FastifyReply,
  control: Control,
  job: Job,
  created = false,
): Promise<ShownJob> {
  reply.header("etag", `"${job.revision}"`);
  if (created) reply.code(201).header("location", `/v1/jobs/${job.id}`);
  return showJob(job, control, runningJobs(control.view()));
}

/** Several pauses are shown as the one that lasts longest. */
function showPause(job: Job): ShownJob["paused"] {
  let longest = job.pauses[0];
  if (longest === undefined) return null;
  for (const pause of job.pauses) {
    if ((pause.until ?? Infinity) > (longest.until ?? Infinity)) longest = pause;
  }
  return {
    note: longest.note ?? null,
    by: longest.by,
    until: showInstantOrNull(longest.until),
    at: showInstant(longest.at),
  };
}

function showLastRun(record: RunRecord | undefined): ShownJob["lastRun"] {
  if (record === undefined) return null;
  return {
    id: runId(record),
    tick: record.tick,
    state: record.state,
    peer: record.peer,
    startedAt: showInstantOrNull(record.startedAt),
    finishedAt: showInstantOrNull(record.finishedAt),
    exitCode: record.exitCode ?? null,
  };
}

/** Shown with what is wrong with it; never run. */
export function showQuarantined({ id, problems }: Quarantined): ShownJob {
  return {
    id,
    revision: null,
    createdAt: null,
    updatedAt: null,
    updatedBy: null,
    paused: null,
    nextTick: null,
    nextPeer: null,
    lastRun: null,
    state: "invalid",
    problems: [...problems],
  };
}
