/** What a peer must be capable of to run a job. It depends on nothing but the job's fields, so all peers agree. */
import type { RunAction } from "../../ports.ts";
import type { Capability } from "../../schema/protocol.ts";

export function neededCapabilities(job: {
  readonly action: RunAction;
  readonly partition: "available" | "majority";
}): Capability[] {
  const executor = `executor:${job.action.kind}` as const;
  return job.partition === "majority" ? [executor, "majority"] : [executor];
}
