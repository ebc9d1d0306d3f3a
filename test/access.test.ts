/**
 * Tokens, roles and groups, as a person meets them: made, shown once, limited, narrowed, revoked; and what each caller is
 * shown.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { isWholeToken, makeToken } from "../src/api/access/token-text.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { ReportedKind } from "../src/schema/setting.ts";
import { checkedJob } from "../src/core/checks/job.ts";
import { accessStage, marker, type Stage } from "./kit/access-stage.ts";
import { call, host } from "./kit/fake-api.ts";
import { selfId } from "./kit/fake-control.ts";

async function made(stage: Stage, body: Record<string, unknown>) {
  const answer = await call(stage, { method: "POST", url: "/v1/tokens", body });
  assert.equal(answer.statusCode, 201, answer.body);
  return answer.json();
}

test("a token is made, shown once, listed without its text, and kept as a hash", async () => {
  const stage = await accessStage();
  const token = await made(stage, {
    name: "ci",
    role: "operator",
    groups: ["a"],
    expires: "2099-01-01T00:00:00Z",
  });
  assert.match(token.token, /^cicada_[\w-]{49}$/);
  const { token: text, ...shown } = token;
  assert.deepEqual(shown.groups, ["a"]);
  assert.equal(shown.createdBy, "admin@alpha");
  const list = await call(stage, { url: "/v1/tokens" });
  assert.deepEqual(list.json().items, [shown]);
  assert.ok(!JSON.stringify([...(stage.control.roots.get("tokens") ?? [])]).includes(text));
  assert.deepEqual((await stage.as(text, { url: "/v1/me" })).json(), {
    name: "ci",
    token: shown.id,
    role: "operator",
    groups: ["a"],
    expires: "2099-01-01T00:00:00.000Z",
    peer: { id: selfId, name: "alpha" },
  });
  const who = (
    await stage.as(text, { method: "POST", url: "/v1/jobs/in-a/pause", body: { note: "x" } })
  ).json();
  assert.equal(who.paused.by, "ci@alpha");
});

test("a mistyped token is told from an unknown one", async () => {
  const stage = await accessStage();
  const { text } = stage.tokenFor("viewer");
  const cut = (await stage.as(text.slice(0, -1), { url: "/v1/jobs" })).json();
  assert.match(cut.detail, /mistyped or cut short/);
  const swapped = text.slice(0, 10) + (text[10] === "A" ? "B" : "A") + text.slice(11);
  assert.match((await stage.as(swapped, { url: "/v1/jobs" })).json().detail, /mistyped/);
  assert.match(
    (await stage.as(makeToken().text, { url: "/v1/jobs" })).json().detail,
    /neither this peer's own token nor a valid token of the mesh/,
  );
  for (let i = 0; i < 100; i++) assert.ok(isWholeToken(makeToken().text));
});

for (const [what, body, code] of [
  ["a taken name", { name: "ci", role: "viewer" }, "TOKEN_EXISTS"],
  ["the name of the peer's own token", { name: "admin", role: "viewer" }, "TOKEN_EXISTS"],
  ["an unknown role", { name: "x", role: "root" }, "BAD_REQUEST"],
  ["no groups at all", { name: "x", role: "viewer", groups: [] }, "BAD_REQUEST"],
  ["a group that can't be one", { name: "x", role: "viewer", groups: ["A B"] }, "BAD_REQUEST"],
  ["an expiry in the past", { name: "x", role: "viewer", expires: "2020-01-01T00:00:00Z" }, "UNPROCESSABLE"],
] as const) {
  test(`a token with ${what} is refused as ${code}`, async () => {
    const stage = await accessStage();
    await made(stage, { name: "ci", role: "viewer" });
    assert.equal((await call(stage, { method: "POST", url: "/v1/tokens", body })).json().code, code);
    assert.equal((await call(stage, { url: "/v1/tokens" })).json().items.length, 1);
  });
}

test("an expiry that is no instant is refused with what it should be, also where it may be null", async () => {
  const stage = await accessStage();
  const { id } = await made(stage, { name: "ci", role: "viewer" });
  const refused = await call(stage, { method: "PATCH", url: `/v1/tokens/${id}`, body: { expires: "soon" } });
  assert.deepEqual(refused.json().errors, [
    { pointer: "/expires", message: "must be an RFC 3339 instant; a token without one never expires" },
  ]);
});

test("a group's name that can't be one is refused with what it should be, and a metrics token with groups as useless", async () => {
  const stage = await accessStage();
  const ask = async (method: "POST" | "PATCH", url: string, body: unknown) =>
    (await call(stage, { method, url, body })).json().errors;
  assert.deepEqual(await ask("POST", "/v1/tokens", { name: "x", role: "viewer", groups: ["a", "A B"] }), [
    {
      pointer: "/groups/1",
      message:
        "must be a group's name: 1 to 64 characters from a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
    },
  ]);
  const useless = [
    {
      pointer: "/groups",
      message: "a metrics token reads the figures of the whole peer, so it can't be limited to groups",
    },
  ];
  assert.deepEqual(await ask("POST", "/v1/tokens", { name: "x", role: "metrics", groups: ["a"] }), useless);
  const { id } = await made(stage, { name: "x", role: "viewer", groups: ["a"] });
  assert.deepEqual(await ask("PATCH", `/v1/tokens/${id}`, { role: "metrics" }), useless);
  assert.equal(await ask("PATCH", `/v1/tokens/${id}`, { role: "metrics", groups: null }), undefined);
});

test("a token for groups that no job is in is made, with a warning", async () => {
  const stage = await accessStage();
  const one = await made(stage, { name: "one", role: "viewer", groups: ["a", "nosuch"] });
  assert.deepEqual(one.warnings, ['no job is in the group "nosuch" yet']);
  const changed = await call(stage, {
    method: "PATCH",
    url: `/v1/tokens/${one.id}`,
    body: { groups: ["a", "nosuch-2"] },
  });
  assert.deepEqual(changed.json().warnings, ['no job is in the group "nosuch-2" yet']);
  const other = await made(stage, { name: "two", role: "viewer", groups: ["a"] });
  assert.equal(other.warnings, undefined);
});

test("the last admin token is not revoked, narrowed or given an end without force; the peer's own file goes on", async () => {
  const stage = await accessStage();
  const { id, token } = await made(stage, { name: "boss", role: "admin" });
  const url = `/v1/tokens/${id}`;
  assert.equal((await stage.as(token, { method: "DELETE", url })).json().code, "LAST_ADMIN");
  const narrowed = await stage.as(token, { method: "PATCH", url, body: { groups: ["a"] } });
  assert.equal(narrowed.json().code, "LAST_ADMIN");
  assert.equal((await stage.as(token, { method: "DELETE", url: `${url}?force=true` })).statusCode, 204);
  assert.equal((await stage.as(token, { url: "/v1/me" })).statusCode, 401);
  assert.equal((await call(stage, { url: "/v1/me" })).json().token, "admin.token");
  assert.equal((await call(stage, { method: "DELETE", url })).json().code, "TOKEN_NOT_FOUND");
});

test("lists show the jobs, runs, settings and objects of the caller's groups, and count no others", async () => {
  const stage = await accessStage();
  const { text } = stage.tokenFor("viewer", ["b"]);
  const ids = async (url: string): Promise<unknown[]> => {
    const answer = await stage.as(text, { url });
    assert.ok(!answer.body.includes(marker), url);
    const { items } = answer.json();
    assert.equal(Number(answer.headers["x-total-count"] ?? items.length), items.length, url);
    return items.map((item: Record<string, string>) => item["id"] ?? item["name"] ?? item["job"]);
  };
  assert.deepEqual(await ids("/v1/jobs"), ["in-b"]);
  assert.deepEqual(await ids("/v1/jobs?q=in-"), ["in-b"]);
  assert.deepEqual(await ids("/v1/jobs?group=a"), []);
  assert.deepEqual(await ids("/v1/runs?group=a"), []);
  assert.deepEqual(await ids("/v1/runs?job=in-a"), []);
  assert.equal((await ids("/v1/runs")).length, 1);
  assert.deepEqual(await ids("/v1/groups"), ["b"]);
  assert.deepEqual(await ids("/v1/maintenance"), ["m-b"]);
  const exported = (await stage.as(text, { url: "/v1/export" })).body;
  assert.ok(exported.includes("in-b") && !exported.includes(marker) && !exported.includes("in-a"));
});

test("moving a job needs the right in both groups, and no job is made in another's group", async () => {
  const stage = await accessStage();
  const editor = stage.tokenFor("editor", ["a"]).text;
  const patch = await stage.as(editor, { method: "PATCH", url: "/v1/jobs/in-a", body: { group: "b" } });
  assert.equal(patch.json().code, "FORBIDDEN");
  const dropped = await stage.as(editor, { method: "PATCH", url: "/v1/jobs/in-a", body: { group: null } });
  assert.equal(dropped.json().code, "FORBIDDEN", "without a group it would be of the default group");
  const put = { method: "PUT", url: "/v1/jobs/in-a", body: { command: "x", group: "b" } } as const;
  assert.equal((await stage.as(editor, put)).statusCode, 403);
  const fresh = { method: "POST", url: "/v1/jobs", body: { id: "new", command: "x", group: "b" } } as const;
  assert.equal((await stage.as(editor, fresh)).statusCode, 403);
  const taken = { id: "in-b", command: "x", group: "a" };
  assert.equal((await stage.as(editor, { method: "POST", url: "/v1/jobs", body: taken })).statusCode, 409);
  assert.equal(
    (await stage.as(editor, { method: "POST", url: "/v1/jobs?update=true", body: taken })).statusCode,
    404,
  );
  assert.equal(
    (await stage.as(editor, { method: "PUT", url: "/v1/jobs/in-b", body: taken })).statusCode,
    404,
  );
  const both = stage.tokenFor("editor", ["a", "b"]).text;
  assert.equal((await stage.as(both, put)).statusCode, 200);
});

test("who may not make a job in a group isn't told whether its id is free", async () => {
  const stage = await accessStage();
  const editor = stage.tokenFor("editor", ["a"]).text;
  const said = async (id: string): Promise<[number, string]> => {
    const body = { id, command: "x", group: "b" };
    const answer = await stage.as(editor, { method: "POST", url: "/v1/jobs", body });
    return [answer.statusCode, answer.body.replaceAll(id, "NAME")];
  };
  const hidden = await said("in-b");
  assert.equal(hidden[0], 403, hidden[1]);
  assert.deepEqual(hidden, await said("nowhere"));
});

test("a job of a group runs after jobs of that group only, and the refusal doesn't say whether another is there", async () => {
  const stage = await accessStage();
  const editor = stage.tokenFor("editor", ["a"]).text;
  const refused = async (method: "POST" | "PUT" | "PATCH", url: string, body: unknown): Promise<string> => {
    const answer = await stage.as(editor, { method, url, body });
    assert.equal(answer.statusCode, 422, answer.body);
    return answer.body.replaceAll("in-b", "NAME").replaceAll("nowhere", "NAME");
  };
  const ways = [
    ["POST", "/v1/jobs", (jobs: string[]) => ({ id: "c", command: "x", group: "a", after: { jobs } })],
    ["PUT", "/v1/jobs/c", (jobs: string[]) => ({ command: "x", group: "a", after: { jobs } })],
    ["PATCH", "/v1/jobs/in-a", (jobs: string[]) => ({ after: { jobs } })],
    [
      "POST",
      "/v1/apply",
      (jobs: string[]) => ({
        objects: [{ kind: "job", id: "c", command: "x", group: "a", after: { jobs } }],
      }),
    ],
  ] as const;
  for (const [method, url, body] of ways) {
    const hidden = await refused(method, url, body(["in-b"]));
    assert.ok(hidden.includes("/after/jobs/0"), hidden);
    assert.equal(hidden, await refused(method, url, body(["nowhere"])), `${method} ${url}`);
  }
  const own = { id: "c", command: "x", group: "a", after: { jobs: ["in-a"] } };
  assert.equal((await stage.as(editor, { method: "POST", url: "/v1/jobs", body: own })).statusCode, 201);
  const objects = [
    { kind: "job", id: "d", command: "x", group: "a", after: { jobs: ["e"] } },
    { kind: "job", id: "e", command: "x", group: "a" },
  ];
  const set = await stage.as(editor, { method: "POST", url: "/v1/apply", body: { objects } });
  assert.equal(set.statusCode, 200, "a parent of the same set is seen");

  const joined = { method: "PATCH", url: "/v1/jobs/c", body: { after: { jobs: ["in-a", "in-b"] } } } as const;
  assert.equal((await call(stage, joined)).statusCode, 200, "one who sees both may join them");
  const kept = { after: { jobs: ["in-a", "in-b"], on: "always" }, description: "edited" };
  const edited = await stage.as(editor, { method: "PATCH", url: "/v1/jobs/c", body: kept });
  assert.equal(edited.statusCode, 200, "and what they have joined does not hinder other edits");
});

test("a job that is made anew in another group hands nothing on to the jobs that ran after the old one", async () => {
  const stage = await accessStage();
  const ann = stage.tokenFor("editor", ["a"]).text;
  const bob = stage.tokenFor("editor", ["b"]).text;
  const child = { id: "reads", command: "cat $CICADA_PARENTS", group: "a", after: { jobs: ["in-a"] } };
  assert.equal((await stage.as(ann, { method: "POST", url: "/v1/jobs", body: child })).statusCode, 201);
  await stage.as(ann, { method: "DELETE", url: "/v1/jobs/in-a" });
  const body = { id: "in-a", command: "x", group: "b" };
  const refused = await stage.as(bob, { method: "POST", url: "/v1/jobs", body });
  assert.equal(refused.statusCode, 409);
  assert.equal(refused.json().detail, 'the id "in-a" is taken', "as if another group had it");
  const put = await stage.as(bob, { method: "PUT", url: "/v1/jobs/in-a", body });
  assert.equal(put.statusCode, 404);
  const objects = [{ kind: "job", ...body }];
  const applied = await stage.as(bob, { method: "POST", url: "/v1/apply", body: { objects } });
  assert.equal(applied.statusCode, 404);
  assert.equal(
    (await stage.as(ann, { method: "POST", url: "/v1/jobs", body: { ...body, group: "a" } })).statusCode,
    201,
    "in the children's own group it may be made anew",
  );
  await stage.as(ann, { method: "DELETE", url: "/v1/jobs/in-a" });
  const message = "jobs of other groups run after it and read what it hands on: reads (a)";
  const byAdmin = await call(stage, { method: "POST", url: "/v1/jobs", body });
  assert.deepEqual(byAdmin.json().warnings, [message], "who sees both groups is told");
  assert.equal(
    (await call(stage, { method: "PATCH", url: "/v1/jobs/in-a", body: { owner: "x" } })).json().warnings,
    undefined,
  );
});

test("a job that can't be read is hidden from callers of groups, and not overwritten by them", async () => {
  const stage = await accessStage();
  stage.control.quarantined = [{ id: "broken", problems: [{ pointer: "", message: marker }] }];
  const editor = stage.tokenFor("editor", ["a"]).text;
  assert.equal((await stage.as(editor, { url: "/v1/jobs/broken" })).statusCode, 404);
  const body = { command: "x", group: "a" };
  assert.equal((await stage.as(editor, { method: "PUT", url: "/v1/jobs/broken", body })).statusCode, 404);
  assert.equal((await stage.as(editor, { method: "DELETE", url: "/v1/jobs/broken" })).statusCode, 404);
});

test("an operator runs jobs, and not with an environment of its own", async () => {
  const stage = await accessStage();
  const operator = stage.tokenFor("operator", ["a"]).text;
  const run = { method: "POST", url: "/v1/jobs/in-a/run" } as const;
  assert.equal((await stage.as(operator, run)).statusCode, 202);
  const withEnv = { ...run, body: { env: { LD_PRELOAD: "/tmp/x.so" } } };
  assert.equal((await stage.as(operator, withEnv)).json().code, "FORBIDDEN");
  assert.equal((await stage.as(stage.tokenFor("editor", ["a"]).text, withEnv)).statusCode, 202);
});

test("jobs:bulk judges each job as the single call would", async () => {
  const stage = await accessStage();
  const operator = stage.tokenFor("operator", ["b"]).text;
  const bulk = (body: unknown) => stage.as(operator, { method: "POST", url: "/v1/jobs:bulk", body });
  const paused = (await bulk({ select: { ids: ["in-a", "in-b"] }, action: "pause" })).json().items;
  assert.deepEqual(
    paused.map((one: { job: string; status: number }) => [one.job, one.status]),
    [
      ["in-a", 404],
      ["in-b", 200],
    ],
  );
  const deleted = (await bulk({ select: { q: "in-" }, action: "delete" })).json().items;
  assert.deepEqual(
    deleted.map((one: { job: string; status: number }) => [one.job, one.status]),
    [["in-b", 403]],
  );
  assert.ok(stage.control.jobs.has("in-a" as JobId) && stage.control.jobs.has("in-b" as JobId));
});

test("apply judges each object as the single call would, does all or nothing, and so does its dry run", async () => {
  const stage = await accessStage();
  const editor = stage.tokenFor("editor", ["b"]).text;
  const permitted = { kind: "job", id: "in-b", command: "changed", group: "b" };
  const apply = (objects: unknown[], dryRun = false) =>
    stage.as(editor, { method: "POST", url: `/v1/apply?dryRun=${dryRun}`, body: { objects } });
  for (const [other, status] of [
    [{ kind: "job", id: "in-a", command: "changed", group: "b" }, 404],
    [{ kind: "job", id: "new", command: "changed", group: "a" }, 403],
    [{ kind: "pool", name: "db", slots: 9 }, 403],
    [{ kind: "group", name: "a", description: "x" }, 404],
    [{ kind: "channel", name: "ops", type: "slack", url: "https://hooks.example/z" }, 403],
  ] as const) {
    for (const dryRun of [true, false]) {
      const answer = await apply([permitted, other], dryRun);
      assert.equal(answer.statusCode, status, answer.body);
      const pointers = answer.json().errors.map(({ pointer }: { pointer: string }) => pointer);
      assert.deepEqual(pointers, ["/objects/1"], "each object once");
    }
    assert.equal(stage.control.jobs.get("in-b" as JobId)?.spec.command, "true");
  }
  assert.equal((await apply([permitted])).statusCode, 200);
  assert.equal(stage.control.jobs.get("in-b" as JobId)?.spec.command, "changed");
});

test("an id that was another group's job doesn't show what that job did", async () => {
  const stage = await accessStage();
  const { control } = stage;
  const id = "in-a" as JobId;
  for (const record of control.records) {
    if (record.job === id) Object.assign(record, { due: 0, claimedAt: 0, tick: "2020-01-01T00:00:00Z" });
  }
  await control.ask({ kind: "delete-job", id, by: "test" });
  const spec = checkedJob({ id, command: "true", group: "b" });
  await control.ask({ kind: "put-job", spec, mode: "create", by: "test" });
  const viewer = stage.tokenFor("viewer", ["b"]).text;
  assert.equal((await stage.as(viewer, { url: "/v1/jobs/in-a" })).statusCode, 200);
  assert.deepEqual((await stage.as(viewer, { url: "/v1/jobs/in-a/runs" })).json().items, []);
  assert.equal((await stage.as(viewer, { url: "/v1/runs/in-a@2020-01-01T00:00:00Z" })).statusCode, 404);
  assert.equal((await stage.as(viewer, { url: "/v1/runs/in-a@2020-01-01T00:00:00Z/log" })).statusCode, 404);
});

test("an Idempotency-Key is its caller's own, and dies with the caller's rights", async () => {
  const stage = await accessStage();
  const ask = (token: string) =>
    stage.as(token, {
      method: "POST",
      url: "/v1/jobs/in-a/run",
      body: {},
      headers: { "idempotency-key": "one" },
    });
  const first = stage.tokenFor("operator", ["a"]);
  const ticks = [
    await ask(first.text),
    await ask(first.text),
    await ask(stage.tokenFor("operator", ["a"]).text),
  ];
  const [one, again, other] = ticks.map((answer) => answer.json().tick);
  assert.equal(one, again);
  assert.notEqual(one, other);
  await call(stage, { method: "PATCH", url: `/v1/tokens/${first.id}`, body: { groups: ["b"] } });
  assert.equal((await ask(first.text)).statusCode, 404, "what was kept for it is not shown to it any more");
});

test("the page logs in with any token, and its session ends with the token", async () => {
  const stage = await accessStage();
  const { token, id } = await made(stage, { name: "eve", role: "viewer", groups: ["b"] });
  const origin = `http://${host}`;
  const login = await stage.api.inject({
    method: "POST",
    url: "/login",
    headers: { host, origin },
    payload: { token },
  });
  const cookie = String(login.headers["set-cookie"]).split(";")[0] ?? "";
  const page = (method: "GET" | "POST", url: string) =>
    stage.api.inject({ method, url, headers: { host, origin, cookie } });
  assert.equal((await page("GET", "/v1/me")).json().role, "viewer");
  assert.equal((await page("POST", "/v1/jobs/in-b/pause")).json().code, "FORBIDDEN");
  assert.equal((await page("GET", "/v1/jobs/in-a")).statusCode, 404);
  await call(stage, { method: "DELETE", url: `/v1/tokens/${id}` });
  assert.equal((await page("GET", "/v1/me")).statusCode, 401);
});

test("open streams of a token end when it is revoked, narrowed or expires; other streams go on", async (t) => {
  const stage = await accessStage({ hosts: () => [listening] });
  await stage.api.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => stage.api.close());
  const { port } = stage.api.server.address() as AddressInfo;
  const listening = `127.0.0.1:${port}`;
  const open = async (token: string) => {
    const request = get({
      host: "127.0.0.1",
      port,
      path: "/v1/events",
      headers: { authorization: `Bearer ${token}` },
    });
    const [response] = await once(request, "response");
    assert.equal(response.statusCode, 200);
    let text = "";
    response.on("data", (bytes: Buffer) => (text += bytes.toString()));
    return { ended: once(response, "end"), response, heard: () => text };
  };
  const own = async (method: "PATCH" | "DELETE", id: string, body?: unknown) => {
    const answer = await call(stage, { method, url: `/v1/tokens/${id}`, body, headers: { host: listening } });
    assert.ok(answer.statusCode < 300, answer.body);
  };
  const tokens = Array.from({ length: 4 }, () => stage.tokenFor("viewer", ["a", "b"]));
  const [revoked, narrowed, expiring, stays] = await Promise.all(tokens.map(({ text }) => open(text)));
  assert.ok(revoked !== undefined && narrowed !== undefined && expiring !== undefined && stays !== undefined);
  await own("DELETE", tokens[0]?.id ?? "");
  await revoked.ended;
  await own("PATCH", tokens[1]?.id ?? "", { groups: ["b"] });
  await narrowed.ended;
  await own("PATCH", tokens[2]?.id ?? "", { expires: new Date(Date.now() + 1_000).toISOString() });
  await expiring.ended;
  assert.equal(stays.response.readableEnded, false);
});

/** The stream of events of a viewer of the group `b`. */
async function eventsOfGroup(t: TestContext) {
  const stage = await accessStage({ hosts: () => [listening] });
  await stage.api.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => stage.api.close());
  const { port } = stage.api.server.address() as AddressInfo;
  const listening = `127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${stage.tokenFor("viewer", ["b"]).text}` };
  const [response] = await once(get({ host: "127.0.0.1", port, path: "/v1/events", headers }), "response");
  return { control: stage.control, response };
}

test("the stream of events tells a caller of groups of its own jobs and runs, and that one has left them", async (t) => {
  const { control, response } = await eventsOfGroup(t);
  let heard = "";
  const seen = new Promise<void>((done) => {
    response.on("data", (bytes: Buffer) => {
      heard += bytes.toString();
      if (heard.includes("cicada.job.deleted")) done();
    });
  });
  await control.ask({ kind: "run-job", id: "in-a" as JobId, by: "test" });
  await control.ask({ kind: "pause-job", id: "in-a" as JobId, by: "test" });
  await control.ask({ kind: "pause-job", id: "in-b" as JobId, by: "test" });
  await control.ask({ kind: "patch-job", id: "in-b" as JobId, patch: { group: "a" }, by: "test" });
  await seen;
  assert.ok(heard.includes("cicada.job.written"), heard);
  assert.ok(heard.includes("in-b") && !heard.includes("in-a"), heard);
  response.destroy();
});

test("the stream of events tells a caller of groups of the settings that it may see, and that one has left them", async (t) => {
  const { control, response } = await eventsOfGroup(t);
  const notify = (setting: ReportedKind, name: string, change: "written" | "deleted") =>
    control.notify({ kind: "setting", setting, name, change });
  for (const name of ["a", "b"]) {
    notify("groups", name, "written");
    notify("maintenance", `m-${name}`, "written");
  }
  notify("calendars", "holidays", "written");
  notify("channels", "ops", "written");
  const moved = new Map(control.settingValues.get("maintenance"));
  moved.set("m-b", moved.get("m-a"));
  control.settingValues.set("maintenance", moved);
  notify("maintenance", "m-b", "written");
  notify("maintenance", "m-b", "written");
  notify("maintenance", "m-a", "deleted");
  notify("pools", "db", "deleted");
  let text = "";
  for await (const bytes of response) {
    text += String(bytes);
    if (text.includes("cicada.pool.deleted") && text.endsWith("\n\n")) break;
  }
  const heard = [...text.matchAll(/"type":"cicada\.([\w.]+)","subject":"([^"]+)"/g)];
  assert.deepEqual(
    heard.map(([, type, subject]) => `${type} ${subject}`),
    [
      "group.written b",
      "maintenance.written m-b",
      "calendar.written holidays",
      "channel.written ops",
      "maintenance.deleted m-b",
      "pool.deleted db",
    ],
  );
});
