/**
 * Every route × role × group: nothing is seen or done without the right. The table below is what src/docs/running.md says of the rights,
 * written down once more: a route that isn't in it, or asks for another right, fails.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import type { RouteOptions } from "fastify";
import { all, own, type Right } from "../src/api/access/rights.ts";
import { isAtLeast, roles, type Role } from "../src/schema/access.ts";
import { runId } from "../src/schema/ids.ts";
import { accessStage, marker, type Stage } from "./kit/access-stage.ts";
import { host } from "./kit/fake-api.ts";
import { otherId } from "./kit/fake-control.ts";

/** What a request to a route names: something of group "a", something of the whole mesh, or nothing. */
interface Expected {
  right: Right | "everyone" | "any-token";
  /** the address with something of the group "a" in it */
  ofA?: string;
  /** … with something that every viewer sees */
  of?: string;
  body?: unknown;
  /** an answer that doesn't end by itself */
  isStream?: true;
}

const viewer = own("viewer");
const operator = own("operator");
const editor = own("editor");
const job = "/v1/jobs/in-a";
const expected: Record<string, Expected> = {
  "GET /": { right: "everyone" },
  "GET /livez": { right: "everyone" },
  "GET /schemas/job.json": { right: "everyone" },
  "GET /readyz": { right: "everyone" },
  "GET /login": { right: "everyone" },
  "POST /login": { right: "everyone", body: { token: "wrong" } },
  "POST /logout": { right: "any-token" },
  "GET /v1/me": { right: "any-token" },
  "GET /metrics": { right: all("metrics") },
  "GET /openapi.json": { right: viewer },
  "GET /v1/jobs": { right: viewer },
  "POST /v1/jobs": { right: editor, body: { id: "new", command: "true", group: "a" } },
  "POST /v1/jobs::bulk": {
    right: operator,
    of: "/v1/jobs:bulk",
    body: { select: { ids: ["in-a"] }, action: "pause" },
  },
  "GET /v1/jobs/:id": { right: viewer, ofA: job },
  "PUT /v1/jobs/:id": { right: editor, ofA: job, body: { command: "false", group: "a" } },
  "PATCH /v1/jobs/:id": { right: editor, ofA: job, body: { description: "changed" } },
  "DELETE /v1/jobs/:id": { right: editor, ofA: job },
  "POST /v1/jobs/:id/run": { right: operator, ofA: `${job}/run` },
  "POST /v1/jobs/:id/pause": { right: operator, ofA: `${job}/pause` },
  "POST /v1/jobs/:id/resume": { right: operator, ofA: `${job}/resume` },
  "POST /v1/jobs/:id/skip": { right: operator, ofA: `${job}/skip`, body: { next: 1 } },
  "POST /v1/jobs/:id/unskip": { right: operator, ofA: `${job}/unskip`, body: { next: 1 } },
  "POST /v1/jobs/:id/backfill": {
    right: operator,
    ofA: `${job}/backfill`,
    body: { from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" },
  },
  "GET /v1/jobs/:id/history": { right: viewer, ofA: `${job}/history` },
  "POST /v1/jobs/:id/revert": { right: editor, ofA: `${job}/revert`, body: { revision: "x" } },
  "GET /v1/jobs/:id/next": { right: viewer, ofA: `${job}/next` },
  "GET /v1/jobs/:id/ticks": { right: viewer, ofA: `${job}/ticks` },
  "GET /v1/jobs/:id/why": { right: viewer, ofA: `${job}/why` },
  "GET /v1/jobs/:id/runs": { right: viewer, ofA: `${job}/runs` },
  "GET /v1/jobs/:id/chain": { right: viewer, ofA: `${job}/chain` },
  "GET /v1/summary": { right: viewer },
  "GET /v1/running": { right: viewer },
  "GET /v1/coming": { right: viewer },
  "GET /v1/dependents": { right: viewer },
  "GET /v1/failures": { right: viewer },
  "GET /v1/forecast": { right: viewer },
  "GET /v1/splits": { right: viewer },
  "GET /v1/splits/:id": { right: viewer },
  "GET /v1/runs": { right: viewer },
  "GET /v1/runs/:run": { right: viewer, ofA: "/v1/runs/RUN" },
  "POST /v1/runs/:run/cancel": { right: operator, ofA: "/v1/runs/RUN/cancel" },
  "GET /v1/runs/:run/log": { right: viewer, ofA: "/v1/runs/RUN/log" },
  "GET /v1/runs/:run/log/stream": { right: viewer, ofA: "/v1/runs/RUN/log/stream", isStream: true },
  "GET /v1/events": { right: viewer, isStream: true },
  "GET /v1/export": { right: viewer },
  "POST /v1/apply": {
    right: editor,
    body: { objects: [{ kind: "job", id: "in-a", command: "false", group: "a" }] },
  },
  "POST /v1/schedules/preview": { right: viewer, body: { schedule: "@daily" } },
  "PUT /v1/scripts": { right: editor, body: "echo" },
  "GET /v1/scripts/:sha256": { right: viewer, of: `/v1/scripts/${"0".repeat(64)}` },
  "GET /v1/groups": { right: viewer },
  "GET /v1/groups/:name": { right: viewer, ofA: "/v1/groups/a" },
  "PUT /v1/groups/:name": { right: editor, ofA: "/v1/groups/a", body: { description: "x" } },
  "DELETE /v1/groups/:name": { right: editor, ofA: "/v1/groups/a" },
  "GET /v1/maintenance": { right: viewer },
  "GET /v1/maintenance/:name": { right: viewer, ofA: "/v1/maintenance/m-a" },
  "PUT /v1/maintenance/:name": {
    right: editor,
    ofA: "/v1/maintenance/m-a",
    body: { from: "2030-01-01T00:00:00Z", to: "2030-01-02T00:00:00Z", group: "a" },
  },
  "DELETE /v1/maintenance/:name": { right: editor, ofA: "/v1/maintenance/m-a" },
  "GET /v1/pools": { right: viewer },
  "GET /v1/pools/:name": { right: viewer, of: "/v1/pools/db" },
  "PUT /v1/pools/:name": { right: all("editor"), of: "/v1/pools/db", body: { slots: 3 } },
  "DELETE /v1/pools/:name": { right: all("editor"), of: "/v1/pools/db" },
  "GET /v1/calendars": { right: viewer },
  "GET /v1/calendars/:name": { right: viewer, of: "/v1/calendars/holidays" },
  "PUT /v1/calendars/:name": {
    right: all("editor"),
    of: "/v1/calendars/holidays",
    body: { dates: ["2031-01-01"] },
  },
  "DELETE /v1/calendars/:name": { right: all("editor"), of: "/v1/calendars/holidays" },
  "GET /v1/channels": { right: viewer },
  "GET /v1/channels/:name": { right: viewer, of: "/v1/channels/ops" },
  "PUT /v1/channels/:name": {
    right: all("editor"),
    of: "/v1/channels/ops",
    body: { type: "slack", url: "https://hooks.example/y" },
  },
  "DELETE /v1/channels/:name": { right: all("editor"), of: "/v1/channels/ops" },
  "POST /v1/channels/:name/test": { right: all("editor"), of: "/v1/channels/ops/test" },
  "GET /v1/secrets": { right: all("viewer") },
  "GET /v1/secrets/:name": { right: all("viewer"), of: "/v1/secrets/DB" },
  "PUT /v1/secrets/:name": { right: all("editor"), of: "/v1/secrets/DB", body: { value: "long enough" } },
  "DELETE /v1/secrets/:name": { right: all("editor"), of: "/v1/secrets/DB" },
  "GET /v1/peers": { right: viewer },
  "GET /v1/peers/self": { right: viewer },
  "GET /v1/key": { right: all("admin") },
  "POST /v1/key/rotate": { right: all("admin") },
  "GET /v1/audit": { right: own("admin") },
  "GET /v1/tokens": { right: all("admin") },
  "POST /v1/tokens": { right: all("admin"), body: { name: "more", role: "admin" } },
  "PATCH /v1/tokens/:id": { right: all("admin"), of: "/v1/tokens/000000000000", body: { role: "admin" } },
  "DELETE /v1/tokens/:id": { right: all("admin"), of: "/v1/tokens/000000000000" },
};
for (const action of ["confirm", "drain", "undrain", "forget", "unforget", "promote"]) {
  expected[`POST /v1/peers/:id/${action}`] = { right: all("admin"), of: `/v1/peers/${otherId}/${action}` };
}

/** The page's files and those of the documentation, which hold nothing of the mesh. */
const isFile = (url: string): boolean =>
  url === "/icon.svg" ||
  /^\/(new|jobs|runs|mesh|forecast|settings|access|assets)(\/|$)/.test(url) ||
  url.startsWith("/docs/");

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
type Method = (typeof methods)[number];

function splitRoute(route: string): { method: Method; url: string } {
  const [named, url = ""] = route.split(" ");
  return { method: methods.find((one) => one === named) ?? "GET", url };
}

const groupsOf = { all: undefined, a: ["a"], b: ["b"] };
type Scope = keyof typeof groupsOf;

/** 200 stands for every answer that isn't a refusal by rights. */
function verdict({ right, ofA }: Expected, method: Method, role: Role, scope: Scope): 200 | 403 | 404 {
  if (typeof right === "string") return 200;
  const mayRole = isAtLeast(role, right.role);
  const isHidden = ofA !== undefined && scope === "b" && isAtLeast(role, "viewer");
  // Who may not write at all is told so; who may, and not this, doesn't learn that it is there.
  if (isHidden && (method !== "PUT" || mayRole)) return 404;
  return mayRole && (right.groups === "own" || scope === "all") ? 200 : 403;
}

/** Everything that a call could have changed. */
function changesAt({ control }: Stage): string {
  const { commands, secretChanges, tested, scripts } = control;
  return JSON.stringify([commands.length, secretChanges.length, tested.length, scripts.size]);
}

async function stageWithRoutes(): Promise<{ stage: Stage; routes: RouteOptions[]; run: string }> {
  const stage = await accessStage();
  const routes: RouteOptions[] = [];
  stage.api.addHook("onRoute", (route) => {
    routes.push(route);
  });
  await stage.api.ready();
  const record = stage.control.records.find((one) => one.job === "in-a");
  assert.ok(record !== undefined);
  stage.control.outputs.set(runId(record), { bytes: Buffer.from(marker), complete: true });
  return { stage, routes, run: encodeURIComponent(runId(record)) };
}

describe("every route asks for its right", () => {
  let stage: Stage;
  let routes: RouteOptions[];
  let run: string;
  /** of the routes that openapi.json describes */
  let described: Record<string, Record<string, { responses: object }>>;
  before(async () => {
    ({ stage, routes, run } = await stageWithRoutes());
    const { text } = stage.tokenFor("admin");
    described = (await stage.as(text, { url: "/openapi.json" })).json().paths;
  });

  const checkDescribed = (route: string, status: number): void => {
    const { method, url } = splitRoute(route);
    const call = described[url.replaceAll(/:(?=[a-z])(?!bulk)(\w+)/gu, "{$1}")]?.[method.toLowerCase()];
    if (call === undefined) return;
    assert.ok(String(status) in call.responses, `openapi.json has no ${status} for ${route}`);
  };

  const addressOf = (route: string, { ofA, of }: Expected): string =>
    (ofA ?? of ?? splitRoute(route).url).replace("RUN", run);

  test("each is in the table of this test, and the table names no other", () => {
    const known = new Set(
      routes
        .filter(({ url }) => !isFile(url) || url === "/openapi.json")
        .flatMap(({ method, url }) => [method].flat().map((one) => `${one} ${url}`))
        .filter((route) => !route.startsWith("HEAD ")),
    );
    assert.deepEqual([...known].toSorted(), Object.keys(expected).toSorted());
    const docs = routes.filter(({ url }) => url.startsWith("/docs/"));
    assert.ok(docs.length > 3);
    for (const { url, config } of docs) assert.deepEqual(config?.right, viewer, url);
    const heads = routes.filter(({ method }) => [method].flat().includes("HEAD"));
    for (const { url, config } of heads) {
      const right = expected[`GET ${url}`]?.right;
      if (right !== undefined && typeof config?.right !== "function")
        assert.deepEqual(config?.right, right, url);
    }
  });

  for (const scope of ["all", "a", "b"] as const) {
    for (const role of roles) {
      test(`${role} of ${scope === "all" ? "all groups" : `the group ${scope}`} gets what it may, and nothing else`, async () => {
        const { text } = stage.tokenFor(role, groupsOf[scope]);
        for (const [route, one] of Object.entries(expected)) {
          const { method } = splitRoute(route);
          const wanted = verdict(one, method, role, scope);
          if (wanted === 200) continue;
          const url = addressOf(route, one);
          const was = changesAt(stage);
          const answer = await stage.as(text, {
            method,
            url,
            ...(one.body === undefined ? {} : { body: one.body }),
          });
          const said = `${route}: ${answer.body}`;
          assert.equal(answer.statusCode, wanted, said);
          checkDescribed(route, answer.statusCode);
          assert.match(String(answer.headers["content-type"]), /problem\+json/, said);
          if (wanted === 403) assert.equal(answer.json().code, "FORBIDDEN", said);
          assert.equal(changesAt(stage), was, `${route} changed something`);
          assert.ok(!answer.body.includes(marker), said);
        }
      });

      test(`${role} of ${scope} may do what the table gives it`, async () => {
        const { stage: fresh, run: itsRun } = await stageWithRoutes();
        const { text } = fresh.tokenFor(role, groupsOf[scope]);
        const reads = Object.entries(expected).filter(([route]) => route.startsWith("GET "));
        const writes = Object.entries(expected).filter(([route]) => !route.startsWith("GET "));
        let shown = 0;
        for (const [route, one] of [...reads, ...writes.toReversed()]) {
          const { method } = splitRoute(route);
          // What is asked for as "b" is of "a", so only lists and things of the mesh are left, which show nothing of "a".
          if (one.isStream === true || verdict(one, method, role, scope) !== 200) continue;
          if (scope === "b" && method !== "GET") continue;
          const url = addressOf(route, one).replace(run, itsRun);
          const answer = await fresh.as(text, {
            method,
            url,
            ...(one.body === undefined ? {} : { body: one.body }),
          });
          checkDescribed(route, answer.statusCode);
          if (route !== "POST /login")
            assert.ok(![401, 403].includes(answer.statusCode), `${route}: ${answer.body}`);
          if (answer.body.includes(marker)) shown++;
          if (scope === "b") assert.equal(shown, 0, `${route}: ${answer.body}`);
        }
        // What "b" must not see is there to be seen.
        if (scope === "a" && role !== "metrics") assert.ok(shown > 0);
      });
    }
  }

  test("without a token, and with one that is revoked, expired or invented, nothing answers", async () => {
    const expired = stage.tokenFor("admin", undefined, { expires: Date.now() - 1 }).text;
    const revoked = stage.tokenFor("admin");
    stage.control.roots.set(
      "tokens",
      new Map(stage.control.roots.get("tokens")).set(`${revoked.id}.revoked`, { revokedAt: 1, by: "x" }),
    );
    const unknown = `cicada_${"x".repeat(49)}`;
    const later = stage.tokenFor("admin", undefined, { onlyFrom: "10.0.0.0/8" } as object).text;
    for (const headers of [
      {},
      ...[expired, revoked.text, unknown, later].map((text) => ({ authorization: `Bearer ${text}` })),
    ]) {
      for (const [route, one] of Object.entries(expected)) {
        if (one.right === "everyone") continue;
        const { method } = splitRoute(route);
        const was = changesAt(stage);
        const answer = await stage.api.inject({
          method,
          url: addressOf(route, one),
          headers: { host, ...headers },
        });
        assert.ok([401, 429].includes(answer.statusCode), `${route}: ${answer.statusCode}`);
        assert.equal(changesAt(stage), was);
      }
    }
  });

  test("a right can't be evaded by an odd way of writing an address, or by another method", async () => {
    const viewerOfB = stage.tokenFor("viewer", ["b"]).text;
    const metrics = stage.tokenFor("metrics").text;
    for (const [route, one] of Object.entries(expected)) {
      if (one.right === "everyone" || one.right === "any-token") continue;
      const { method } = splitRoute(route);
      const url = addressOf(route, one);
      for (const token of [viewerOfB, metrics]) {
        const role: Role = token === metrics ? "metrics" : "viewer";
        if (verdict(one, method, role, token === metrics ? "all" : "b") === 200) continue;
        for (const [what, odd] of oddities(url)) {
          for (const [how, headers] of otherMethods) {
            const was = changesAt(stage);
            const answer = await stage.as(token, {
              method,
              url: odd,
              headers,
              ...(one.body === undefined ? {} : { body: one.body }),
            });
            const said = `${route} with ${what}, ${how}: ${answer.statusCode} ${answer.body}`;
            // Dots may lead to a view of the page, which is everyone's and holds nothing of the mesh.
            const isPage = answer.headers["content-type"] === "text/html; charset=utf-8";
            assert.ok(isPage || [400, 401, 403, 404, 405, 415].includes(answer.statusCode), said);
            assert.equal(changesAt(stage), was, said);
            assert.ok(!answer.body.includes(marker), said);
          }
        }
        for (const verb of ["HEAD", "OPTIONS", "QUERY", "TRACE"] as const) {
          const was = changesAt(stage);
          const answer = await stage.api.inject({
            method: verb as "HEAD",
            url,
            headers: { host, authorization: `Bearer ${token}` },
          });
          const isRead = verb === "HEAD" && verdict({ ...one, right: viewer }, "GET", role, "b") === 200;
          if (!isRead) assert.ok(answer.statusCode >= 400, `${verb} ${url}: ${answer.statusCode}`);
          assert.equal(changesAt(stage), was);
          assert.ok(!answer.body.includes(marker));
        }
      }
    }
  });
});

const inOrder = (found: Set<string>): string =>
  roles
    .flatMap((role) => [role, `${role} *`])
    .filter((one) => found.has(one))
    .join(", ") || "–";

test("src/docs/running.md's table of rights is what the routes ask for", () => {
  const rows = new Map<string, { read: Set<string>; write: Set<string> }>();
  for (const [route, { right }] of Object.entries(expected)) {
    const { method, url } = splitRoute(route);
    if (typeof right === "string" || url === "/openapi.json") continue;
    const what = url.split(/[/:]+/)[url.startsWith("/v1/") ? 2 : 1] ?? "";
    const row = rows.get(what) ?? { read: new Set(), write: new Set() };
    rows.set(what, row);
    row[method === "GET" ? "read" : "write"].add(`${right.role}${right.groups === "all" ? " *" : ""}`);
  }
  const shown = [...rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, { read, write }]) => {
      return `${what} | ${inOrder(read)} | ${inOrder(write)}`;
    });
  const text = readFileSync(new URL("../src/docs/running.md", import.meta.url), "utf8");
  const section = text.slice(text.indexOf("\n## Access"));
  const written = section
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|( of |[ -]*-)/.test(line))
    .map((line) =>
      line
        .replaceAll(/^\| *| *\|$/g, "")
        .replaceAll(/ +\| +/g, " | ")
        .trim(),
    );
  assert.deepEqual(written, shown, "| of | read | write |");
});

/** Ways of writing an address that another program might take for the same. */
function oddities(url: string): [string, string][] {
  const [path = ""] = url.split("?");
  const last = path.split("/").at(-1) ?? "";
  return [
    ["a trailing slash", `${path}/`],
    ["two slashes", path.replace("/v1/", "/v1//")],
    ["two slashes at the front", `/${path}`],
    ["capitals", path.toUpperCase()],
    ["%2f for a slash", path.replace(/\/([^/]*)$/, "%2f$1")],
    ["%2F for each slash", path.replaceAll("/", "%2F").replace("%2F", "/")],
    ["a dot segment", path.replace(/\/([^/]*)$/, "/./$1")],
    ["two dots", path.replace(/\/([^/]*)$/, "/x/../$1")],
    ["encoded dots", path.replace(/\/([^/]*)$/, "/%2e%2e/$1")],
    ["a backslash", path.replace(/\/([^/]*)$/, "\\$1")],
    ["a semicolon", `${path};x=1`],
    ["a null byte", `${path}%00`],
    ["a space", `${path}%20`],
    ["an encoded letter", path.replace(last, `%${last.charCodeAt(0).toString(16)}${last.slice(1)}`)],
    ["a question mark", `${path}?`],
    ["an ending", `${path}.json`],
  ];
}

const otherMethods: [string, Record<string, string>][] = [
  ["as it is", {}],
  ["with another method in a header", { "x-http-method-override": "DELETE", "x-method-override": "DELETE" }],
  ["with another address in a header", { "x-original-url": "/v1/me", "x-rewrite-url": "/v1/me" }],
  [
    "with a name in a header",
    { "x-forwarded-user": "admin", "x-remote-user": "admin", forwarded: "for=127.0.0.1" },
  ],
];

test("a route that names no right isn't registered: the program doesn't start", async () => {
  const stage = await accessStage();
  stage.api.register(async (scope) => {
    scope.get("/v1/forgotten", async () => "x");
  });
  await assert.rejects(async () => stage.api.ready(), /\/v1\/forgotten doesn't say who may call it/);
});
