/**
 * A job that sends a request instead of starting a process: what it may say, and the request that follows from it.
 *
 * The method is GET, or POST if there is a body. A redirect is not followed unless the job asks for it. Without a timeout of
 * its own or of the job, a request that is not answered ends after a minute.
 */
import type { HttpAction } from "../../ports.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { parseDuration } from "../time/units.ts";
import { inside, text, type Fields } from "./fields.ts";

type Http = NonNullable<JobSpec["http"]>;

/** How long a server that never answers holds a place on its peer. */
const defaultTimeoutMs = 60_000;

/** ms; 0 = none. `isLimited`: the job has a timeout that limits the request, too. */
export function httpTimeoutMs({ timeout }: Http, isLimited: boolean): number {
  const own = timeout === undefined ? undefined : parseDuration(timeout);
  return own ?? (isLimited ? 0 : defaultTimeoutMs);
}

export function httpActionOf(http: Http): HttpAction {
  const { url, headers } = withoutCredentials(http);
  return {
    kind: "http",
    method: http.method ?? (http.body === undefined ? "GET" : "POST"),
    url,
    headers,
    body: http.body ?? "",
    expectStatus: http.expectStatus ?? [200],
    followRedirects: http.followRedirects ?? false,
    insecureTls: http.insecureTls ?? false,
  };
}

/** A user and password in the URL become a header, so that no message shows them. */
function withoutCredentials({ url, headers = {} }: Http): Pick<HttpAction, "url" | "headers"> {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.username === "" && parsed.password === "")) return { url, headers };
  const pair = `${unescaped(parsed.username)}:${unescaped(parsed.password)}`;
  parsed.username = "";
  parsed.password = "";
  const isNamed = Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
  const authorization = { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
  return { url: parsed.href, headers: isNamed ? headers : { ...headers, ...authorization } };
}

/** A `%` that begins no escape stands for itself. */
function unescaped(escaped: string): string {
  try {
    return decodeURIComponent(escaped);
  } catch {
    return escaped;
  }
}

/** What is wrong with a job's request; a value of the wrong shape is passed over. */
export function httpProblems(given: Fields): Problem[] {
  const http = inside(given, "http");
  const problems: Problem[] = [];
  const url = text(http, "url");
  const wrong = url === undefined ? undefined : urlProblem(url);
  if (wrong !== undefined) problems.push({ pointer: "/http/url", message: wrong });
  for (const [name, value] of Object.entries(inside(http, "headers"))) {
    const message = headerProblem(name, value);
    if (message !== undefined) problems.push({ pointer: pointerTo("http", "headers", name), message });
  }
  const method = text(http, "method");
  if (text(http, "body") !== undefined && (method === "GET" || method === "HEAD")) {
    problems.push({
      pointer: "/http/body",
      message: `a ${method} has no body: use another method, or leave the body out`,
    });
  }
  return problems;
}

function urlProblem(url: string): string | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:\/\//i.test(url) || /[\s\p{Cc}]/u.test(url)) {
    return `${JSON.stringify(url.slice(0, 200))} is not an address that begins with http:// or https://`;
  }
  return undefined;
}

/** Headers that belong to the connection, and not to the request. */
const ownHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

function headerProblem(name: string, value: unknown): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || name === "__proto__") {
    return "a header's name is made of letters, digits and !#$%&'*+.^_`|~-";
  }
  if (ownHeaders.has(name.toLowerCase())) return `cicada sets the header ${name} itself: leave it out`;
  if (typeof value === "string" && !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    return "a header's value is one line of printable Latin-1 characters";
  }
  return undefined;
}
