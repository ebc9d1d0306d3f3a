/**
 * Every refusal in one form: application/problem+json (RFC 9457), with the code and hint of errors/table.ts.
 *
 * Refusals by fastify itself (bad JSON, a large body, an unknown type) get the same form. An unexpected error is
 * answered as INTERNAL without any detail; the log has all of it.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import { errorTable, type ErrorCode } from "../../errors/table.ts";
import type { Log } from "../../ports.ts";
import type { Problem } from "../../schema/job.ts";

export interface ProblemDocument {
  /** `urn:cicada:error:CODE`; stable. */
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  hint: string;
  errors?: readonly Problem[];
}

export function problemDocument(error: CicadaError): ProblemDocument {
  const { title, status } = errorTable[error.code];
  return {
    type: `urn:cicada:error:${error.code}`,
    title,
    status,
    code: error.code,
    detail: shortened(error.detail),
    hint: error.hint,
    ...(error.problems.length === 0 ? {} : { errors: error.problems }),
  };
}

/** A detail quotes what was sent, which may be long. */
function shortened(detail: string): string {
  return detail.length <= detailCap ? detail : `${detail.slice(0, detailCap)}…`;
}
const detailCap = 500;

export function sendProblem(reply: FastifyReply, error: CicadaError): FastifyReply {
  const body = problemDocument(error);
  return reply.code(body.status).type("application/problem+json").send(JSON.stringify(body));
}

/** One refusal for several mistakes: the detail names the first, `errors` lists all. */
export function refusal(code: ErrorCode, problems: readonly Problem[]): CicadaError {
  const [first] = problems;
  if (first === undefined) return new CicadaError(code, errorTable[code].title);
  const where = first.pointer === "" ? "" : `${first.pointer}: `;
  const more = problems.length === 1 ? "" : ` (and ${problems.length - 1} more)`;
  return new CicadaError(code, `${where}${first.message}${more}`, problems);
}

const codeOfFastify: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "BODY_TOO_LARGE",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
  FST_ERR_CTP_INVALID_JSON_BODY: "BAD_JSON",
  FST_ERR_CTP_EMPTY_JSON_BODY: "BAD_JSON",
};

/** The coded error for anything that was thrown; INTERNAL when it was unexpected. */
export function codedError(error: unknown): CicadaError {
  if (error instanceof CicadaError) return error;
  if (error instanceof Error) {
    const code = "code" in error && typeof error.code === "string" ? codeOfFastify[error.code] : undefined;
    if (code !== undefined) return new CicadaError(code, error.message);
    const status = "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : 500;
    if (error instanceof SyntaxError && status === 400) return new CicadaError("BAD_JSON", error.message);
    if (status === 404) return new CicadaError("NOT_FOUND", error.message);
    if (status >= 400 && status < 500) return new CicadaError("BAD_REQUEST", error.message);
  }
  return new CicadaError("INTERNAL", "the request could not be carried out");
}

function inContext(error: CicadaError, request: FastifyRequest): CicadaError {
  if (error.code !== "BODY_TOO_LARGE") return error;
  return new CicadaError(error.code, `this call takes at most ${request.routeOptions.bodyLimit} bytes`);
}

/** For fastify's error handler, and for requests that fastify refuses before it finds a route. */
export function answerErrors(log: Log) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const coded = inContext(codedError(error), request);
    if (coded.code === "INTERNAL") {
      log.error("a request failed", {
        method: request.method,
        route: request.routeOptions.url ?? "none",
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
    // An answer that has begun, such as a log or a stream of events, can't be replaced.
    if (reply.raw.headersSent) reply.raw.destroy();
    else void sendProblem(reply, coded);
  };
}
