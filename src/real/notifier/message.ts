/** What all services share: the request, and one text for several notices that fits into a service's limit. */
import { leastLength, type Notice } from "../../schema/notice.ts";

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

/** One line that says what it is about: the job and what happened to it, or the number of notices. */
export function titleOf(notices: readonly Notice[]): string {
  const [first] = notices;
  if (first === undefined) return "";
  if (notices.length === 1) return subjectOf(first);
  const jobs = new Set(notices.map(({ job }) => job));
  if (jobs.size > 1) return `${notices.length} notices about ${jobs.size} jobs`;
  return `${notices.length} notices about ${first.job ?? "the mesh"}`;
}

function subjectOf({ job, event, peer, state }: Notice): string {
  if (event === "digest") return state === "ok" ? "digest: all is well" : "digest: something went wrong";
  if (job !== undefined) return `${job}: ${event}`;
  return `mesh: ${event} (${peer.name.slice(0, 64)})`;
}

/**
 * The notices as lines, in at most `limit` characters of what `escape` makes of them. None is left out: the queue puts no more
 * into one message than fits. What doesn't fit is cut from the ends of the sentences, where the reasons are. The job, its tick
 * and its state come first in each, and a single notice's run stays.
 */
export function textOf(
  notices: readonly Notice[],
  limit: number,
  escape: (text: string) => string = (text) => text,
): string {
  const [first] = notices;
  if (first !== undefined && notices.length === 1) return lineOf(first, limit, escape);
  const sentences = notices.map(({ text }) => escape(oneLine(text)).length);
  const needed = notices.map((notice, index) => Math.min(leastLength(notice) - 1, sentences[index] ?? 0));
  const total = needed.reduce((sum, length) => sum + length + 1, 0);
  // The notices fit, unless the channel was changed to another service while the message waited.
  const least = total <= limit ? needed : needed.map(() => 0);
  // The room that is left when each notice has said what it is about. One that needs less than its share leaves the rest to those
  // after it.
  let spare = total <= limit ? limit - total : limit - notices.length;
  return notices
    .map((notice, index) => {
      const own = least[index] ?? 0;
      const line = lineOf(notice, own + Math.floor(Math.max(0, spare) / (notices.length - index)), escape);
      spare -= line.length - own;
      return line;
    })
    .join("\n");
}

const ownerCap = 100;

function lineOf({ job, text, owner, run }: Notice, limit: number, escape: (text: string) => string): string {
  const said = [
    ...(run === undefined ? [] : [`run ${run}`]),
    ...(owner === undefined ? [] : [`owner ${cut(owner, ownerCap)}`]),
  ].join(", ");
  const tail = said === "" ? "" : escape(oneLine(` (${said})`));
  const sentence = oneLine(text);
  const keepsTail = limit - tail.length >= Math.min(leastLength({ job, text }) - 1, escape(sentence).length);
  return keepsTail
    ? cutEscaped(sentence, limit - tail.length, escape) + tail
    : cutEscaped(sentence, limit, escape);
}

/** Puts a text on one line, so that no text of a job or a program can begin a line of its own, or hide what follows. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").toWellFormed();
}

/** Cuts before it escapes, so that no escape is cut in two. */
export function cutEscaped(text: string, limit: number, escape: (text: string) => string): string {
  const whole = escape(text);
  if (whole.length <= limit) return whole;
  let [fits, tooLong] = [0, text.length];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (escape(cut(text, middle)).length <= limit) fits = middle;
    else tooLong = middle;
  }
  return escape(cut(text, fits));
}

export function cut(text: string, limit: number): string {
  return text.length <= limit
    ? text
    : `${text.slice(0, Math.max(0, limit - 1)).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** The address at which a person can see more: that of the job on a peer's page, if the channel says where the page is. */
export function linkOf(base: string | undefined, notices: readonly Notice[]): string | undefined {
  const url = base === undefined ? null : URL.parse(base);
  if (url === null) return undefined;
  const [first] = notices;
  if (notices.length === 1 && first?.job !== undefined && first.event !== "test")
    url.hash = `job=${first.job}`;
  return url.href.replaceAll("|", "%7C");
}

const broken: ReadonlySet<string> = new Set([
  "failed",
  "missed",
  "lost",
  "peer-dead",
  "no-majority",
  "clock",
  "disk",
]);
const good: ReadonlySet<string> = new Set([
  "recovered",
  "test",
  "peer-back",
  "majority",
  "clock-right",
  "disk-right",
  "peer-joined",
]);

/** How much a person has to hurry: 0 = none, 1 = some, 2 = something is broken. */
export function urgencyOf(notices: readonly Notice[]): 0 | 1 | 2 {
  if (notices.some(({ event }) => broken.has(event))) return 2;
  return notices.every(({ event, state }) => good.has(event) || (event === "digest" && state === "ok"))
    ? 0
    : 1;
}
