/**
 * The API's door: requests with hostile paths, parameters, headers and bodies. Every answer must have one of the API's
 * own forms.
 */
import { JobSpecSchema } from "../../../src/schema/job.ts";
import type { JobId } from "../../../src/schema/ids.ts";
import { Dice } from "../../../src/sim/random.ts";
import { fakeApi, host, token, type FakeApi } from "../fake-api.ts";
import { Fault, type Door, type OpenDoor } from "./door.ts";
import { anyJson, edgeNumber, edgeText, jsonBytes, mutateJson, mutateText, valueOf } from "./garbage.ts";

export function apiDoor(): Door {
  return { name: "api", share: 12, round: 1_500, open: async (seed) => ApiDoor.open(seed) };
}

type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";

/** Endless streams are left out, because their answers never end. */
const paths = [
  "/",
  "/livez",
  "/readyz",
  "/readyz?verbose",
  "/metrics",
  "/openapi.json",
  "/login",
  "/logout",
  "/v1/jobs",
  "/v1/jobs/ID",
  "/v1/jobs/ID/run",
  "/v1/jobs/ID/pause",
  "/v1/jobs/ID/resume",
  "/v1/jobs/ID/next",
  "/v1/jobs/ID/runs",
  "/v1/jobs/ID/ticks",
  "/v1/jobs/ID/why",
  "/v1/runs",
  "/v1/runs/RUN",
  "/v1/runs/RUN/cancel",
  "/v1/runs/RUN/log",
  "/v1/peers",
  "/v1/peers/self",
  "/v1/schedules/preview",
] as const;
const parameters = [
  "limit",
  "cursor",
  "count",
  "tick",
  "from",
  "to",
  "state",
  "job",
  "peer",
  "q",
  "label",
  "group",
  "update",
  "x",
];
const methods: readonly Method[] = [
  "GET",
  "GET",
  "GET",
  "HEAD",
  "POST",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
];
/** The status of a failure of the server itself; overload is 503. */
const serverFault = 500;

interface Request {
  method: Method;
  url: string;
  headers: Record<string, string>;
  payload: Buffer | undefined;
}

class ApiDoor implements OpenDoor {
  readonly #dice: Dice;
  readonly #fake: FakeApi;
  /** the API's own listeners: its metrics count events as long as it runs */
  readonly #ownListeners: number;
  #last: Request | undefined;

  private constructor(seed: string, fake: FakeApi) {
    this.#dice = new Dice(`api ${seed}`);
    this.#fake = fake;
    this.#ownListeners = fake.control.listeners;
  }

  static async open(seed: string): Promise<ApiDoor> {
    const fake = fakeApi();
    await fake.api.ready();
    const door = new ApiDoor(seed, fake);
    for (const id of ["backup", "report"]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await door.#ask({
        method: "POST",
        url: "/v1/jobs",
        headers: {},
        payload: Buffer.from(JSON.stringify({ id, command: "x" })),
      });
    }
    return door;
  }

  async one(): Promise<void> {
    this.#last = this.#draw();
    const answer = await this.#ask(this.#last);
    const { statusCode: status, headers, body } = answer;
    if (status >= serverFault && status !== 503)
      throw new Fault(`it answered ${status}: ${body.slice(0, 500)}`);
    if (headers["x-cicada-peer"] === undefined) throw new Fault("the answer doesn't name its peer");
    const isRefusal = status >= 400 && this.#last.method !== "HEAD";
    if (isRefusal) this.#judge(String(headers["content-type"]), body);
    const [error] = this.#fake.errors;
    if (error !== undefined) throw new Fault(`an error was logged: ${JSON.stringify(error)}`);
  }

  last(): string {
    if (this.#last === undefined) return "";
    const { method, url, headers, payload } = this.#last;
    return `${method} ${url} ${JSON.stringify(headers)} ${payload?.toString("base64") ?? ""}`;
  }

  async checkRound(): Promise<void> {
    const url = "/v1/jobs?limit=1";
    const answer = await this.#ask({ method: "GET", url, headers: {}, payload: undefined });
    if (answer.statusCode !== 200) throw new Fault(`afterwards it answered ${answer.statusCode}`);
    const left = this.#fake.control.listeners - this.#ownListeners;
    if (left > 0) throw new Fault(`${left} listeners are left`);
  }

  async close(): Promise<void> {
    await this.#fake.api.close();
  }

  #judge(type: string, body: string): void {
    if (!type.startsWith("application/problem+json"))
      throw new Fault(`a refusal as ${type}: ${body.slice(0, 200)}`);
    const problem: unknown = JSON.parse(body);
    const isWhole = typeof problem === "object" && problem !== null && "code" in problem && "hint" in problem;
    if (!isWhole || body.length > 100_000)
      throw new Fault(`a refusal of ${body.length} bytes: ${body.slice(0, 300)}`);
  }

  async #ask(request: Request) {
    const { method, url, headers, payload } = request;
    const usual = { host, authorization: `Bearer ${token}` };
    const type = payload === undefined ? {} : { "content-type": "application/json" };
    return this.#fake.api.inject({
      method,
      url,
      headers: { ...usual, ...type, ...headers },
      ...(payload === undefined ? {} : { payload }),
    });
  }

  // ------------------------------------------------------------------------------------------- requests

  #draw(): Request {
    const dice = this.#dice;
    const method = dice.pick(methods);
    const body = method === "GET" || method === "HEAD" || dice.chance(0.1) ? undefined : this.#body();
    return { method, url: this.#url(), headers: this.#headers(), payload: body };
  }

  #url(): string {
    const dice = this.#dice;
    const part = (good: string): string =>
      encodeURIComponent(printable(dice.chance(0.7) ? good : edgeText(dice)));
    const id = part(dice.pick(["backup", "report", "ghost"]));
    const run = part(
      dice.pick(["backup@2026-11-20T02:00:00Z", "backup@2026-11-20T02:00:00Z~1@rAlpha0001", "x"]),
    );
    let path = dice.pick(paths).replace("ID", id).replace("RUN", run);
    if (dice.chance(0.1)) path = encodeURI(printable(mutateText(path, dice))).replaceAll("#", "%23");
    if (!path.startsWith("/")) path = `/${path}`;
    const given = Array.from(
      { length: dice.below(4) },
      () => `${dice.pick(parameters)}=${part(this.#value())}`,
    );
    // A stream has no end, so a mutated address that may name one is replaced.
    const url = given.length === 0 ? path : `${path}${path.includes("?") ? "&" : "?"}${given.join("&")}`;
    return /stream|events|docs/i.test(url) ? "/v1/jobs" : url.slice(0, 8_000);
  }

  #value(): string {
    const dice = this.#dice;
    return dice.pick([
      () => String(edgeNumber(dice)),
      () => edgeText(dice),
      () => new Date(Date.UTC(2026, 10, 20) + dice.below(1e9)).toISOString(),
      () => Buffer.from(JSON.stringify(["jobs", edgeText(dice)])).toString("base64url"),
      () => dice.pick(["true", "false", "running", "failed", "10", "a=b"]),
    ])();
  }

  #headers(): Record<string, string> {
    const dice = this.#dice;
    const headers: Record<string, string> = {};
    const names = [
      "if-match",
      "if-none-match",
      "range",
      "idempotency-key",
      "origin",
      "cookie",
      "accept",
      "content-type",
      "last-event-id",
    ];
    for (const name of names) {
      if (dice.chance(0.9)) continue;
      headers[name] = headerText(
        dice.pick([
          edgeText(dice),
          '"r1"',
          "*",
          "bytes=0-",
          "bytes=-5",
          "bytes=9007199254740993-",
          "bytes=5-1",
          "application/merge-patch+json",
          "text/plain",
          `http://${host}`,
        ]),
      );
    }
    if (dice.chance(0.02)) headers["authorization"] = headerText(edgeText(dice));
    if (dice.chance(0.02)) headers["host"] = headerText(edgeText(dice)).replace(/[^\w.:-]/g, "") || "x";
    return headers;
  }

  #body(): Buffer {
    const dice = this.#dice;
    const id = dice.pick(["backup", "report", `fuzz-${dice.below(50)}`]) as JobId;
    const drawn = dice.pick<() => unknown>([
      () => ({ ...(valueOf(JobSpecSchema, dice, () => undefined) as object), id, command: "x" }),
      () => ({ id, command: "x", schedule: "@daily", labels: { a: "b" } }),
      () => ({ note: edgeText(dice), until: this.#value() }),
      () => ({ env: { A: edgeText(dice) }, force: true, target: { peers: [edgeText(dice)] } }),
      () => ({ reason: edgeText(dice) }),
      () => ({ schedule: "*/5 * * * *", timezone: "UTC", from: this.#value(), count: edgeNumber(dice) }),
      () => ({ token: edgeText(dice) }),
      () => anyJson(dice, 5),
    ])();
    const bytes = jsonBytes(dice.chance(0.5) ? mutateJson(drawn, dice) : drawn, dice);
    return dice.chance(0.05) ? Buffer.from(dice.bytes(dice.below(200))) : Buffer.from(bytes);
  }
}

/** Replaces halves of surrogate pairs, which an address can't contain. */
function printable(text: string): string {
  return text.toWellFormed();
}

/** Keeps only characters that an HTTP client would send. */
function headerText(text: string): string {
  return text.replace(/[^\u0020-\u007e]/g, "").slice(0, 500);
}
