/**
 * A stage for the command line: a terminal that records its output, and a peer's API that gives set answers and records
 * its requests. Commands run in the test's own process.
 */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../../src/main.ts";
import type { Terminal } from "../../src/cli/terminal/terminal.ts";

/** The wall clock of every recorded terminal. */
export const now = Date.parse("2026-11-20T12:00:00Z");

export interface Recorded extends Terminal {
  stdout: string;
  stderr: string;
}

export function recordingTerminal(env: Record<string, string> = {}, interactive = false): Recorded {
  const terminal: Recorded = {
    stdout: "",
    stderr: "",
    print: (line) => void (terminal.stdout += `${line}\n`),
    write: (bytes) => void (terminal.stdout += Buffer.from(bytes).toString()),
    notify: (line) => void (terminal.stderr += `${line}\n`),
    now: () => now,
    env,
    interactive,
    colours: false,
    timezone: "UTC",
    columns: 100,
    rows: 40,
    rest: () => Promise.resolve(false),
    endWithin: () => undefined,
    exitCode: 0,
  };
  return terminal;
}

export interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `cicada ARGS`. */
export async function cicada(
  args: readonly string[],
  env: Record<string, string> = {},
  interactive = false,
): Promise<Said> {
  const terminal = recordingTerminal(env, interactive);
  const code = await run(args, terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

export interface Asked {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingHttpHeaders;
  body: unknown;
}

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

type Answerer = Answer | ((asked: Asked) => Answer);

/** Bytes that are no JSON stay a text. */
function readBody(text: string, type: string | undefined): unknown {
  if (text === "") return undefined;
  return type === "application/octet-stream" ? text : JSON.parse(text);
}

/** A peer's API on a free port, and a data folder whose ready.json names it. */
export class StubPeer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly folder = mkdtempSync(path.join(tmpdir(), "cicada-stub-"));
  readonly data = path.join(this.folder, "data");
  readonly #answers = new Map<string, Answerer>();
  readonly #server: Server;
  #otherwise: (asked: Asked) => Answer | undefined = () => undefined;
  url = "";

  constructor() {
    this.#server = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (more: string) => (text += more));
      request.once("end", () => {
        const url = new URL(request.url ?? "/", "http://stub");
        const asked = {
          method: request.method ?? "",
          path: decodeURIComponent(url.pathname),
          query: Object.fromEntries(url.searchParams),
          headers: request.headers,
          body: readBody(text, request.headers["content-type"]),
        };
        this.asked.push(asked);
        const answerer = this.#answers.get(`${asked.method} ${asked.path}`);
        const prepared = typeof answerer === "function" ? answerer(asked) : answerer;
        const answer = prepared ?? this.#otherwise(asked) ?? notFound;
        const { status = 200, headers = { "content-type": "application/json" }, body } = answer;
        response.writeHead(status, headers);
        response.end(typeof body === "string" || body === undefined ? body : JSON.stringify(body));
      });
    });
  }

  static async open(): Promise<StubPeer> {
    const stub = new StubPeer();
    stub.#server.listen(0, "127.0.0.1");
    await once(stub.#server, "listening");
    const address = stub.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port was given");
    stub.url = `http://127.0.0.1:${address.port}`;
    mkdirSync(stub.data, { mode: 0o700 });
    writeFileSync(path.join(stub.data, "admin.token"), "the-token\n");
    writeFileSync(
      path.join(stub.data, "ready.json"),
      JSON.stringify({
        pid: process.pid,
        peerId: "12D3KooWstub",
        name: "stub",
        http: stub.url,
        listen: [],
        tokenFile: path.join(stub.data, "admin.token"),
        version: "0.1.0",
      }),
    );
    return stub;
  }

  /** Sets the answer to a call, as in `on("GET /v1/jobs", …)`. */
  on(call: string, answer: Answerer): this {
    this.#answers.set(call, answer);
    return this;
  }

  /** Sets the answers to calls that `on` has not named. */
  otherwise(answer: (asked: Asked) => Answer | undefined): void {
    this.#otherwise = answer;
  }

  /** Runs `cicada ARGS` with this peer as the local one. */
  cicada(...args: string[]): Promise<Said> {
    return cicada(args, { CICADA_DATA: this.data });
  }

  /** The same with a screen as standard output. */
  onScreen(...args: string[]): Promise<Said> {
    return cicada(args, { CICADA_DATA: this.data }, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const notFound: Answer = problem(404, "NOT_FOUND", "no such call");

export function problem(status: number, code: string, detail: string, errors?: unknown): Answer {
  return {
    status,
    headers: { "content-type": "application/problem+json" },
    body: { type: `urn:cicada:error:${code}`, title: code, status, code, detail, hint: "none", errors },
  };
}

/** A job in the form of the API's answers. */
export function jobAnswer(spec: { id: string } & Record<string, unknown>): Record<string, unknown> {
  return {
    ...spec,
    revision: "r1",
    createdAt: "2026-11-20T10:00:00.000Z",
    updatedAt: "2026-11-20T10:00:00.000Z",
    updatedBy: "admin",
    paused: null,
    nextTick: "2026-11-21T02:00:00Z",
    nextPeer: { id: "12D3KooWa", name: "alder" },
    lastTick: null,
    lastRun: null,
    lastSuccess: null,
    state: "scheduled",
    problems: [],
  };
}

/** A run in the form of the API's answers. */
export function runAnswer(more: Record<string, unknown>): Record<string, unknown> {
  return {
    id: "backup@2026-11-20T02:00:00Z~1@aaaaaaaa",
    job: "backup",
    tick: "2026-11-20T02:00:00Z",
    attempt: 1,
    trigger: "schedule",
    state: "succeeded",
    reason: null,
    peer: "12D3KooWa",
    peerName: "alder",
    startedAt: "2026-11-20T02:00:00.010Z",
    finishedAt: "2026-11-20T02:01:00.010Z",
    exitCode: 0,
    signal: null,
    waiting: null,
    range: null,
    duplicate: false,
    ...more,
  };
}
