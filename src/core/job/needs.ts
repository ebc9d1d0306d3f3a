/**
 * What a peer must be capable of to run a job: by the fields that this version knows, and by what the job's other parts say
 * (table/slots.ts). It depends on nothing but the job, so all peers agree.
 */
import type { RunAction } from "../../ports.ts";
import type { PartNeeds } from "../../schema/job.ts";
import type { Capability } from "../../schema/protocol.ts";

export function neededCapabilities(job: {
  readonly action: RunAction;
  readonly partition: "available" | "majority";
  readonly needs: readonly PartNeeds[];
}): string[] {
  const executor: Capability = `executor:${job.action.kind}`;
  const needs = new Set<string>([executor]);
  if (job.partition === "majority") needs.add("majority" satisfies Capability);
  for (const { capabilities } of job.needs) for (const capability of capabilities) needs.add(capability);
  return [...needs];
}
