/**
 * One request: sent once, never repeated. Its output is the status line, the headers that a person may need, and the body,
 * for each answer that it got.
 *
 * Redirects are followed only if the job asks for it, and at most ten. Another origin (scheme, host and port) doesn't get the
 * job's headers, which may hold credentials, its body, or the run's id. The timeout covers everything, from the name's look-up to
 * the last byte of the body. A peer that was held up between the decision to start and the moment when the request would be sent
 * doesn't send it: others may have taken its run for lost meanwhile.
 */
import type { Client } from "undici";
import type { HttpSpec } from "../../ports.ts";
import { fillIn } from "../../core/checks/secrets.ts";
import { formatDuration } from "../../core/time/units.ts";
import type { SecretValues } from "../secrets.ts";
import { decoderOf, Undecodable, type Decoder } from "./http-decoding.ts";
import {
  describeBroken,
  describeUnconnected,
  HeldUp,
  HostFault,
  hostFaultIn,
  Stopped,
} from "./http-errors.ts";
import { MaskedFile } from "./masked-file.ts";
import type { Masker } from "./masker.ts";
import { CappedFile, Pace } from "./output.ts";
import type { RunOutcome } from "./processes.ts";
import { ownFileFault } from "./start-faults.ts";

const redirectsMax = 10;
const redirectStatus: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** How often a request that is not sent yet looks whether the process was held up. */
const watchEveryMs = 250;

/** Headers that are shown in the output. Others, such as cookies, may be secret. */
const shownHeaders: ReadonlySet<string> = new Set([
  "allow",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "etag",
  "last-modified",
  "location",
  "retry-after",
  "server",
  "x-request-id",
]);

/** Headers of the job that go to another origin, too. */
const harmlessHeaders: ReadonlySet<string> = new Set(["accept", "accept-language", "user-agent"]);

export interface HttpRunEvents {
  started(): void;
  /** `output`: all of it, if that is little */
  ended(outcome: RunOutcome, output: Buffer | undefined): void;
}

/** A request with the secrets that are filled in. `masker`: undefined = there are none. */
export interface HttpLaunch {
  spec: HttpSpec;
  logFile: string;
  secrets: SecretValues;
  masker: Masker | undefined;
}

interface Request {
  method: string;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body: string;
}

interface Response {
  status: number;
  phrase: string;
  location: string | undefined;
}

export class HttpRun {
  private readonly spec: HttpSpec;
  private readonly logFile: string;
  private readonly secrets: SecretValues;
  private readonly masker: Masker | undefined;
  private readonly events: HttpRunEvents;
  private readonly pace = new Pace();
  /** why it was ended before it was answered */
  private ending: "cancelled" | "timeout" | undefined;
  private client: Client | undefined;
  private isSent = false;
  private isAnswered = false;
  /** why this host could not send it */
  private hostFault: string | undefined;
  /** where the body of the last answer begins in the output */
  private bodyFrom = 0;

  constructor({ spec, logFile, secrets, masker }: HttpLaunch, events: HttpRunEvents) {
    this.spec = spec;
    this.logFile = logFile;
    this.secrets = secrets;
    this.masker = masker;
    this.events = events;
  }

  begin(): void {
    const log = { logBytes: 0, logTruncated: false };
    if (this.ending !== undefined) return this.events.ended({ kind: "cancelled", ...log }, undefined);
    if (Date.now() > this.spec.notAfter) {
      const reason = "the start came too late";
      return this.events.ended({ kind: "not-started", why: "late", reason }, undefined);
    }
    let file: CappedFile;
    try {
      file = new CappedFile(this.logFile, this.spec.logCapBytes);
    } catch (error) {
      return this.events.ended(ownFileFault(error), undefined);
    }
    this.events.started();
    void this.perform(file);
  }

  stop(): void {
    this.end("cancelled");
  }

  private end(why: "cancelled" | "timeout"): void {
    this.ending ??= why;
    void this.client?.destroy(new Stopped());
  }

  private async perform(file: CappedFile): Promise<void> {
    const { timeoutMs } = this.spec;
    const timer = timeoutMs > 0 ? setTimeout(() => this.end("timeout"), timeoutMs) : undefined;
    let failure: string | undefined;
    const output = new MaskedFile(file, this.masker);
    try {
      failure = await this.follow(output);
    } catch (error) {
      // Every failure of a request is an outcome, whatever the client throws.
      if (error instanceof HostFault) this.hostFault = error.message;
      else failure = error instanceof Error ? error.message : String(error);
    }
    clearTimeout(timer);
    output.flush();
    const { log, small } = file.finish();
    this.events.ended({ ...this.outcome(failure), ...log }, small);
  }

  private outcome(failure: string | undefined): OutcomeOfRequest {
    if (this.ending === "cancelled") return { kind: "cancelled" };
    if (this.ending === undefined)
      return { kind: "answered", failure, hostFault: this.hostFault, bodyFrom: this.bodyFrom };
    const limit = formatDuration(this.spec.timeoutMs);
    const what = this.isAnswered
      ? "http: the answer was not complete"
      : this.isSent
        ? "http: no answer"
        : "connect: no connection";
    return { kind: "timeout", reason: `${what} within ${limit}` };
  }

  /** Undefined if the last answer is as expected; otherwise why not. */
  private async follow(file: MaskedFile): Promise<string | undefined> {
    const { action } = this.spec;
    let request = this.firstRequest();
    for (let redirects = 0; ; redirects++) {
      const response = await this.exchange(request, file);
      if (typeof response === "string") return response;
      const { status, phrase, location } = response;
      const isRedirect = action.followRedirects && redirectStatus.has(status) && location !== undefined;
      if (!isRedirect) {
        if (action.expectStatus.includes(status)) return undefined;
        const shown = phrase === "" ? String(status) : `${status} ${phrase}`;
        return `status: ${shown} is not one of http.expectStatus (${action.expectStatus.join(", ")})`;
      }
      if (redirects === redirectsMax) return `redirect: there were more than ${redirectsMax}`;
      const next = redirected(request, status, location, (text) => this.isSecret(text));
      if (typeof next === "string") return next;
      file.write(Buffer.from("\n"));
      request = next;
    }
  }

  private firstRequest(): Request {
    const { method, url, headers, body } = this.spec.action;
    const filled = Object.entries(lowerCased(headers)).map(([name, text]) => [
      name,
      fillIn(text, (secret) => this.secrets.get(secret)),
    ]);
    return {
      method,
      url: new URL(fillIn(url, (name) => encoded(this.secrets.get(name)))),
      headers: { ...this.ownHeaders(), ...Object.fromEntries(filled) },
      body: fillIn(body, (name) => this.secrets.get(name)),
    };
  }

  private isSecret(text: string): boolean {
    return this.masker !== undefined && this.masker.text(text) !== text;
  }

  private ownHeaders(): Record<string, string> {
    const { run, env } = this.spec;
    return {
      "accept-encoding": "identity",
      "user-agent": "cicada",
      "idempotency-key": env["CICADA_IDEMPOTENCY_KEY"] ?? "",
      traceparent: env["TRACEPARENT"] ?? "",
      "x-cicada-run": run,
    };
  }

  /** One request and its answer; a text says why there is none. */
  private async exchange(request: Request, file: MaskedFile): Promise<Response | string> {
    const { url } = request;
    this.isSent = false;
    this.isAnswered = false;
    const watch = this.watchForDelay();
    try {
      // In the bundle a package in the CommonJS form has nothing but its default export when it is loaded this way.
      const { default: undici } = await import("undici");
      if (this.ending !== undefined) return "";
      // The client keeps only its own limit for connecting: the run's timeout covers the rest.
      this.client = new undici.Client(url.origin, {
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: { rejectUnauthorized: !this.spec.action.insecureTls },
      });
      return await this.send(this.client, request, file, watch);
    } catch (error) {
      if (error instanceof HeldUp || error instanceof Undecodable) return error.message;
      const hostFault = this.isSent ? undefined : hostFaultIn(error);
      if (hostFault !== undefined) throw hostFault;
      return this.isSent ? describeBroken(error, this.isAnswered) : describeUnconnected(error, url);
    } finally {
      watch.end();
      await this.client?.destroy().catch(() => undefined);
      this.client = undefined;
    }
  }

  private send(client: Client, request: Request, file: MaskedFile, watch: Watch): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    let response: Response | undefined;
    let coding = "";
    let decoder: Decoder | undefined;
    const keep = (chunk: Buffer, source: { pause(): unknown; resume(): unknown }): void => {
      file.write(chunk);
      if (file.isPastCap) this.pace.keep(chunk.length, source);
    };
    const end = (): void => {
      file.flush();
      if (response !== undefined) resolve(response);
      else reject(new Error("there was no answer"));
    };
    client.dispatch(
      {
        method: request.method,
        path: `${request.url.pathname}${request.url.search}`,
        headers: { ...request.headers },
        body: request.body === "" ? null : request.body,
      },
      {
        onRequestStart: (controller) => {
          if (watch.wasHeldUp()) return controller.abort(new HeldUp());
          watch.end();
          this.isSent = true;
        },
        onResponseStart: (_controller, status, headers, phrase = "") => {
          // Informational answers come before the answer.
          if (status < 200) return;
          this.isAnswered = true;
          const { location } = headers;
          coding = String(headers["content-encoding"] ?? "");
          response = { status, phrase, location: Array.isArray(location) ? location[0] : location };
          file.write(Buffer.from(headOf(response, headers)));
          this.bodyFrom = file.flush();
        },
        onResponseData: (controller, chunk) => {
          decoder ??= decoderOf(coding);
          if (decoder === undefined) return keep(chunk, controller);
          if (decoder.listenerCount("data") === 0) {
            const source = decoder;
            source.on("data", (decoded: Buffer) => keep(decoded, source));
            source.on("end", end);
            source.on("error", (error) => {
              reject(new Undecodable(coding, error));
              controller.abort(error);
            });
          }
          if (decoder.write(chunk)) return;
          controller.pause();
          decoder.once("drain", () => controller.resume());
        },
        onResponseEnd: () => {
          if (decoder === undefined) end();
          else decoder.end();
        },
        onResponseError: (_controller, error) => {
          decoder?.destroy();
          reject(error);
        },
      },
    );
    return promise;
  }

  /** Looks again and again whether the process was held up for longer than a start may be late. */
  private watchForDelay(): Watch {
    const allowedMs = Math.max(watchEveryMs, this.spec.notAfter - Date.now());
    let seenAt = Date.now();
    let isHeldUp = false;
    const look = (): void => {
      const now = Date.now();
      if (now - seenAt > allowedMs) {
        isHeldUp = true;
        void this.client?.destroy(new HeldUp());
      }
      seenAt = now;
    };
    const timer = setInterval(look, watchEveryMs);
    return {
      wasHeldUp: () => {
        look();
        return isHeldUp;
      },
      end: () => clearInterval(timer),
    };
  }
}

type OutcomeOfRequest =
  | { kind: "cancelled" }
  | { kind: "timeout"; reason: string }
  | { kind: "answered"; failure: string | undefined; hostFault: string | undefined; bodyFrom: number };

interface Watch {
  wasHeldUp(): boolean;
  end(): void;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** The request that follows a redirect (RFC 9110, 15.4); a text says why it must not be sent. */
function redirected(
  request: Request,
  status: number,
  location: string,
  isSecret: (text: string) => boolean,
): Request | string {
  const url = URL.parse(location, request.url.href);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return `redirect: ${JSON.stringify(location.slice(0, 100))} is not an address that begins with http:// or https://`;
  }
  const isRead = request.method === "GET" || request.method === "HEAD";
  const becomesGet = status === 303 ? !isRead : status <= 302 && request.method === "POST";
  const method = becomesGet ? "GET" : request.method;
  const body = becomesGet ? "" : request.body;
  // A user and password in the redirect's URL are not sent, because the job didn't give them.
  url.username = "";
  url.password = "";
  if (url.origin === request.url.origin) {
    const { "content-type": contentType, ...others } = request.headers;
    const keepsType = body !== "" && contentType !== undefined;
    return {
      method,
      url,
      body,
      headers: keepsType ? { ...others, "content-type": contentType } : others,
    };
  }
  if (body !== "") return `redirect: the body is not sent to another origin, ${url.origin}`;
  if (isSecret(url.href)) return `redirect: a secret is not sent to another origin, ${url.origin}`;
  const headers = Object.entries(request.headers).filter(
    ([name, value]) => harmlessHeaders.has(name) && !isSecret(value),
  );
  return { method, url, body, headers: { "accept-encoding": "identity", ...Object.fromEntries(headers) } };
}

function headOf(
  { status, phrase }: Response,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string {
  const lines = Object.entries(headers)
    .filter(([name]) => shownHeaders.has(name))
    .map(([name, value]) => `${name}: ${name === "location" ? withoutUser(String(value)) : String(value)}\n`);
  return `HTTP/1.1 ${status} ${phrase}\n${lines.join("")}\n`;
}

function encoded(value: string | undefined): string | undefined {
  return value === undefined ? undefined : encodeURIComponent(value);
}

function withoutUser(location: string): string {
  return location.replace(/^(\w+:\/\/)[^/?#]*@/, "$1");
}
