/**
 * Lists for which several callers ask at the same moment are made once, if these callers see the same.
 *
 * A request never gets a list whose making had begun before the request came. While one is made, those who ask for the same wait
 * together for the next one. So what a list shows is never older than the request, and a peer makes at most one of a kind at a
 * time, however many pages and scripts poll it.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { setImmediate as turn } from "node:timers/promises";
import type { Caller } from "../access/callers.ts";
import { pageAt, type Found } from "./paging.ts";

interface Made {
  body: Buffer;
  headers: Readonly<Record<string, string | number>>;
}

export class SharedLists {
  /** not begun yet; as many as there are different requests under way */
  readonly #next = new Map<string, Promise<Made>>();
  /** under way; settled without an error, however the making ends */
  readonly #current = new Map<string, Promise<unknown>>();

  /** Answers with a list. `find` makes it, and may be called for this request on behalf of others that ask for the same. */
  async answer(
    request: FastifyRequest,
    reply: FastifyReply,
    list: string,
    find: () => Promise<Found<unknown>>,
  ): Promise<void> {
    const key = `${sightOf(request.caller)} ${request.url}`;
    let next = this.#next.get(key);
    if (next === undefined) {
      next = this.#makeNext(key, async () => {
        const { headers, body } = pageAt(request.url, list, await find());
        return { headers, body: Buffer.from(JSON.stringify(body)) };
      });
      this.#next.set(key, next);
    }
    const { body, headers } = await next;
    reply.headers(headers).type("application/json; charset=utf-8").send(body);
  }

  async #makeNext(key: string, make: () => Promise<Made>): Promise<Made> {
    await this.#current.get(key);
    // Requests that have come in the same turn of the loop share one list.
    await turn();
    this.#next.delete(key);
    const made = make();
    const current = made.then(
      () => undefined,
      () => undefined,
    );
    this.#current.set(key, current);
    try {
      return await made;
    } finally {
      this.#current.delete(key);
    }
  }
}

/** Callers with the same sight see the same of the peer. */
function sightOf({ role, groups }: Caller): string {
  return JSON.stringify([role, groups?.toSorted() ?? null]);
}
