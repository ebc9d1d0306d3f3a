/**
 * Assembles the API of a peer: its limits, its guards, and its routes, one file per resource.
 *
 * It doesn't listen yet. The caller does `await api.listen({ host, port })`, and at the end `await api.close()`, which
 * ends the open streams and lets pending answers arrive.
 */
import cookie from "@fastify/cookie";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import { fastifySSE } from "@fastify/sse";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify from "fastify";
import type { ServerOptions } from "node:http";
import type { Socket } from "node:net";
import { CicadaError } from "../errors.ts";
import { compileCheck } from "./http/checking.ts";
import { describeRoutes, documentRoutes } from "./http/docs.ts";
import { chainRoutes } from "./routes/chain.ts";
import { eventRoutes } from "./routes/events.ts";
import { forecastRoutes } from "./routes/forecast.ts";
import { Audit } from "./access/audit.ts";
import { Callers } from "./access/callers.ts";
import { countFailures, guard, requireRights, type Guarded } from "./http/guard.ts";
import { healthRoutes } from "./routes/health.ts";
import { honourIdempotencyKeys } from "./http/idempotency.ts";
import { readJson } from "../schema/json.ts";
import { jobActionRoutes } from "./routes/job-actions.ts";
import { channelRoutes } from "./routes/channels.ts";
import { auditRoutes } from "./routes/audit.ts";
import { backfillRoutes } from "./routes/backfill.ts";
import { skipRoutes } from "./routes/skips.ts";
import { jobHistoryRoutes } from "./routes/job-history.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { loginRoutes } from "./http/login.ts";
import { keyRoutes } from "./routes/key.ts";
import { logRoutes } from "./routes/logs.ts";
import { answerUnrouted } from "./http/methods.ts";
import { refusePreconditions } from "./http/preconditions.ts";
import { readPageFiles, type PageFiles } from "./http/page-files.ts";
import { metricRoutes } from "./routes/metrics.ts";
import type { Api, ApiOptions } from "./options.ts";
import { overviewRoutes } from "./routes/overview.ts";
import { splitRoutes } from "./routes/splits.ts";
import { pageRoutes } from "./routes/page.ts";
import { peerActionRoutes } from "./routes/peer-actions.ts";
import { peerRoutes } from "./routes/peers.ts";
import { answerErrors, problemDocument, sendProblem } from "./http/problems.ts";
import { runRoutes } from "./routes/runs.ts";
import { scheduleRoutes } from "./routes/schedules.ts";
import { scriptRoutes } from "./routes/scripts.ts";
import { bulkRoutes } from "./routes/bulk.ts";
import { declaredRoutes } from "./routes/declared.ts";
import { schemaRoutes } from "./routes/schemas.ts";
import { secretRoutes } from "./routes/secrets.ts";
import { settingRoutes } from "./routes/settings.ts";
import { Overview } from "./show/overview.ts";
import { RecentEvents } from "./show/recent-events.ts";
import { RecentTicks } from "./show/recent-ticks.ts";
import { UsualDurations } from "./show/usual-durations.ts";
import { Sessions } from "./http/sessions.ts";
import { SharedLists } from "./http/shared-lists.ts";
import { Sockets } from "./http/sockets.ts";
import { keepAliveMs, Streams } from "./http/streams.ts";
import { tickRoutes } from "./routes/ticks.ts";
import { tokenRoutes } from "./routes/tokens.ts";

/** Largest body. Unit: bytes. A job whose texts all have their greatest length has 200 KiB. */
const bodyCapBytes = 1_048_576;
const headerCapBytes = 16_384;
/**
 * How long a client may take to send its headers, and its whole request. Unit: ms. More lets slow clients hold sockets.
 */
const headersLimitMs = 10_000;
const requestLimitMs = 30_000;
/** How often Node checks for requests that are late. Unit: ms. Each limit may be exceeded by this much. */
const lateCheckMs = 1_000;
/** How long a socket stays open between two requests. Unit: ms. */
const betweenRequestsMs = 72_000;
/** How long pending answers may take to arrive when the peer stops. Unit: ms. */
const closeLimitMs = 2_000;

/**
 * Longest part of an address. Unit: characters. A run's id has at most 128 + 20 + 40 characters, and three times as
 * many when encoded.
 */
const addressPartCap = 512;
const unreadable = `the address is badly encoded, or a part of it is longer than ${addressPartCap} characters`;

const serverOptions: ServerOptions = {
  maxHeaderSize: headerCapBytes,
  headersTimeout: headersLimitMs,
  requestTimeout: requestLimitMs,
  connectionsCheckingInterval: lateCheckMs,
  keepAliveTimeout: betweenRequestsMs,
};

export function buildApi(options: ApiOptions): Api {
  const onError = answerErrors(options.log);
  const sockets = new Sockets(options.socketLimits);
  const app = fastify({
    bodyLimit: bodyCapBytes,
    serverFactory: (listener) => sockets.serve(serverOptions, listener, options.certificate),
    routerOptions: { maxParamLength: addressPartCap },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    frameworkErrors: (_error, _request, reply) => {
      void sendProblem(
        reply.header("x-cicada-peer", options.self.id),
        new CicadaError("BAD_REQUEST", unreadable),
      );
    },
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, options.self.id),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setErrorHandler(onError);
  app.setValidatorCompiler(compileCheck);
  // Answers are sent unchanged. Their schemas inform the caller and the compiler, and remove no field.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  readBodies(app);
  closeInTime(app, sockets);

  app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: pagePolicy },
    // This is plain HTTP on loopback. Behind a TLS proxy, the proxy sets this header.
    strictTransportSecurity: false,
    xFrameOptions: { action: "deny" },
  });
  app.register(cookie);
  app.register(rateLimit, { global: false });
  app.register(fastifySSE, { heartbeatInterval: keepAliveMs, serializer: String });
  // Plugins are loaded in this order, so the guard's hooks come after those of helmet and cookie, and before every route.
  app.after(() => {
    const { control, token, self } = options;
    const callers = new Callers(control, token, self.name, Date.now);
    const guarded: Guarded = {
      options,
      callers,
      sessions: new Sessions(Date.now),
      sockets,
      refuse: countFailures(app),
      audit: new Audit(control, options.log, Date.now),
    };
    requireRights(app);
    guard(app, guarded);
    refusePreconditions(app);
    // A clock that leaps ahead must not make a repeated request a new one.
    honourIdempotencyKeys(app, () => performance.now());
    const files = readPageFiles();
    answerUnrouted(app, files.page);
    describeRoutes(app, options);
    app.register(async (scope) => routes(scope.withTypeProvider<TypeBoxTypeProvider>(), guarded, files));
  });
  return app;
}

function routes(app: Api, guarded: Guarded, files: PageFiles): void {
  const { options, callers } = guarded;
  const streams = new Streams(app, (caller) => callers.holds(caller));
  const overview = new Overview(options.control, () => performance.now());
  const usual = new UsualDurations(options.control);
  const events = new RecentEvents(
    options.control,
    `${options.self.id.slice(-8)}-${options.startedAt.toString(36)}`,
  );
  const recent = new RecentTicks(options.control, usual, options.decisions);
  const lists = new SharedLists();
  jobRoutes(app, options, lists, overview, recent);
  overviewRoutes(app, overview, usual);
  forecastRoutes(app, usual);
  chainRoutes(app, overview);
  jobActionRoutes(app);
  backfillRoutes(app);
  skipRoutes(app);
  jobHistoryRoutes(app, options);
  channelRoutes(app);
  tickRoutes(app, options);
  runRoutes(app, options, lists);
  logRoutes(app, options, streams);
  peerRoutes(app, options);
  splitRoutes(app, options);
  peerActionRoutes(app);
  keyRoutes(app, options);
  settingRoutes(app);
  secretRoutes(app, options);
  auditRoutes(app);
  tokenRoutes(app, options, callers, streams);
  declaredRoutes(app, options);
  schemaRoutes(app);
  bulkRoutes(app);
  scheduleRoutes(app, options);
  scriptRoutes(app);
  eventRoutes(app, options, streams, events);
  healthRoutes(app, options);
  metricRoutes(app, options);
  documentRoutes(app);
  loginRoutes(app, guarded);
  pageRoutes(app, files);
}

const pagePolicy = {
  "default-src": ["'none'"],
  "script-src": ["'self'"],
  "style-src": ["'self'"],
  "img-src": ["'self'"],
  "connect-src": ["'self'"],
  "form-action": ["'self'"],
  "base-uri": ["'none'"],
  "frame-ancestors": ["'none'"],
};

/** Accepts only JSON, under two content types. An empty body counts as none, whatever its type. */
function readBodies(app: Api): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ["application/json", "application/merge-patch+json"],
    { parseAs: "buffer" },
    (request, body, done) => {
      const read = readJson(Buffer.from(body));
      if (!read.ok) return done(new CicadaError("BAD_JSON", read.detail));
      // fastify checks a body that is left out as null, which counts as an empty object.
      if (read.value === null)
        return done(new CicadaError("BAD_REQUEST", "the body must be an object, not null"));
      request.bodyText = read.text;
      done(null, read.value);
    },
  );
}

function closeInTime(app: Api, sockets: Sockets): void {
  app.addHook("preClose", async () => {
    sockets.closeIdle();
    setTimeout(() => app.server.closeAllConnections(), closeLimitMs).unref();
  });
}

const brokenRequests: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: `the headers are longer than ${headerCapBytes} bytes`,
  ERR_HTTP_REQUEST_TIMEOUT: "the request took too long to arrive",
};

/**
 * Answers a request that isn't HTTP, arrives too slowly or has too long headers. fastify makes no request object for
 * these.
 */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket, peer: string): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const detail = brokenRequests[error.code ?? ""] ?? "that is not an HTTP request";
  const body = JSON.stringify(problemDocument(new CicadaError("BAD_REQUEST", detail)));
  const head = [
    "HTTP/1.1 400 Bad Request",
    "Connection: close",
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Cicada-Peer: ${peer}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
