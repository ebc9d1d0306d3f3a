/**
 * Guards every route: a route that isn't declared open needs credentials (DESIGN §12).
 *
 * It checks four things, in this order. It must be possible to read the request in only one way. The `Host` must be one
 * of ours; otherwise a foreign site has pointed its name at this machine (DNS rebinding). The request must come from our
 * own page or from no page at all (`Origin`, `Sec-Fetch-Site`, on every method). It must carry the token or the cookie of
 * a session. There is no CORS, so no other site may call.
 *
 * Failed attempts are counted per address and refused beyond a limit. A valid token always passes: nobody can guess 256
 * random bits, and a script may make thousands of calls.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Api, ApiOptions } from "../options.ts";
import type { Sessions } from "./sessions.ts";
import type { Sockets } from "./sockets.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Every request whose Host and Origin are right is answered; a function decides for which requests. */
    open?: boolean | ((request: FastifyRequest) => boolean);
  }
  interface FastifyRequest {
    /** Who makes the request, as the table keeps it in `updatedBy`. */
    actor: string;
  }
}

/**
 * Failures per address and minute. More gives an attacker more guesses; less makes a person wait who mistypes a token.
 */
const failuresPerMinute = 60;

/**
 * The name differs for each peer, because the ports of one host share their cookies, and the demo has three peers on
 * one host.
 */
export function cookieName(peer: string): string {
  return `cicada-${peer.slice(-8)}`;
}

/** Counts a failure and returns its error: UNAUTHORISED, or RATE_LIMITED beyond the limit. */
export type Refuse = (request: FastifyRequest, reply: FastifyReply, detail: string) => Promise<CicadaError>;

/** Call it after @fastify/rate-limit is loaded. */
export function countFailures(app: Api): Refuse {
  const count = app.createRateLimit({ max: failuresPerMinute, timeWindow: 60_000 });
  return async (request, reply, detail) => {
    const counted = await count(request);
    if (!counted.isAllowed && counted.isExceeded) {
      reply.header("retry-after", counted.ttlInSeconds);
      return new CicadaError("RATE_LIMITED", "too many requests without a valid token");
    }
    reply.header("www-authenticate", 'Bearer realm="cicada"');
    return new CicadaError("UNAUTHORISED", detail);
  };
}

export function guard(
  app: Api,
  options: ApiOptions,
  sessions: Sessions,
  sockets: Sockets,
  refuse: Refuse,
): void {
  const cookie = cookieName(options.self.id);
  app.decorateRequest("actor", "");
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-cicada-peer", options.self.id);
    reply.header("cache-control", "no-store");
    checkHead(request);
    checkHost(request, options);
    checkOrigin(request);
    const open = request.routeOptions.config?.open ?? false;
    if (typeof open === "boolean" ? open : open(request)) return undefined;
    const failure = credentialsFailure(request, cookie, sessions);
    if (failure !== undefined && isDocsInBrowser(request)) {
      return reply.redirect(`/?back=${encodeURIComponent(request.url)}`);
    }
    if (failure !== undefined) throw await refuse(request, reply, failure);
    sockets.entitle(request.raw.socket);
    request.actor = `admin@${options.self.name}`;
    return undefined;
  });
}

/** A person who opens the documentation without a session logs in first and is then sent back to it. */
function isDocsInBrowser({ method, url, headers }: FastifyRequest): boolean {
  const wantsPage = headers.accept?.includes("text/html") === true && headers.authorization === undefined;
  return method === "GET" && /^\/docs(\/|$)/.test(url) && wantsPage;
}

/**
 * Headers that say who sends the request, what for and how. If one is given twice, one part of a program may read the
 * first and another part the last.
 */
const givenOnce = new Set([
  "host",
  "authorization",
  "origin",
  "content-type",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "last-event-id",
  "range",
  "sec-fetch-site",
  "sec-fetch-mode",
]);

/**
 * Refuses a request that could be read in two ways: a header that is given twice, an address that names a host of its
 * own, or one with a fragment, which the router takes for parameters.
 */
function checkHead({ raw }: FastifyRequest): void {
  if (raw.url?.startsWith("/") !== true) {
    throw new CicadaError("BAD_REQUEST", "request a path, such as /v1/jobs, and name the host only in Host");
  }
  if (raw.url.includes("#")) {
    throw new CicadaError("BAD_REQUEST", "an address has no # here: write it as %23, or leave it out");
  }
  const seen = new Set<string>();
  for (let at = 0; at < raw.rawHeaders.length; at += 2) {
    const name = raw.rawHeaders[at]?.toLowerCase() ?? "";
    if (!givenOnce.has(name)) continue;
    if (seen.has(name)) throw new CicadaError("BAD_REQUEST", `the header ${name} is given twice`);
    seen.add(name);
  }
}

function checkHost(request: FastifyRequest, options: ApiOptions): void {
  const host = request.headers.host?.toLowerCase() ?? "";
  if (options.behindTlsProxy ? host !== "" : options.hosts().includes(host)) return;
  throw new CicadaError("FOREIGN_HOST", `Host is "${host}"; this peer serves ${options.hosts().join(", ")}`);
}

function checkOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin !== undefined) {
    const own = URL.canParse(origin) && /^https?:$/.test(new URL(origin).protocol);
    if (!own || new URL(origin).host !== hostOf(host)) {
      throw new CicadaError("FOREIGN_ORIGIN", `Origin is "${origin}"`);
    }
    return;
  }
  const site = request.headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return;
  // A person may follow a link from another site to our page. Requests that the other site makes itself are refused.
  const followed = request.headers["sec-fetch-mode"] === "navigate" && request.method === "GET";
  if (!followed) throw new CicadaError("FOREIGN_ORIGIN", `Sec-Fetch-Site is "${site}"`);
}

/** As `URL` formats it, without the default port. */
function hostOf(host: string | undefined): string | undefined {
  return host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).host : undefined;
}

/** What is wrong with the request's credentials; undefined when they are valid. */
function credentialsFailure(request: FastifyRequest, cookie: string, sessions: Sessions): string | undefined {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const [, token] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (token === undefined) return "the Authorization header is not `Bearer TOKEN`";
    return sessions.knowsToken(token) ? undefined : "that is not this peer's token";
  }
  const session = request.cookies[cookie];
  if (session === undefined) return "the request carries no token";
  if (!sessions.has(session)) return "the session has ended; log in again";
  const changes = request.method !== "GET" && request.method !== "HEAD";
  if (changes && request.headers.origin === undefined)
    return "a change that is authorised by a cookie must come from the page";
  return undefined;
}
