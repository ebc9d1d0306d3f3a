/** Discord's webhooks: {content} of at most 2,000 characters; `allowed_mentions` keeps every name from pinging anybody. */
import type { ChannelOf } from "../../schema/channel.ts";
import type { Notice } from "../../schema/notice.ts";
import { jsonMessage, textOf, titleOf, urgencyOf, type HttpMessage } from "./message.ts";

const contentCap = 2_000;
const icons = ["✅", "⚠️", "🔴"] as const;

export function discordRequest({ url }: ChannelOf<"discord">, notices: readonly Notice[]): HttpMessage {
  const title = `${icons[urgencyOf(notices)]} **${escapeMarkdown(titleOf(notices))}**\n`;
  const content = title + textOf(notices, contentCap - title.length, escapeMarkdown);
  return jsonMessage(url, { content, allowed_mentions: { parse: [] } });
}

function escapeMarkdown(text: string): string {
  return text.replaceAll(/[\\*_~`|>#[\]()]/g, (mark) => `\\${mark}`);
}
