/**
 * A webhook, signed as Standard Webhooks 1.0 says (standardwebhooks.com): the signature covers id, time and the exact bytes of
 * the body. A retry has the same id and a new time. The id contains no dot, because dots separate the three.
 */
import { createHmac } from "node:crypto";
import type { Delivery } from "../../ports/notifier.ts";
import type { ChannelOf } from "../../schema/channel.ts";
import type { Notice } from "../../schema/notice.ts";
import { linkOf, type HttpMessage } from "./message.ts";

export function webhookRequest(
  { url, secret, link }: ChannelOf<"webhook">,
  { notices, id: messageId }: Delivery,
  nowSeconds: number,
): HttpMessage {
  const [first] = notices;
  const type = notices.length === 1 && first !== undefined ? typeOf(first) : "cicada.notices";
  const at = new Date(Math.max(...notices.map((notice) => notice.at))).toISOString();
  const body = JSON.stringify({
    type,
    timestamp: at,
    data: { notices: notices.map((notice) => dataOf(notice, link)) },
  });
  // A job's author chooses its name. No key contains ~, so two keys stay two ids.
  const id = messageId.replaceAll(".", "~");
  const time = String(nowSeconds);
  const headers = { "content-type": "application/json", "webhook-id": id, "webhook-timestamp": time };
  if (secret === undefined) return { url, headers, body };
  return { url, headers: { ...headers, "webhook-signature": signWebhook(secret, id, time, body) }, body };
}

/** `secret`: whsec_ and the key in base64; `time`: seconds since the epoch. */
export function signWebhook(secret: string, id: string, time: string, body: string): string {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${time}.${body}`).digest("base64");
  return `v1,${signature}`;
}

function typeOf({ job, event }: Notice): string {
  if (job !== undefined) return `cicada.job.${event}`;
  return `cicada.mesh.${event}`;
}

/** Every field is there; what isn't known is null. */
function dataOf(notice: Notice, link: string | undefined): Record<string, unknown> {
  const { reason, exitCode, job, tick, run, owner, description, at, startedAt, finishedAt, ...rest } = notice;
  return {
    ...rest,
    job: job ?? null,
    tick: tick ?? null,
    link: linkOf(link, [notice]) ?? null,
    run: run ?? null,
    reason: reason ?? null,
    exitCode: exitCode ?? null,
    owner: owner ?? null,
    description: description ?? null,
    at: instant(at),
    startedAt: instant(startedAt),
    finishedAt: instant(finishedAt),
  };
}

function instant(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString();
}
