/**
 * The answer when no route matches: 405 with `Allow` if the address accepts other methods, else 404. A browser gets the page with
 * it, which says so in words and leads on.
 */
import type { FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Api } from "../options.ts";
import { sendFile, type PageFile } from "./page-files.ts";
import { sendProblem } from "./problems.ts";

/** Call it before the routes are registered. */
export function answerUnrouted(app: Api, page: PageFile): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }: RouteOptions) => {
    const methods = methodsOf.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    methodsOf.set(url, methods);
  });

  const answer = (request: FastifyRequest, reply: FastifyReply) => {
    const [path = ""] = request.url.split("?", 1);
    const allowed = new Set<string>();
    for (const [pattern, methods] of methodsOf) {
      if (matches(pattern, path)) for (const method of methods) allowed.add(method);
    }
    if (allowed.size === 0) {
      if (isOfBrowser(request)) return sendFile(request, reply.code(404), page, "no-cache");
      return sendProblem(reply, new CicadaError("NOT_FOUND", `there is no call ${request.method} ${path}`));
    }
    const list = [...allowed].toSorted().join(", ");
    reply.header("allow", list);
    return sendProblem(reply, new CicadaError("METHOD_NOT_ALLOWED", `${path} accepts ${list}`));
  };
  app.setNotFoundHandler(answer);
  // This comes before the body is read, because the body's type doesn't matter if no route reads it.
  app.addHook("onRequest", async (request, reply) => {
    if (request.is404) return answer(request, reply);
    return undefined;
  });
}

/**
 * True if a person has followed a link or typed an address. Scripts don't ask for HTML, and the API's own addresses have none.
 */
export function isOfBrowser({ method, headers, url }: FastifyRequest): boolean {
  const takesHtml = headers.accept?.includes("text/html") === true && headers.authorization === undefined;
  return (method === "GET" || method === "HEAD") && takesHtml && !/^\/v\d/.test(url);
}

/** Whether a path matches a pattern such as `/v1/jobs/:id`. */
function matches(pattern: string, path: string): boolean {
  const parts = pattern.split("/");
  const given = path.split("/");
  if (parts.length !== given.length) return false;
  return parts.every((part, i) => (part.startsWith(":") ? given[i] !== "" : part === given[i]));
}
