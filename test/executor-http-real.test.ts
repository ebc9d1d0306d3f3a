/** Requests by the real executor, against real servers on this machine. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import net, { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { ChildOutcome, HttpAction, Log, RunSpec } from "../src/ports.ts";
import { openDisk } from "../src/real/disk.ts";
import { openExecutor } from "../src/real/executor.ts";
import type { JobId, RunId, TickId } from "../src/schema/ids.ts";
import { ended, launchToEnd, readAll, Reports, started, type ExecutorBed } from "./kit/contract/executor.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

interface Bed extends Pick<ExecutorBed, "executor" | "wait"> {
  reports: Reports;
  /** runs a request to its end */
  outcome(spec: RunSpec): Promise<ChildOutcome>;
  output(spec: RunSpec): Promise<string>;
}

async function openBed(context: TestContext, values: Readonly<Record<string, string>> = {}): Promise<Bed> {
  const path = mkdtempSync(join(tmpdir(), "cicada-http-"));
  const folder = { work: join(path, "work"), logs: join(path, "logs"), scripts: join(path, "scripts") };
  for (const one of Object.values(folder)) mkdirSync(one);
  const disk = await openDisk({ folder: path, log: quiet });
  const secrets = { resolve: () => ({ values: new Map(Object.entries(values)) }) };
  const executor = openExecutor({ folder, disk, log: quiet, secrets });
  context.after(async () => {
    await new Promise<void>((done) => executor.close(done));
    await new Promise<void>((done) => disk.close(done));
    rmSync(path, { recursive: true });
  });
  const reports = new Reports(executor);
  const bed = {
    executor,
    wait: <Value>(start: (done: (value: Value) => void) => void) => new Promise<Value>(start),
  };
  const whole = bed as ExecutorBed;
  return {
    ...bed,
    reports,
    outcome: (spec) => launchToEnd(whole, reports, spec),
    output: async (spec) => Buffer.from((await readAll(whole, spec.run))?.bytes ?? []).toString(),
  };
}

let runsMade = 0;

function request(url: string, action: Partial<HttpAction> = {}, fields: Partial<RunSpec> = {}): RunSpec {
  return {
    run: `ping@2026-11-20T12:00:00Z~1@${process.pid}-${runsMade++}` as RunId,
    job: "ping" as JobId,
    tick: "2026-11-20T12:00:00Z" as TickId,
    action: {
      kind: "http",
      method: "GET",
      url,
      headers: {},
      body: "",
      expectStatus: [200],
      followRedirects: false,
      insecureTls: false,
      ...action,
    },
    hostEnv: {},
    env: { CICADA_IDEMPOTENCY_KEY: "ping@2026-11-20T12:00:00Z", TRACEPARENT: "00-ab-cd-01" },
    timeoutMs: 10_000,
    logCapBytes: 1_048_576,
    notAfter: Date.now() + 3_000,
    ...fields,
  };
}

interface Heard {
  request: IncomingMessage;
  body: string;
}

/** A server that notes each request before it answers. */
async function serve(
  context: TestContext,
  answer: (response: ServerResponse, request: IncomingMessage) => void,
  make: (listener: RequestListener) => Server = createServer,
): Promise<{ url: string; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = make((asked, response) => {
    const parts: Buffer[] = [];
    asked.on("data", (part: Buffer) => parts.push(part));
    asked.on("end", () => {
      heard.push({ request: asked, body: Buffer.concat(parts).toString() });
      answer(response, asked);
    });
  });
  return { url: `http://127.0.0.1:${await listen(context, server)}`, heard };
}

async function listen(context: TestContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    if ("closeAllConnections" in server) (server as ReturnType<typeof createServer>).closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

test("a request that is answered as expected succeeds, and its answer is kept as output without its cookies", async (context) => {
  const bed = await openBed(context);
  const { url, heard } = await serve(context, (response) => {
    response.writeHead(200, { "content-type": "text/plain", "set-cookie": "session=secret" });
    response.end("all is well\n");
  });
  const headers = { Accept: "text/plain", "X-Api-Key": "key" };
  const spec = request(`${url}/ping?x=1`, { method: "POST", headers, body: "hello" });
  assert.partialDeepStrictEqual(await bed.outcome(spec), {
    kind: "answered",
    failure: undefined,
    logTruncated: false,
  });
  const output = await bed.output(spec);
  assert.match(output, /^HTTP\/1\.1 200 OK\ncontent-type: text\/plain\n[^]*\n\nall is well\n$/);
  assert.doesNotMatch(output, /secret/);
  assert.deepEqual(bed.reports.said, [`started ${spec.run}`, `ended ${spec.run}`]);
  const [{ request: asked, body }] = heard as [Heard];
  assert.equal(asked.url, "/ping?x=1");
  assert.equal(body, "hello");
  assert.partialDeepStrictEqual(asked.headers, {
    accept: "text/plain",
    "x-api-key": "key",
    "idempotency-key": "ping@2026-11-20T12:00:00Z",
    traceparent: "00-ab-cd-01",
    "x-cicada-run": spec.run,
  });
});

test("an answer with another status is a failure that names the status and the rule, and is kept", async (context) => {
  const bed = await openBed(context);
  const { url } = await serve(context, (response) => response.writeHead(503).end("down"));
  const spec = request(url, { expectStatus: [200, 204] });
  assert.partialDeepStrictEqual(await bed.outcome(spec), {
    kind: "answered",
    failure: "status: 503 Service Unavailable is not one of http.expectStatus (200, 204)",
  });
  assert.match(await bed.output(spec), /down$/);
  const { url: created } = await serve(context, (response) => response.writeHead(204).end());
  assert.partialDeepStrictEqual(await bed.outcome(request(created, { expectStatus: [200, 204] })), {
    failure: undefined,
  });
});

test("DNS, connect, TLS and a broken connection are told apart, and nothing is sent twice", async (context) => {
  const bed = await openBed(context);
  const failureOf = async (spec: RunSpec): Promise<string> => {
    const outcome = await bed.outcome(spec);
    assert.equal(outcome.kind, "answered");
    return (outcome.kind === "answered" ? outcome.failure : undefined) ?? "";
  };
  assert.match(
    await failureOf(request("http://nowhere.invalid/")),
    /^DNS: nowhere\.invalid .*\((ENOTFOUND|EAI_AGAIN)\)$/,
  );

  const closed = createTcpServer();
  const port = await listen(context, closed);
  await new Promise<void>((done) => closed.close(() => done()));
  assert.equal(
    await failureOf(request(`http://127.0.0.1:${port}/`)),
    `connect: 127.0.0.1:${port}: nothing listens there (ECONNREFUSED)`,
  );

  const resets = { connections: 0, requests: 0 };
  const resetting = createTcpServer((socket) => {
    resets.connections++;
    socket.on("error", () => undefined);
    socket.on("data", () => {
      resets.requests++;
      socket.resetAndDestroy();
    });
  });
  const broken = await failureOf(request(`http://127.0.0.1:${await listen(context, resetting)}/`));
  assert.match(broken, /^http: the connection broke before there was an answer/);
  assert.deepEqual(resets, { connections: 1, requests: 1 });

  const half = await serve(context, (response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.destroy());
  });
  assert.match(
    await failureOf(request(half.url)),
    /^http: the connection broke before the answer was complete/,
  );
  assert.equal(half.heard.length, 1);

  const babbling = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.end("220 mail.example ESMTP\r\n");
  });
  assert.match(
    await failureOf(request(`http://127.0.0.1:${await listen(context, babbling)}/`)),
    /^http: the answer is not HTTP/,
  );
  const plain = await serve(context, (response) => response.end());
  assert.match(
    await failureOf(request(plain.url.replace("http:", "https:"))),
    /^TLS: 127\.0\.0\.1:\d+: what answers there doesn't speak TLS \(/,
  );
});

test("a self-signed certificate is a failure of TLS, unless the job accepts any", async (context) => {
  const bed = await openBed(context);
  const { url, heard } = await serve(
    context,
    (response) => response.end("secure"),
    (listener) => createTlsServer(selfSigned(context), listener),
  );
  const secure = url.replace("http:", "https:");
  assert.partialDeepStrictEqual(await bed.outcome(request(secure)), {
    failure: `TLS: ${new URL(secure).host}: self-signed certificate (DEPTH_ZERO_SELF_SIGNED_CERT)`,
  });
  assert.equal(heard.length, 0);
  assert.partialDeepStrictEqual(await bed.outcome(request(secure, { insecureTls: true })), {
    failure: undefined,
  });
});

function selfSigned(context: TestContext): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "cicada-tls-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const options =
    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
  const made = spawnSync("openssl", [...options.split(" "), "-keyout", key, "-out", cert]);
  assert.equal(made.status, 0, String(made.stderr));
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

test("the timeout covers a server that hangs and a body that never ends, and says what was waited for", async (context) => {
  const bed = await openBed(context);
  const hanging = await serve(context, () => undefined);
  const timeoutMs = 300;
  assert.partialDeepStrictEqual(await bed.outcome(request(hanging.url, {}, { timeoutMs })), {
    kind: "timeout",
    reason: "http: no answer within 300ms",
  });
  const dripping = await serve(context, (response) => {
    const drip = setInterval(() => response.write("."), 20);
    response.on("close", () => clearInterval(drip));
  });
  const spec = request(dripping.url, {}, { timeoutMs });
  assert.partialDeepStrictEqual(await bed.outcome(spec), {
    kind: "timeout",
    reason: "http: the answer was not complete within 300ms",
  });
  assert.match(await bed.output(spec), /^HTTP\/1\.1 200 OK\n[^]*\n\n\.+$/);
});

test("a redirect is not followed unless the job says so; then it is, also with its body to the same origin", async (context) => {
  const bed = await openBed(context);
  const { url, heard } = await serve(context, (response, { url: path }) => {
    if (path === "/end") response.end("arrived");
    else if (path === "/loop") response.writeHead(302, { location: "/loop" }).end();
    else response.writeHead(path === "/see" ? 303 : 307, { location: "/end" }).end();
  });
  assert.partialDeepStrictEqual(await bed.outcome(request(`${url}/see`)), {
    failure: "status: 303 See Other is not one of http.expectStatus (200)",
  });
  const follow = {
    followRedirects: true,
    method: "POST",
    body: "hello",
    headers: { Authorization: "Bearer x" },
  };
  const spec = request(`${url}/keep`, follow);
  assert.partialDeepStrictEqual(await bed.outcome(spec), { failure: undefined });
  assert.match(
    await bed.output(spec),
    /^HTTP\/1\.1 307 [^]*location: \/end\n[^]*HTTP\/1\.1 200 OK\n[^]*arrived$/,
  );
  await bed.outcome(request(`${url}/see`, follow));
  const said = heard
    .slice(1)
    .map(({ request: asked, body }) => [asked.method, asked.url, body, asked.headers.authorization]);
  assert.deepEqual(said, [
    ["POST", "/keep", "hello", "Bearer x"],
    ["POST", "/end", "hello", "Bearer x"],
    ["POST", "/see", "hello", "Bearer x"],
    ["GET", "/end", "", "Bearer x"],
  ]);
  assert.partialDeepStrictEqual(await bed.outcome(request(`${url}/loop`, { followRedirects: true })), {
    failure: "redirect: there were more than 10",
  });
});

test("nothing of the job's headers, its body or its run goes to another origin", async (context) => {
  const bed = await openBed(context);
  const other = await serve(context, (response, { url: path }) => {
    if (path === "/back") response.writeHead(302, { location: `${first.url}/again` }).end();
    else response.end("other");
  });
  const first = await serve(context, (response, { url: path }) => {
    if (path === "/again") return void response.end("home");
    const location = path === "/there" ? other.url : `${other.url.replace("//", "//ann:pass@")}/back`;
    response.writeHead(307, { location }).end();
  });
  const headers = { Authorization: "Bearer x", Cookie: "a=b", "X-Api-Key": "key", Accept: "text/plain" };
  const secret = { followRedirects: true, headers };
  assert.partialDeepStrictEqual(await bed.outcome(request(`${first.url}/back`, secret)), {
    failure: undefined,
  });
  for (const { request: asked } of [other.heard[0], first.heard[1]] as Heard[]) {
    const names = Object.keys(asked.headers).filter((name) => !["host", "connection"].includes(name));
    assert.deepEqual(names.toSorted(), ["accept", "accept-encoding", "user-agent"], asked.url);
  }
  const withBody = request(`${first.url}/there`, { ...secret, method: "POST", body: "secret" });
  assert.partialDeepStrictEqual(await bed.outcome(withBody), {
    failure: `redirect: the body is not sent to another origin, ${other.url}`,
  });
  assert.equal(other.heard.length, 1);
});

test("of a huge body its beginning and end are kept, and the rest is counted", async (context) => {
  const bed = await openBed(context);
  const total = 20_000_000;
  const { url } = await serve(context, (response) => {
    response.write("first\n");
    for (let sent = 0; sent < total; sent += 1_000_000) response.write("x".repeat(1_000_000));
    response.end("\nlast");
  });
  const spec = request(url, {}, { logCapBytes: 10_000, timeoutMs: 30_000 });
  const outcome = await bed.outcome(spec);
  assert.partialDeepStrictEqual(outcome, { kind: "answered", failure: undefined, logTruncated: true });
  assert.ok(outcome.kind === "answered" && outcome.logBytes > total);
  const output = await bed.output(spec);
  assert.ok(output.length < 11_000);
  assert.match(output, /\n\nfirst\nx+[^]*bytes not kept[^]*\nlast$/);
});

test("a body that a server compresses is kept as text, without the job's secrets", async (context) => {
  const bed = await openBed(context, { KEY: "a-long-secret" });
  const codings = {
    gzip: gzipSync,
    "x-gzip": gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
  };
  await Promise.all(
    Object.entries(codings).map(async ([coding, compress]) => {
      const { url } = await serve(context, (response, asked) => {
        response.writeHead(200, { "content-encoding": coding });
        response.end(compress(`all is well, ${String(asked.headers["x-key"])}\n`));
      });
      const spec = request(url, { headers: { "x-key": "${secrets.KEY}" } }, { secrets: ["KEY"] });
      const outcome = await bed.outcome(spec);
      assert.partialDeepStrictEqual(outcome, { kind: "answered", failure: undefined }, coding);
      assert.match(await bed.output(spec), /\n\nall is well, \*\*\*\n$/);
    }),
  );
});

test("a compressed body that is broken or cut short fails the run, and of a huge one the beginning and the end are kept", async (context) => {
  const bed = await openBed(context);
  const total = 20_000_000;
  const whole = gzipSync(Buffer.concat([Buffer.alloc(total, "x"), Buffer.from("\nlast")]));
  const bodies: [what: string, body: Buffer, failure: RegExp | undefined][] = [
    [
      "broken",
      Buffer.from("this is no gzip"),
      /^http: the answer's gzip can't be read: incorrect header check$/,
    ],
    ["short", whole.subarray(0, -20), /^http: the answer's gzip can't be read: unexpected end of file$/],
    ["empty", Buffer.alloc(0), undefined],
    ["huge", whole, undefined],
  ];
  for (const [what, body, failure] of bodies) {
    // oxlint-disable-next-line no-await-in-loop -- one run after the other is enough
    const { url } = await serve(context, (response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      response.end(body);
    });
    const spec = request(url, {}, { logCapBytes: 10_000, timeoutMs: 30_000 });
    const outcome = await bed.outcome(spec);
    assert.ok(outcome.kind === "answered", what);
    if (failure === undefined) assert.equal(outcome.failure, undefined);
    else assert.match(outcome.failure ?? "", failure);
    if (what !== "huge") continue;
    assert.ok(outcome.logTruncated && outcome.logBytes > total);
    assert.match(await bed.output(spec), /\n\nx+[^]*bytes not kept[^]*x\nlast$/);
  }
});

test("a request whose header can't hold its secret is not sent, and names the header", async (context) => {
  const bed = await openBed(context, { KEY: "first line\nsecond line" });
  const { url, heard } = await serve(context, (response) => response.end());
  const spec = request(url, { headers: { "x-key": "${secrets.KEY}" } }, { secrets: ["KEY"] });
  const outcome = await bed.outcome(spec);
  assert.ok(outcome.kind === "answered");
  assert.equal(outcome.failure, "request: invalid x-key header, so it was not sent");
  assert.deepEqual(heard, []);
});

test("a request that is stopped ends at once as cancelled, also before its answer and while the peer closes", async (context) => {
  const bed = await openBed(context);
  const { url, heard } = await serve(context, () => undefined);
  const whole = bed as unknown as ExecutorBed;
  const [stopped, closed] = [request(url, {}, { timeoutMs: 0 }), request(url, {}, { timeoutMs: 0 })];
  for (const spec of [stopped, closed]) {
    bed.executor.launch(spec);
    await started(whole, bed.reports, spec);
  }
  bed.executor.stop(stopped.run);
  assert.partialDeepStrictEqual(await ended(whole, bed.reports, stopped), { kind: "cancelled" });
  await bed.wait<void>((done) => bed.executor.close(done));
  assert.partialDeepStrictEqual(bed.reports.outcomes.get(closed.run), { kind: "cancelled" });
  assert.ok(heard.length <= 2);
});

test("a request whose start came too late is not sent, and no output is kept of it", async (context) => {
  const bed = await openBed(context);
  const { url, heard } = await serve(context, (response) => response.end());
  const late = request(url, {}, { notAfter: Date.now() - 1 });
  assert.partialDeepStrictEqual(await bed.outcome(late), { kind: "not-started", why: "late" });
  assert.equal(heard.length, 0);
  const begun = await bed.wait<ReadonlySet<RunId>>((done) => bed.executor.findStarted([late.run], done));
  assert.equal(begun.size, 0);
});

test("a peer that is held up after the start and before the request is sent doesn't send it", async (context) => {
  const bed = await openBed(context);
  const { url, heard } = await serve(context, (response) => response.end());
  const spec = request(url, {}, { notAfter: Date.now() + 300 });
  bed.executor.launch(spec);
  await started(bed as unknown as ExecutorBed, bed.reports, spec);
  // Nothing of this process runs for a second, as if it had been stopped.
  const until = Date.now() + 1_000;
  while (Date.now() < until);
  assert.partialDeepStrictEqual(await ended(bed as unknown as ExecutorBed, bed.reports, spec), {
    kind: "answered",
    failure:
      "not sent: this peer was held up between the start and the moment when the request was to be sent",
  });
  assert.equal(heard.length, 0);
});

test("a request that an earlier life of the peer had begun counts as started", async (context) => {
  const bed = await openBed(context);
  const { url } = await serve(context, () => undefined);
  const spec = request(url, {}, { timeoutMs: 0 });
  bed.executor.launch(spec);
  await started(bed as unknown as ExecutorBed, bed.reports, spec);
  const begun = await bed.wait<ReadonlySet<RunId>>((done) => bed.executor.findStarted([spec.run], done));
  assert.deepEqual([...begun], [spec.run]);
});

test("a request for which this host has no descriptor left is not sent, which is no fault of its job", async (context) => {
  const bed = await openBed(context);
  context.mock.method(net, "connect", () => {
    const error = Object.assign(new Error("connect EMFILE"), { code: "EMFILE", syscall: "connect" });
    return new net.Socket().destroy(error);
  });
  assert.partialDeepStrictEqual(await bed.outcome(request("http://127.0.0.1:1/")), {
    kind: "answered",
    failure: undefined,
    hostFault: "not sent: too many files are open in this peer (EMFILE)",
  });
});
