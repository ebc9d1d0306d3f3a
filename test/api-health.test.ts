/** The API for supervisors, Prometheus and client generators; and the list of peers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import performanceHooks, { PerformanceObserver } from "node:perf_hooks";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { JobId, TickId } from "../src/schema/ids.ts";
import { conflictingCalls, growingCalls } from "../src/api/http/refusals.ts";
import { call, fakeApi, host } from "./kit/fake-api.ts";
import { otherId, selfId } from "./kit/fake-control.ts";

test("livez is green while the process responds; readyz is red while the peer takes no ticks", async () => {
  const fake = fakeApi();
  const ask = (url: string) => fake.api.inject({ method: "GET", url, headers: { host } });
  assert.equal((await ask("/readyz")).statusCode, 200);
  fake.control.notReady = [
    { code: "warming-up", message: "2 peers have not answered yet" },
    { code: "disk", message: "the data folder can't be written" },
  ];
  assert.equal((await ask("/livez")).statusCode, 200);
  const red = await ask("/readyz");
  assert.equal(red.statusCode, 503);
  assert.equal(red.body, "not ready: warming-up, disk\n");
});

test("readyz?verbose tells authorised callers why", async () => {
  const fake = fakeApi();
  fake.control.notReady = [{ code: "disk", message: "the data folder can't be written" }];
  const answer = await call(fake, { url: "/readyz?verbose" });
  assert.equal(answer.statusCode, 503);
  assert.deepEqual(answer.json(), {
    ready: false,
    codes: ["disk"],
    reasons: ["the data folder can't be written"],
    warnings: [],
    peer: "alpha",
    version: "0.1.0",
    alive: 2,
    members: 2,
  });
});

test("the reasons in words need the token, however the address asks for them", async (context) => {
  const hosts: string[] = [];
  const fake = fakeApi({ hosts: () => hosts });
  context.after(() => fake.api.close());
  fake.control.notReady = [{ code: "disk", message: "the data folder can't be written" }];
  await fake.api.listen({ host: "127.0.0.1", port: 0 });
  const { port } = fake.api.server.address() as AddressInfo;
  hosts.push(`127.0.0.1:${port}`);
  // Through a real socket, because `inject` and `fetch` send no fragment.
  for (const path of ["/readyz?verbose", "/readyz?%76erbose", "/readyz#verbose", "/readyz#?verbose"]) {
    const asked = request({ host: "127.0.0.1", port, path }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    assert.ok(answer.statusCode === 401 || answer.statusCode === 400, `${path}: ${answer.statusCode}`);
    assert.doesNotMatch(await text(answer), /can.t be written/, path);
  }
});

test("readyz?verbose warns of jobs that no living peer can run, and says why", async () => {
  const fake = fakeApi();
  await call(fake, { method: "POST", url: "/v1/jobs", body: { id: "a", command: "ls" } });
  const message = "its target dan has been dead since 04:23:10 UTC";
  fake.control.hindrances = [{ code: "NO_PEER", pointer: "/target/peers", message }];
  const answer = await call(fake, { url: "/readyz?verbose" });
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(answer.json().warnings, [`no peer can run the job a: ${message}`]);
});

test("readyz?verbose gives a reason once for all jobs for which it holds", async () => {
  const fake = fakeApi();
  const ids = Array.from({ length: 9 }, (_, index) => `job-${index}`);
  for (const id of ids) await call(fake, { method: "POST", url: "/v1/jobs", body: { id, command: "ls" } });
  const message = "ada and bob have been dead since 04:23:10 UTC";
  fake.control.hindrances = [{ code: "NO_PEER", pointer: "", message }];
  const answer = await call(fake, { url: "/readyz?verbose" });
  assert.deepEqual(answer.json().warnings, [
    `no peer can run the jobs job-0, job-1, job-2, job-3, job-4 and 4 more: ${message}`,
  ]);
});

test("health checks by HEAD work", async () => {
  const fake = fakeApi();
  for (const url of ["/livez", "/readyz", "/v1/jobs", "/"]) {
    const answer = await call(fake, { method: "HEAD", url });
    assert.equal(answer.statusCode, 200, url);
    assert.equal(answer.body, "");
  }
});

test("metrics show jobs, members, open runs, readiness and the peer's counters", async () => {
  const fake = fakeApi();
  await call(fake, { method: "POST", url: "/v1/jobs", body: { id: "a", command: "ls" } });
  fake.control.record({
    job: "a" as JobId,
    tick: "2026-11-20T01:00:00Z" as TickId,
    state: "running",
  });
  const answer = await call(fake, { url: "/metrics" });
  assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  const lines = answer.body.split("\n");
  for (const line of [
    "cicada_ready 1",
    "cicada_jobs 1",
    "cicada_jobs_quarantined 0",
    'cicada_members{state="alive"} 2',
    'cicada_members{state="dead"} 0',
    'cicada_runs_open{state="running"} 1',
    `cicada_peer{id="${selfId}",name="alpha",version="0.1.0"} 1`,
    `cicada_clock_offset_seconds{peer="${otherId}"} 0.012`,
    "cicada_runs_started_total 1",
    "cicada_messages_dropped_total 0",
    'cicada_http_request_seconds_count{method="POST",route="/v1/jobs",status="201"} 1',
  ]) {
    assert.ok(lines.includes(line), `${line} in\n${answer.body}`);
  }
});

test("the first scrape counts the CPU that the peer has used since its start", async () => {
  const before = process.cpuUsage();
  const { body } = await call(fakeApi(), { url: "/metrics" });
  const used = (name: string) =>
    Number(new RegExp(`^process_cpu_${name}seconds_total (\\S+)`, "m").exec(body)?.[1]);
  assert.ok(used("user_") >= before.user / 1e6);
  assert.ok(used("") >= (before.user + before.system) / 1e6);
});

test("a peer whose metrics nobody asks for measures neither collections nor its event loop for them", async (context) => {
  const collections = context.mock.method(PerformanceObserver.prototype, "observe");
  const eventLoops = context.mock.method(performanceHooks, "monitorEventLoopDelay");
  const begun = () => [collections, eventLoops].map(({ mock }) => mock.callCount());
  const fake = fakeApi();
  await call(fake, { url: "/v1/jobs" });
  assert.deepEqual(begun(), [0, 0]);
  for (let times = 0; times < 2; times++) {
    const { body } = await call(fake, { url: "/metrics" });
    assert.match(body, /^process_cpu_seconds_total \d/m);
    assert.match(body, /^nodejs_eventloop_lag_p99_seconds /m);
    assert.deepEqual(begun(), [1, 1]);
  }
});

test("metrics follow what people set alerts on: failures, lost and missed ticks, last success, state", async () => {
  const fake = fakeApi();
  const job = "backup" as JobId;
  await call(fake, { method: "POST", url: "/v1/jobs", body: { id: job, command: "ls", group: "db" } });
  const figures = async () => (await call(fake, { url: "/metrics" })).body.split("\n");
  const has = async (...lines: string[]) => {
    const body = await figures();
    for (const line of lines) assert.ok(body.includes(line), `${line} in\n${body.join("\n")}`);
  };
  await has(
    'cicada_runs_total{job="backup",group="db",state="failed"} 0',
    'cicada_ticks_without_run_total{job="backup",group="db",state="missed",reason="window"} 0',
    'cicada_job_last_success_timestamp_seconds{job="backup",group="db"} 0',
    'cicada_jobs_by_state{group="db",state="manual"} 1',
    "cicada_jobs_blocked 0",
    "cicada_watermark_lag_seconds 1.5",
    "cicada_load 1",
    "cicada_capacity 20",
  );
  const at = Date.parse("2026-11-20T01:00:00Z");
  const tick = "2026-11-20T01:00:00Z" as TickId;
  fake.control.record({ job, tick, startedAt: at, finishedAt: at + 1_500 });
  fake.control.record({
    job,
    tick: "2026-11-20T02:00:00Z" as TickId,
    state: "failed",
    finishedAt: at + 3_600_000,
  });
  fake.control.record({ job, tick: "2026-11-20T03:00:00Z" as TickId, state: "missed", reason: "window" });
  const gap = { from: at + 4 * 3_600_000, count: 4_320 };
  const end = "2026-11-23T03:00:00Z" as TickId;
  fake.control.record({ job, tick: end, slot: "range", state: "missed", reason: "window", range: gap });
  const other = { peer: otherId, by: selfId, state: "lost", reason: "its peer died" } as const;
  fake.control.record({ job, tick: "2026-11-20T04:00:00Z" as TickId, ...other });
  // A record that another peer wrote is counted there.
  fake.control.record({ job, tick: "2026-11-20T05:00:00Z" as TickId, peer: otherId, state: "failed" });
  fake.control.statuses.set(job, { state: "failing" });
  fake.control.hindrances = [{ code: "NO_PEER", pointer: "", message: "all are dead" }];
  fake.control.notReady = [{ code: "no-quorum", message: "1 of 3" }];
  await has(
    'cicada_runs_total{job="backup",group="db",state="succeeded"} 1',
    'cicada_runs_total{job="backup",group="db",state="failed"} 1',
    'cicada_runs_total{job="backup",group="db",state="lost"} 1',
    'cicada_ticks_without_run_total{job="backup",group="db",state="missed",reason="window"} 4321',
    `cicada_job_last_success_timestamp_seconds{job="backup",group="db"} ${(at + 1_500) / 1_000}`,
    'cicada_run_duration_seconds_count{group="db"} 2',
    'cicada_job_state{job="backup",group="db",state="failing"} 1',
    'cicada_jobs_by_state{group="db",state="failing"} 1',
    "cicada_jobs_blocked 1",
    'cicada_not_ready{reason="no-quorum"} 1',
  );
  // A job that runs most of the time must alert, too.
  fake.control.statuses.set(job, { state: "running", lastFailed: true });
  await has('cicada_jobs_by_state{group="db",state="running"} 1', 'cicada_jobs_failing{group="db"} 1');
});

test("beyond 1,000 jobs, runs are counted by group, and no job has its own series", async () => {
  const fake = fakeApi();
  const { body: one } = await call(fake, {
    method: "POST",
    url: "/v1/jobs",
    body: { id: "a", command: "ls" },
  });
  assert.ok(one.length > 0);
  const [job] = fake.control.jobs.values();
  assert.ok(job !== undefined);
  for (let i = 0; i < 1_000; i++) {
    const id = `job-${i}` as JobId;
    fake.control.jobs.set(id, { ...job, id, spec: { ...job.spec, id } });
  }
  fake.control.record({ job: job.id, tick: "2026-11-20T01:00:00Z" as TickId, state: "failed" });
  const { body } = await call(fake, { url: "/metrics" });
  assert.ok(body.includes('\ncicada_runs_total{job="",group="default",state="failed"} 1\n'), body);
  assert.ok(body.includes('\ncicada_jobs_by_state{group="default",state="manual"} 1001\n'));
  assert.doesNotMatch(body, /job="job-/);
});

test("counters show their present value at each scrape, not a sum of scrapes", async () => {
  const fake = fakeApi();
  await call(fake, { url: "/metrics" });
  fake.control.record({ job: "a" as JobId, tick: "2026-11-20T01:00:00Z" as TickId });
  const { body } = await call(fake, { url: "/metrics" });
  assert.ok(body.includes("\ncicada_runs_started_total 1\n"));
});

test("two peers in one process have separate figures", async () => {
  const [one, other] = [fakeApi(), fakeApi()];
  await call(one, { url: "/metrics" });
  assert.ok((await call(other, { url: "/metrics" })).body.includes("cicada_ready 1"));
});

test("peers are listed in the documented form, this one first", async () => {
  const fake = fakeApi();
  const { items } = (await call(fake, { url: "/v1/peers" })).json();
  assert.equal(items.length, 2);
  const [self, other] = items;
  assert.equal(self.self, true);
  for (const [name, value] of Object.entries({
    id: otherId,
    name: "bravo",
    state: "alive",
    role: "worker",
    voter: false,
    tags: { zone: "a" },
    load: 1,
    clockOffsetMs: 12,
    version: "0.1.0",
    addresses: [`/ip4/127.0.0.1/tcp/7401/p2p/${otherId}`],
  })) {
    assert.deepEqual(other[name], value, name);
  }
});

test("a peer that has never been heard is listed with what is known of it", async () => {
  const fake = fakeApi();
  const [alpha, bravo] = fake.control.members;
  assert.ok(alpha !== undefined && bravo !== undefined);
  fake.control.members = [
    alpha,
    { ...bravo, state: "dead", heartbeat: undefined, heardAt: undefined, clockOffsetMs: undefined },
  ];
  const [, shown] = (await call(fake, { url: "/v1/peers" })).json().items;
  assert.equal(shown.state, "dead");
  assert.equal(shown.load, null);
  assert.deepEqual(shown.addresses, []);
});

test("a peer says since when it is up and why it takes no ticks", async () => {
  const fake = fakeApi();
  fake.control.notReady = [{ code: "warming-up", message: "warming up" }];
  const self = (await call(fake, { url: "/v1/peers/self" })).json();
  assert.equal(self.id, selfId);
  assert.ok(Math.abs(Date.parse(self.startedAt) - Date.now()) < 60_000);
  assert.deepEqual(self.notReady, ["warming up"]);
});

test("openapi.json is OpenAPI 3.1, describes every call, and says that each may be refused", async () => {
  const fake = fakeApi();
  const { openapi, paths } = (await call(fake, { url: "/openapi.json" })).json();
  assert.equal(openapi, "3.1.0");
  const calls = Object.entries<Record<string, unknown>>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  for (const expected of [
    "GET /v1/jobs",
    "POST /v1/jobs",
    "GET /v1/jobs/{id}",
    "PUT /v1/jobs/{id}",
    "PATCH /v1/jobs/{id}",
    "DELETE /v1/jobs/{id}",
    "POST /v1/jobs/{id}/run",
    "POST /v1/jobs/{id}/pause",
    "POST /v1/jobs/{id}/resume",
    "POST /v1/jobs/{id}/skip",
    "POST /v1/jobs/{id}/unskip",
    "GET /v1/jobs/{id}/next",
    "GET /v1/jobs/{id}/ticks",
    "GET /v1/jobs/{id}/why",
    "GET /v1/jobs/{id}/runs",
    "GET /v1/runs",
    "GET /v1/runs/{run}",
    "POST /v1/runs/{run}/cancel",
    "GET /v1/runs/{run}/log",
    "GET /v1/runs/{run}/log/stream",
    "GET /v1/peers",
    "GET /v1/peers/self",
    "POST /v1/schedules/preview",
    "GET /v1/events",
    "GET /readyz",
    "GET /metrics",
  ]) {
    assert.ok(calls.includes(expected), expected);
  }
  assert.ok("application/problem+json" in paths["/v1/jobs"].post.responses["409"].content);
  for (const [path, method] of [
    ["/v1/jobs", "post"],
    ["/v1/jobs/{id}", "put"],
    ["/v1/jobs/{id}", "patch"],
    ["/v1/jobs/{id}", "delete"],
    ["/v1/jobs/{id}/revert", "post"],
  ] as const) {
    const { parameters, responses } = paths[path][method];
    const headers = parameters.map(({ name }: { name: string }) => name);
    assert.ok(headers.includes("if-match") && "412" in responses, `${method} ${path} looks at If-Match`);
  }
  assert.ok("command" in paths["/v1/jobs"].post.requestBody.content["application/json"].schema.properties);
});

interface Described {
  operationId?: string;
  summary?: string;
  tags?: string[];
  requestBody?: { required?: boolean };
  responses: Record<string, { description?: string; content?: Record<string, unknown> }>;
}

test("openapi.json: each call has a name of its own, a summary, a tag, a success, and refusals with a code", async () => {
  const { paths } = (await call(fakeApi(), { url: "/openapi.json" })).json();
  const names = new Set<string>();
  for (const [url, methods] of Object.entries<Record<string, Described>>(paths)) {
    for (const [method, { operationId = "", summary, tags = [], responses }] of Object.entries(methods)) {
      const name = `${method} ${url}`;
      assert.match(operationId, /^[a-z][A-Za-z0-9]+$/, name);
      assert.ok(!names.has(operationId), `${name}: ${operationId} is another call's`);
      names.add(operationId);
      assert.ok(summary && tags.length === 1, name);
      assert.ok(!("default" in responses), `${name} says with which statuses it answers`);
      const codes = Object.keys(responses);
      assert.ok(
        codes.some((code) => /^2(\d\d|XX)$/.test(code)),
        name,
      );
      for (const code of ["400", "403", "500"]) assert.ok(codes.includes(code), `${name}: ${code}`);
      for (const code of codes.filter((one) => /^[45]/.test(one) && !(url === "/readyz" && one === "503"))) {
        assert.deepEqual(Object.keys(responses[code]?.content ?? {}), ["application/problem+json"], name);
      }
      assert.equal(responses["204"]?.content, undefined, name);
    }
  }
  assert.ok(names.size > 80);
  assert.deepEqual(Object.keys(paths["/livez"].get.responses["200"].content), ["text/plain"]);
});

test("openapi.json names 404, 409, 422 and 507 for the calls that can be refused so, and for no other", async () => {
  const { paths } = (await call(fakeApi(), { url: "/openapi.json" })).json();
  const withStatus = (status: string): string[] =>
    Object.entries<Record<string, Described>>(paths).flatMap(([url, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) =>
        status in responses ? [`${method.toUpperCase()} ${url.replaceAll(/\{(\w+)\}/g, ":$1")}`] : [],
      ),
    );
  assert.deepEqual(withStatus("409").toSorted(), [...conflictingCalls].toSorted());
  assert.deepEqual(withStatus("507").toSorted(), [...growingCalls].toSorted());
  const without = (status: string): string[] => {
    const having = new Set(withStatus(status));
    return withStatus("500").filter((name) => !having.has(name));
  };
  for (const name of ["PUT /v1/pools/:name", "POST /v1/tokens", "GET /v1/jobs", "PUT /v1/scripts"])
    assert.ok(without("404").includes(name), `${name} finds nothing that isn't there`);
  for (const name of ["GET /v1/runs", "GET /v1/jobs/:id", "PUT /v1/groups/:name", "POST /v1/apply"])
    assert.ok(!without("404").includes(name), `${name} may name what isn't there`);
  for (const name of ["GET /v1/jobs/:id", "DELETE /v1/pools/:name", "GET /v1/coming", "POST /logout"])
    assert.ok(without("422").includes(name), `${name} takes nothing that its schema can't check`);
  for (const name of ["GET /v1/jobs", "GET /v1/runs", "GET /v1/jobs/:id/why", "PUT /v1/pools/:name"])
    assert.ok(!without("422").includes(name), `${name} takes what its schema can't check`);
});

test("openapi.json: a body that need not be sent is not said to be required, and leaving it out is as good as {}", async () => {
  const { paths } = (await call(fakeApi(), { url: "/openapi.json" })).json();
  const optional = Object.entries<Record<string, Described>>(paths).filter(
    ([, { post }]) => post?.requestBody?.required === false,
  );
  assert.ok(optional.length > 10);
  for (const [path] of optional) {
    const url = path.replaceAll(/\{\w+\}/g, "none");
    const [without, empty] = [
      await call(fakeApi(), { method: "POST", url }),
      await call(fakeApi(), { method: "POST", url, body: {} }),
    ];
    assert.equal(without.statusCode, empty.statusCode, `${url}: ${without.body} ${empty.body}`);
  }
  assert.equal(paths["/v1/jobs"].post.requestBody.required, true);
});
