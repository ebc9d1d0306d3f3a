/**
 * The Notifier door: sends notices over HTTP or as mail, each as its service documents it, and pings health-check services. One
 * call is one try. What a receiver can do about a failure decides whether it is tried again: a refusal is final, everything else
 * is not.
 */
import type { Log } from "../ports.ts";
import type { Delivered, Delivery, Notifier, Ping } from "../ports/notifier.ts";
import {
  checkChannel,
  namedSecrets,
  secretsOf,
  type NoticeChannel,
  type OpenChannel,
} from "../schema/channel.ts";
import { Masker } from "./executor/masker.ts";
import type { RealSecrets } from "./secrets.ts";
import { describeFetchFailure, readSome } from "./fetch-answer.ts";
import { discordRequest } from "./notifier/discord.ts";
import { sendMail } from "./notifier/email.ts";
import { gotifyRequest } from "./notifier/gotify.ts";
import { ntfyRequest } from "./notifier/ntfy.ts";
import { slackRequest } from "./notifier/slack.ts";
import { teamsRequest } from "./notifier/teams.ts";
import { telegramRequest } from "./notifier/telegram.ts";
import { webhookRequest } from "./notifier/webhook.ts";
import type { HttpMessage } from "./notifier/message.ts";

/** Longest try, the reading of the answer included, ms. */
const triedMs = 20_000;
/** How much of a refusing answer is shown. */
const shownChars = 200;
/** Refusals that another try may end: too early, too many, a timeout. */
const transient: ReadonlySet<number> = new Set([408, 425, 429]);

export interface NotifierOptions {
  log: Pick<Log, "debug">;
  /** wall clock, ms: a webhook's signature covers when it was sent */
  wall: () => number;
  version: string;
  /** the values of secrets that channels name */
  secrets: Pick<RealSecrets, "resolve">;
}

export function openNotifier({ log, wall, version, secrets }: NotifierOptions): Notifier {
  const closing = new AbortController();
  const send = async (message: HttpMessage): Promise<Delivered> => {
    const headers = { "user-agent": `cicada/${version}`, ...message.headers };
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(triedMs)]);
    const { url, body } = message;
    const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
    const text = await beginningOf(response);
    if (response.ok) return { ok: true };
    log.debug("a notice was refused", { status: response.status });
    return {
      ok: false,
      isFinal: response.status < 500 && !transient.has(response.status),
      afterMs: retryAfterMs(response.headers.get("retry-after"), wall()),
      why: `${new URL(url).host} answered ${response.status}${text === "" ? "" : `: ${text}`}`,
    };
  };
  return {
    deliver(delivery, done) {
      const opened = withValues(delivery.channel, secrets);
      if ("ok" in opened) return void attempt(() => Promise.resolve(opened), done);
      const once = async () =>
        opened.type === "email"
          ? sendMail(opened, delivery, triedMs)
          : send(requestOf(opened, delivery, Math.floor(wall() / 1_000)));
      void attempt(once, (result) => done(masked(result, secretsOf(opened))));
    },
    ping({ url, run, text }: Ping, done) {
      const headers = { "content-type": "text/plain; charset=utf-8", "cicada-run": run };
      void attempt(() => send({ url, headers, body: text }), done);
    },
    close: () => closing.abort(),
  };
}

/**
 * The channel with the values of the secrets that it names; or why that can't be. Another peer may have them, or this one
 * later.
 */
function withValues(
  channel: NoticeChannel,
  secrets: Pick<RealSecrets, "resolve">,
): OpenChannel | Extract<Delivered, { ok: false }> {
  const named = namedSecrets(channel);
  const resolved = secrets.resolve(named.map(({ name }) => name));
  if ("why" in resolved) return { ok: false, isFinal: false, why: resolved.reason };
  const values = named.map(({ field, name }) => [field, resolved.values.get(name)?.trim()] as const);
  const opened = checkChannel({ ...channel, ...Object.fromEntries(values) });
  if (opened.ok) return opened.channel as OpenChannel;
  const [problem] = opened.problems;
  const which = named.map(({ name }) => name).join(" or ");
  return { ok: false, isFinal: true, why: `the value of ${which} can't be used: ${problem?.message ?? ""}` };
}

/** An error of the network, or the answer of a service, may repeat the address or the token. */
function masked(result: Delivered, secrets: readonly string[]): Delivered {
  if (result.ok || secrets.length === 0) return result;
  return { ...result, why: new Masker(secrets).text(result.why) };
}

async function attempt(once: () => Promise<Delivered>, done: (result: Delivered) => void): Promise<void> {
  let result: Delivered;
  try {
    result = await once();
  } catch (error) {
    result = { ok: false, isFinal: false, why: describeFetchFailure(error, triedMs) };
  }
  done(result);
}

function requestOf(
  channel: Exclude<OpenChannel, { type: "email" }>,
  delivery: Delivery,
  nowSeconds: number,
): HttpMessage {
  const { notices } = delivery;
  switch (channel.type) {
    case "webhook":
      return webhookRequest(channel, delivery, nowSeconds);
    case "slack":
      return slackRequest(channel, notices);
    case "discord":
      return discordRequest(channel, notices);
    case "teams":
      return teamsRequest(channel, notices);
    case "ntfy":
      return ntfyRequest(channel, notices);
    case "gotify":
      return gotifyRequest(channel, notices);
    case "telegram":
      return telegramRequest(channel, notices);
  }
}

/** The beginning of the answer, on one line. */
async function beginningOf(response: Response): Promise<string> {
  const text = await readSome(response, shownChars);
  return text.replaceAll(/\s+/g, " ").trim().slice(0, shownChars);
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(header: string | null, wall: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - wall);
}
