/**
 * `Idempotency-Key`: when a caller sends a POST again under the same key, it gets the first answer, and nothing is
 * changed a second time. So a caller whose connection broke may simply repeat its request.
 *
 * When the peer didn't answer in time, the outcome is unknown, and a repeat waits for the answer to the first request.
 * Other answers of 500 and above are not kept, because the caller may try again.
 *
 * A key belongs to its caller, and counts only while the caller has the same rights.
 *
 * Answers are kept in this process for 24 h, at most 10,000 of them and 16 MiB. A repeat at another peer, or after a
 * restart, is a new request, except for runs: the key becomes part of their tick's name (schema/keyed-tick.ts), so each peer
 * that has heard of a run answers with it. Two peers that are asked before they hear of each other start two runs.
 */
import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Answer as PeerAnswer } from "../../ports/command.ts";
import { rightsOf } from "../access/callers.ts";
import { keysCountMs, tickKeyOf, type TickKey } from "../../schema/keyed-tick.ts";
import type { Api } from "../options.ts";

/** Each takes about 1 KiB. Beyond either limit the oldest is forgotten. */
const keptAtMost = 10_000;
const keptCharacters = 16_777_216;
const keptHeaders = ["content-type", "etag", "location"] as const;

interface KeptAnswer {
  status: number;
  headers: readonly [name: string, value: string][];
  body: string;
}

/** The peer has been asked and has not answered; it may still carry out the command. */
interface Unknown {
  unanswered: Promise<PeerAnswer>;
}

interface Entry {
  /** hash of method, address and body: the same key must mean the same request */
  request: string;
  until: number;
  /** undefined: the request failed in a way that makes another try worthwhile */
  outcome: Promise<KeptAnswer | Unknown | undefined>;
  close: (outcome: KeptAnswer | Unknown | undefined) => void;
}

/** Outcomes by caller and key, oldest first. */
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
    const { promise, resolve } = Promise.withResolvers<KeptAnswer | Unknown | undefined>();
    const entry: Entry = {
      request,
      until: now + keysCountMs,
      outcome: promise,
      close: (outcome) => {
        resolve(outcome);
        if (this.#entries.get(key) !== entry) return;
        if (outcome === undefined) this.forget(key);
        else this.#count(key, "body" in outcome ? outcome.body.length : 0);
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
    /** Honours `Idempotency-Key`. */
    repeatable?: boolean;
  }
  interface FastifyRequest {
    firstOfItsKey: Entry | undefined;
    /** The body as it arrived; two requests are the same when their bytes are. */
    bodyText: string;
  }
}

export function honourIdempotencyKeys(app: Api, now: () => number): void {
  const kept = new KeptAnswers();
  app.decorateRequest("firstOfItsKey", undefined);
  app.decorateRequest("unanswered", undefined);
  app.decorateRequest("bodyText", "");

  app.addHook("preHandler", async (request, reply) => {
    const key = request.headers["idempotency-key"];
    if (key === undefined || request.routeOptions.config?.repeatable !== true) return undefined;
    if (typeof key !== "string" || !/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new CicadaError("BAD_REQUEST", "Idempotency-Key: give 1 to 255 printable characters, no spaces");
    }
    const asked = fingerprint(request);
    const scoped = scopedKey(request, key);
    for (let first = kept.get(scoped, now()); first !== undefined; first = kept.get(scoped, now())) {
      if (first.request !== asked) {
        throw new CicadaError("KEY_REUSED", `Idempotency-Key "${key}" was used for another request before`);
      }
      const outcome = await first.outcome;
      if (outcome === undefined) continue;
      if ("body" in outcome) return replay(reply, outcome);
      // Of several repeats, one waits for the peer, and the others wait for that one.
      if (kept.get(scoped, now()) !== first) continue;
      request.unanswered = outcome.unanswered;
      break;
    }
    request.firstOfItsKey = kept.open(scoped, asked, now());
    return undefined;
  });

  app.addHook("onSend", async (request, reply, payload) => {
    const entry = request.firstOfItsKey;
    if (entry === undefined) return;
    const { unanswered } = request;
    const isKept = reply.statusCode < 500 && typeof payload === "string";
    if (unanswered !== undefined) entry.close({ unanswered });
    else entry.close(isKept ? answerOf(reply, payload) : undefined);
  });
}

/** What a request to run jobs gives to the command; empty if it has no key. */
export function keyOfRun(request: FastifyRequest): { key?: TickKey } {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string") return {};
  return { key: tickKeyOf(hashOf(scopedKey(request, key)), hashOf(textOf(request))) };
}

function scopedKey(request: FastifyRequest, key: string): string {
  return `${rightsOf(request.caller)}\n${key}`;
}

function fingerprint(request: FastifyRequest): string {
  return hashOf(textOf(request)).toString("base64url");
}

function textOf({ method, url, bodyText }: FastifyRequest): string {
  return `${method} ${url}\n${bodyText}`;
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function answerOf(reply: FastifyReply, body: string): KeptAnswer {
  const headers = keptHeaders.flatMap((name): [string, string][] => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  });
  return { status: reply.statusCode, headers, body };
}

function replay(reply: FastifyReply, answer: KeptAnswer): FastifyReply {
  for (const [name, value] of answer.headers) reply.header(name, value);
  return markRepeated(reply).code(answer.status).send(answer.body);
}

/** Tells the caller that nothing was done now. */
export function markRepeated(reply: FastifyReply): FastifyReply {
  return reply.header("idempotency-replayed", "true");
}
