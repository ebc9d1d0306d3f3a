/** When an event recurs: its RRULE, read, checked, and expanded on the clock of the event's zone up to a horizon. */
import { daySeconds } from "../../core/time/calendar.ts";
import type { Line } from "./lines.ts";
import { datesOf, type RuleParts } from "./rule.ts";
import { civilLike, momentOf, readProperty, Unreadable, type Moment } from "./values.ts";
import type { ZonesOfText } from "./zones.ts";

/** The most dates of all rules of one text. A day off every week for a century has 5,218. */
const datesMax = 50_000;
/** The most days that are looked at: a second's work. A thousand birthdays take 1,500,000. */
const visitsMax = 5_000_000;

export interface Steps {
  dates: number;
  visits: number;
}

export function allSteps(): Steps {
  return { dates: datesMax, visits: visitsMax };
}

/**
 * The civil seconds at which the event begins by its rule, its own beginning included, up to the horizon (a civil second). `isCut`:
 * it goes on behind the horizon.
 */
export function expand(
  line: Line,
  start: Moment,
  zones: ZonesOfText,
  horizon: number,
  steps: Steps,
): { begins: number[]; isCut: boolean } {
  const { rule, until: ends } = readRule(line, start);
  const until = ends === undefined ? Infinity : untilOf(line, start, zones, ends);
  const visit = (): void => {
    if (--steps.visits < 0)
      throw new Unreadable(
        line,
        "the rules of the text take too long to expand: give them an UNTIL or a larger INTERVAL",
      );
  };
  const begins = [start.civil];
  let found = 0;
  for (const civil of datesOf(rule, start.civil, Math.min(until, horizon), visit)) {
    if (--steps.dates < 0)
      throw new Unreadable(line, `the rules of the text give more than ${datesMax} dates`);
    found++;
    if (civil !== start.civil) begins.push(civil);
  }
  return { begins, isCut: until > horizon && found < rule.count };
}

const frequencies = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"] as const;
const knownParts = new Set(
  [
    ["FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST", "BYSETPOS"],
    ["BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"],
  ].flat(),
);
/** The most times of day of one event. Every five minutes there are 288. */
const timesMax = 288;
const weekdayNames = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

function readRule(line: Line, start: Moment): { rule: RuleParts; until: string | undefined } {
  const parts = partsOf(line);
  const wrong = (name: string): Unreadable =>
    new Unreadable(line, `RRULE: ${name}=${parts.get(name) ?? ""} is not supported`);
  const frequency = frequencies.find((one) => one === parts.get("FREQ"));
  if (frequency === undefined) {
    const message = `RRULE: FREQ=${parts.get("FREQ") ?? ""} is not supported: events recur ${frequencies.join(", ")}; leave out more frequent ticks with a cron expression in except`;
    throw new Unreadable(line, message);
  }
  const numbers = (name: string, most: number, isSigned: boolean): number[] => {
    const list =
      parts
        .get(name)
        ?.split(",")
        .map((text) => (/^[+-]?\d{1,4}$/.test(text) ? Number(text) : Number.NaN)) ?? [];
    const least = isSigned ? -most : name === "BYMONTH" ? 1 : 0;
    const isRight = list.every((one) => one >= least && one <= most && !(isSigned && one === 0));
    if (!isRight || list.length > 400) throw wrong(name);
    return list;
  };
  const onlyIn = (name: string, ...allowed: (typeof frequencies)[number][]): void => {
    if (parts.has(name) && !allowed.includes(frequency)) throw wrong(`FREQ=${frequency};${name}`);
  };
  onlyIn("BYWEEKNO", "YEARLY");
  onlyIn("BYYEARDAY", "YEARLY");
  onlyIn("BYMONTHDAY", "YEARLY", "MONTHLY", "DAILY");
  const weekdays = (parts.get("BYDAY")?.split(",") ?? []).map((text) => {
    const [, nth = "", name = ""] = /^([+-]?\d{1,2})?([A-Z]{2})$/.exec(text) ?? [];
    const weekday = weekdayNames.indexOf(name);
    const mayCount = (frequency === "YEARLY" && !parts.has("BYWEEKNO")) || frequency === "MONTHLY";
    if (weekday < 0 || (nth !== "" && (Number(nth) === 0 || !mayCount))) throw wrong("BYDAY");
    return { weekday, nth: Number(nth) };
  });
  const weekStart = weekdayNames.indexOf(parts.get("WKST") ?? "MO");
  if (weekStart < 0) throw wrong("WKST");
  const [interval, count] = [
    numberOf(line, parts, "INTERVAL") ?? 1,
    numberOf(line, parts, "COUNT") ?? Infinity,
  ];
  return {
    until: parts.has("UNTIL") ? untilText(line) : undefined,
    rule: {
      frequency,
      interval,
      count,
      weekStart,
      weekdays,
      months: numbers("BYMONTH", 12, false),
      monthDays: numbers("BYMONTHDAY", 31, true),
      yearDays: numbers("BYYEARDAY", 366, true),
      weeks: numbers("BYWEEKNO", 53, true),
      positions: numbers("BYSETPOS", 366, true),
      times: timesOf(
        line,
        start,
        numbers("BYHOUR", 23, false),
        numbers("BYMINUTE", 59, false),
        numbers("BYSECOND", 59, false),
      ),
    },
  };
}

/** In upper case. What isn't known is refused: it may change which days are meant. */
function partsOf(line: Line): Map<string, string> {
  const parts = new Map<string, string>();
  const text = line.text.slice(line.text.indexOf(":") + 1).trim();
  for (const part of text.split(";").filter((one) => one !== "")) {
    const [name = "", value = "", ...more] = part.toUpperCase().split("=");
    if (!knownParts.has(name) || value === "" || more.length > 0 || parts.has(name))
      throw new Unreadable(line, `RRULE: ${JSON.stringify(part)} is not supported`);
    parts.set(name, value);
  }
  return parts;
}

function numberOf(line: Line, parts: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = parts.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text) || Number(text) === 0)
    throw new Unreadable(line, `RRULE: ${name}=${text} is not supported: write a number from 1 to 999999`);
  return Number(text);
}

/** Seconds of the day, ascending; those that the rule leaves out are those of the beginning. */
function timesOf(
  line: Line,
  { kind, civil }: Moment,
  hours: number[],
  minutes: number[],
  seconds: number[],
): number[] {
  const time = civil - Math.floor(civil / daySeconds) * daySeconds;
  if (kind === "date") return [0];
  const [ofHour, ofMinute, ofSecond] = [
    hours.length > 0 ? hours : [Math.floor(time / 3_600)],
    minutes.length > 0 ? minutes : [Math.floor(time / 60) % 60],
    seconds.length > 0 ? seconds : [time % 60],
  ];
  const all = ofHour.flatMap((hour) =>
    ofMinute.flatMap((minute) => ofSecond.map((second) => hour * 3_600 + minute * 60 + second)),
  );
  if (all.length > timesMax)
    throw new Unreadable(
      line,
      `RRULE: ${all.length} times a day are not supported: use a cron expression in except`,
    );
  return [...new Set(all)].toSorted((a, b) => a - b);
}

function untilText(line: Line): string {
  const rule = readProperty(line).values[0];
  const until = typeof rule === "object" && rule !== null && "until" in rule ? rule.until : undefined;
  return String(until);
}

/** As the clock of the event shows it. A mere date counts to its end. */
function untilOf(line: Line, start: Moment, zones: ZonesOfText, text: string): number {
  const type = text.includes("T") ? "date-time" : "date";
  const moment = momentOf(line, zones, {}, type, text);
  if (moment.kind === "date") return moment.civil + (start.kind === "date" ? 0 : daySeconds - 1);
  // An event on whole days that ends at a time: its last day is the one of that time.
  return start.kind === "date"
    ? Math.floor(moment.civil / daySeconds) * daySeconds
    : civilLike(start, moment);
}
