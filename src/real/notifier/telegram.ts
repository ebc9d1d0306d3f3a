/** Telegram's Bot API: sendMessage with plain text, at most 4,096 characters. */
import type { ChannelOf } from "../../schema/channel.ts";
import type { Notice } from "../../schema/notice.ts";
import { jsonMessage, textOf, titleOf, urgencyOf, type HttpMessage } from "./message.ts";

const textCap = 4_096;
const icons = ["✅", "⚠️", "🔴"] as const;

export function telegramRequest(
  { url = "https://api.telegram.org", chat, secret }: ChannelOf<"telegram">,
  notices: readonly Notice[],
): HttpMessage {
  const title = `${icons[urgencyOf(notices)]} ${titleOf(notices)}\n`;
  const text = title + textOf(notices, textCap - title.length);
  const address = `${url.replace(/\/+$/, "")}/bot${secret}/sendMessage`;
  return jsonMessage(address, { chat_id: chat, text, link_preview_options: { is_disabled: true } });
}
