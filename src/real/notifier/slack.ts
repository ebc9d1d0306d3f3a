/** Slack's incoming webhooks: {text}, where & < > are escaped (so that no name can mention anybody). */
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

/** Slack cuts longer texts. It recommends 4,000 characters. */
const textCap = 4_000;
const titleCap = 300;
const icons = [":white_check_mark:", ":warning:", ":red_circle:"] as const;

export function slackRequest({ url, link }: ChannelOf<"slack">, notices: readonly Notice[]): HttpMessage {
  const name = cutEscaped(oneLine(titleOf(notices)), titleCap, escapeSlack);
  const title = `${icons[urgencyOf(notices)]} *${name}*\n`;
  const address = linkOf(link, notices);
  const more = address === undefined ? "" : `\n<${escapeEntities(address)}>`;
  const text = title + textOf(notices, textCap - title.length - more.length, escapeSlack) + more;
  return jsonMessage(url, { text, mrkdwn: true, unfurl_links: false, unfurl_media: false });
}

/** docs.slack.dev: these three characters are the only ones with a meaning of their own. */
function escapeEntities(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A zero-width space ends formatting. */
function escapeSlack(text: string): string {
  return escapeEntities(text).replaceAll(/[*_~`]/g, (mark) => `${mark}\u200b`);
}
