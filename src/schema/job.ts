/**
 * What a job is: the one schema behind the API, files, the command line and the form (INTERFACE, Job).
 *
 * The schema describes the shape only. `checkJob` in core/checks/job.ts decides which schedules, durations and time zones
 * are valid, and every door calls it.
 */
import { Type, type Static } from "typebox";
import { ScriptSchema } from "./script.ts";
import { settingNamePattern } from "./setting.ts";
import type { JobId } from "./ids.ts";
import { InstantSchema, JobIdSchema } from "./id-shapes.ts";
import {
  backgroundPolicies,
  catchUpPolicies,
  chainConditions,
  executors,
  groupPattern,
  httpMethods,
  largestCapacity,
  overlapPolicies,
  partitionPolicies,
  retryOutcomes,
  retryPlaces,
} from "./job-vocabulary.ts";
import { NotifyRuleSchema } from "./notice.ts";
import { secretNamePattern, secretsOfJobMax } from "./secret.ts";

const Duration = Type.Union([Type.String({ maxLength: 64 }), Type.Literal(0)], {
  description: "a duration such as 500ms, 90s, 1h30m or 30d; 0 = none",
});
const Size = Type.String({ maxLength: 32, description: "a size such as 64KiB or 1MiB" });
const Instant = Type.String({ maxLength: 40, description: "an RFC 3339 instant" });
const Text = (maxLength: number) => Type.String({ maxLength });
const Url = Type.String({ maxLength: 2_048, description: "an http or https address" });
const closed = { additionalProperties: false } as const;
const ExitCode = Type.Integer({ minimum: 0, maximum: 255 });
/**
 * How many runs of one tick a job may ask for, and on how many peers a tick of `count: "all"` runs at most. Each is an order of
 * its own, and looks at all others of its tick.
 */
export const countMax = 100;
/** `1%` to `100%`: a share of the peers on which a tick runs */
const percentPattern = "^([1-9]|[1-9][0-9]|100)%$";
/** As in heartbeats (schema/message.ts). */
const Tags = Type.Record(Type.String({ maxLength: 128 }), Text(256), { maxProperties: 32 });

/** A tick waits for the ends of all parents. More make its story longer, and each write of the job slower to check. */
export const parentsMax = 32;
/** A higher limit keeps a tick open for longer; each attempt is a record of its own. */
export const retryAttemptsMax = 100;

const Pattern = Type.String({ minLength: 1, maxLength: 1_024, description: "a pattern in RE2's syntax" });
const Patterns = Type.Union([Pattern, Type.Array(Pattern, { minItems: 1, maxItems: 16 })]);

/** A request instead of a process (core/checks/http.ts). */
export const HttpSchema = Type.Object(
  {
    method: Type.Optional(Type.Enum(httpMethods)),
    url: Text(8_192),
    headers: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), Text(8_192), { maxProperties: 64 })),
    body: Type.Optional(Text(65_536)),
    timeout: Type.Optional(Duration),
    expectStatus: Type.Optional(
      Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), { minItems: 1, maxItems: 100 }),
    ),
    expectBody: Type.Optional(Pattern),
    followRedirects: Type.Optional(Type.Boolean()),
    insecureTls: Type.Optional(Type.Boolean()),
  },
  closed,
);

/** A higher limit makes a peer read more records when a tick has failed. */
export const pauseAfterFailuresMax = 100;

export const paramTypes = ["string", "number", "boolean", "choice"] as const;
/** One parameter of a job (core/checks/params.ts). */
export const ParamSchema = Type.Object(
  {
    type: Type.Enum(paramTypes),
    default: Type.Optional(Type.Union([Text(4_096), Type.Number(), Type.Boolean()])),
    choices: Type.Optional(Type.Array(Text(256), { minItems: 1, maxItems: 100 })),
    required: Type.Optional(Type.Boolean()),
    description: Type.Optional(Text(1_024)),
  },
  closed,
);

/** What a person writes. Everything but `id` and one action may be left out. */
export const JobSpecSchema = Type.Object(
  {
    id: JobIdSchema,
    schedule: Type.Optional(Type.Union([Text(256), Type.Array(Text(256), { minItems: 1, maxItems: 32 })])),
    timezone: Type.Optional(Text(64)),
    startsAt: Type.Optional(Instant),
    endsAt: Type.Optional(Instant),
    except: Type.Optional(Type.Array(Text(256), { maxItems: 366 })),
    jitter: Type.Optional(Duration),
    enabled: Type.Optional(Type.Boolean()),
    executor: Type.Optional(Type.Enum(executors)),
    command: Type.Optional(Text(65_536)),
    argv: Type.Optional(Type.Array(Text(65_536), { minItems: 1, maxItems: 1_024 })),
    http: Type.Optional(HttpSchema),
    script: Type.Optional(ScriptSchema),
    stdin: Type.Optional(Text(65_536)),
    env: Type.Optional(Type.Record(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }), Text(32_768))),
    cwd: Type.Optional(Text(4_096)),
    user: Type.Optional(Text(64)),
    umask: Type.Optional(Type.String({ pattern: "^0?[0-7]{3}$" })),
    timeout: Type.Optional(Duration),
    killGrace: Type.Optional(Duration),
    overlap: Type.Optional(Type.Enum(overlapPolicies)),
    catchUp: Type.Optional(
      Type.Object(
        {
          policy: Type.Optional(Type.Enum(catchUpPolicies)),
          window: Type.Optional(Duration),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
        },
        closed,
      ),
    ),
    retry: Type.Optional(
      Type.Object(
        {
          attempts: Type.Optional(Type.Integer({ minimum: 0, maximum: retryAttemptsMax })),
          backoff: Type.Optional(Duration),
          factor: Type.Optional(Type.Number({ minimum: 1, maximum: 100 })),
          maxBackoff: Type.Optional(Duration),
          on: Type.Optional(Type.Array(Type.Enum(retryOutcomes), { minItems: 1, maxItems: 3 })),
          where: Type.Optional(Type.Enum(retryPlaces)),
        },
        closed,
      ),
    ),
    pool: Type.Optional(Type.String({ pattern: settingNamePattern })),
    pauseAfterFailures: Type.Optional(Type.Integer({ minimum: 0, maximum: pauseAfterFailuresMax })),
    partition: Type.Optional(Type.Enum(partitionPolicies)),
    after: Type.Optional(
      Type.Object(
        {
          jobs: Type.Array(JobIdSchema, { minItems: 1, maxItems: parentsMax }),
          on: Type.Optional(Type.Enum(chainConditions)),
        },
        closed,
      ),
    ),
    target: Type.Optional(
      Type.Object(
        {
          peers: Type.Optional(Type.Array(Text(128), { minItems: 1, maxItems: 128 })),
          tags: Type.Optional(Tags),
          count: Type.Optional(
            Type.Union([Type.Integer({ minimum: 1, maximum: countMax }), Type.Literal("all")]),
          ),
          prefer: Type.Optional(Type.Object({ tags: Type.Optional(Tags) }, closed)),
          offline: Type.Optional(Type.Union([Type.Literal("skip"), Duration])),
          rolling: Type.Optional(
            Type.Object(
              {
                max: Type.Optional(
                  Type.Union([
                    Type.Integer({ minimum: 1, maximum: countMax }),
                    Type.String({ pattern: percentPattern }),
                  ]),
                ),
                pause: Type.Optional(Duration),
                stopAfter: Type.Optional(Type.Integer({ minimum: 0, maximum: countMax })),
              },
              closed,
            ),
          ),
        },
        closed,
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          nice: Type.Optional(Type.Integer({ minimum: -20, maximum: 19 })),
          memory: Type.Optional(Size),
          openFiles: Type.Optional(Type.Integer({ minimum: 8, maximum: 1_048_576 })),
          processes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
        },
        closed,
      ),
    ),
    background: Type.Optional(Type.Enum(backgroundPolicies)),
    precheck: Type.Optional(
      Type.Object(
        {
          command: Type.Optional(Text(65_536)),
          argv: Type.Optional(Type.Array(Text(65_536), { minItems: 1, maxItems: 1_024 })),
          timeout: Type.Optional(Duration),
        },
        closed,
      ),
    ),
    params: Type.Optional(Type.Record(Type.String(), ParamSchema, { maxProperties: 64 })),
    secrets: Type.Optional(
      Type.Array(Type.String({ pattern: secretNamePattern }), { maxItems: secretsOfJobMax }),
    ),
    success: Type.Optional(
      Type.Object(
        {
          exitCodes: Type.Optional(Type.Array(ExitCode, { minItems: 1, maxItems: 256 })),
          skipCodes: Type.Optional(Type.Array(ExitCode, { maxItems: 256 })),
          mustMatch: Type.Optional(Patterns),
          mustNotMatch: Type.Optional(Patterns),
        },
        closed,
      ),
    ),
    weight: Type.Optional(Type.Integer({ minimum: 1, maximum: largestCapacity })),
    notify: Type.Optional(Type.Array(NotifyRuleSchema, { maxItems: 16 })),
    longAfter: Type.Optional(Type.Union([Duration, Type.Literal("auto")])),
    ping: Type.Optional(
      Type.Object(
        { start: Type.Optional(Url), success: Type.Optional(Url), failure: Type.Optional(Url) },
        closed,
      ),
    ),
    keep: Type.Optional(
      Type.Object(
        {
          runs: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
          age: Type.Optional(Duration),
          logBytes: Type.Optional(Size),
        },
        closed,
      ),
    ),
    group: Type.Optional(Type.String({ pattern: groupPattern })),
    labels: Type.Optional(
      Type.Record(Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$" }), Text(256)),
    ),
    description: Type.Optional(Text(4_096)),
    owner: Type.Optional(Text(256)),
  },
  { ...closed, $id: "JobSpec" },
);
export type JobSpec = Static<typeof JobSpecSchema>;

declare const checked: unique symbol;
/**
 * A spec that `checkJob` (core/checks/job.ts) has accepted. Nothing else creates this type, so a spec is never checked
 * twice.
 */
export type CheckedSpec = JobSpec & { readonly [checked]: true };

export const PauseSchema = Type.Object(
  {
    note: Type.Optional(Text(1_024)),
    by: Text(256),
    /** ms since the epoch; absent = until resumed */
    until: Type.Optional(InstantSchema),
    at: InstantSchema,
    /** of a pause that a job's `pauseAfterFailures` asked for: the last of the failed ticks; ms */
    failedTick: Type.Optional(InstantSchema),
  },
  closed,
);
export type Pause = Static<typeof PauseSchema>;

/** A tick that a person has asked to leave out. Instants in ms. */
export interface Skip {
  readonly tick: number;
  readonly by: string;
  /** when it was asked for */
  readonly at: number;
  readonly note?: string;
}

/** How many ticks of one job may be skipped at a time. More makes the job larger in the table; people name a few. */
export const skipsMax = 1_000;
export const skipNoteMax = 1_024;

export interface Problem {
  /** JSON pointer into the job; `""` for the whole job. */
  pointer: string;
  message: string;
}

/** The effective job as the table projects it: what a person wrote, and what the table knows about it. */
export interface Job {
  id: JobId;
  /** with the defaults of its group */
  spec: CheckedSpec;
  /** what its author wrote, if its group gives it anything else; absent = the same as `spec` */
  written?: CheckedSpec;
  /** Changes with every edit, equal on peers whose tables are equal. */
  revision: string;
  /** ms since the epoch */
  createdAt: number;
  updatedAt: number;
  updatedBy: string;
  /** When `schedule, timezone, startsAt, endsAt` or `enabled` were last written; ms. */
  scheduledAt: number;
  /** When the job was last resumed; ms, 0 = never. */
  resumedAt: number;
  /** Who resumed it then. */
  resumedBy?: string;
  /** Failed ticks up to this instant don't count for `pauseAfterFailures`: the job was resumed, or the field written; ms. */
  failuresFrom: number;
  /** Every pause that no resume has seen yet; paused while any is left. */
  pauses: readonly Pause[];
  /** Ticks that are to be skipped, oldest first; absent = none. Those that are over are removed after a while. */
  skips?: readonly Skip[];
  /** What parts of the job need in addition to what its known fields imply (core/job/needs.ts). */
  needs: readonly PartNeeds[];
}

/**
 * What a peer must be capable of to run a job with this part, as stated by the version that wrote it (table/slots.ts).
 */
export interface PartNeeds {
  /** JSON pointer into the job */
  pointer: string;
  /** the slot that holds it, as table/slots.ts names it */
  slot: string;
  capabilities: readonly string[];
}

/** A job whose replica can't be read: shown, never run. */
export interface Quarantined {
  id: string;
  problems: readonly Problem[];
}

/** One edit of the job table; a list of them is one change. Instants are wall clock, ms. */
export type TableEdit =
  /** Creates the job, or replaces its whole spec: fields that the spec lacks are cleared. */
  | { kind: "put"; spec: JobSpec; by: string }
  | { kind: "delete"; id: JobId; by: string }
  | { kind: "pause"; id: JobId; ulid: string; pause: Pause }
  | { kind: "resume"; id: JobId; at: number; by: string }
  | { kind: "skip"; id: JobId; skips: readonly Skip[] }
  /** Takes skips back, or removes those whose ticks are over. */
  | { kind: "unskip"; id: JobId; ticks: readonly number[] }
  /** Writes a value under a root other than that of the jobs (table/roots.ts); null removes it. */
  | { kind: "set"; root: string; id: string; value: unknown; by: string };
