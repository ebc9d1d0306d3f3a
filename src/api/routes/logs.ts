/**
 * A run's output, on whichever peer it ran: whole, in part (`Range`), or live as it is written (server-sent events).
 *
 * An event's id is the offset in bytes after its text. A reader that comes back with `Last-Event-ID` therefore misses
 * nothing and reads nothing twice.
 */
import type { FastifyReply } from "fastify";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Log, LogFields, LogPiece } from "../../ports.ts";
import type { Control } from "../../ports/control.ts";
import { runId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { own } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { codedError } from "../http/problems.ts";
import { readRange, wholeText } from "../http/bytes.ts";
import { findRun, RunParams } from "./runs.ts";
import { eventText, type Stream, type Streams } from "../http/streams.ts";

/** How much is read at a time. Unit: bytes. One message between peers carries as much. */
const pieceBytes = 131_072;
/**
 * Time between two reads of a live log. Unit: ms. Less shows output sooner; each read of another peer's log is a
 * message.
 */
const readEveryMs = 500;

export function logRoutes(app: Api, options: RouteOptions, streams: Streams): void {
  readLog(app, options);
  followLog(app, options, streams);
}

function readLog(app: Api, { decisions }: RouteOptions): void {
  app.get(
    "/v1/runs/:run/log",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["runs"],
        summary: "A run's output as it is now; `Range: bytes=…` for a part of it",
        params: RunParams,
        querystring: none,
        produces: ["text/plain"],
        response: {
          200: Type.Unknown({ description: "all of it" }),
          206: Type.Unknown({ description: "the part that `Range` names" }),
        },
      },
    },
    async (request, reply) => {
      const record = await findRun(request.params.run, request.control, decisions);
      const { size, complete } = await readPiece(request.control, record, 0, 0);
      reply.header("accept-ranges", "bytes");
      reply.header("x-cicada-log-complete", String(complete));
      if (record.logTruncated === true) reply.header("x-cicada-log-truncated", "true");
      const range = readRange(request.headers.range, size);
      if (range === "unsatisfiable") {
        reply.header("content-range", `bytes */${size}`);
        throw new CicadaError("BAD_RANGE", `the output has ${size} bytes`);
      }
      const { from, to } = range ?? { from: 0, to: size };
      if (range !== undefined) reply.code(206).header("content-range", `bytes ${from}-${to - 1}/${size}`);
      reply.type("text/plain; charset=utf-8").header("content-length", to - from);
      return sendBytes(reply, request.control, record, from, to);
    },
  );
}

function followLog(app: Api, { decisions, log }: RouteOptions, streams: Streams): void {
  app.get(
    "/v1/runs/:run/log/stream",
    {
      config: { right: own("viewer") },
      exposeHeadRoute: false,
      sse: "manual",
      schema: {
        tags: ["runs"],
        summary: "A run's output as it is written: events `output` {text}, finally `end` {size}",
        description: "204 if `Last-Event-ID` is the end of the output: nothing more will follow.",
        params: RunParams,
        querystring: none,
        headers: Type.Object({
          "last-event-id": Type.Optional(Type.String({ description: "offset in bytes" })),
        }),
        produces: ["text/event-stream"],
      },
    },
    async (request, reply) => {
      const record = await findRun(request.params.run, request.control, decisions);
      const offset = readOffset(request.headers["last-event-id"]);
      const { size, complete } = await readPiece(request.control, record, 0, 0);
      if (complete && offset > 0 && offset >= size) return reply.code(204).send();
      await streams.carry(reply, (stream) => {
        void follow(request.control, record, offset, stream, log);
      });
      return undefined;
    },
  );
}

function readOffset(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CicadaError("BAD_REQUEST", "Last-Event-ID: give the id of the last event, an offset in bytes");
}

/**
 * Reads a piece of the output. It is empty for a run that printed nothing, which has no copies to look for, and for an
 * open run that has no output yet.
 */
async function readPiece(
  control: Control,
  record: RunRecord,
  offset: number,
  length: number,
): Promise<LogPiece> {
  const run = runId(record);
  const piece = await control.log(run, offset, length);
  if (piece !== undefined) return piece;
  const nothing = { bytes: new Uint8Array(), offset, size: 0 };
  if (record.logBytes === 0) return { ...nothing, complete: true };
  if (offset === 0 && control.view().open.some((open) => runId(open) === run)) {
    return { ...nothing, complete: false };
  }
  throw new CicadaError(
    "LOG_NOT_FOUND",
    `no reachable peer has output of ${run}: it may have been removed (--history-max)`,
  );
}

function sendBytes(
  reply: FastifyReply,
  control: Control,
  record: RunRecord,
  from: number,
  to: number,
): FastifyReply {
  // For HEAD, fastify keeps the given content length of a stream, so the bytes need not be fetched.
  if (reply.request.method === "HEAD") return reply.send(Readable.from([]));
  if (from === to) return reply.send("");
  return reply.send(Readable.from(pieces(control, record, from, to), { objectMode: false }));
}

/** Fails when the output ends early or becomes unreachable. The connection then breaks, so the reader knows. */
async function* pieces(
  control: Control,
  record: RunRecord,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  for (let offset = from; offset < to;) {
    const { bytes } = await readPiece(control, record, offset, Math.min(pieceBytes, to - offset));
    if (bytes.length === 0)
      throw new CicadaError("LOG_NOT_FOUND", `the output of ${runId(record)} has become shorter`);
    yield bytes;
    offset += bytes.length;
  }
}

async function follow(
  control: Control,
  record: RunRecord,
  from: number,
  stream: Stream,
  log: Log,
): Promise<void> {
  let offset = from;
  try {
    while (!stream.ended.aborted) {
      const piece = await readPiece(control, record, offset, pieceBytes);
      const { text, bytes } = wholeText(piece.bytes, piece.complete);
      if (bytes > 0) {
        offset += bytes;
        stream.push({ id: String(offset), event: "output", data: eventText({ text }) });
        await stream.caughtUp();
      } else if (piece.complete) {
        stream.push({ id: String(offset), event: "end", data: eventText({ size: piece.size }) });
        break;
      } else await sleep(readEveryMs, undefined, { signal: stream.ended });
    }
  } catch (error) {
    if (!stream.ended.aborted)
      reportGone(stream, codedError(error), log, { run: runId(record), error: String(error) });
  }
  stream.end();
}

/** The peer that has the output became unreachable. A reader that comes back may find another one. */
function reportGone(stream: Stream, coded: CicadaError, log: Log, fields: LogFields): void {
  if (coded.code === "INTERNAL") log.error("a live log failed", fields);
  stream.push({ event: "gone", data: eventText({ code: coded.code, detail: coded.detail }) });
}
