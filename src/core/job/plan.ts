/**
 * A job, parsed once: durations as numbers, the schedule as masks. Core decides everything about a job from its plan. Only its
 * action is read when a run starts (checks/action.ts), because a plan for each of 100,000 jobs would hold it.
 */
import type { JobId } from "../../schema/ids.ts";
import type { ParamValues } from "../../schema/run.ts";
import type { NotifyRule } from "../../schema/notice.ts";
import { unknownCapabilities } from "../../schema/protocol.ts";
import type { Job, JobSpec, Pause, Problem, Skip } from "../../schema/job.ts";
import { overdueMs } from "../limits.ts";
import { afterOf, type After } from "./chain.ts";
import type { RetryRule } from "./retry.ts";
import { equipmentOf, timeoutOf } from "../checks/action.ts";
import { calendarsOf, lastWritten, noCalendars } from "./calendars.ts";
import type { Maintenance } from "./maintenance.ts";
import { neededCapabilities } from "./needs.ts";
import { nextTick, parseSchedule, ticksBetween, withoutExclusions, type Schedule } from "../time/schedule.ts";
import { parseDuration, parseSize } from "../time/units.ts";
import type { PatternRule } from "../../ports/patterns.ts";
import { patternRulesOf } from "../checks/patterns.ts";
import { precheckOf, type Precheck } from "../checks/precheck.ts";
import { defaultsOf } from "../checks/params.ts";
import { successOf, type Success } from "./success.ts";
import { targetOf, type Target } from "./target.ts";

export interface Plan {
  readonly id: JobId;
  readonly job: Job;
  readonly revision: string;
  /** undefined = the job runs only by hand, is disabled, or has a schedule that this version doesn't understand */
  readonly schedule: Schedule | undefined;
  /** false = a later version has written parts of the schedule or a calendar, so this version can't compute the job's ticks */
  readonly knowsTicks: boolean;
  /** it has no ticks before `startsAt`, and none after `endsAt`; ms */
  readonly lifetime: Readonly<{ startsAt: number; endsAt: number }>;
  /** each tick is due less than this after it (core/job/jitter.ts); 0 = at the tick */
  readonly jitterMs: number;
  readonly enabled: boolean;
  /** the named calendars whose ticks it leaves out */
  readonly calendars: readonly string[];
  /** when the last of them was written; ms */
  readonly calendarsAt: number;
  /**
   * the latest of creation, last edit of the schedule or its calendars, and last resume (ms): the job has no ticks up to this
   * instant
   */
  readonly earliest: number;
  readonly overlap: NonNullable<JobSpec["overlap"]>;
  readonly partition: "available" | "majority";
  /** the jobs whose ticks are its ticks; undefined = it has a schedule, or runs only by hand */
  readonly after: After | undefined;
  readonly catchUp: Readonly<{ policy: "none" | "latest" | "all"; windowMs: number; limit: number }>;
  readonly retry: RetryRule;
  /** after this many failed ticks in a row the job is paused; 0 = never */
  readonly pauseAfterFailures: number;
  readonly pauses: readonly Pause[];
  /** ticks that are to be skipped because a person asked for it, by their instant (ms); oldest first */
  readonly skips: ReadonlyMap<number, Skip>;
  /** those that apply to it; the table changes them apart from the job */
  readonly maintenance: readonly Maintenance[];
  readonly target: Target;
  /** it limits how many runs of all jobs that name it are in progress at once (core/job/pools.ts) */
  readonly pool: string | undefined;
  /** how much of a peer's capacity a run takes */
  readonly weight: number;
  /** what people want to be notified of */
  readonly notify: readonly NotifyRule[];
  readonly keep: Readonly<{ runs: number; ageMs: number; logBytes: number }>;
  /** the capabilities that a peer needs to run it */
  readonly needs: readonly string[];
  /** what a peer's host must have, or allow, to run it (members/equipment.ts) */
  readonly equipment: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** names; the peer that runs it finds their values */
  readonly secrets: readonly string[];
  readonly timeoutMs: number;
  readonly success: Success;
  readonly precheck: Precheck | undefined;
  /** over what a run has printed */
  readonly patterns: readonly PatternRule[];
  /** the values of its parameters in a run for which nobody gives any */
  readonly params: ParamValues;
}

const hour = 3_600_000;
const defaults = {
  windowMs: hour,
  limit: 100,
  backoffMs: 10_000,
  maxBackoffMs: 600_000,
  runs: 100,
  ageMs: 30 * 24 * hour,
  logBytes: 1_048_576,
};

function milliseconds(value: string | 0 | undefined, fallback: number): number {
  return value === undefined ? fallback : (parseDuration(value) ?? fallback);
}

/**
 * How long after due an order of the job may still be started, ms. Waiting behind another run doesn't count. A requested order
 * has the whole window even if the job's policy is to catch nothing up.
 */
export function startWindowMs({ catchUp }: Pick<Plan, "catchUp">, isRequested: boolean): number {
  return catchUp.policy === "none" && !isRequested ? overdueMs : Math.max(catchUp.windowMs, overdueMs);
}

/** The plan of a job that `checkJob` has accepted; a list of problems if its schedule or zone can't be read here. */
export function planJob(job: Job, known = noCalendars): Plan | Problem[] {
  const { spec } = job;
  let schedule: Schedule | undefined;
  if (spec.schedule !== undefined) {
    const parsed = parseSchedule(spec.schedule, spec.timezone ?? "UTC", spec.id, spec.except, known.named);
    if (!parsed.ok) return parsed.problems.map(({ field, message }) => ({ pointer: `/${field}`, message }));
    schedule = parsed.schedule;
  }
  const partition = spec.partition ?? "available";
  const calendars = calendarsOf(spec);
  const calendarsAt = lastWritten(known, calendars);
  const knowsTicks = !hasLaterSchedule(job) && !calendars.some((name) => known.unreadable.has(name));
  const jitterMs = milliseconds(spec.jitter, 0);
  return {
    id: job.id,
    job,
    revision: job.revision,
    schedule: spec.enabled === false || !knowsTicks ? undefined : schedule,
    knowsTicks,
    lifetime: spec.startsAt === undefined && spec.endsAt === undefined ? plain.lifetime : lifetimeOf(spec),
    jitterMs,
    enabled: spec.enabled !== false,
    calendars,
    calendarsAt,
    earliest: beginningOf(job, calendarsAt),
    overlap: spec.overlap ?? "queue",
    partition,
    after: afterOf(spec),
    catchUp: spec.catchUp === undefined ? plain.catchUp : catchUpOf(spec.catchUp),
    retry: spec.retry === undefined ? plain.retry : retryOf(spec.retry),
    pauseAfterFailures: spec.pauseAfterFailures ?? 0,
    pauses: job.pauses,
    skips: job.skips === undefined ? plain.skips : new Map(job.skips.map((skip) => [skip.tick, skip])),
    maintenance: plain.none,
    target: spec.target === undefined ? plain.target : targetOf(spec),
    pool: spec.pool,
    weight: spec.weight ?? 1,
    notify: spec.notify ?? plain.none,
    keep: spec.keep === undefined ? plain.keep : keepOf(spec.keep),
    needs: sharedList(neededCapabilities({ partition, spec, needs: job.needs })),
    equipment: sharedList(equipmentOf(spec)),
    env: spec.env ?? plain.env,
    secrets: spec.secrets ?? plain.none,
    timeoutMs: timeoutOf(spec),
    success: successOf(spec),
    precheck: precheckOf(spec),
    patterns: spec.success === undefined && spec.http === undefined ? plain.none : patternRulesOf(spec),
    params: spec.params === undefined ? plain.params : defaultsOf(spec.params),
  };
}

function lifetimeOf({ startsAt, endsAt }: Pick<JobSpec, "startsAt" | "endsAt">): Plan["lifetime"] {
  return {
    startsAt: startsAt === undefined ? -Infinity : Date.parse(startsAt),
    endsAt: endsAt === undefined ? Infinity : Date.parse(endsAt),
  };
}

function catchUpOf({ policy, window, limit }: NonNullable<JobSpec["catchUp"]>): Plan["catchUp"] {
  return {
    policy: policy ?? "latest",
    windowMs: milliseconds(window, defaults.windowMs),
    limit: limit ?? defaults.limit,
  };
}

function retryOf(retry: NonNullable<JobSpec["retry"]>): RetryRule {
  return {
    attempts: retry.attempts ?? 0,
    backoffMs: milliseconds(retry.backoff, defaults.backoffMs),
    factor: retry.factor ?? 2,
    maxBackoffMs: milliseconds(retry.maxBackoff, defaults.maxBackoffMs),
    on: retry.on ?? ["failed", "timeout"],
    where: retry.where ?? "any",
  };
}

function keepOf({ runs, age, logBytes }: NonNullable<JobSpec["keep"]>): Plan["keep"] {
  return {
    runs: runs ?? defaults.runs,
    ageMs: milliseconds(age, defaults.ageMs),
    logBytes: logBytes === undefined ? defaults.logBytes : (parseSize(logBytes) ?? defaults.logBytes),
  };
}

/** Most jobs leave these out, and a peer may have 100,000: they share what is never changed. */
const plain = {
  catchUp: catchUpOf({}),
  retry: retryOf({}),
  skips: new Map() satisfies Plan["skips"],
  keep: keepOf({}),
  env: {},
  params: {},
  target: targetOf({}),
  lifetime: lifetimeOf({}),
  none: [],
} as const;

/** The needs of jobs differ little, so equal lists share one object. */
const knownLists = new Map<string, readonly string[]>();
/** With more, the known lists are forgotten, and later plans share new ones. */
const knownListsMax = 256;

function sharedList(list: readonly string[]): readonly string[] {
  const key = JSON.stringify(list);
  const known = knownLists.get(key);
  if (known !== undefined) return known;
  if (knownLists.size >= knownListsMax) knownLists.clear();
  knownLists.set(key, list);
  return list;
}

/** The latest of the job's creation, last edit of its schedule or its calendars, and last resume (ms): no tick up to it counts. */
export function beginningOf({ createdAt, scheduledAt, resumedAt }: Job, calendarsAt: number): number {
  return Math.max(createdAt, scheduledAt, resumedAt, calendarsAt);
}

function hasLaterSchedule({ needs }: Job): boolean {
  return needs.some(
    ({ slot, capabilities }) => slot === "schedule" && unknownCapabilities(capabilities).length > 0,
  );
}

/** The first tick of the job after an instant (ms), within `startsAt` and `endsAt` and after `earliest`. */
export function nextTickOf(plan: Plan, after: number): number | undefined {
  if (plan.schedule === undefined) return undefined;
  const tick = nextTick(plan.schedule, Math.max(after, plan.earliest, plan.lifetime.startsAt - 1));
  return tick === undefined || tick > plan.lifetime.endsAt ? undefined : tick;
}

/** The same, whether the job leaves the tick out or not. */
export function nextPlannedTickOf(plan: Plan, after: number): number | undefined {
  if (plan.schedule === undefined) return undefined;
  return nextTickOf({ ...plan, schedule: withoutExclusions(plan.schedule) }, after);
}

/** The newest `limit` ticks of the job with from ≤ tick < to (ms), oldest first. */
export function ticksOf(plan: Plan, from: number, to: number, limit: number): number[] {
  if (plan.schedule === undefined) return [];
  const start = Math.max(from, plan.earliest + 1, plan.lifetime.startsAt);
  let end = Math.min(to, plan.lifetime.endsAt + 1);
  // Goes back from the end in growing spans: a week may hold hundreds of thousands of ticks, of which only the newest are
  // wanted.
  let found: number[] = [];
  for (let spanMs = limit * 1_000; start < end && found.length < limit; spanMs *= 4) {
    const begin = Math.max(start, end - spanMs);
    found = [...ticksBetween(plan.schedule, begin, end), ...found];
    end = begin;
  }
  return found.slice(-limit);
}

/** Whether the instant (ms) is a tick of the job's current schedule. */
export function isTickOf(plan: Plan, instant: number): boolean {
  return ticksOf(plan, instant, instant + 1, 1).length === 1;
}
