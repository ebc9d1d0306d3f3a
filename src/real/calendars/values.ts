/** The values of the properties that say when an event is, with the line of each. ical.js reads the lines. */
import ICAL from "ical.js";
import { dayOfText } from "../../core/time/days.ts";
import { daySeconds } from "../../core/time/calendar.ts";
import { readCivil } from "../../core/time/named-calendar.ts";
import type { Line } from "./lines.ts";
import { utcFrame, type Frame, type ZonesOfText } from "./zones.ts";

/** A mistake in the text, or something that isn't supported. */
export class Unreadable extends Error {
  readonly line: number;

  constructor({ number }: Pick<Line, "number">, message: string) {
    super(message);
    this.line = number;
  }
}

/** A day (`date`), a time on any clock (`floating`), or a time of a zone; as seconds that the clock shows. */
export interface Moment {
  readonly kind: "date" | "floating" | "zoned";
  readonly civil: number;
  /** of a `zoned` one */
  readonly frame: Frame;
}

export interface Property {
  readonly line: Line;
  readonly params: Readonly<Record<string, unknown>>;
  readonly type: string;
  readonly values: readonly unknown[];
}

export function readProperty(line: Line): Property {
  try {
    const [, params, type, ...values] = ICAL.parse.property(line.text) as unknown as [
      string,
      Record<string, unknown>,
      string,
      ...unknown[],
    ];
    return { line, params, type, values };
  } catch (error) {
    throw new Unreadable(
      line,
      `${line.name} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The one value of a property such as DTSTART. */
export function readMoment(line: Line, zones: ZonesOfText): Moment {
  const { values, params, type } = readProperty(line);
  const [value] = values;
  if (values.length !== 1)
    throw new Unreadable(line, `${line.name} has ${values.length} values instead of one`);
  return momentOf(line, zones, params, type, value);
}

export function momentOf(
  line: Line,
  zones: ZonesOfText,
  params: Property["params"],
  type: string,
  value: unknown,
): Moment {
  const text = String(value);
  const wrong = (): Unreadable =>
    new Unreadable(
      line,
      `${line.name}: ${line.text.slice(line.text.indexOf(":") + 1)} is not a date or time`,
    );
  if (type === "date") {
    const day = dayOfText(text);
    if (day === undefined) throw wrong();
    return { kind: "date", civil: day * daySeconds, frame: utcFrame };
  }
  // A leap second is read as the one before it.
  const civil = readCivil(text.replace(/Z$/, "").replace(/:60$/, ":59"));
  if (civil === undefined) throw wrong();
  if (text.endsWith("Z")) return { kind: "zoned", civil, frame: utcFrame };
  const tzid = params["tzid"];
  if (typeof tzid !== "string") return { kind: "floating", civil, frame: utcFrame };
  return { kind: "zoned", civil, frame: frameNamed(line, zones, tzid) };
}

function frameNamed(line: Line, zones: ZonesOfText, tzid: string): Frame {
  let frame: Frame | undefined;
  try {
    frame = zones.named(tzid);
  } catch {
    throw new Unreadable(line, `the VTIMEZONE of ${JSON.stringify(tzid)} can't be read`);
  }
  if (frame !== undefined) return frame;
  throw new Unreadable(
    line,
    `no time zone is called ${JSON.stringify(tzid)}, and the text has no VTIMEZONE of that name`,
  );
}

/** What the clock of `start` shows at another moment, so that the two can be compared. */
export function civilLike(start: Moment, other: Moment): number {
  const isSameClock = start.kind !== "zoned" || other.kind !== "zoned" || start.frame === other.frame;
  return isSameClock ? other.civil : start.frame.toCivil(other.frame.toInstant(other.civil));
}

/** A duration such as P1DT2H: whole days, which are nominal, and seconds, which are exact. */
export function readDuration(line: Line, text: string): { days: number; seconds: number } {
  let duration: ICAL.Duration;
  try {
    duration = ICAL.Duration.fromString(text);
  } catch {
    throw new Unreadable(line, `${JSON.stringify(text)} is not a duration`);
  }
  const { weeks, days, hours, minutes, seconds, isNegative } = duration;
  if (isNegative) throw new Unreadable(line, "a duration of an event isn't negative");
  return { days: weeks * 7 + days, seconds: hours * 3_600 + minutes * 60 + seconds };
}
