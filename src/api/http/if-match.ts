/**
 * `If-Match` on jobs: a change is made only to the revision that its author has read. A job's ETag is its revision;
 * it is compared with this peer's replica here, and once more when the change is made.
 */
import type { FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports.ts";
import type { JobId } from "../../schema/ids.ts";

/** As the command takes it; nothing when the header is not there. */
export function readIfMatch(request: FastifyRequest, control: Control, id: JobId): { ifMatch?: string } {
  const header = request.headers["if-match"];
  if (header === undefined) return {};
  const revision = control.view().jobs.get(id)?.revision;
  if (revision === undefined) throw new CicadaError("REVISION_CONFLICT", `there is no job "${id}" any more`);
  if (header.trim() === "*") return { ifMatch: revision };
  const given = header.split(",").map((tag) => tag.trim());
  if (!given.every((tag) => /^(W\/)?"[^"]*"$/.test(tag))) {
    throw new CicadaError("BAD_REQUEST", "If-Match: give the ETag of the job, in its double quotes, or *");
  }
  // Weak tags never match (RFC 9110 §13.1.1).
  if (given.includes(`"${revision}"`)) return { ifMatch: revision };
  throw new CicadaError("REVISION_CONFLICT", `"${id}" is at revision "${revision}" here`);
}
