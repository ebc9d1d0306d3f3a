/**
 * Server-sent events: responses that stay open and report what happens.
 *
 * A stream ends when its caller no longer has the rights with which it began. One caller can't take the places of all others, and
 * some places are kept for admins.
 *
 * A browser reconnects by itself when its stream ends. So a stream is simply ended when its reader is too slow, and
 * when the peer stops. A reader that reads nothing at all loses its socket (sockets.ts).
 */
import type { FastifyReply } from "fastify";
import type { SSEMessage } from "@fastify/sse";
import { CicadaError } from "../../errors.ts";
import type { Caller } from "../access/callers.ts";
import type { Api } from "../options.ts";

/** How many streams at once. Each holds a socket and its queue. */
const streamCap = 256;
/** … and how many of them all callers that are no admins may take together, and one such caller. */
const streamCapOfOthers = 192;
const streamCapPerCaller = 64;
/** How often to look whether the callers still have their rights; ms. */
const checkEveryMs = 1_000;
/** Events kept for a slow reader. A reader that falls further behind is cut off and has to start again. */
const queueCap = 1_000;
/** … and how long their texts may be together, in characters. Streams of the same events share them. */
const queuedTextCap = 4_194_304;
/** Proxies close connections that are silent for longer. */
export const keepAliveMs = 15_000;

/** Without data it only says which id a reader is to name when it comes back. */
export type StreamEvent = SSEMessage & { data: string | undefined };

/** What `data` of an event is, in JSON. */
export function eventText(data: unknown): string {
  return JSON.stringify(data);
}

export interface Stream {
  push(event: StreamEvent): void;
  end(): void;
  /**
   * Resolves when everything that was pushed has been handed to the socket, or the stream has ended. For producers that
   * can wait.
   */
  caughtUp(): Promise<void>;
  /** Aborted when either side ends the stream. */
  readonly ended: AbortSignal;
}

export class Streams {
  readonly #open = new Map<Stream, Caller>();

  /** `holds`: whether a caller still has its rights. */
  constructor(app: Api, holds: (caller: Caller) => boolean) {
    const checks = setInterval(() => this.endUnless(holds), checkEveryMs).unref();
    app.addHook("preClose", async () => {
      clearInterval(checks);
      for (const stream of this.#open.keys()) stream.end();
    });
  }

  /** Ends the streams of callers that no longer have their rights. */
  endUnless(holds: (caller: Caller) => boolean): void {
    for (const [stream, caller] of this.#open) if (!holds(caller)) stream.end();
  }

  /** Sends what `produce` pushes until one side ends the stream. */
  async carry(reply: FastifyReply, produce: (stream: Stream) => void): Promise<void> {
    const { caller } = reply.request;
    const full = this.#fullFor(caller);
    if (full !== undefined) {
      reply.header("retry-after", 10);
      throw new CicadaError("RATE_LIMITED", full);
    }
    const queue = new EventQueue();
    this.#open.set(queue, caller);
    reply.sse.onClose(() => {
      queue.end();
      this.#open.delete(queue);
    });
    reply.sse.sendHeaders();
    reply.raw.flushHeaders();
    produce(queue);
    await reply.sse.send(queue);
  }

  /** Why the caller can't have another stream; undefined = it can. */
  #fullFor({ role, token }: Caller): string | undefined {
    const cap = role === "admin" ? streamCap : streamCapOfOthers;
    if (this.#open.size >= cap) return `${this.#open.size} streams are open already`;
    if (role === "admin") return undefined;
    const ownCount = this.#open.values().reduce((sum, one) => sum + Number(one.token === token), 0);
    return ownCount < streamCapPerCaller ? undefined : `this token has ${ownCount} streams open already`;
  }
}

class EventQueue implements Stream, AsyncIterable<SSEMessage> {
  #waiting: StreamEvent[] = [];
  #waitingText = 0;
  #pushed = Promise.withResolvers<void>();
  #emptied = Promise.withResolvers<void>();
  readonly #end = new AbortController();

  get ended(): AbortSignal {
    return this.#end.signal;
  }

  push(event: StreamEvent): void {
    if (this.ended.aborted) return;
    this.#waiting.push(event);
    this.#waitingText += event.data?.length ?? 0;
    if (this.#waiting.length > queueCap || this.#waitingText > queuedTextCap) this.end();
    this.#pushed.resolve();
  }

  end(): void {
    this.#end.abort();
    this.#pushed.resolve();
    this.#emptied.resolve();
  }

  async caughtUp(): Promise<void> {
    if (this.#waiting.length > 0 && !this.ended.aborted) await this.#emptied.promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SSEMessage> {
    for (;;) {
      const events = this.#waiting;
      this.#waiting = [];
      this.#waitingText = 0;
      yield* events;
      if (this.#waiting.length > 0) continue;
      this.#emptied.resolve();
      if (this.ended.aborted) return;
      this.#emptied = Promise.withResolvers();
      await this.#pushed.promise;
      this.#pushed = Promise.withResolvers();
    }
  }
}
