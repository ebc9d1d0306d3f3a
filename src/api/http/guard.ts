/**
 * Guards every route: it lets a request through if its caller has the right that the route names (DESIGN §12). A route that names
 * none isn't registered.
 *
 * It checks five things, in this order. It must be possible to read the request in only one way. The `Host` must be one of
 * ours; otherwise a foreign site has pointed its name at this machine (DNS rebinding). The request must come from our own page
 * or from no page at all (`Origin`, `Sec-Fetch-Site`, on every method). It must carry a token that counts, or the cookie of a
 * session. The token must have the right. There is no CORS, so no other site may call.
 *
 * Failed attempts are counted per address and refused beyond a limit. A valid token always passes: nobody can guess 256
 * random bits, and a script may make thousands of calls.
 */
import type { FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import type { IncomingMessage } from "node:http";
import { assert, CicadaError } from "../../errors.ts";
import type { Audit } from "../access/audit.ts";
import type { Caller, Callers } from "../access/callers.ts";
import { hiddenFrom } from "../access/hidden.ts";
import { personNamed } from "../access/proxied.ts";
import { own, refusalFor, type RouteRight } from "../access/rights.ts";
import { ScopedControl } from "../access/scoped-control.ts";
import type { Api, ApiOptions } from "../options.ts";
import { isOfBrowser } from "./methods.ts";
import type { Sessions } from "./sessions.ts";
import { Turns } from "./turns.ts";
import type { Sockets } from "./sockets.ts";
import { isNamed } from "./tls.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who makes the request. Only routes for everyone have none. */
    caller: Caller;
    /** The peer, as this caller may see and use it. */
    control: ScopedControl;
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

/** Call it before any route is registered. */
export function requireRights(app: Api): void {
  app.addHook("onRoute", (route: RouteOptions) => {
    // The routes of the documentation are registered by its plugin, which knows no rights.
    if (/^\/docs(\/|$)/.test(route.url)) route.config = { right: own("viewer"), ...route.config };
    if (route.config?.right === undefined) {
      throw new Error(`${String(route.method)} ${route.url} doesn't say who may call it (config.right)`);
    }
  });
}

export interface Guarded {
  options: ApiOptions;
  callers: Callers;
  sessions: Sessions;
  sockets: Sockets;
  refuse: Refuse;
  audit: Audit;
}

export function guard(app: Api, guarded: Guarded): void {
  const { options, callers, sockets, refuse, audit } = guarded;
  const cookie = cookieName(options.self.id);
  const turns = new Turns();
  app.decorateRequest("actor", "");
  // Set for each request that has a caller, before any route sees it.
  app.decorateRequest("caller");
  app.decorateRequest("control");
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-cicada-peer", options.self.id);
    reply.header("cache-control", "no-store");
    checkHead(request, options);
    checkHost(request, options);
    checkOrigin(request, options);
    const right = rightOf(request);
    if (right === "everyone") return undefined;
    const caller = callerOf(request, cookie, guarded);
    if (typeof caller === "string" && isDocsInBrowser(request)) {
      return reply.redirect(`/?back=${encodeURIComponent(request.url)}`);
    }
    if (typeof caller === "string") throw await refuse(request, reply, caller);
    const { socket } = request.raw;
    if (!sockets.entitle(socket, caller.role === "admin" ? undefined : caller.token)) {
      reply.header("retry-after", 1);
      throw new CicadaError("RATE_LIMITED", `${caller.name} has too many requests at once`);
    }
    await turns.take(caller.token);
    request.caller = caller;
    request.actor = caller.actor;
    request.control = new ScopedControl(options.control, caller, (one) => callers.holds(one), audit);
    const refused = right === "any-token" ? undefined : refusalFor(caller, right);
    if (refused !== undefined) {
      const answer = hiddenFrom(request) ?? refused;
      const { method, routeOptions } = request;
      const action = `${method} ${routeOptions.url?.slice(0, 56)}` as const;
      const [path = ""] = request.url.split("?");
      await audit.refused(caller, [{ action, kind: "call", name: path.slice(0, 512) }], answer);
      throw answer;
    }
    return undefined;
  });
}

/**
 * The answer at an address without a route says nothing about the mesh, but still needs a token. A browser gets the page
 * everywhere.
 */
function rightOf(request: FastifyRequest): RouteRight {
  if (request.is404) return isOfBrowser(request) ? "everyone" : "any-token";
  const right = request.routeOptions.config.right;
  assert(right !== undefined, "requireRights refuses a route without a right");
  return typeof right === "function" ? right(request) : right;
}

/** A person who opens the documentation without a session logs in first and is then sent back to it. */
function isDocsInBrowser({ method, url, headers }: FastifyRequest): boolean {
  const wantsPage = headers.accept?.includes("text/html") === true && headers.authorization === undefined;
  return method === "GET" && /^\/docs(\/|$)/.test(url) && wantsPage;
}

/** Only these versions of HTTP are spoken here. Node would read a request with another version as HTTP/1.1. */
const spokenVersions: readonly string[] = ["1.0", "1.1"];

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
function checkHead({ raw, is404 }: FastifyRequest, { trusted }: ApiOptions): void {
  if (raw.url?.startsWith("/") !== true) {
    throw new CicadaError("BAD_REQUEST", "request a path, such as /v1/jobs, and name the host only in Host");
  }
  if (raw.url.includes("#")) {
    throw new CicadaError("BAD_REQUEST", "an address has no # here: write it as %23, or leave it out");
  }
  if (!isUtf8(raw.url.slice(raw.url.indexOf("?") + 1))) {
    throw new CicadaError(
      "BAD_REQUEST",
      "the query holds bytes that are not UTF-8, or a % without two hexadecimal digits: write %25 for a % itself",
    );
  }
  if (!spokenVersions.includes(raw.httpVersion)) {
    throw new CicadaError("BAD_REQUEST", `this peer speaks HTTP/1.1, not HTTP/${raw.httpVersion}`);
  }
  if (!is404) checkBody(raw);
  const seen = new Set<string>();
  for (let at = 0; at < raw.rawHeaders.length; at += 2) {
    const name = raw.rawHeaders[at]?.toLowerCase() ?? "";
    if (!givenOnce.has(name) && name !== trusted?.userHeader && name !== trusted?.roleHeader) continue;
    if (seen.has(name)) throw new CicadaError("BAD_REQUEST", `the header ${name} is given twice`);
    seen.add(name);
  }
}

/** Refuses a body where a call takes none, and one that would have to be decoded before it can be read as JSON in UTF-8. */
function checkBody({ method, headers }: IncomingMessage): void {
  const coding = headers["transfer-encoding"]?.toLowerCase();
  const hasBody = coding !== undefined || Number(headers["content-length"] ?? 0) > 0;
  if (!hasBody) return;
  if (method === "GET" || method === "HEAD") {
    throw new CicadaError("BAD_REQUEST", `${method} takes no body: give parameters in the address`);
  }
  if (coding !== undefined && coding !== "chunked") {
    throw new CicadaError("BAD_REQUEST", "Transfer-Encoding: a body is sent as it is, or chunked");
  }
  const encoding = headers["content-encoding"]?.toLowerCase() ?? "identity";
  if (encoding !== "identity") {
    throw new CicadaError(
      "UNSUPPORTED_MEDIA_TYPE",
      `Content-Encoding: send the body as it is, not as ${encoding}`,
    );
  }
  const [, charset = "utf-8"] = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(headers["content-type"] ?? "") ?? [];
  if (!/^utf-?8$/i.test(charset)) {
    throw new CicadaError(
      "UNSUPPORTED_MEDIA_TYPE",
      `Content-Type: send the body in UTF-8, not in ${charset}`,
    );
  }
}

/** Whether each `%` begins the code of a byte, and these bytes are text. */
function isUtf8(query: string): boolean {
  try {
    decodeURIComponent(query);
    return true;
  } catch {
    return false;
  }
}

function checkHost(request: FastifyRequest, options: ApiOptions): void {
  const host = request.headers.host?.toLowerCase() ?? "";
  if (options.behindTlsProxy ? host !== "" : options.hosts().includes(host)) return;
  if (isNamed(host, options.certificate?.names ?? [])) return;
  throw new CicadaError("FOREIGN_HOST", `Host is "${host}"; this peer serves ${options.hosts().join(", ")}`);
}

const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

function checkOrigin(request: FastifyRequest, options: ApiOptions): void {
  const { origin, host = "" } = request.headers;
  if (origin !== undefined) {
    // At this machine's own address a person may go past the proxy. Elsewhere plain http is not the proxy's page.
    const isByProxy = options.behindTlsProxy && !loopbackHost.test(host);
    const scheme = isByProxy || options.certificate !== undefined ? "https" : "http";
    if (origin !== originAt(`${scheme}://${host}`)) {
      const toProxy = "; let the proxy pass the browser's Host on (nginx: proxy_set_header Host $http_host)";
      const mend = options.behindTlsProxy ? toProxy : "";
      throw new CicadaError("FOREIGN_ORIGIN", `Origin is "${origin}", and Host is "${host}"${mend}`);
    }
    return;
  }
  const site = request.headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return;
  // A person may follow a link from another site to our page. Requests that the other site makes itself are refused.
  const followed = request.headers["sec-fetch-mode"] === "navigate" && request.method === "GET";
  if (!followed) throw new CicadaError("FOREIGN_ORIGIN", `Sec-Fetch-Site is "${site}"`);
}

/** As browsers send it, without the default port. */
function originAt(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

/** The caller, or what is wrong with the request's credentials, in words. */
function callerOf(
  request: FastifyRequest,
  cookie: string,
  { options, callers, sessions }: Guarded,
): Caller | string {
  const { authorization } = request.headers;
  const person = personNamed(request, options);
  const [, text] = /^bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
  if (text !== undefined) return callers.byText(text);
  // A proxy that logs people in by passwords (Basic) passes their header on, beside the one that names them.
  const isForProxy = typeof person === "object" && !/^bearer\b/i.test(authorization ?? "");
  if (authorization !== undefined && !isForProxy) return "the Authorization header is not `Bearer TOKEN`";
  const session = request.cookies[cookie];
  if (typeof person === "string" && session === undefined) return person;
  if (session === undefined && person === undefined) return "the request carries no token";
  const token = session === undefined ? undefined : sessions.tokenOf(session);
  const caller =
    token === undefined ? (typeof person === "string" ? undefined : person) : callers.byId(token);
  if (caller === undefined) return "the session has ended; log in again";
  const changes = request.method !== "GET" && request.method !== "HEAD";
  if (changes && request.headers.origin === undefined)
    return "a change that is authorised by a cookie or by the proxy must come from the page";
  return caller;
}
