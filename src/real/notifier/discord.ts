/** Discord's webhooks: {content} of at most 2,000 characters; `allowed_mentions` keeps every name from pinging anybody. */
import type { ChannelOf } from "../../schema/channel.ts";
import type { Notice } from "../../schema/notice.ts";
import {
  cutEscaped,
  jsonMessage,
  linkOf,
  oneLine,
  textOf,
  titleOf,
  urgencyOf,
  type HttpMessage,
} from "./message.ts";

const contentCap = 2_000;
const titleCap = 300;
const icons = ["✅", "⚠️", "🔴"] as const;

export function discordRequest({ url, link }: ChannelOf<"discord">, notices: readonly Notice[]): HttpMessage {
  const name = cutEscaped(oneLine(titleOf(notices)), titleCap, escapeMarkdown);
  const title = `${icons[urgencyOf(notices)]} **${name}**\n`;
  const address = linkOf(link, notices);
  // In angle brackets a link gets no preview.
  const more = address === undefined ? "" : `\n<${address}>`;
  const content = title + textOf(notices, contentCap - title.length - more.length, escapeMarkdown) + more;
  return jsonMessage(url, { content, allowed_mentions: { parse: [] } });
}

function escapeMarkdown(text: string): string {
  return text.replaceAll(/[\\*_~`|>#[\]()<]/g, (mark) => `\\${mark}`);
}
