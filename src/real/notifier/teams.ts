/** Microsoft Teams, by a workflow's webhook: a message with an Adaptive Card 1.4, of at most 28 KB in all. */
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

/** Less than a quarter of what fits: in JSON a character may take four bytes. */
const textCap = 6_000;
const titleCap = 300;
const colours = ["good", "warning", "attention"] as const;

export function teamsRequest({ url, link }: ChannelOf<"teams">, notices: readonly Notice[]): HttpMessage {
  const title = cutEscaped(oneLine(titleOf(notices)), titleCap, escapeText);
  const address = linkOf(link, notices);
  const actions = address === undefined ? [] : [{ type: "Action.OpenUrl", title: "Open", url: address }];
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      block(title, { weight: "bolder", size: "medium", color: colours[urgencyOf(notices)] }),
      // Markdown ignores a single line break.
      block(textOf(notices, textCap, escapeText).replaceAll("\n", "\n\n"), {}),
    ],
    ...(actions.length === 0 ? {} : { actions }),
  };
  const attachments = [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content }];
  return jsonMessage(url, { type: "message", attachments });
}

function block(text: string, style: object): object {
  return { type: "TextBlock", text, wrap: true, ...style };
}

/** A TextBlock reads some Markdown: links, emphasis and lists. `<at>` would mention somebody. */
function escapeText(text: string): string {
  return text.replaceAll(/[\\*_[\]`]/g, (mark) => `\\${mark}`).replaceAll("<", "\\<");
}
