/**
 * The text of a cron expression, split into its fields and their list items, each with its position.
 *
 * Only the form is checked here, so that every problem has a position; in schedule.ts cron-parser reads the values that an
 * item stands for. Items that depend on the month (`L`, `15W`, `fri#3`, `5L`) are read here, because cron-parser knows only
 * some of them and accepts none of them in a list.
 */
import { nearest } from "../../schema/nearest.ts";
import type { Refusal } from "./shorthand.ts";

export type FieldName = "second" | "minute" | "hour" | "dayOfMonth" | "month" | "dayOfWeek";

interface FieldRule {
  name: FieldName;
  title: string;
  min: number;
  max: number;
  names: readonly string[];
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] as const;
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

const fieldRules: readonly FieldRule[] = [
  { name: "second", title: "second", min: 0, max: 59, names: [] },
  { name: "minute", title: "minute", min: 0, max: 59, names: [] },
  { name: "hour", title: "hour", min: 0, max: 23, names: [] },
  { name: "dayOfMonth", title: "day-of-month", min: 1, max: 31, names: [] },
  { name: "month", title: "month", min: 1, max: 12, names: months },
  { name: "dayOfWeek", title: "day-of-week", min: 0, max: 7, names: weekdays },
];

/** One item of a field's list. `position` counts characters of the expression from 1. */
export type Item = { position: number } & (
  | { kind: "values"; text: string }
  /** depends on the job's id */
  | { kind: "hashed"; text: string }
  /** `L`, `L-3`: this many days before the month's last */
  | { kind: "last-day"; before: number }
  /** `15W`: the weekday (Monday to Friday) nearest to that day, within the month */
  | { kind: "nearest-weekday"; day: number }
  /** `LW` */
  | { kind: "last-weekday" }
  /** `fri#3` */
  | { kind: "nth-of-month"; weekday: number; nth: number }
  /** `5L`, `friL` */
  | { kind: "last-of-month"; weekday: number }
);

export interface Field {
  name: FieldName;
  title: string;
  text: string;
  position: number;
  /** for Vixie's star rules: begins with a star or `?`, or is `H/N`, which is a star with a step at a hashed offset */
  star: boolean;
  items: readonly Item[];
}

export type CronFields = Readonly<Record<FieldName, Field>>;

/** Reads 5 fields, or 6 with seconds first. */
export function readCronFields(expression: string): { fields: CronFields } | { problem: Refusal } {
  const words = [...expression.matchAll(/\S+/g)].map((match) => ({
    text: match[0],
    position: match.index + 1,
  }));
  const countProblem = fieldCountProblem(expression, words);
  if (countProblem !== undefined) return { problem: countProblem };
  if (words.length === 5) words.unshift({ text: "0", position: 1 });
  const fields: Partial<Record<FieldName, Field>> = {};
  for (const [index, rule] of fieldRules.entries()) {
    const word = words[index] ?? { text: "*", position: 1 };
    const field = readField(rule, word.text, word.position);
    if ("problem" in field) return field;
    fields[rule.name] = field;
  }
  // The object is complete: the loop above has gone through every rule, and each field has one.
  return { fields: fields as CronFields };
}

function fieldCountProblem(
  expression: string,
  words: readonly { text: string; position: number }[],
): Refusal | undefined {
  const order = "minute hour day-of-month month day-of-week";
  const first = words[0];
  if (first === undefined)
    return { position: 1, message: `the schedule is empty: write 5 fields (${order}), or @daily` };
  if (/^(CRON_)?TZ=/.test(first.text)) {
    return {
      position: 1,
      message: `the time zone is not part of the expression: give it in the field "timezone"`,
    };
  }
  if (words.length < 5) {
    const count = `${words.length} field${words.length === 1 ? "" : "s"}`;
    return {
      position: expression.trimEnd().length + 1,
      message: `too few fields: ${count}, but a schedule has 5 (${order}) or 6 (second first)`,
    };
  }
  const seventh = words[6];
  if (seventh === undefined) return undefined;
  return {
    position: seventh.position,
    message: `too many fields: ${words.length}, but a schedule has 5 (${order}) or 6 (second first); there is no year field`,
  };
}

function readField(rule: FieldRule, text: string, position: number): Field | { problem: Refusal } {
  const items: Item[] = [];
  let at = position;
  for (const part of text.split(",")) {
    const item = readItem(rule, part, at);
    if ("problem" in item) return item;
    items.push(item);
    at += part.length + 1;
  }
  const star = /^([*?]|H\/)/.test(text);
  return { name: rule.name, title: rule.title, text, position, star, items };
}

function readItem(rule: FieldRule, text: string, position: number): Item | { problem: Refusal } {
  const refuse = (why: string) => ({
    problem: { position, message: `${JSON.stringify(text)} in the ${rule.title} field: ${why}` },
  });
  if (text === "")
    return { problem: { position, message: `an empty item in the ${rule.title} field: remove a comma` } };
  const special = readSpecialItem(rule, text, position, refuse);
  if (special !== undefined) return special;
  const match = /^(?:([*?])|(H)(?:\((\d+)-(\d+)\))?|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d+))?$/i.exec(text);
  if (match === null) return refuse("write *, a value, a range a-b, a step */n or a-b/n, or H");
  const [, star, hash, hashFrom, hashTo, from, to, step] = match;
  if (star === "?" && (step !== undefined || !rule.name.startsWith("day"))) {
    return refuse("? is only allowed in a day field, without a step, and means any day");
  }
  if (step !== undefined && Number(step) === 0) return refuse("a step of 0 never moves on");
  if (hash !== undefined) {
    if (hash !== "H") return refuse("the hash is a capital H");
    const least = Number(hashFrom ?? rule.min);
    const most = Number(hashTo ?? rule.max);
    if (least < rule.min || most > rule.max || least > most)
      return refuse(`H chooses within ${rule.min}-${rule.max}`);
    return { position, kind: "hashed", text };
  }
  if (from === undefined) return { position, kind: "values", text: text.replace("?", "*") };
  const first = valueOf(rule, from);
  if (typeof first === "string") return refuse(first);
  const end = to === undefined ? undefined : valueOf(rule, to);
  if (typeof end === "string") return refuse(end);
  // As in cronie: at the end of a range Sunday is day 7 (fri-sun, 5-0), unless the range begins with Sunday (0-sun, sun-sun).
  const last = rule.name === "dayOfWeek" && end === 0 && first > 0 ? 7 : end;
  if (last !== undefined && last < first) return refuse("the range runs backwards");
  return {
    position,
    kind: "values",
    text: `${first}${last === undefined ? "" : `-${last}`}${step === undefined ? "" : `/${step}`}`,
  };
}

/** The value of a number or a name in this field; a string says why it is invalid. */
function valueOf(rule: FieldRule, text: string): number | string {
  if (/^\d+$/.test(text)) {
    const value = Number(text);
    return value >= rule.min && value <= rule.max
      ? value
      : `${rule.title} runs from ${rule.min} to ${rule.max}`;
  }
  const index = rule.names.indexOf(text.toLowerCase());
  if (index >= 0) return index + rule.min;
  if (rule.names.length === 0) return `${rule.title} runs from ${rule.min} to ${rule.max}`;
  const meant = rule.names.find((name) => text.toLowerCase().startsWith(name)) ?? nearest(text, rule.names);
  if (meant !== undefined) return `did you mean ${meant}?`;
  return `${rule.title} runs from ${rule.min} to ${rule.max}, or by name ${rule.names.join(" ")}`;
}

function readSpecialItem(
  rule: FieldRule,
  text: string,
  position: number,
  refuse: (why: string) => { problem: Refusal },
): Item | { problem: Refusal } | undefined {
  if (rule.name === "dayOfMonth") {
    const last = /^L(?:-(\d{1,2}))?$/.exec(text);
    if (last !== null) {
      const before = Number(last[1] ?? 0);
      return before <= 30 ? { position, kind: "last-day", before } : refuse("no month has so many days");
    }
    if (text === "LW") return { position, kind: "last-weekday" };
    const near = /^(\d{1,2})W$/.exec(text);
    if (near !== null) {
      const day = Number(near[1]);
      return day >= 1 && day <= 31
        ? { position, kind: "nearest-weekday", day }
        : refuse("day-of-month runs from 1 to 31");
    }
    if (/W/.test(text)) return refuse("W follows one day, as in 15W, or L, as in LW");
  }
  if (rule.name === "dayOfWeek") {
    if (text === "L")
      return refuse("L needs a weekday before it, as in 5L or friL for the month's last Friday");
    const match = /^([a-z]{3}|\d)(?:#(\d+)|L)$/i.exec(text);
    if (match !== null) {
      const weekday = valueOf(rule, match[1] ?? "");
      if (typeof weekday === "string") return refuse(weekday);
      if (match[2] === undefined) return { position, kind: "last-of-month", weekday: weekday % 7 };
      const nth = Number(match[2]);
      if (nth < 1 || nth > 5) return refuse("a weekday comes 1 to 5 times a month");
      return { position, kind: "nth-of-month", weekday: weekday % 7, nth };
    }
    if (/#/.test(text)) return refuse("# follows one weekday, as in fri#3 for the month's third Friday");
  }
  if (/[#W]|^L/.test(text) && !rule.name.startsWith("day"))
    return refuse("L, W and # belong in the day fields");
  return undefined;
}
