/**
 * A job as the API shows it: exactly what its author wrote, without defaults, so that it can be edited and sent back;
 * and the read-only fields of INTERFACE, which are always present, and null when they are empty.
 */
import { Type, type Static } from "typebox";
import type { Control, JobStatus } from "../../ports/control.ts";
import { runId, type JobId } from "../../schema/ids.ts";
import { jobStates } from "../../schema/job-vocabulary.ts";
import { JobSpecSchema, type Job, type Quarantined } from "../../schema/job.ts";
import { RunStateSchema, type RunRecord } from "../../schema/run.ts";
import { Instant, orNull, showInstant, showInstantOrNull } from "./show-run.ts";

/** Any text may be looked up; core decides which ids are valid. */
export const JobParams = Type.Object({ id: Type.Unsafe<JobId>(Type.String({ maxLength: 512 })) });

const LastTickSchema = Type.Object(
  {
    tick: Type.String(),
    state: RunStateSchema,
    reason: orNull(Type.String()),
    run: orNull(Type.String({ description: "its run; null when none was started" })),
  },
  { description: "the last tick that is over; it may have been missed or skipped" },
);

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
  nextTick: orNull(
    Type.String({ description: "the next tick's UTC instant; null where no tick will run as things are" }),
  ),
  nextPeer: orNull(
    Type.Object(
      { id: Type.String(), name: Type.String() },
      { description: "the peer that would run the next tick" },
    ),
  ),
  lastTick: orNull(LastTickSchema),
  lastRun: orNull(LastRunSchema),
  lastSuccess: orNull(Type.String({ format: "date-time", description: "when a run last succeeded" })),
  keptFrom: orNull(
    Type.String({
      format: "date-time",
      description:
        "the answering peer no longer keeps runs of earlier ticks, except for the last tick and the last success; null = it has pruned none of this job",
    }),
  ),
  state: Type.Enum(jobStates),
  inherited: orNull(
    Type.Unsafe<Record<string, unknown>>(
      Type.Object({}, { description: "the fields that it has from its group; null = none" }),
    ),
  ),
  problems: Type.Array(
    Type.Object({
      code: Type.String({
        description:
          "INVALID_JOB, NO_PEER, NO_QUORUM, POOL_STOPPED, FEW_PEERS, NEEDS_NEWER, NO_CHANNEL, NO_LONG_AFTER, NO_PARENT, NO_CALENDAR, CALENDAR_ENDS, ALL_SKIPPED, NOT_STARTED",
      }),
      pointer: Type.String(),
      message: Type.String(),
    }),
  ),
};

export const JobSchema = Type.Object(
  {
    ...Type.Partial(JobSpecSchema).properties,
    id: Type.String(),
    ...readOnly,
    warnings: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "in the answer to a write: why no living peer can run it now, or fewer than it asks for, and what else people should know",
      }),
    ),
  },
  { description: "what the author wrote, and the read-only fields; instants in RFC 3339" },
);
export type ShownJob = Static<typeof JobSchema>;

export async function showJob(job: Job, control: Control): Promise<ShownJob> {
  const { id, ...fields } = job.written ?? job.spec;
  const status = await control.status(job.id);
  // Where no peer could run it, nothing will: the job's problems say why.
  const next = status?.next;
  const runner = next?.peers[0];
  return {
    // The id comes first, as people write it; the table returns fields in its own order.
    id,
    ...fields,
    revision: job.revision,
    createdAt: showInstant(job.createdAt),
    updatedAt: showInstant(job.updatedAt),
    updatedBy: job.updatedBy,
    paused: showPause(job),
    nextTick: runner === undefined ? null : (next?.tick ?? null),
    nextPeer: runner === undefined ? null : { id: runner.id, name: runner.name },
    lastTick: showLastTick(status?.lastTick),
    lastRun: showLastRun(status?.lastRun),
    lastSuccess: showInstantOrNull(status?.lastSuccess),
    keptFrom: showInstantOrNull(status?.keptFrom),
    // The status is undefined if the job is deleted while its history is read.
    state: status?.state ?? "disabled",
    inherited: inheritedFrom(job),
    problems: [...(status?.hindrances ?? []), ...refusedStart(job, status), ...unsentNotices(job, control)],
  };
}

/** What the job has from its group: the fields that its author didn't write, and of `env` the variables. */
function inheritedFrom({ spec, written }: Job): ShownJob["inherited"] {
  if (written === undefined) return null;
  const own: Readonly<Record<string, unknown>> = written;
  const inherited: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(spec)) {
    if (field !== "env" && own[field] === undefined) inherited[field] = value;
  }
  const env = Object.entries(spec.env ?? {}).filter(([name]) => !Object.hasOwn(written.env ?? {}, name));
  return { ...inherited, ...(env.length === 0 ? {} : { env: Object.fromEntries(env) }) };
}

/** What kept the last tick's run from starting keeps the next ones from it, too, until the job or the host changes. */
function refusedStart({ revision }: Job, status: JobStatus | undefined): ShownJob["problems"] {
  const { lastTick } = status ?? {};
  const isRefused = lastTick?.state === "failed" && lastTick.reason?.startsWith("not started: ") === true;
  if (!isRefused || lastTick.revision !== revision) return [];
  const message = `the last tick's run was ${lastTick.reason}`;
  return [{ code: "NOT_STARTED", pointer: "", message }];
}

/** Notices that can't be sent, to a channel that isn't there or of runs that never count as long, must show. */
function unsentNotices({ spec }: Job, control: Control): ShownJob["problems"] {
  if (spec.notify === undefined) return [];
  const channels = control.values("channels");
  const isNeverLong = spec.longAfter === undefined || spec.longAfter === 0;
  return spec.notify.flatMap(({ on, to }, rule) => {
    const missing = to.flatMap((name, place) => {
      if (channels.has(name)) return [];
      const message = `there is no channel "${name}", so nothing is sent there`;
      return [{ code: "NO_CHANNEL", pointer: `/notify/${rule}/to/${place}`, message }];
    });
    if (!isNeverLong || !on.includes("long")) return missing;
    const message = "without longAfter, no run of the job counts as long, so that notice is never sent";
    return [...missing, { code: "NO_LONG_AFTER", pointer: `/notify/${rule}/on`, message }];
  });
}

/** Of several pauses, shows the one that lasts longest. Pauses that have ended are not shown. */
function showPause(job: Job): ShownJob["paused"] {
  const present = job.pauses.filter(({ until = Infinity }) => until > Date.now());
  let longest = present[0];
  if (longest === undefined) return null;
  for (const pause of present) {
    if ((pause.until ?? Infinity) > (longest.until ?? Infinity)) longest = pause;
  }
  return {
    note: longest.note ?? null,
    by: longest.by,
    until: showInstantOrNull(longest.until),
    at: showInstant(longest.at),
  };
}

function showLastTick(record: RunRecord | undefined): ShownJob["lastTick"] {
  if (record === undefined) return null;
  const { tick, state, reason = null, startedAt } = record;
  return { tick, state, reason, run: startedAt === undefined ? null : runId(record) };
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

/** An invalid job is shown with its problems. It is never run. */
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
    lastTick: null,
    lastRun: null,
    lastSuccess: null,
    keptFrom: null,
    inherited: null,
    state: "invalid",
    problems: problems.map((problem) => ({ code: "INVALID_JOB", ...problem })),
  };
}
