/**
 * Which capabilities a peer needs to run a job: those for the fields that this version knows, and those that the job's other
 * parts name (table/slots.ts). It depends only on the job, so all peers agree.
 */
import type { JobSpec, PartNeeds } from "../../schema/job.ts";
import { calendarsOf } from "./calendars.ts";
import { addedFields, capabilityForField, type Capability } from "../../schema/protocol.ts";

export function neededCapabilities(job: {
  readonly partition: "available" | "majority";
  readonly spec: JobSpec;
  readonly needs: readonly PartNeeds[];
}): string[] {
  const executor: Capability = job.spec.http === undefined ? "executor:process" : "executor:http";
  const needs: string[] = [executor];
  if (job.partition === "majority") needs.push("majority" satisfies Capability);
  if (job.spec.target?.count === "all") needs.push("count:all" satisfies Capability);
  for (const { path, capability } of added) if (hasField(job.spec, path)) needs.push(capability);
  if (calendarsOf(job.spec).length > 0) needs.push("calendars" satisfies Capability);
  if (job.needs.length === 0) return needs;
  for (const { capabilities } of job.needs) needs.push(...capabilities);
  return [...new Set(needs)];
}

const added = addedFields.map((field) => ({ path: field.split("."), capability: capabilityForField(field) }));

function hasField(spec: JobSpec, path: readonly string[]): boolean {
  let value: unknown = spec;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return false;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value !== undefined;
}
