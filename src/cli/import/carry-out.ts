/** Makes the jobs of an import through the API, one by one; an import can be repeated, and leaves alone what is as it should be. */
import { CicadaError } from "../../errors.ts";
import { sameValue } from "../../schema/equal.ts";
import type { JobSpec } from "../../schema/job.ts";
import type { JobAnswer } from "../terminal/answers.ts";
import type { Client } from "../terminal/client.ts";
import { writable } from "../terminal/job-words.ts";
import type { Reading } from "./reading.ts";

/** What was done with a job, or would be done in a dry run. */
export type Result = "create" | "created" | "unchanged" | "differs" | "update" | "updated" | "refused";

export interface Outcome {
  at: string;
  spec: JobSpec;
  result: Result;
  why?: string;
  /** what keeps the job from running now */
  warnings?: readonly string[];
}

export async function makeJobs(
  jobs: Reading["jobs"],
  client: Client | undefined,
  how: { dryRun: boolean; update: boolean },
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { at, spec } of jobs) outcomes.push({ at, spec, ...(await makeJob(spec, client, how)) });
  return outcomes;
}

async function makeJob(
  spec: JobSpec,
  client: Client | undefined,
  { dryRun, update }: { dryRun: boolean; update: boolean },
): Promise<Pick<Outcome, "result" | "why" | "warnings">> {
  if (client === undefined) return { result: "create" };
  try {
    const known = await existing(client, spec.id);
    if (known === undefined) {
      if (dryRun) return { result: "create" };
      const made = await client.ask<JobAnswer>("/v1/jobs", { method: "POST", body: spec });
      return { result: "created", warnings: made.warnings ?? [] };
    }
    if (sameValue(known, spec)) return { result: "unchanged" };
    if (!update) return { result: "differs", why: differences(known, spec) };
    if (dryRun) return { result: "update", why: differences(known, spec) };
    const path = `/v1/jobs/${encodeURIComponent(spec.id)}`;
    const { warnings = [] } = await client.ask<JobAnswer>(path, { method: "PUT", body: spec });
    return { result: "updated", why: differences(known, spec), warnings };
  } catch (error) {
    // This refuses only the one job. When the peer can't be reached, the import stops.
    if (!(error instanceof CicadaError) || !aboutTheJob.has(error.code)) throw error;
    return { result: "refused", why: error.detail };
  }
}
const aboutTheJob: ReadonlySet<string> = new Set(["INVALID_JOB", "JOB_EXISTS"]);

async function existing(client: Client, id: string): Promise<Record<string, unknown> | undefined> {
  try {
    return writable({ ...(await client.ask<JobAnswer>(`/v1/jobs/${encodeURIComponent(id)}`)) });
  } catch (error) {
    if (error instanceof CicadaError && error.code === "JOB_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Names the fields in which the job differs from what it was made of. */
function differences(known: Record<string, unknown>, spec: JobSpec): string {
  const wanted: Record<string, unknown> = { ...spec };
  const names = new Set([...Object.keys(known), ...Object.keys(wanted)]);
  return [...names].filter((name) => !sameValue(known[name], wanted[name])).join(", ");
}

/** What distinguishes the jobs of one source from all others. */
export interface Source {
  labels: Readonly<Record<string, string>>;
  /** of a crontab, whose jobs run as this user; a job with the label `file` is then of another one */
  user?: string;
  /** the label `file` of its jobs is one of these */
  files?: readonly string[];
  prefix: string;
}

/** Jobs that an earlier import of this source has made and that the source no longer has. */
export async function jobsGone(client: Client, source: Source, jobs: Reading["jobs"]): Promise<JobAnswer[]> {
  const label = Object.entries(source.labels).map(([name, value]) => `${name}=${value}`);
  const { items } = await client.list<JobAnswer>("/v1/jobs", { label });
  const present = new Set<string>(jobs.map(({ spec }) => spec.id));
  return items.filter(({ id, user, labels }) => {
    if (present.has(id) || !id.startsWith(source.prefix)) return false;
    if (source.files !== undefined && !source.files.includes(labels?.["file"] ?? "")) return false;
    return source.user === undefined || (user === source.user && labels?.["file"] === undefined);
  });
}

export async function removeJobs(client: Client, gone: readonly JobAnswer[]): Promise<void> {
  for (const { id, revision } of gone) {
    await client.send(`/v1/jobs/${encodeURIComponent(id)}`, {
      method: "DELETE",
      headers: revision === null ? {} : { "if-match": `"${revision}"` },
    });
  }
}
