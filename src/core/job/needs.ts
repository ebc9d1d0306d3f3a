/**
 * Which capabilities a peer needs to run a job: those for the fields that this version knows, and those that the job's other
 * parts name (table/slots.ts). It depends only on the job, so all peers agree.
 */
import type { RunAction } from "../../ports.ts";
import type { JobSpec, PartNeeds } from "../../schema/job.ts";
import { calendarsOf } from "./calendars.ts";
import { addedFields, capabilityForField, type Capability } from "../../schema/protocol.ts";

export function neededCapabilities(job: {
  readonly action: RunAction;
  readonly partition: "available" | "majority";
  readonly spec: JobSpec;
  readonly needs: readonly PartNeeds[];
}): string[] {
  const executor: Capability = `executor:${job.action.kind}`;
  const needs = new Set<string>([executor]);
  if (job.partition === "majority") needs.add("majority" satisfies Capability);
  if (job.spec.target?.count === "all") needs.add("count:all" satisfies Capability);
  for (const field of addedFields) if (hasField(job.spec, field)) needs.add(capabilityForField(field));
  if (calendarsOf(job.spec).length > 0) needs.add("calendars" satisfies Capability);
  for (const { capabilities } of job.needs) for (const capability of capabilities) needs.add(capability);
  return [...needs];
}

/** `field` as in `target.tags`. */
function hasField(spec: JobSpec, field: string): boolean {
  let value: unknown = spec;
  for (const name of field.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return false;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value !== undefined;
}
