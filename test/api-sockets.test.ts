/** The API's sockets, with real ones: no flood of strangers keeps a caller out, and unread answers don't pile up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { socketLimits, Sockets, type SocketLimits } from "../src/api/http/sockets.ts";
import { runId, type JobId, type TickId } from "../src/schema/ids.ts";
import type { FakeControl } from "./kit/fake-control.ts";
import { fakeApi, token, type FakeApi } from "./kit/fake-api.ts";

/** Limits that a test can reach, in the proportions of the real ones. */
const few: SocketLimits = { ...socketLimits, all: 16, strangers: 12, strangersPerAddress: 6 };

const plainRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

async function listeningApi(context: TestContext, limits: SocketLimits): Promise<number> {
  return (await listening(context, limits)).port;
}

async function listening(context: TestContext, limits: SocketLimits): Promise<FakeApi & { port: number }> {
  const hosts: string[] = [];
  const fake = fakeApi({ socketLimits: limits, hosts: () => hosts });
  context.after(() => fake.api.close());
  await fake.api.listen({ host: "127.0.0.1", port: 0 });
  const { port } = fake.api.server.address() as AddressInfo;
  hosts.push(`127.0.0.1:${port}`);
  return { ...fake, port };
}

/** Silent sockets from one address, connected one after the other. */
async function silent(context: TestContext, port: number, count: number, localAddress: string) {
  const sockets: Socket[] = [];
  for (let index = 0; index < count; index++) {
    const socket = connect({ host: "127.0.0.1", port, localAddress });
    context.after(() => socket.destroy());
    socket.on("error", () => {});
    await once(socket, "connect");
    sockets.push(socket);
  }
  return sockets;
}

/** One call on a socket of this agent; the status of its answer, or the code of the socket's error. */
async function ask(
  port: number,
  { path = "/livez", agent, bearer }: { path?: string; agent?: Agent; bearer?: string } = {},
): Promise<number | string> {
  const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, path, headers, agent: agent ?? false }, (answer) => {
      answer.resume();
      answer.once("end", () => resolve(answer.statusCode ?? 0));
    });
    asked.once("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message));
    asked.end();
  });
}

test("a caller is answered however many silent sockets strangers hold, from one address or many", async (context) => {
  const port = await listeningApi(context, few);
  await silent(context, port, 3 * few.strangersPerAddress, "127.0.0.1");
  assert.equal(await ask(port), 200);
  for (let address = 2; address < 10; address++) await silent(context, port, 6, `127.0.0.${address}`);
  assert.equal(await ask(port), 200);
  assert.equal(await ask(port, { path: "/v1/jobs", bearer: token }), 200);
});

test("strangers' sockets beyond their share are closed in the order in which they came, those of one address first", async (context) => {
  const port = await listeningApi(context, few);
  const [other] = await silent(context, port, 1, "127.0.0.2");
  const [first, second] = await silent(context, port, few.strangersPerAddress, "127.0.0.1");
  assert.ok(first !== undefined && second !== undefined && other !== undefined);
  const gone = once(first, "close");
  await silent(context, port, 1, "127.0.0.1");
  await gone;
  for (const socket of [second, other]) {
    socket.write(plainRequest);
    const { value } = (await socket[Symbol.asyncIterator]().next()) as { value?: unknown };
    assert.match(String(value), /^HTTP\/1\.1 \d/);
  }
});

test("a caller with a valid token keeps its socket while strangers come and go", async (context) => {
  const port = await listeningApi(context, few);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  context.after(() => agent.destroy());
  const used = new Set<number | undefined>();
  agent.on("free", (socket: Socket) => used.add(socket.localPort));
  assert.equal(await ask(port, { path: "/v1/jobs", bearer: token, agent }), 200);
  await silent(context, port, 3 * few.strangersPerAddress, "127.0.0.1");
  for (let address = 2; address < 6; address++) await silent(context, port, 6, `127.0.0.${address}`);
  assert.equal(await ask(port, { path: "/v1/jobs", bearer: token, agent }), 200);
  assert.equal(used.size, 1);
});

/** A server with these limits and listener, and a socket to it. */
async function connected(context: TestContext, limits: Partial<SocketLimits>, listener: RequestListener) {
  const sockets = new Sockets({ ...socketLimits, ...limits });
  const server = sockets.serve({}, listener);
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  context.after(() => socket.destroy());
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

test("pipelined requests are answered one at a time, in order", async (context) => {
  let [now, most, number] = [0, 0, 0];
  const socket = await connected(context, {}, (_request, response) => {
    most = Math.max(most, ++now);
    response.once("finish", () => now--);
    setImmediate(() => response.end(`answer ${++number}.`));
  });
  socket.write(plainRequest.repeat(socketLimits.ahead));
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.includes(`answer ${socketLimits.ahead}.`)) break;
  }
  assert.deepEqual(
    [...text.matchAll(/answer (\d+)\./g)].map(([, which]) => Number(which)),
    Array.from({ length: socketLimits.ahead }, (_, index) => index + 1),
  );
  assert.equal(most, 1);
});

test("a socket with too many pipelined requests is closed", async (context) => {
  let answered = 0;
  const socket = await connected(context, {}, () => void answered++);
  const closed = once(socket, "close");
  socket.resume().write(plainRequest.repeat(socketLimits.ahead + 2));
  await closed;
  assert.equal(answered, 1);
});

/** Lets the sockets be checked after a time that is longer than a head may take that is due within 1 ms. */
async function checkLater(context: TestContext): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
  context.mock.timers.tick(1_000);
}

for (const [what, texts] of [
  ["sends nothing", []],
  ["sends its head byte by byte", ["G", "E", "T"]],
  ["sends a head without its end", ["GET / HTTP/1.1\r\nHost: x\r\n"]],
] as const) {
  test(`a socket that ${what} is told so when its head is due, and closed`, async (context) => {
    context.mock.timers.enable({ apis: ["setInterval"] });
    const port = await listeningApi(context, { ...socketLimits, headMs: 1 });
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    context.after(() => socket.destroy());
    let heard = "";
    socket.on("error", () => {}).on("data", (bytes) => (heard += String(bytes)));
    const answered = once(socket, "end");
    await once(socket, "connect");
    for (const text of texts) await new Promise<void>((resolve) => socket.write(text, () => resolve()));
    await checkLater(context);
    await answered;
    assert.match(heard, /^HTTP\/1\.1 400 .*took too long to arrive/s);
    // This client keeps its half open. The peer doesn't, so that what the client writes is refused sooner or later.
    while (!socket.destroyed) {
      await checkLater(context);
      socket.write("x");
    }
  });
}

test("a request whose head has come in time may take longer to answer, and its socket may stay idle afterwards", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const socket = await connected(context, { headMs: 1 }, (_request, response) => {
    void checkLater(context).then(() => response.end("here it is"));
  });
  socket.write(plainRequest);
  assert.match(String(((await once(socket, "data")) as [Buffer])[0]), /here it is/);
  for (let check = 0; check < 3; check++) await checkLater(context);
  assert.equal(socket.destroyed, false);
  socket.write(plainRequest);
  assert.match(String(((await once(socket, "data")) as [Buffer])[0]), /here it is/);
});

/** More than the kernel's buffers of both ends take. */
const largeAnswer = Buffer.alloc(64 * 1_048_576);

for (const [what, limits] of [
  ["that is not read is dropped", { unreadMs: 1 }],
  ["that takes more memory than strangers may use is dropped", { strangersUnreadBytes: 1_048_576 }],
  ["that takes more memory than one socket may use is dropped", { unreadBytesPerSocket: 1_048_576 }],
  ["that takes more memory than all sockets may use is dropped", { unreadBytes: 1_048_576 }],
] as const) {
  test(`an answer ${what}`, async (context) => {
    const ended = Promise.withResolvers<boolean>();
    const socket = await connected(context, limits, (_request, response) => {
      response.once("close", () => ended.resolve(response.writableFinished));
      response.end(largeAnswer);
    });
    socket.pause().write(plainRequest);
    assert.equal(await ended.promise, false);
  });
}

const run = { job: "backup" as JobId, tick: "2026-11-20T01:00:00Z" as TickId };

for (const [what, path, produce] of [
  [
    "an output",
    "/v1/runs/backup@2026-11-20T01:00:00Z~1@lpha0001/log",
    (control: FakeControl) => control.print(runId(control.record(run)), largeAnswer),
  ],
  [
    "an output as it is written",
    "/v1/runs/backup@2026-11-20T01:00:00Z~1@lpha0001/log/stream",
    (control: FakeControl) => control.print(runId(control.record({ ...run, state: "running" })), largeAnswer),
  ],
  [
    "events",
    "/v1/events",
    (control: FakeControl) => {
      control.record({ ...run, state: "failed", reason: "x".repeat(65_536) });
    },
  ],
] as const) {
  test(`a caller that asks for ${what} and reads nothing is cut off`, async (context) => {
    context.mock.timers.enable({ apis: ["setInterval"] });
    const { port, api, control } = await listening(context, { ...socketLimits, unreadMs: 1 });
    const accepted = once(api.server, "connection") as Promise<[Socket]>;
    const asked = once(api.server, "request") as Promise<[IncomingMessage, ServerResponse]>;
    const socket = connect(port, "127.0.0.1");
    context.after(() => socket.destroy());
    socket.on("error", () => {}).pause();
    if (path !== "/v1/events") produce(control);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    const [answering] = await accepted;
    // Until the kernel's buffers are full, the sockets are checked in vain.
    while (!answering.destroyed) {
      if (path === "/v1/events") produce(control);
      await checkLater(context);
    }
    // A stream clears its interval when its answer is closed. In the next test that would clear another one, in the same place.
    const [, answer] = await asked;
    if (!answer.closed) await once(answer, "close");
  });
}

/** A reader of the events, once its stream is open. */
async function readerOfEvents(context: TestContext) {
  const { port, control } = await listening(context, socketLimits);
  const before = control.listeners;
  const socket = connect(port, "127.0.0.1");
  context.after(() => socket.destroy());
  const head = `GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  socket.on("error", () => {}).write(head);
  await once(socket, "data");
  assert.equal(control.listeners, before + 1);
  return { control, socket, isOpen: () => control.listeners > before };
}

test("a reader of events that is behind by much text is not cut off", async (context) => {
  const { control, socket, isOpen } = await readerOfEvents(context);
  for (let event = 0; event <= 100; event++)
    control.record({ ...run, state: "failed", reason: `${"x".repeat(65_536)}${event}` });
  assert.ok(isOpen());
  let text = "";
  for await (const bytes of socket) if ((text += String(bytes)).includes("x100")) break;
});

function notifyOfJobs(control: FakeControl, count: number, change: "written" | "deleted"): void {
  for (let job = 0; job < count; job++) control.notify({ kind: "job", id: `job-${job}` as JobId, change });
}

test("a reader of events hears of all jobs that change at once, and last of the final state of each", async (context) => {
  const { control, socket, isOpen } = await readerOfEvents(context);
  const jobs = 3_000;
  notifyOfJobs(control, jobs, "written");
  notifyOfJobs(control, jobs, "deleted");
  const heard = new Map<string, string[]>();
  let text = "";
  for await (const bytes of socket) {
    const events = (text + String(bytes)).split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const [, change = "", id = ""] = /"type":"cicada\.job\.(\w+)","subject":"([^"]+)"/.exec(event) ?? [];
      if (change !== "") heard.set(id, [...(heard.get(id) ?? []), change]);
    }
    if (heard.values().every((changes) => changes.at(-1) === "deleted") && heard.size === jobs) break;
    assert.ok(isOpen());
  }
  assert.equal(heard.size, jobs);
  assert.deepEqual(heard.get("job-0"), ["written", "deleted"]);
  assert.deepEqual(heard.get(`job-${jobs - 1}`), ["deleted"]);
});

test("a reader of events that is behind by the changes of more jobs than may wait is told that it has missed some", async (context) => {
  const { control, socket, isOpen } = await readerOfEvents(context);
  notifyOfJobs(control, 90_000, "written");
  control.notify({ kind: "job", id: "last" as JobId, change: "written" });
  assert.ok(isOpen());
  const last = '"subject":"last"';
  const chunks: string[] = [];
  for await (const bytes of socket) {
    chunks.push(String(bytes));
    if (chunks.slice(-2).join("").includes(last)) break;
  }
  assert.equal(chunks.join("").split("event: cicada.events.missed\n").length, 2);
});

test("a caller is answered although strangers that read nothing of their answers have taken all places", async (context) => {
  const sockets = new Sockets(few);
  const server = sockets.serve({}, (asked, response) => response.end(asked.url === "/" ? largeAnswer : "ok"));
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (let index = 0; index < few.strangers; index++) {
    const [socket] = await silent(context, port, 1, `127.0.0.${2 + (index % 4)}`);
    const asked = once(server, "request");
    socket?.pause().write(plainRequest);
    await asked;
  }
  for (let caller = 0; caller < 3; caller++) assert.equal(await ask(port), 200);
});

test("a caller is answered although strangers that never send the rest of their bodies have taken all places", async (context) => {
  const { port, api } = await listening(context, few);
  const head = `POST /login HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  for (let index = 0; index < few.strangers; index++) {
    const [socket] = await silent(context, port, 1, `127.0.0.${1 + (index % 3)}`);
    const asked = once(api.server, "request");
    socket?.write(`${head}Content-Length: 100\r\n\r\n{`);
    await asked;
  }
  for (let caller = 0; caller < 3; caller++) {
    assert.equal(await ask(port, { path: "/v1/jobs", bearer: token }), 200);
  }
});

test("an answer that is read slowly arrives whole", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const part = Buffer.alloc(8 * 1_048_576);
  const parts = 4;
  const socket = await connected(context, { unreadMs: 1 }, (_request, response) => {
    response.writeHead(200, { "content-length": parts * part.length });
    let written = 0;
    const write = (): void => {
      if (written++ >= parts) return;
      // Whenever a part has left, the sockets are checked while the next one waits to be read.
      response.write(part, () => {
        context.mock.timers.tick(1_000);
        write();
      });
    };
    write();
    setImmediate(write);
  });
  socket.write(plainRequest);
  let received = 0;
  for await (const chunk of socket) {
    received += (chunk as Buffer).length;
    await new Promise((resolve) => setImmediate(resolve));
    if (received > parts * part.length) break;
  }
  assert.ok(received > parts * part.length);
});

const body = JSON.stringify({ id: "backup", schedule: "@every 1h", command: "true" });
const creation = "POST /v1/jobs HTTP/1.1\r\nHost: HERE\r\nTOKENContent-Type: ";

for (const [what, head, status] of [
  ["two Host headers", "GET /v1/jobs HTTP/1.1\r\nHost: HERE\r\nHost: evil.example\r\nTOKEN", 400],
  [
    "two Authorization headers",
    "GET /v1/jobs HTTP/1.1\r\nHost: HERE\r\nTOKENAuthorization: Bearer x\r\n",
    400,
  ],
  [
    "an address that names another host",
    "GET http://evil.example/v1/jobs HTTP/1.1\r\nHost: HERE\r\nTOKEN",
    400,
  ],
  ["a star as its address", "GET * HTTP/1.1\r\nHost: HERE\r\nTOKEN", 400],
  ["bytes in its query that are not UTF-8", "GET /v1/jobs?q=caf%E9 HTTP/1.1\r\nHost: HERE\r\nTOKEN", 400],
  ["a surrogate in its query", "GET /v1/jobs?q=%ED%A0%80 HTTP/1.1\r\nHost: HERE\r\nTOKEN", 400],
  ["text in its query", "GET /v1/jobs?q=caf%C3%A9+1 HTTP/1.1\r\nHost: HERE\r\nTOKEN", 200],
  ["a method that no address takes, without a body", "QUERY /v1/jobs HTTP/1.1\r\nHost: HERE\r\nTOKEN", 405],
  ["another version of HTTP", "GET /v1/jobs HTTP/2.0\r\nHost: HERE\r\nTOKEN", 400],
  ["a body where none is read", "GET /v1/jobs HTTP/1.1\r\nHost: HERE\r\nTOKENContent-Length: 2\r\n", 400],
  [
    "a chunked body where none is read",
    "HEAD / HTTP/1.1\r\nHost: HERE\r\nTransfer-Encoding: chunked\r\n",
    400,
  ],
  ...(
    [
      ["a body in another coding", "Transfer-Encoding: gzip, chunked\r\n", 400],
      ["a body in chunks", "Transfer-Encoding: chunked\r\n", 201],
      ["an encoded body", "Content-Length: LENGTH\r\nContent-Encoding: gzip\r\n", 415],
      ["a body that is as it is", "Content-Length: LENGTH\r\nContent-Encoding: identity\r\n", 201],
    ] as const
  ).map(([which, headers, answer]) => [which, `${creation}application/json\r\n${headers}`, answer] as const),
  ...(
    [
      ["iso-8859-1", 415],
      ['"UTF-16"', 415],
      ["utf-8", 201],
      ['"UTF-8"', 201],
    ] as const
  ).map(
    ([charset, answer]) =>
      [
        `the charset ${charset}`,
        `${creation}application/json; charset=${charset}\r\nContent-Length: LENGTH\r\n`,
        answer,
      ] as const,
  ),
  ["the same with one of each", "GET /v1/jobs HTTP/1.1\r\nHost: HERE\r\nTOKEN", 200],
] as const) {
  test(`a request with ${what} is answered ${status}`, async (context) => {
    const port = await listeningApi(context, socketLimits);
    const socket = connect(port, "127.0.0.1");
    context.after(() => socket.destroy());
    const filled = head
      .replaceAll("HERE", `127.0.0.1:${port}`)
      .replaceAll("TOKEN", `Authorization: Bearer ${token}\r\n`)
      .replaceAll("LENGTH", String(body.length));
    const isChunked = head.includes("chunked");
    const sent = isChunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
    socket.write(`${filled}Connection: close\r\n\r\n${head.startsWith("POST") ? sent : ""}`);
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    assert.equal(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]), status);
  });
}
