/** What the API checks before its routes: Host, Origin, token, cookie, limits; and the common form of all refusals. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sessionLifeMs, Sessions } from "../src/api/http/sessions.ts";
import { CicadaError } from "../src/errors.ts";
import { call, fakeApi, host, token, type FakeApi } from "./kit/fake-api.ts";
import { selfId } from "./kit/fake-control.ts";

const spec = { id: "backup", command: "ls" };

async function anonymous(fake: FakeApi, url: string, headers: Record<string, string> = {}) {
  return fake.api.inject({ method: "GET", url, headers: { host, ...headers } });
}

test("everything needs the token except the login, the page's own files, /livez and a plain /readyz", async () => {
  const fake = fakeApi();
  for (const url of ["/", "/jobs", "/runs", "/icon.svg", "/login", "/livez", "/readyz"]) {
    assert.equal((await anonymous(fake, url)).statusCode, 200, url);
  }
  const closed = ["/v1/jobs", "/v1/runs", "/v1/peers", "/v1/peers/self", "/v1/events", "/v1/jobs/x/next"];
  const more = ["/readyz?verbose", "/readyz?verbose=1", "/metrics", "/openapi.json", "/docs", "/docs/json"];
  const files = ["/docs/static/swagger-ui.css", "/nothing", "/v1", "/v1/jobs/../../livez/x"];
  for (const url of [...closed, ...more, ...files]) {
    const answer = await anonymous(fake, url);
    assert.equal(answer.statusCode, 401, url);
    assert.equal(answer.json().code, "UNAUTHORISED");
    assert.equal(answer.headers["www-authenticate"], 'Bearer realm="cicada"');
  }
});

test("a wrong token, another scheme or a token in the address is 401", async () => {
  const fake = fakeApi();
  for (const authorization of [`Bearer ${token}x`, "Bearer", `Basic ${token}`, token, `Bearer ${token} x`]) {
    assert.equal((await anonymous(fake, "/v1/jobs", { authorization })).statusCode, 401, authorization);
  }
  assert.equal((await anonymous(fake, `/v1/jobs?token=${token}`)).statusCode, 401);
  assert.equal((await anonymous(fake, "/v1/jobs", { authorization: `bearer  ${token}` })).statusCode, 200);
});

test("a foreign Host is refused on every address, even those that need no token", async () => {
  const fake = fakeApi();
  for (const foreign of [
    "evil.example",
    "evil.example:7400",
    "127.0.0.1",
    "127.0.0.1:7401",
    "localhost.:7400",
  ]) {
    for (const url of ["/", "/livez", "/login", "/v1/jobs"]) {
      const answer = await call(fake, { url, headers: { host: foreign } });
      assert.equal(answer.statusCode, 403, `${foreign} ${url}`);
      assert.equal(answer.json().code, "FOREIGN_HOST");
    }
  }
});

test("behind a TLS proxy any Host is served, but the Origin must match it, and the cookie is for https", async () => {
  const fake = fakeApi({ behindTlsProxy: true });
  const headers = { host: "cron.example", origin: "https://cron.example" };
  assert.equal((await call(fake, { url: "/v1/jobs", headers })).statusCode, 200);
  for (const origin of ["https://evil.example", "http://cron.example"]) {
    const foreign = await call(fake, { url: "/v1/jobs", headers: { ...headers, origin } });
    assert.equal(foreign.json().code, "FOREIGN_ORIGIN");
  }
  // As nginx asks when it is not told otherwise.
  const unpassed = { ...headers, host: "127.0.0.1:7400" };
  const { detail } = (await call(fake, { url: "/v1/jobs", headers: unpassed })).json();
  assert.match(detail, /Host is "127\.0\.0\.1:7400"; let the proxy pass the browser's Host on \(nginx: /);
  const past = { host: "127.0.0.1:7400", origin: "http://127.0.0.1:7400" };
  assert.equal((await call(fake, { url: "/v1/jobs", headers: past })).statusCode, 200);
  const login = await call(fake, { method: "POST", url: "/login", body: { token }, headers });
  assert.match(String(login.headers["set-cookie"]), /; Secure/);
  assert.equal((await anonymous(fake, "/login", { host: "cron.example" })).json().tokenFile, undefined);
});

test("a foreign Origin is refused on every method, even with a valid token", async () => {
  const fake = fakeApi();
  for (const origin of [
    "http://evil.example",
    "null",
    "http://127.0.0.1:7410",
    `https://${host}`,
    `http://${host}/`,
    `http://ann@${host}`,
    "file://",
    "http://127.0.0.1",
  ]) {
    for (const method of ["GET", "POST", "DELETE", "OPTIONS"] as const) {
      const answer = await call(fake, { method, url: "/v1/jobs", headers: { origin } });
      assert.equal(answer.statusCode, 403, `${method} ${origin}`);
      assert.equal(answer.json().code, "FOREIGN_ORIGIN");
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
    }
  }
  assert.equal(
    (await call(fake, { url: "/v1/jobs", headers: { origin: `http://${host}` } })).statusCode,
    200,
  );
});

test("a request that another site makes is refused, but a link to the page works", async () => {
  const fake = fakeApi();
  for (const site of ["cross-site", "same-site"]) {
    const loaded = await call(fake, { url: "/v1/jobs", headers: { "sec-fetch-site": site } });
    assert.equal(loaded.json().code, "FOREIGN_ORIGIN", site);
    const headers = { "sec-fetch-site": site, "sec-fetch-mode": "navigate" };
    assert.equal((await anonymous(fake, "/", headers)).statusCode, 200);
    assert.equal(
      (await call(fake, { method: "POST", url: "/v1/jobs", body: spec, headers })).statusCode,
      403,
    );
  }
});

async function logIn(fake: FakeApi): Promise<string> {
  const answer = await fake.api.inject({
    method: "POST",
    url: "/login",
    headers: { host, origin: `http://${host}` },
    payload: { token },
  });
  assert.equal(answer.statusCode, 204);
  const [cookie = "", ...attributes] = String(answer.headers["set-cookie"]).split("; ");
  assert.ok(!cookie.includes(token));
  assert.deepEqual(attributes.toSorted(), ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"]);
  return cookie;
}

test("the page logs in with the token, gets a cookie that scripts can't read, and logs out", async () => {
  const fake = fakeApi();
  const cookie = await logIn(fake);
  assert.equal((await anonymous(fake, "/v1/jobs", { cookie })).statusCode, 200);
  assert.deepEqual((await anonymous(fake, "/login", { cookie })).json(), {
    loggedIn: true,
    name: "alpha",
    program: "cicada",
    tokenFile: "/var/lib/cicada/admin.token",
  });
  const out = await fake.api.inject({
    method: "POST",
    url: "/logout",
    headers: { host, cookie, origin: `http://${host}` },
  });
  assert.equal(out.statusCode, 204);
  assert.equal((await anonymous(fake, "/v1/jobs", { cookie })).statusCode, 401);
  assert.equal((await anonymous(fake, "/login", { cookie })).json().loggedIn, false);
});

test("a change by cookie must say that it comes from the page", async () => {
  const fake = fakeApi();
  const cookie = await logIn(fake);
  const post = (headers: Record<string, string>) =>
    fake.api.inject({
      method: "POST",
      url: "/v1/jobs",
      headers: { host, cookie, ...headers },
      payload: spec,
    });
  assert.equal((await post({})).statusCode, 401);
  assert.equal((await post({ origin: "http://127.0.0.1:7410" })).statusCode, 403);
  assert.equal((await post({ origin: `http://${host}` })).statusCode, 201);
});

test("a session stands for its token, expires, and an invented one is refused", () => {
  let now = 1_000;
  const sessions = new Sessions(() => now);
  const id = sessions.open("ours");
  assert.equal(sessions.tokenOf(id), "ours");
  assert.equal(sessions.tokenOf(""), undefined);
  assert.equal(sessions.tokenOf("ours"), undefined);
  now += sessionLifeMs - 1;
  assert.equal(sessions.tokenOf(id), "ours");
  now += 1;
  assert.equal(sessions.tokenOf(id), undefined);
});

test("the number of sessions is limited: the oldest one ends, first that of the same token", () => {
  const sessions = new Sessions(() => 0);
  const first = sessions.open("ours");
  const busy = sessions.open("busy");
  for (let i = 0; i < 100; i++) sessions.open("busy");
  assert.equal(sessions.tokenOf(busy), undefined);
  assert.equal(sessions.tokenOf(first), "ours");
  for (let i = 0; i < 1_000; i++) sessions.open(`token-${i}`);
  assert.equal(sessions.tokenOf(first), undefined);
});

test("failures are limited per minute, and a valid token always passes", async () => {
  const fake = fakeApi();
  const statuses = new Map<number, number>();
  for (let i = 0; i < 80; i++) {
    const { statusCode } = await anonymous(fake, "/v1/jobs", { authorization: `Bearer guess-${i}` });
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
  }
  assert.deepEqual(
    [...statuses],
    [
      [401, 60],
      [429, 20],
    ],
  );
  const login = await call(fake, { method: "POST", url: "/login", body: { token: "guess" } });
  assert.equal(login.statusCode, 429);
  assert.equal(login.json().code, "RATE_LIMITED");
  assert.ok(Number(login.headers["retry-after"]) > 0);
  for (let i = 0; i < 200; i++) assert.equal((await call(fake, { url: "/v1/peers" })).statusCode, 200);
});

test("every answer names its peer, forbids caching, and has the strict policy", async () => {
  const fake = fakeApi();
  const answers = [
    await call(fake, { url: "/v1/jobs" }),
    await call(fake, { url: "/nothing" }),
    await call(fake, { url: "/v1/jobs/%zz" }),
    await anonymous(fake, "/v1/jobs"),
    await call(fake, { url: "/livez", headers: { host: "evil.example" } }),
  ];
  for (const answer of answers) assert.equal(answer.headers["x-cicada-peer"], selfId);
  const [good] = answers;
  assert.equal(good?.headers["cache-control"], "no-store");
  assert.equal(good?.headers["x-content-type-options"], "nosniff");
  assert.match(String(good?.headers["content-security-policy"]), /default-src 'none'/);
});

// ---------------------------------------------------------------------------------------------------------
// Refusals

for (const [what, asked, status, code] of [
  ["broken JSON", { method: "POST", url: "/v1/jobs", body: '{"id":' }, 400, "BAD_JSON"],
  ["a poisoned object", { method: "POST", url: "/v1/jobs", body: '{"__proto__":{}}' }, 400, "BAD_JSON"],
  ["a list for a job", { method: "POST", url: "/v1/jobs", body: "[]" }, 422, "INVALID_JOB"],
  ["null for a job", { method: "POST", url: "/v1/jobs", body: "null" }, 400, "BAD_REQUEST"],
  ["no body for a job", { method: "POST", url: "/v1/jobs" }, 422, "INVALID_JOB"],
  ["a list for a patch", { method: "PATCH", url: "/v1/jobs/a", body: "[]" }, 422, "INVALID_JOB"],
  [
    "too large a body",
    { method: "POST", url: "/v1/jobs", body: " ".repeat(1_048_577) },
    413,
    "BODY_TOO_LARGE",
  ],
  [
    "a form",
    { method: "POST", url: "/v1/jobs", body: "id=a", headers: { "content-type": "text/plain" } },
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  ["an unknown address", { url: "/v1/nothing" }, 404, "NOT_FOUND"],
  ["null for no body", { method: "POST", url: "/v1/jobs/backup/pause", body: "null" }, 400, "BAD_REQUEST"],
  ["an unknown parameter", { url: "/v1/jobs?limt=3" }, 400, "BAD_REQUEST"],
  ["an invalid boolean", { method: "POST", url: "/v1/jobs?update=1", body: spec }, 400, "BAD_REQUEST"],
  ["a badly encoded address", { url: "/v1/jobs/%zz" }, 400, "BAD_REQUEST"],
  ["an endless address", { url: `/v1/jobs/${"x".repeat(600)}` }, 400, "BAD_REQUEST"],
  ["another method", { method: "PUT", url: "/v1/jobs" }, 405, "METHOD_NOT_ALLOWED"],
  [
    "GET where only POST is, with a body",
    { method: "GET", url: "/v1/schedules/preview", body: spec },
    405,
    "METHOD_NOT_ALLOWED",
  ],
  ["GET with a body", { method: "GET", url: "/v1/jobs", body: spec }, 400, "BAD_REQUEST"],
  ["OPTIONS", { method: "OPTIONS", url: "/v1/jobs" }, 405, "METHOD_NOT_ALLOWED"],
] as const) {
  test(`${what} is refused as ${code}, in the form of RFC 9457`, async () => {
    const fake = fakeApi();
    const answer = await call(fake, asked);
    assert.equal(answer.statusCode, status);
    assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
    const problem = answer.json();
    assert.equal(problem.code, code);
    assert.equal(problem.type, `urn:cicada:error:${code}`);
    assert.equal(problem.status, status);
    for (const name of ["title", "detail", "hint"]) assert.ok(problem[name].length > 0, name);
    assert.equal(fake.control.jobs.size, 0);
  });
}

test("a wrong parameter is refused in words that say what it may be", async () => {
  const fake = fakeApi();
  for (const [query, says] of [
    ["state=broken", "/state: must be one of invalid, disabled, paused, "],
    ["state=failing&state=blocked", "/state: is given twice, and this call takes one"],
    ["limit=0", "/limit: must be at least 1"],
    ["limit=all", "/limit: must be a whole number"],
  ] as const) {
    const refused = await call(fake, { url: `/v1/jobs?${query}` });
    assert.equal(refused.statusCode, 400);
    assert.ok(refused.json().detail.startsWith(says), refused.body);
  }
});

test("however long, deep or wide a body is, its refusal is short and the peer stays up", async () => {
  const fake = fakeApi();
  const deep = `{"id":"x","command":"ls","labels":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`;
  const wide = `{${Array.from({ length: 60_000 }, (_, i) => `"a${i}":1`).join()}}`;
  const long = `{"id":"${"a".repeat(900_000)}","command":"ls"}`;
  await call(fake, { method: "POST", url: "/v1/jobs", body: spec });
  for (const body of [deep, wide, long, "[".repeat(200_000) + "]".repeat(200_000)]) {
    for (const [method, url] of [
      ["POST", "/v1/jobs"],
      ["PUT", "/v1/jobs/backup"],
      ["PATCH", "/v1/jobs/backup"],
      ["POST", "/v1/jobs/backup/run"],
      ["POST", "/v1/schedules/preview"],
    ] as const) {
      const headers = { "idempotency-key": `${method}${url}${body.length}` };
      const answer = await call(fake, { method, url, body, headers });
      assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${method} ${url}: ${answer.body}`);
      assert.ok(answer.body.length < 10_000, `${method} ${url}: ${answer.body.length}`);
    }
  }
  assert.deepEqual(
    [...fake.control.jobs.values()].map((job) => job.spec),
    [spec],
  );
});

test("a 405 says in Allow which methods the address takes", async () => {
  const answer = await call(fakeApi(), { method: "POST", url: "/v1/jobs/backup" });
  assert.equal(answer.headers["allow"], "DELETE, GET, HEAD, PATCH, PUT");
});

test("the refusal of a misspelt parameter names the right one", async () => {
  const answer = await call(fakeApi(), { url: "/v1/jobs?limt=3" });
  assert.match(answer.json().detail, /did you mean "limit"/);
});

test("an unexpected failure is answered as INTERNAL without details, which are in the log", async () => {
  const fake = fakeApi();
  fake.control.ask = async () => {
    throw new TypeError("the secret is 42");
  };
  const answer = await call(fake, { method: "POST", url: "/v1/jobs", body: spec });
  assert.equal(answer.statusCode, 500);
  assert.equal(answer.json().code, "INTERNAL");
  assert.ok(!answer.body.includes("42"));
  assert.match(String(fake.errors[0]?.fields["error"]), /the secret is 42/);
});

test("a peer's refusal is passed on unchanged", async () => {
  const fake = fakeApi();
  fake.control.ask = async () => ({
    kind: "refused",
    error: new CicadaError("DISK_FAILED", "no space left"),
  });
  const answer = await call(fake, { method: "POST", url: "/v1/jobs", body: spec });
  assert.equal(answer.statusCode, 503);
  assert.equal(answer.json().detail, "no space left");
});

// ---------------------------------------------------------------------------------------------------------
// Idempotency-Key

const once = (fake: FakeApi, key: string, url: string, body?: unknown) =>
  call(fake, { method: "POST", url, body, headers: { "idempotency-key": key } });

test("a POST that is repeated with its Idempotency-Key gets the first answer and changes nothing", async () => {
  const fake = fakeApi();
  const first = await once(fake, "k1", "/v1/jobs", spec);
  const second = await once(fake, "k1", "/v1/jobs", spec);
  assert.equal(second.statusCode, 201);
  assert.equal(second.body, first.body);
  assert.equal(second.headers["etag"], first.headers["etag"]);
  assert.equal(second.headers["location"], first.headers["location"]);
  assert.equal(second.headers["idempotency-replayed"], "true");
  await Promise.all([1, 2, 3].map(() => once(fake, "k2", "/v1/jobs/backup/run")));
  assert.equal(fake.control.records.length, 1);
  await once(fake, "k3", "/v1/jobs/backup/run");
  assert.equal(fake.control.records.length, 2);
});

const run = (at: FakeApi, body: unknown = {}) => once(at, "k", "/v1/jobs/backup/run", body);
const bulk = (at: FakeApi) => once(at, "kb", "/v1/jobs:bulk", { select: { ids: ["backup"] }, action: "run" });

test("a run that is asked for again under its key is found without the first answer, running or over", async () => {
  const first = fakeApi();
  await call(first, { method: "POST", url: "/v1/jobs", body: spec });
  // As after a restart, or at another peer that has heard of the run.
  const elsewhere = (): FakeApi => ({ ...first, api: fakeApi({ control: first.control }).api });
  const ordered = (await run(first)).json();
  const inBulk = (await bulk(first)).json();
  for (const state of ["claimed", "succeeded"] as const) {
    for (const record of first.control.records) record.state = state;
    const again = await run(elsewhere());
    assert.deepEqual([again.statusCode, again.json()], [202, ordered], state);
    assert.equal(again.headers["idempotency-replayed"], "true");
    assert.deepEqual((await bulk(elsewhere())).json(), inBulk);
    const other = await run(elsewhere(), { force: true });
    assert.equal(other.json().code, "KEY_REUSED");
  }
  assert.equal(first.control.records.length, 2);
  assert.equal(first.control.audited.filter(({ action }) => action === "run-job").length, 2);
});

test("an Idempotency-Key is refused with another body or address", async () => {
  const fake = fakeApi();
  await once(fake, "k1", "/v1/jobs", spec);
  for (const answer of [
    await once(fake, "k1", "/v1/jobs", { ...spec, command: "rm" }),
    await once(fake, "k1", "/v1/jobs/backup/run"),
  ]) {
    assert.equal(answer.statusCode, 422);
    assert.equal(answer.json().code, "KEY_REUSED");
  }
});

test("a refusal is repeated too, but after a failure of the peer the request may be retried with the same key", async () => {
  const fake = fakeApi();
  const ask = fake.control.ask.bind(fake.control);
  fake.control.ask = async () => ({
    kind: "refused",
    error: new CicadaError("DISK_FAILED", "no space left"),
  });
  assert.equal((await once(fake, "k1", "/v1/jobs", spec)).statusCode, 503);
  fake.control.ask = ask;
  assert.equal((await once(fake, "k1", "/v1/jobs", spec)).statusCode, 201);
  const refused = await once(fake, "k2", "/v1/jobs", spec);
  assert.equal(refused.statusCode, 409);
  await call(fake, { method: "DELETE", url: "/v1/jobs/backup" });
  assert.equal((await once(fake, "k2", "/v1/jobs", spec)).statusCode, 409);
});

test("while the outcome of an Idempotency-Key is unknown, retries are told so and the peer is not asked again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fake = fakeApi();
  const ask = fake.control.ask.bind(fake.control);
  const answered = Promise.withResolvers<void>();
  let asked = 0;
  fake.control.ask = async (command) => {
    asked += 1;
    await answered.promise;
    return ask(command);
  };
  const late = async () => {
    const answer = once(fake, "k1", "/v1/jobs", spec);
    // Fastify runs its hooks before the peer is asked or waited for.
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    t.mock.timers.tick(25_000);
    return answer;
  };
  const first = await late();
  assert.equal(first.statusCode, 503);
  assert.match(first.json().detail, /may still be carried out/);
  const second = await late();
  assert.equal(second.statusCode, 503, "still unknown");
  assert.equal(asked, 1);
  const waiting = [once(fake, "k1", "/v1/jobs", spec), once(fake, "k1", "/v1/jobs", spec)];
  answered.resolve();
  const answers = await Promise.all(waiting);
  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [201, 201],
  );
  assert.equal((await once(fake, "k1", "/v1/jobs", spec)).headers["idempotency-replayed"], "true");
  assert.equal(asked, 1, "the peer was asked only once");
});

test("an Idempotency-Key with odd characters or of great length is refused", async () => {
  const fake = fakeApi();
  for (const key of ["a b", "x".repeat(256), "ü"]) {
    assert.equal((await once(fake, key, "/v1/jobs", spec)).statusCode, 400, key);
  }
  assert.equal(fake.control.jobs.size, 0);
});

test("the number of kept answers is limited: the oldest key counts as new again", async () => {
  const fake = fakeApi();
  await once(fake, "first", "/v1/jobs", spec);
  for (let i = 0; i < 10_000; i++) await once(fake, `k${i}`, "/v1/jobs/none/resume");
  assert.equal((await once(fake, "k9999", "/v1/jobs/none/resume")).headers["idempotency-replayed"], "true");
  assert.equal((await once(fake, "first", "/v1/jobs", spec)).statusCode, 409);
});
