/** Microsoft Teams, by a workflow's webhook: a message with an Adaptive Card 1.4, of at most 28 KB in all. */
import type { ChannelOf } from "../../schema/channel.ts";
import type { Notice } from "../../schema/notice.ts";
import { cut, jsonMessage, oneLine, textOf, titleOf, urgencyOf, type HttpMessage } from "./message.ts";

/** Half of what fits: in JSON a character may take several bytes. */
const textCap = 6_000;
const titleCap = 256;
const colours = ["good", "warning", "attention"] as const;

export function teamsRequest({ url }: ChannelOf<"teams">, notices: readonly Notice[]): HttpMessage {
  const title = cut(escapeText(oneLine(titleOf(notices))), titleCap);
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      block(title, { weight: "bolder", size: "medium", color: colours[urgencyOf(notices)] }),
      block(textOf(notices, textCap, escapeText).replaceAll("\n", "\n\n"), {}),
    ],
  };
  const attachments = [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content }];
  return jsonMessage(url, { type: "message", attachments });
}

function block(text: string, style: object): object {
  return { type: "TextBlock", text, wrap: true, ...style };
}

/** A TextBlock reads some Markdown: links, emphasis and lists. */
function escapeText(text: string): string {
  return text.replaceAll(/[\\*_[\]`]/g, (mark) => `\\${mark}`);
}
