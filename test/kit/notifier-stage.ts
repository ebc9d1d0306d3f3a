/** Stands in for the services that take notices: a listener that keeps what it gets, and a notifier that sends to it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Delivered } from "../../src/ports/notifier.ts";
import { openNotifier } from "../../src/real/notifier.ts";
import type { NoticeChannel } from "../../src/schema/channel.ts";
import type { JobId, PeerId, RunId, TickId } from "../../src/schema/ids.ts";
import type { Notice } from "../../src/schema/notice.ts";

export const noon = Date.parse("2026-11-20T12:00:00Z");

export function notice(fields: Partial<Notice> = {}): Notice {
  return {
    key: "backup@2026-11-20T12:00:00Z:failed",
    event: "failed",
    job: "backup" as JobId,
    tick: "2026-11-20T12:00:00Z" as TickId,
    run: "backup@2026-11-20T12:00:00Z~1@lpha0001" as RunId,
    state: "failed",
    reason: undefined,
    exitCode: 2,
    peer: { id: "12D3KooWalpha0001" as PeerId, name: "alpha" },
    at: noon + 4_000,
    startedAt: noon,
    finishedAt: noon + 3_000,
    group: "default",
    owner: undefined,
    description: undefined,
    text: "backup, tick 2026-11-20T12:00:00Z, failed with exit code 2 on alpha after 3s",
    ...fields,
  };
}

interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** An HTTP server that keeps what it gets and gives the answers in their order, the last one again and again. */
export class Listener implements AsyncDisposable {
  readonly got: readonly Got[];
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, got: readonly Got[]) {
    this.#server = server;
    this.got = got;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async open(...answers: { status: number; headers?: Record<string, string>; body?: string }[]) {
    const got: Got[] = [];
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      got.push({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(parts).toString() });
      const { status, headers, body } = answers[Math.min(got.length, answers.length) - 1] ?? { status: 200 };
      response.writeHead(status, headers).end(body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Listener(server, got);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** The notifier's wall clock. */
export const wallNow = { at: noon + 5_000 };

export const notifier = openNotifier({
  log: { debug: () => undefined },
  wall: () => wallNow.at,
  version: "9.9.9",
  secrets: {
    resolve: (names) => {
      const missing = names.find((name) => name !== "TOKEN");
      if (missing !== undefined) return { why: "host", reason: `this peer has no ${missing}` };
      return { values: new Map(names.map((name) => [name, "named-token\n"])) };
    },
  },
});

export function deliver(
  channel: NoticeChannel,
  notices = [notice()],
  id = notices[0]?.key ?? "",
): Promise<Delivered> {
  return new Promise((resolve) => notifier.deliver({ channel, notices, id }, resolve));
}

export async function bodyAt(channel: (url: string) => NoticeChannel, notices = [notice()]) {
  await using listener = await Listener.open();
  assert.deepEqual(await deliver(channel(listener.url), notices), { ok: true });
  const [got] = listener.got;
  assert.ok(got !== undefined);
  return { ...got, json: JSON.parse(got.body) };
}
