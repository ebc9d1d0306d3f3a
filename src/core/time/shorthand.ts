/**
 * Schedules that aren't cron fields: `@daily` and the like, `@every 90s`, `rate(5 minutes)`, `@at INSTANT`.
 */
import { didYouMean } from "../../schema/nearest.ts";
import { instantHint, lastSecond, parseInstant } from "./calendar.ts";
import { durationHint, parseDuration } from "./units.ts";

/** Due at every multiple of the period since the epoch, so that no restart or other edit shifts it. */
export interface Period {
  kind: "every";
  periodSeconds: number;
}

/** Due once; seconds since the epoch. */
export interface Moment {
  kind: "at";
  second: number;
}

/** Why an expression was refused. */
export interface Refusal {
  /** the character of the expression, counted from 1 */
  position?: number;
  message: string;
}

type Short = Period | Moment | Refusal | { cron: string };

const macros: ReadonlyMap<string, string> = new Map([
  ["@yearly", "0 0 1 1 *"],
  ["@annually", "0 0 1 1 *"],
  ["@monthly", "0 0 1 * *"],
  ["@weekly", "0 0 * * 0"],
  ["@daily", "0 0 * * *"],
  ["@midnight", "0 0 * * *"],
  ["@hourly", "0 * * * *"],
  ["@minutely", "* * * * *"],
]);
const macroNames = [...macros.keys(), "@every", "@at"];

/** Undefined when the text is none of these, so that it must be a cron expression. */
export function readShorthand(expression: string): Short | undefined {
  if (expression.startsWith("@")) return readMacro(expression);
  if (/^rate\b/i.test(expression)) return readRate(expression);
  const meant = meantBy(expression.trim().toLowerCase());
  if (meant === undefined) return undefined;
  return { position: 1, message: `${JSON.stringify(expression)} is not a schedule: did you mean ${meant}?` };
}

/** For hints: the expression for a schedule in everyday words; undefined when the words aren't known. */
function meantBy(words: string): string | undefined {
  if (macros.has(`@${words}`)) return `"@${words}"`;
  if (/^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}\S*$/.test(words)) return `"@at ${words.toUpperCase()}"`;
  const [, fields] = /^cron\(((?:\S+ ){4}\S+)(?: \S+)?\)$/.exec(words) ?? [];
  if (fields !== undefined) return `"${fields}"`;
  // Also the form of ISO 8601, such as PT5M.
  const [, every, counted, unit] =
    /^(every\s+|pt)?(\d{1,6})?\s*(s|sec|second|m|min|minute|h|hour|d|day|w|week)s?$/.exec(words) ?? [];
  if (unit === undefined || (every === undefined && counted === undefined)) return undefined;
  const number = counted ?? "1";
  const letter = unit.charAt(0);
  return `"@every ${number}${letter}" or "rate(${number} ${unitNames[letter]}${number === "1" ? "" : "s"})"`;
}

const unitNames: Readonly<Record<string, string>> = {
  s: "second",
  m: "minute",
  h: "hour",
  d: "day",
  w: "week",
};

function readMacro(expression: string): Short {
  const [name = "", ...rest] = expression.split(/\s+/);
  const argument = rest.join(" ");
  if (name === "@every") return readEvery(argument);
  if (name === "@at") return readAt(argument);
  if (name === "@reboot") {
    return {
      position: 1,
      message:
        "@reboot depends on one host's start, but a job here belongs to no host: use a systemd unit on that host (WantedBy=multi-user.target)",
    };
  }
  const cron = macros.get(name.toLowerCase());
  if (cron === undefined) {
    const [, period = ""] = /^@every(\d.*)$/.exec(expression) ?? [];
    const meant = meantBy(`every ${period}`);
    if (meant !== undefined)
      return { position: 1, message: `${JSON.stringify(name)} is not known: did you mean ${meant}?` };
    return { position: 1, message: `${JSON.stringify(name)} is not known${didYouMean(name, macroNames)}` };
  }
  if (argument !== "") return { position: name.length + 2, message: `nothing may follow ${name}` };
  return { cron };
}

function readEvery(argument: string): Short {
  const position = "@every ".length + 1;
  const periodMs = parseDuration(argument);
  if (periodMs === undefined) {
    const meant = meantBy(`every ${argument.toLowerCase()}`);
    const hint = meant === undefined ? durationHint : `did you mean ${meant}?`;
    return { position, message: `not a duration: ${hint}` };
  }
  if (periodMs < 1_000) return { position, message: "the shortest period is 1s" };
  if (periodMs % 1_000 !== 0) return { position, message: "a period is a whole number of seconds" };
  return { kind: "every", periodSeconds: periodMs / 1_000 };
}

function readRate(expression: string): Short {
  const match = /^rate\(\s*(\d{1,9})\s+(second|minute|hour|day|week)s?\s*\)$/i.exec(expression);
  const unit = match?.[2]?.toLowerCase().charAt(0);
  const periodMs = unit === undefined ? undefined : parseDuration(`${match?.[1]}${unit}`);
  if (periodMs === undefined || periodMs === 0) {
    return { position: 1, message: "write rate(5 minutes), with seconds, minutes, hours, days or weeks" };
  }
  return { kind: "every", periodSeconds: periodMs / 1_000 };
}

function readAt(argument: string): Short {
  const position = "@at ".length + 1;
  const instant = parseInstant(argument);
  if (instant === undefined) return { position, message: `not an instant: ${instantHint}` };
  if (instant % 1_000 !== 0) return { position, message: "an instant is a whole second" };
  if (instant < 0 || instant > lastSecond * 1_000)
    return { position, message: "an instant must be between 1970 and 9999" };
  return { kind: "at", second: instant / 1_000 };
}
