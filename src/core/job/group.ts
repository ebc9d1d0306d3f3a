/**
 * The defaults that a group gives to its jobs. A job's own field wins as a whole, except that the variables of both `env`s count.
 * A job that sends a request takes no field that is about processes. The table shows each job with its group's defaults filled
 * in, so that every peer decides by the same job.
 */
import { sameValue } from "../../schema/equal.ts";
import {
  groupFields,
  groupTimetableFields,
  StoredGroupSchema,
  type GroupDefaults,
  type StoredGroup,
} from "../../schema/group.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import { JobSpecSchema, type CheckedSpec, type JobSpec, type Problem } from "../../schema/job.ts";
import { didYouMean } from "../../schema/nearest.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { shapeOf } from "../../schema/shape.ts";
import { missingCalendars } from "./calendar-jobs.ts";
import { isObject } from "../checks/fields.ts";
import { actionFields, processFields } from "../checks/action.ts";
import { checkJob, type JobCheck } from "../checks/job.ts";
import type { JobsState } from "./jobs-state.ts";
import type { Plan } from "./plan.ts";

const shape = shapeOf(StoredGroupSchema, 'such as {"timezone": "Europe/Berlin"}');
const ofProcess: ReadonlySet<string> = new Set(processFields);
/** How many jobs a refusal names. */
const jobsShown = 5;

export function groupOf({ group }: JobSpec): string {
  return group ?? defaultGroup;
}

/** An entry of the table; undefined if it can't be read. */
export function readGroup(entry: unknown): StoredGroup | undefined {
  const checked = shape.checkKnown(entry);
  return checked.ok ? checked.value : undefined;
}

/** What is wrong with what a person writes, whatever jobs there are. */
export function groupProblems(value: unknown): readonly Problem[] {
  if (!isObject(value)) return [{ pointer: "", message: 'a group is an object such as {"timezone": "UTC"}' }];
  const known = [...groupFields, "description"];
  const unknown = Object.keys(value).filter((field) => !known.includes(field));
  if (unknown.length > 0) {
    return unknown.map((field) => ({
      pointer: pointerTo(field),
      message: Object.hasOwn(JobSpecSchema.properties, field)
        ? `a group can't set ${field}: write it in each job`
        : `unknown field${didYouMean(field, known) || `: the fields are ${known.join(", ")}`}`,
    }));
  }
  const checked = checkJob({ ...value, id: "any", command: "true" });
  return checked.ok ? [] : checked.problems;
}

/** The fields that the job takes from its group. */
export function inheritedBy(spec: JobSpec, group: StoredGroup | undefined): GroupDefaults {
  if (group === undefined || group.removed === true) return {};
  const isRequest = spec.http !== undefined;
  const given: Record<string, unknown> = {};
  for (const field of groupFields) {
    const value = field === "env" ? inheritedEnv(spec, group) : group[field];
    if (value === undefined || (isRequest && ofProcess.has(field))) continue;
    if (field === "env" || spec[field] === undefined) given[field] = value;
  }
  return given;
}

function inheritedEnv(spec: JobSpec, { env = {} }: StoredGroup): Record<string, string> | undefined {
  const own = new Set([...Object.keys(spec.env ?? {}), ...(spec.secrets ?? [])]);
  const given = Object.entries(env).filter(([name]) => !own.has(name));
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

/** The job with its group's defaults. */
export function withInherited(spec: JobSpec, inherited: GroupDefaults): JobSpec {
  const env = inherited.env === undefined ? {} : { env: { ...inherited.env, ...spec.env } };
  return { ...inherited, ...spec, ...env };
}

/** Checks a job with the defaults that its group has in the table. A problem says so if only those cause it. */
export function checkInGroup(spec: CheckedSpec, group: StoredGroup | undefined): JobCheck {
  const inherited = inheritedBy(spec, group);
  if (Object.keys(inherited).length === 0) return { ok: true, spec };
  const hasAction = actionFields.some((field) => Object.hasOwn(spec, field));
  const checked = checkJob(withInherited(spec, inherited), hasAction ? "whole" : "without-action");
  if (checked.ok) return checked;
  const problems = checked.problems.map(({ pointer, message }) => ({
    pointer,
    message: `with the defaults of its group ${groupOf(spec)}: ${message}`,
  }));
  return { ...checked, problems };
}

/** What would become wrong with the group's jobs, named. `value` is right by itself. */
export function problemsOfJobs(jobs: JobsState, name: string, value: StoredGroup): readonly Problem[] {
  const problems = missingCalendars(jobs, { except: value.except ?? [] });
  for (const { id, job } of jobsOfGroup(jobs, name)) {
    const checked = checkInGroup(job.written ?? job.spec, value);
    if (checked.ok) continue;
    const [{ pointer, message } = { pointer: "", message: "" }] = checked.problems;
    const [field = ""] = pointer.split("/").slice(1);
    const isOwn = (groupFields as readonly string[]).includes(field);
    problems.push({
      pointer: isOwn ? pointerTo(field) : "",
      message: `the job ${id} would be invalid: ${message}`,
    });
    if (problems.length >= jobsShown) return problems;
  }
  return problems;
}

function jobsOfGroup({ plans }: JobsState, name: string): Plan[] {
  return [...plans.values()].filter(({ job }) => groupOf(job.spec) === name);
}

/** Takes in all groups, by name. */
export function enterGroups(jobs: JobsState, entries: ReadonlyMap<string, unknown>): void {
  jobs.groups = new Map(
    [...entries].flatMap(([name, entry]) => {
      const group = readGroup(entry);
      return group === undefined ? [] : [[name, group] as const];
    }),
  );
}

/** What a person writes, as the table keeps it; undefined = the group says that already. */
export function storedGroup(
  { groups }: JobsState,
  name: string,
  value: GroupDefaults | undefined,
  now: number,
): StoredGroup | undefined {
  const { timetableAt, ...before } = groups.get(name) ?? {};
  const after: StoredGroup = value ?? { removed: true };
  if (sameValue(before, after)) return undefined;
  const isMoved = groupTimetableFields.some((field) => !sameValue(before[field], after[field]));
  const at = isMoved ? now : timetableAt;
  return { ...after, ...(at === undefined ? {} : { timetableAt: at }) };
}

/** The groups that give something, by name: what a person sees. */
export function shownGroups(entries: ReadonlyMap<string, unknown>): Map<string, object> {
  return new Map(
    [...entries].flatMap(([name, entry]) => {
      const group = readGroup(entry);
      if (group === undefined || group.removed === true) return [];
      const { timetableAt: _, ...shown } = group;
      return [[name, shown] as const];
    }),
  );
}
