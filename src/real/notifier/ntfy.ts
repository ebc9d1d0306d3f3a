/** ntfy: JSON to the server's root, with the topic in it (docs.ntfy.sh, Publish as JSON). A message has at most 4,096 bytes. */
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

/** In UTF-8 a character of a job's text takes up to four bytes. */
const messageCap = 1_000;
const titleCap = 200;
const priorities = [2, 3, 4] as const;
const tags = ["white_check_mark", "warning", "red_circle"] as const;

export function ntfyRequest(
  { url, secret, priority, link }: ChannelOf<"ntfy">,
  notices: readonly Notice[],
): HttpMessage {
  const address = new URL(url);
  const path = address.pathname.split("/");
  const topic = decodeURIComponent(path.pop() ?? "");
  address.pathname = path.join("/") || "/";
  const urgency = urgencyOf(notices);
  const click = linkOf(link, notices);
  const body = {
    topic,
    title: cut(oneLine(titleOf(notices)), titleCap),
    message: textOf(notices, messageCap),
    priority: priority ?? priorities[urgency],
    tags: [tags[urgency]],
    ...(click === undefined ? {} : { click }),
  };
  return jsonMessage(address.href, body, secret === undefined ? {} : { authorization: `Bearer ${secret}` });
}
