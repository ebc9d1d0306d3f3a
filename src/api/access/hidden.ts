/**
 * Says whether a request names something that its caller can't see. Such a request is refused like one with a wrong name, even if
 * the caller also lacks a right, so that a refusal tells nothing about what is there.
 */
import type { FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import { parseRunReference, type JobId } from "../../schema/ids.ts";
import { isAtLeast } from "../../schema/access.ts";
import { hasGroup } from "./rights.ts";

/** Undefined = the caller sees what is named, or what is named doesn't have to exist (PUT). */
export function hiddenFrom(request: FastifyRequest): CicadaError | undefined {
  const { caller, control, method } = request;
  if (method === "PUT" || !isAtLeast(caller.role, "viewer")) return undefined;
  const url = request.routeOptions.url ?? "";
  const { id, run, name = "" } = request.params as { id?: string; run?: string; name?: string };
  if (url.startsWith("/v1/jobs/:id") && id !== undefined) {
    const { jobs, quarantined } = control.view();
    const isSeen = jobs.has(id as JobId) || quarantined.some((one) => one.id === id);
    return isSeen ? undefined : new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
  }
  if (url.startsWith("/v1/runs/:run") && run !== undefined) {
    const job = parseRunReference(run)?.job ?? (run.replace(/~failed$/, "") as JobId);
    const isSeen = control.view().jobs.has(job) || (caller.groups === undefined && run.includes("@"));
    return isSeen ? undefined : new CicadaError("RUN_NOT_FOUND", `there is no run "${run}"`);
  }
  const isHidden =
    (url.startsWith("/v1/groups/:name") && !hasGroup(caller, name)) ||
    (url.startsWith("/v1/maintenance/:name") && !control.settings("maintenance").has(name));
  return isHidden ? new CicadaError("SETTING_NOT_FOUND", `there is no such setting "${name}"`) : undefined;
}
