/** Sends requests to the API of the peer that served the page, with the cookie of the page's session. */
import { signal } from "@preact/signals";

/** The peer has refused the request. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly problems: readonly { pointer: string; message: string }[];

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? `The peer answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.hint = problem.hint ?? "";
    this.problems = problem.errors ?? [];
  }
}

/** No answer came. */
export class Unreachable extends Error {}

interface Problem {
  code: string;
  detail: string;
  hint: string;
  errors: { pointer: string; message: string }[];
}

export interface Answer<Body> {
  body: Body;
  /** the body as it came, to see whether it has changed */
  text: string;
  /** of a list: how many there are on all pages */
  total: number | undefined;
  etag: string | undefined;
}

export interface Asked {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  ifMatch?: string;
  signal?: AbortSignal;
}

/** Wall ms since when the peer has not answered; undefined while it does. */
export const lostSince = signal<number | undefined>(undefined);
/** Undefined until it is known. */
export const isLoggedIn = signal<boolean | undefined>(undefined);
/** Why the page asks for a login. */
export const loginReason = signal("");
/** How far the peer's clock is ahead of this browser's, ms; small differences are the network's and count as none. */
export const peerAheadMs = signal(0);

/** How long an answer may take. Unit: ms. The API itself gives up after 25 s. */
const answerLimitMs = 30_000;
const aheadMsMin = 3_000;

export async function ask<Body>(path: string, asked: Asked = {}): Promise<Answer<Body>> {
  const { method = "GET", body, ifMatch, signal: aborted } = asked;
  const limit = AbortSignal.timeout(answerLimitMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(method === "POST" ? { "idempotency-key": newKey() } : {}),
        ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: aborted === undefined ? limit : AbortSignal.any([aborted, limit]),
    });
    text = await response.text();
  } catch (cause) {
    if (aborted?.aborted === true) throw cause;
    lostSince.value ??= Date.now();
    throw new Unreachable("The peer does not answer.", { cause });
  }
  lostSince.value = undefined;
  noteClock(response);
  if (!response.ok) throw refusedBy(response.status, text, path);
  const total = response.headers.get("x-total-count");
  return {
    body: (text === "" ? undefined : JSON.parse(text)) as Body,
    text,
    total: total === null ? undefined : Number(total),
    etag: response.headers.get("etag") ?? undefined,
  };
}

function refusedBy(status: number, text: string, path: string): Refused {
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // The answer is the page of a proxy, say, which doesn't help a person here.
  }
  if (status === 401 && !path.startsWith("/login")) {
    if (isLoggedIn.peek() === true)
      loginReason.value = "The session has ended. Log in again to go on where you were.";
    isLoggedIn.value = false;
  }
  return new Refused(status, problem);
}

function noteClock(response: Response): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const aheadMs = date + 500 - Date.now();
  peerAheadMs.value = Math.abs(aheadMs) < aheadMsMin ? 0 : Math.round(aheadMs / 1_000) * 1_000;
}

function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
