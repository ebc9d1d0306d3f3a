/** Telegram's Bot API: sendMessage with plain text, at most 4,096 characters. */
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

const textCap = 4_096;
const titleCap = 300;
const icons = ["✅", "⚠️", "🔴"] as const;

export function telegramRequest(
  { url = "https://api.telegram.org", chat, secret, link }: ChannelOf<"telegram">,
  notices: readonly Notice[],
): HttpMessage {
  const title = `${icons[urgencyOf(notices)]} ${cutEscaped(oneLine(titleOf(notices)), titleCap, unmentioned)}\n`;
  const address = linkOf(link, notices);
  const more = address === undefined ? "" : `\n${address}`;
  const text = title + textOf(notices, textCap - title.length - more.length, unmentioned) + more;
  const target = `${url.replace(/\/+$/, "")}/bot${secret}/sendMessage`;
  return jsonMessage(target, { chat_id: chat, text, link_preview_options: { is_disabled: true } });
}

/** In plain text, too, @name mentions a person. */
function unmentioned(text: string): string {
  return text.replaceAll(/@(?=[A-Za-z])/g, "@\u200b");
}
