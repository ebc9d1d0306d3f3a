/** The API over the fake peer, called through fastify's `inject`, without a port. */
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { buildApi } from "../../src/api/server.ts";
import type { Api, ApiOptions } from "../../src/api/options.ts";
import type { Log } from "../../src/ports.ts";
import { decisions, FakeControl, selfId } from "./fake-control.ts";

export const token = "a-token-of-enough-chance-0123456789";
export const host = "127.0.0.1:7400";

export interface Heard {
  message: string;
  fields: Record<string, unknown>;
}

export interface FakeApi {
  api: Api;
  control: FakeControl;
  /** the errors in the peer's log */
  errors: Heard[];
}

export function fakeApi(change: Partial<ApiOptions> = {}): FakeApi {
  const control = new FakeControl();
  const errors: Heard[] = [];
  const log: Log = {
    debug() {},
    info() {},
    warn() {},
    error(message, fields = {}) {
      errors.push({ message, fields });
    },
  };
  const api = buildApi({
    control,
    decisions,
    token,
    tokenFile: "/var/lib/cicada/admin.token",
    dataFolder: tmpdir(),
    self: { id: selfId, name: "alpha" },
    version: "0.1.0",
    program: "cicada",
    hosts: () => [host],
    behindTlsProxy: false,
    log,
    startedAt: Date.now(),
    ...change,
  });
  return { api, control, errors };
}

interface Described {
  path: RegExp;
  statuses: ReadonlySet<string>;
}

/** By method: the calls as the description of the API has them, those with fewer variable parts first. */
let described: ReadonlyMap<string, readonly Described[]> | undefined;

function describedIn(paths: object): ReadonlyMap<string, readonly Described[]> {
  const calls = Object.entries<Record<string, { responses?: object }>>({ ...paths }).flatMap(
    ([template, methods]) =>
      Object.entries(methods).map(([method, { responses = {} }]) => ({
        method: method.toUpperCase(),
        variables: template.split("{").length,
        path: new RegExp(`^${template.replaceAll(/\{\w+\}/gu, "[^/]+")}$`, "u"),
        statuses: new Set(Object.keys(responses)),
      })),
  );
  return Map.groupBy(
    calls.toSorted((a, b) => a.variables - b.variables),
    ({ method }) => method,
  );
}

/** Each answer in a test of the API has a status that the description of its call names. */
function checkStatus(api: Api, method: string, url: string, status: number): void {
  described ??= describedIn(api.swagger().paths ?? {});
  const [path = ""] = url.split("?");
  const known = described.get(method)?.find((one) => one.path.test(path));
  if (known === undefined) return;
  assert.ok(known.statuses.has(String(status)), `openapi.json has no ${status} for ${method} ${path}`);
}

export interface Asked {
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";
  url: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** One call with the token; a body goes as JSON unless it is text or bytes. */
export async function call({ api }: FakeApi, { method = "GET", url, body, headers = {} }: Asked) {
  const answer = await api.inject({
    method,
    url,
    headers: {
      host,
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { payload: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body) }),
  });
  checkStatus(api, method, url, answer.statusCode);
  return answer;
}
