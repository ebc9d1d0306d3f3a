/** What all services share: the request, and one text for several notices that fits into a service's limit. */
import type { Notice } from "../../schema/notice.ts";

export interface HttpMessage {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export function jsonMessage(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpMessage {
  return { url, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
}

/** One line that says what it is about: the sentence of the notice, or the number of notices. */
export function titleOf(notices: readonly Notice[]): string {
  const [first] = notices;
  if (first === undefined) return "";
  if (notices.length === 1) return `${first.job}: ${first.event}`;
  const jobs = new Set(notices.map(({ job }) => job));
  return `${notices.length} notices about ${jobs.size === 1 ? first.job : `${jobs.size} jobs`}`;
}

/**
 * The notices as lines. If they are longer than `limit` characters, whole lines are left out from the end and counted; of a
 * single one the reason is cut. The job, its tick and state come first in each line, so they are never cut.
 */
export function textOf(
  notices: readonly Notice[],
  limit: number,
  escape: (text: string) => string = (text) => text,
): string {
  const lines = notices.map((notice) => escape(lineOf(notice)));
  if (lines.length === 1) return cut(lines[0] ?? "", limit);
  let text = "";
  for (const [index, line] of lines.entries()) {
    const left = lines.length - index;
    const more = `… and ${left} more`;
    const next = text === "" ? line : `${text}\n${line}`;
    const isLast = left === 1;
    if (next.length + (isLast ? 0 : more.length + 1) > limit)
      return text === "" ? cut(line, limit) : `${text}\n${more}`;
    text = next;
  }
  return text;
}

function lineOf({ text, owner, run }: Notice): string {
  const more = [run === undefined ? "" : `run ${run}`, owner === undefined ? "" : `owner ${owner}`];
  const said = more.filter((one) => one !== "").join(", ");
  return oneLine(said === "" ? text : `${text} (${said})`);
}

/** No text of a job or a program may begin a line of its own, or hide what follows. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ");
}

export function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** How much a person has to hurry: 0 = none, 1 = some, 2 = something is broken. */
export function urgencyOf(notices: readonly Notice[]): 0 | 1 | 2 {
  const broken = new Set(["failed", "missed", "lost"]);
  if (notices.some(({ event }) => broken.has(event))) return 2;
  return notices.every(({ event }) => event === "recovered" || event === "test") ? 0 : 1;
}
