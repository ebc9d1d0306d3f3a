/**
 * `Idempotency-Key`: a POST that is sent again under the same key gets the answer of the first one, and changes
 * nothing again. So a caller whose connection broke may simply repeat.
 *
 * Answers are kept in this process for 24 h, at most 10,000 of them and 16 MiB: a repeat at another peer, or after
 * a restart, is a new request. Answers of 500 and above are not kept, for those are the ones worth another try.
 */
import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Api } from "../options.ts";

const keptForMs = 24 * 3_600_000;
/** About 1 KiB each. Past one of these the oldest is forgotten. */
const keptAtMost = 10_000;
const keptCharacters = 16_777_216;
const keptHeaders = ["content-type", "etag", "location"] as const;

interface Answer {
  status: number;
  headers: readonly [name: string, value: string][];
  body: string;
}

interface Entry {
  /** hash of method, address and body: the same key must mean the same request */
  request: string;
  until: number;
  /** undefined: the first one failed in a way that is worth another try */
  answer: Promise<Answer | undefined>;
  settle: (answer: Answer | undefined) => void;
}

/** Answers by key, oldest first. */
class KeptAnswers {
  readonly #entries = new Map<string, Entry>();
  readonly #lengths = new Map<string, number>();
  #characters = 0;

  get(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.until > now ? entry : undefined;
  }

  open(key: string, request: string, now: number): Entry {
    this.forget(key);
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const entry: Entry = {
      request,
      until: now + keptForMs,
      answer: promise,
      settle: (answer) => {
        resolve(answer);
        if (this.#entries.get(key) !== entry) return;
        if (answer === undefined) this.forget(key);
        else this.#count(key, answer.body.length);
        this.#makeRoom(now);
      },
    };
    this.#entries.set(key, entry);
    this.#makeRoom(now);
    return entry;
  }

  forget(key: string): void {
    this.#entries.delete(key);
    this.#characters -= this.#lengths.get(key) ?? 0;
    this.#lengths.delete(key);
  }

  #count(key: string, length: number): void {
    this.#lengths.set(key, length);
    this.#characters += length;
  }

  #makeRoom(now: number): void {
    for (const [oldest, { until }] of this.#entries) {
      const fits = this.#entries.size <= keptAtMost && this.#characters <= keptCharacters;
      if (fits && until > now) return;
      this.forget(oldest);
    }
  }
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Heeds `Idempotency-Key`. */
    repeatable?: boolean;
  }
  interface FastifyRequest {
    firstOfItsKey: Entry | undefined;
    /** The body as it came: two requests are the same when their bytes are. */
    bodyText: string;
  }
}

export function heedIdempotencyKeys(app: Api, now: () => number): void {
  const kept = new KeptAnswers();
  app.decorateRequest("firstOfItsKey", undefined);
  app.decorateRequest("bodyText", "");

  app.addHook("preHandler", async (request, reply) => {
    const key = request.headers["idempotency-key"];
    if (key === undefined || request.routeOptions.config?.repeatable !== true) return undefined;
    if (typeof key !== "string" || !/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new CicadaError("BAD_REQUEST", "Idempotency-Key: give 1 to 255 printable characters, no spaces");
    }
    const asked = fingerprint(request);
    for (let first = kept.get(key, now()); first !== undefined; first = kept.get(key, now())) {
      if (first.request !== asked) {
        throw new CicadaError("KEY_REUSED", `Idempotency-Key "${key}" came with another request before`);
      }
      const answer = await first.answer;
      if (answer !== undefined) return replay(reply, answer);
    }
    request.firstOfItsKey = kept.open(key, asked, now());
    return undefined;
  });

  app.addHook("onSend", async (request, reply, payload) => {
    const entry = request.firstOfItsKey;
    if (entry === undefined) return;
    const keep = reply.statusCode < 500 && typeof payload === "string";
    entry.settle(keep ? answerOf(reply, payload) : undefined);
  });
}

function fingerprint(request: FastifyRequest): string {
  const text = `${request.method} ${request.url}\n${request.bodyText}`;
  return createHash("sha256").update(text).digest("base64url");
}

function answerOf(reply: FastifyReply, body: string): Answer {
  const headers = keptHeaders.flatMap((name): [string, string][] => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  });
  return { status: reply.statusCode, headers, body };
}

function replay(reply: FastifyReply, answer: Answer): FastifyReply {
  for (const [name, value] of answer.headers) reply.header(name, value);
  return reply.header("idempotency-replayed", "true").code(answer.status).send(answer.body);
}
