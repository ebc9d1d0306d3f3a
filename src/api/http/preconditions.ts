/**
 * The preconditions of changes (RFC 9110 §13). A call refuses one that it doesn't look at: a caller that means to change only what
 * it has read would otherwise overwrite what somebody else has written since.
 */
import type { FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Api } from "../options.ts";

/** Whether the call looks at `If-Match`. The calls that write one job do. */
export function takesIfMatch(method: string | readonly string[], url: string): boolean {
  return method !== "GET" && ["/v1/jobs", "/v1/jobs/:id", "/v1/jobs/:id/revert"].includes(url);
}

/** Call it after the guard, so that a caller without the right gets that refusal first. */
export function refusePreconditions(app: Api): void {
  app.addHook("preValidation", async (request) => {
    const unread = unreadPrecondition(request);
    if (unread !== undefined) throw new CicadaError("BAD_REQUEST", unread);
  });
}

function unreadPrecondition({
  method,
  headers,
  routeOptions: { url = "" },
}: FastifyRequest): string | undefined {
  if (method === "GET" || method === "HEAD") return undefined;
  if (headers["if-match"] !== undefined && !takesIfMatch(method, url)) {
    return "If-Match: this call doesn't support it; calls that write one job do";
  }
  const none = headers["if-none-match"];
  if (none !== undefined && (none !== "*" || method !== "PUT" || url !== "/v1/jobs/:id")) {
    return "If-None-Match: only PUT /v1/jobs/ID supports it, as *, to make a job that isn't there yet";
  }
  const dated = ["if-unmodified-since", "if-modified-since"].find((name) => headers[name] !== undefined);
  return dated === undefined ? undefined : `${dated}: no call supports it; give the job's ETag as If-Match`;
}
