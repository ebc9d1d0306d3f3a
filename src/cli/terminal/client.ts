/**
 * Calls the API of any peer: finds the address and the token, sends one call, and turns every way in which it can fail
 * into a coded error with the exit code that INTERFACE defines.
 *
 * Without `--peer` it asks the local peer that `ready.json` names. That peer's admin token is never sent to another
 * address; any other peer needs `--token`. Without a token, the only request is whether a peer answers at all, so that
 * a person learns "no program listens there" before "a token is needed".
 */
import type { Command } from "commander";
import { join } from "node:path";
import { defaultDataFolder } from "../../config/environment.ts";
import { CicadaError } from "../../errors.ts";
import { errorTable, type ErrorCode } from "../../errors/table.ts";
import type { Problem } from "../../schema/job.ts";
import { parseReady, type Ready } from "../../schema/ready.ts";
import { readPlainFile } from "./plain-file.ts";
import { request, type Reply, type Request } from "./request.ts";
import type { Terminal } from "./terminal.ts";

export interface PeerOptions {
  peer?: string;
  token?: string;
  data?: string;
  insecure?: true;
}

export function withPeer(command: Command): Command {
  return command
    .option("--peer <url>", "the peer to ask (CICADA_PEER_URL; default: the one on this machine)")
    .option(
      "--token <token>",
      "that peer's token (CICADA_TOKEN; default: the one in the local peer's data folder)",
    )
    .option("--insecure", "send the token over plain http to another host, where it can be read on the way")
    .option("--data <dir>", "the local peer's data folder (CICADA_DATA)");
}

export function dataFolder(options: PeerOptions, terminal: Terminal): string {
  return options.data ?? (terminal.env["CICADA_DATA"] || defaultDataFolder(terminal.env));
}

/** What the local peer's ready.json says; undefined if no peer is up in that folder. */
export function readReady(folder: string): Ready | undefined {
  let text: string;
  try {
    text = readPlainFile(join(folder, "ready.json"));
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return undefined;
    throw new CicadaError("DATA_FOLDER_UNUSABLE", `${join(folder, "ready.json")}: ${formatError(error)}`);
  }
  return parseReady(text);
}

export interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** each text of a list is a parameter of its own */
  query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  headers?: Readonly<Record<string, string>>;
  /** sent as JSON; bytes are sent as they are */
  body?: unknown;
  /** Statuses of 400 and above that are answers here and not failures. */
  allow?: readonly number[];
}

/** Longest wait for one answer, ms. More lets a script hang on a dead host; less gives up on a busy one. */
const answerLimitMs = 30_000;
/** Items per request. More saves calls; less keeps each answer small. */
const pageSize = 500;

export class Client {
  readonly url: string;
  readonly #token: string | { missing: string };
  /** the certificate of a local peer, which is the only one to be believed */
  readonly #cert: string | undefined;
  readonly #limitMs: number;

  /** `missing` says why there is no token. `limitMs`: the longest wait for one answer. */
  constructor(
    url: string,
    token: string | { missing: string },
    { cert, limitMs = answerLimitMs }: { cert?: string | undefined; limitMs?: number } = {},
  ) {
    this.url = url;
    this.#token = token;
    this.#cert = cert;
    this.#limitMs = limitMs;
  }

  /** Makes one call and returns the JSON body of its answer; undefined if there is none. */
  async ask<Answer>(path: string, call: Call = {}): Promise<Answer> {
    const { bytes } = await this.send(path, call);
    // openapi.json defines what each call answers; a missing field shows as a blank.
    return (bytes.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(bytes))) as Answer;
  }

  /** Returns all items of a list, or as many as wanted, in the form of one page. */
  async list<Item>(
    path: string,
    query: Call["query"] = {},
    wanted = Infinity,
  ): Promise<{ items: Item[]; nextCursor: string | null }> {
    const items: Item[] = [];
    let cursor: string | undefined;
    for (;;) {
      const limit = Math.min(pageSize, wanted - items.length);
      const page = await this.ask<{ items: Item[]; nextCursor: string | null }>(path, {
        query: { ...query, limit, cursor },
      });
      items.push(...page.items);
      if (page.nextCursor === null || items.length >= wanted) return { items, nextCursor: page.nextCursor };
      cursor = page.nextCursor;
    }
  }

  /**
   * Makes one call and returns its answer unchanged. Throws the coded error of the peer, or of the connection to it.
   */
  async send(
    path: string,
    { method = "GET", query = {}, headers = {}, body, allow = [] }: Call = {},
  ): Promise<Reply> {
    const token = await this.#knownToken();
    const isRaw = body instanceof Uint8Array;
    const address = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) {
      const texts = Array.isArray(value) ? value : value === undefined ? [] : [value];
      for (const text of texts) address.searchParams.append(name, String(text));
    }
    const reply = await this.#request(address, {
      method,
      headers: {
        accept: "application/json",
        authorization: `Bearer ${token}`,
        ...(body === undefined
          ? {}
          : { "content-type": isRaw ? "application/octet-stream" : "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
    });
    if (reply.status >= 400 && !allow.includes(reply.status)) throw refusal(reply, this.url);
    return reply;
  }

  async #knownToken(): Promise<string> {
    if (typeof this.#token === "string") return this.#token;
    await this.#request(new URL("/livez", this.url), {});
    throw new CicadaError("UNAUTHORISED", this.#token.missing);
  }

  async #request(address: URL, what: Request): Promise<Reply> {
    try {
      const signal = AbortSignal.timeout(this.#limitMs);
      return await request(address, { ...what, signal, cert: this.#cert });
    } catch (error) {
      throw new CicadaError("PEER_UNREACHABLE", `${this.url}: ${formatNoAnswer(error)}`);
    }
  }
}

export function openClient(options: PeerOptions, terminal: Terminal, limitMs = answerLimitMs): Client {
  const named = options.peer ?? (terminal.env["CICADA_PEER_URL"] || undefined);
  const token = options.token ?? (terminal.env["CICADA_TOKEN"] || undefined);
  if (named !== undefined && token !== undefined) {
    const url = checkUrl(named);
    if (options.insecure !== true) refusePlainHttp(url);
    return new Client(url, token, { limitMs });
  }

  const folder = dataFolder(options, terminal);
  const ready = readReady(folder);
  if (named === undefined && ready === undefined) {
    throw new CicadaError("PEER_UNREACHABLE", `no peer is up in ${folder} (it has no ready.json)`);
  }
  const url = checkUrl(named ?? ready?.http ?? "");
  if (token !== undefined) {
    const isLocal = ready !== undefined && new URL(ready.http).origin === new URL(url).origin;
    return new Client(url, token, { cert: isLocal ? certOf(ready) : undefined, limitMs });
  }
  if (ready === undefined || new URL(ready.http).origin !== new URL(url).origin) {
    const reason = ready === undefined ? "no peer is up in" : "it is not the peer of";
    return new Client(url, { missing: `no --token for ${url}, and ${reason} ${folder}` }, { limitMs });
  }
  return new Client(url, readToken(ready.tokenFile), { cert: certOf(ready), limitMs });
}

/**
 * A local peer's certificate is in the file that ready.json names. Without it, the certificate has to be one that Node
 * believes.
 */
function certOf({ tlsCert }: Ready): string | undefined {
  try {
    return tlsCert === undefined ? undefined : readPlainFile(tlsCert);
  } catch {
    return undefined;
  }
}

/** Throws USAGE for an address if the token could be read on the way to it. */
function refusePlainHttp(url: string): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return;
  throw new CicadaError(
    "USAGE",
    `${url} is another host, and over plain http the token can be read on the way: use https or ` +
      "`ssh -L 7400:127.0.0.1:7400 HOST`, or --insecure",
  );
}

function readToken(file: string): string {
  try {
    return readPlainFile(file).trim();
  } catch (error) {
    throw new CicadaError(
      "UNAUTHORISED",
      `${file}: ${formatError(error)}; give --token, or run the command as the file's owner`,
    );
  }
}

function checkUrl(text: string): string {
  const withScheme = text.includes("://") ? text : `http://${text}`;
  if (!/^https?:/i.test(withScheme)) throw new CicadaError("USAGE", `--peer: "${text}" is not http or https`);
  if (!URL.canParse(withScheme)) throw new CicadaError("USAGE", `--peer: "${text}" is not a URL`);
  return new URL(withScheme).origin;
}

const byStatus: Readonly<Record<number, ErrorCode>> = {
  401: "UNAUTHORISED",
  403: "FOREIGN_HOST",
  404: "NOT_FOUND",
  409: "REVISION_CONFLICT",
  412: "REVISION_CONFLICT",
  413: "BODY_TOO_LARGE",
  429: "RATE_LIMITED",
  503: "NOT_READY",
};

/** Turns a problem+json (RFC 9457) back into the coded error of the peer. */
function refusal(reply: Reply, url: string): CicadaError {
  const problem = parseOrUndefined(new TextDecoder().decode(reply.bytes));
  const document = typeof problem === "object" && problem !== null ? problem : {};
  const code = "code" in document && isErrorCode(document.code) ? document.code : undefined;
  const detail = "detail" in document && typeof document.detail === "string" ? document.detail : undefined;
  return new CicadaError(
    code ?? byStatus[reply.status] ?? (reply.status < 500 ? "BAD_REQUEST" : "INTERNAL"),
    detail ?? `${url} answered ${reply.status}`,
    "errors" in document && Array.isArray(document.errors) ? document.errors.filter(isProblem) : [],
  );
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorTable, value);
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== "object" || value === null) return false;
  return (
    "pointer" in value &&
    typeof value.pointer === "string" &&
    "message" in value &&
    typeof value.message === "string"
  );
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}

const inWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "no program listens there",
  ECONNRESET: "the connection broke",
  ENOTFOUND: "that host name is unknown",
  EHOSTUNREACH: "no route to that host",
  ENETUNREACH: "no route to that network",
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is a file, not a folder",
};

/** A system error in a few words, without the failed call. */
export function formatError(error: unknown): string {
  if (isSystemError(error) && error.code !== undefined) return inWords[error.code] ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

function formatNoAnswer(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") {
    return `no answer within ${answerLimitMs / 1_000} s`;
  }
  return formatError(error instanceof AggregateError ? error.errors[0] : error);
}
