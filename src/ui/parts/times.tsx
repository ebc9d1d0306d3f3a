/** Instants and durations that stay right while they are looked at: only their text changes. */
import type { JSX } from "preact";
import { lostSince } from "../live/ask.ts";
import { now } from "../live/clock.ts";
import { awayText, browserZone, durationText, instantText, wholeText } from "../words.ts";

interface Props {
  /** RFC 3339 */
  at: string;
  zone?: string | undefined;
}

/** `14:02:05`, with the day where that isn't today. */
export function At({ at, zone = browserZone }: Props): JSX.Element {
  const ms = Date.parse(at);
  return (
    <time dateTime={at} title={wholeText(ms, zone)} class="nowrap">
      {instantText(ms, now.value, zone)}
    </time>
  );
}

/** How far away an instant is; the instant itself while the peer doesn't answer, so that nothing goes on counting. */
export function Away({ at, zone = browserZone }: Props): JSX.Element {
  if (lostSince.value !== undefined) return <At at={at} zone={zone} />;
  return (
    <time dateTime={at} title={wholeText(Date.parse(at), zone)} class="nowrap">
      {awayText(Date.parse(at) - now.value)}
    </time>
  );
}

/** The same, for a place where the instant itself stands beside it and needn't be repeated. */
export function AwayBeside(props: Props): JSX.Element | null {
  return lostSince.value === undefined ? <Away {...props} /> : null;
}

/** In its sentences a peer writes a whole instant, or only the time of day if that is today in UTC. */
const instants = /\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z|\b\d{2}:\d{2}:\d{2} UTC\b/;

function whole(instant: string): string {
  if (!instant.endsWith(" UTC")) return instant;
  return `${new Date(now.value).toISOString().slice(0, 11)}${instant.slice(0, 8)}Z`;
}

/**
 * Whole sentences, with their instants as times of this browser's zone. They stay as they are: the first word may be a peer's
 * name.
 */
export function Sentences({
  sentences,
  zone,
}: {
  sentences: readonly string[];
  zone?: string | undefined;
}): JSX.Element {
  const parts = sentences.join(" ").split(new RegExp(`(${instants.source})`));
  return (
    <>
      {parts.map((part, index) => (index % 2 === 1 ? <At key={index} at={whole(part)} zone={zone} /> : part))}
    </>
  );
}

/** How long something has been going on. */
export function Since({ at }: { at: string }): JSX.Element {
  const seconds = Math.max(0, Math.floor((now.value - Date.parse(at)) / 1_000));
  return <span class="nowrap">{seconds === 0 ? "0 s" : durationText(seconds * 1_000)}</span>;
}

/** A sentence without its instants: what is left when a peer that has restarted says the same again. */
export function withoutInstants(sentence: string): string {
  return sentence.replaceAll(new RegExp(instants.source, "g"), "");
}
