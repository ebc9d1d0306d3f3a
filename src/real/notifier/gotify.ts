/** Gotify: POST /message with the application's token in a header (gotify.net, API). */
import type { ChannelOf } from "../../schema/channel.ts";
import type { Notice } from "../../schema/notice.ts";
import {
  cut,
  jsonMessage,
  linkOf,
  oneLine,
  textOf,
  titleOf,
  urgencyOf,
  type HttpMessage,
} from "./message.ts";

const messageCap = 4_000;
const titleCap = 200;
const priorities = [2, 5, 8] as const;

export function gotifyRequest(
  { url, secret, priority, link }: ChannelOf<"gotify">,
  notices: readonly Notice[],
): HttpMessage {
  const address = `${url.replace(/\/+$/, "")}/message`;
  const click = linkOf(link, notices);
  const body = {
    title: cut(oneLine(titleOf(notices)), titleCap),
    message: textOf(notices, messageCap),
    priority: priority ?? priorities[urgencyOf(notices)],
    ...(click === undefined ? {} : { extras: { "client::notification": { click: { url: click } } } }),
  };
  return jsonMessage(address, body, { "x-gotify-key": secret });
}
