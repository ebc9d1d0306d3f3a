/**
 * Which capabilities a peer needs to run a job: those for the fields that this version knows, and those that the job's other
 * parts name (table/slots.ts). It depends only on the job, so all peers agree.
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
