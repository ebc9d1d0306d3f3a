/**
 * The answer to a write: the job with its headers, and warnings. They say which of the jobs that were written, or that a written
 * setting decides about, will not run as things are.
 */
import type { FastifyReply } from "fastify";
import type { Control } from "../../ports/control.ts";
import { calendarNamedBy } from "../../schema/calendar.ts";
import type { JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import { didYouMean } from "../../schema/nearest.ts";
import type { SettingKind } from "../../schema/setting.ts";
import { groupOfJob } from "../access/judge.ts";
import { showJob, type ShownJob } from "./show-job.ts";

/** Jobs that one answer warns of. More would take longer than callers wait: the search for a tick that runs may be long. */
export const warnedMax = 50;

/** How many children of another group one warning names. */
const childrenNamed = 5;

/** Answers with a job and its headers; after a write, also with what keeps the job from running. */
export async function answerJob(
  reply: FastifyReply,
  control: Control,
  job: Job,
  written?: "created" | "changed",
  warnings: readonly string[] = [],
): Promise<ShownJob> {
  reply.header("etag", `"${job.revision}"`);
  if (written !== undefined && needsHost(job)) await control.hostsChecked(job.id);
  if (written === "created") reply.code(201).header("location", `/v1/jobs/${job.id}`);
  const shown = await showJob(job, control);
  if (written === undefined) return shown;
  const children = written === "created" ? [...foreignChildren([job], control).values()] : [];
  // What is warned about is often a problem of the job, too.
  const warned = [...new Set([...warnings, ...warningsOf(shown, job, control), ...children])];
  return warned.length === 0 ? shown : { ...shown, warnings: warned };
}

/** Whether each host has to look before it can tell whether it can run the job. */
function needsHost({ spec }: Pick<Job, "spec">): boolean {
  return spec.user !== undefined || spec.script !== undefined;
}

/** What keeps the jobs from running, in words. Of many, only the first ones are looked at. */
export async function warningsAbout(
  ids: readonly string[],
  control: Control,
): Promise<{ job: JobId; message: string }[]> {
  const warnings: { job: JobId; message: string }[] = [];
  const { jobs } = control.view();
  const looked = ids.slice(0, warnedMax).flatMap((id) => jobs.get(id as JobId) ?? []);
  await Promise.all(looked.filter(needsHost).map(({ id }) => control.hostsChecked(id)));
  for (const job of looked) {
    const shown = await showJob(job, control);
    for (const message of warningsOf(shown, job, control)) warnings.push({ job: job.id, message });
  }
  return warnings;
}

/** What keeps one job from running, or has no effect, in words. */
function warningsOf({ problems, nextTick, state }: ShownJob, { id, spec }: Job, control: Control): string[] {
  const warned = new Set(problems.map(warningOf));
  const isStopped = state === "disabled" || state === "paused";
  if (warned.size === 0 && spec.schedule !== undefined && nextTick === null && !isStopped)
    warned.add(control.next(id, 1)?.[0]?.skipped === "except" ? leavesOutAll : hasNone);
  return [...warned, ...contradictionsIn(spec)];
}

/** Parts of the job of which one has no effect because of another. */
function contradictionsIn({ success }: Job["spec"]): string[] {
  const both = success?.exitCodes?.filter((code) => success.skipCodes?.includes(code)) ?? [];
  return both.map(
    (code) => `exit code ${code} is in success.exitCodes and in success.skipCodes: it counts as skipped`,
  );
}

const hasNone = "its schedule has no further tick, so it runs only by hand";
const leavesOutAll = "its `except` leaves out all further ticks, so it runs only by hand";

export function warningOf({ code, message }: { code: string; message: string }): string {
  return code === "NO_PEER" || code === "NO_QUORUM" ? `no peer can run it now: ${message}` : message;
}

/** The jobs that a setting decides about, in order. */
export function concernedBy(control: Control, setting: SettingKind, name: string): readonly string[] {
  switch (setting) {
    case "calendars":
      return jobsOf(control, ({ spec: { except = [] } }) =>
        except.some((entry) => calendarNamedBy(entry) === name),
      );
    case "groups":
      return jobsOf(control, (job) => groupOfJob(job) === name);
    case "maintenance": {
      const { group } = (control.settings("maintenance").get(name) ?? {}) as { group?: string };
      return jobsOf(control, (job) => group === undefined || groupOfJob(job) === group);
    }
    case "pools":
      return control.pool(name).jobs;
    case "secrets":
      return [];
  }
}

/**
 * New jobs may have children from a time when other jobs had their ids, and those children read what the new jobs hand on.
 * Returns a warning for each new job that has such children of another group, and reads the table once for all of them.
 */
export function foreignChildren(made: readonly Job[], control: Control): Map<JobId, string> {
  const children = new Map(made.map((job) => [job.id, { group: groupOfJob(job), names: [] as string[] }]));
  for (const child of made.length === 0 ? [] : control.view().jobs.values()) {
    for (const id of new Set(child.spec.after?.jobs)) {
      const parent = children.get(id);
      const group = groupOfJob(child);
      if (parent !== undefined && parent.group !== group) parent.names.push(`${child.id} (${group})`);
    }
  }
  const warned = [...children].filter(([, { names }]) => names.length > 0);
  return new Map(
    warned.map(([id, { names }]) => {
      const more = names.length - childrenNamed;
      const all = `${names.slice(0, childrenNamed).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
      return [id, `jobs of other groups run after it and read what it hands on: ${all}`];
    }),
  );
}

/** A maintenance of a group without a job holds nothing up, which its author may not have meant. */
export function emptyGroupOf(maintenance: string, control: Control): string[] {
  const { group } = (control.settings("maintenance").get(maintenance) ?? {}) as { group?: string };
  return group === undefined ? [] : warningsOfGroups([group], control);
}

/** Says which of the groups have neither a job nor defaults: their names may be mistyped. */
export function warningsOfGroups(groups: readonly string[], control: Control): string[] {
  const known = new Set(control.settings("groups").keys());
  for (const job of control.view().jobs.values()) known.add(groupOfJob(job));
  return groups
    .filter((group) => !known.has(group))
    .map((group) => `no job is in the group "${group}" yet${didYouMean(group, known)}`);
}

function jobsOf(control: Control, isOne: (job: Job) => boolean): string[] {
  const jobs = [...control.view().jobs.values()].filter(isOne);
  return jobs.map(({ id }) => id).toSorted();
}
