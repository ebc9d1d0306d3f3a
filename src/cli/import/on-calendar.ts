/** OnCalendar= of a systemd timer as a schedule (systemd.time(7), "Calendar events"), or why it can't be said. */
import { zoneProblem } from "../../core/time/zone.ts";
import { timesOf, type Times } from "./days.ts";

const shorthands: Readonly<Record<string, string>> = {
  minutely: "* * * * *",
  hourly: "0 * * * *",
  daily: "0 0 * * *",
  monthly: "0 0 1 * *",
  weekly: "0 0 * * 1",
  yearly: "0 0 1 1 *",
  annually: "0 0 1 1 *",
  quarterly: "0 0 1 1,4,7,10 *",
  semiannually: "0 0 1 1,7 *",
};

const weekdayNames = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;

export type CalendarTimes = Times & { zone?: string };

export function readOnCalendar(text: string): CalendarTimes | { reason: string } {
  const words = text.trim().split(/\s+/);
  const last = words.at(-1) ?? "";
  const zone = isZone(last) ? words.pop() : undefined;
  if (zone !== undefined) {
    const problem = zoneProblem(zone);
    if (problem !== undefined) return { reason: problem };
  }
  const inZone = zone === undefined ? {} : { zone };
  const short = shorthands[words[0]?.toLowerCase() ?? ""];
  if (words.length === 1 && short !== undefined) return { schedule: short, ...inZone };
  const weekdayWord = /^[a-z]/i.test(words[0] ?? "") ? words.shift() : undefined;
  const dateWord = /[-~]/.test(words[0] ?? "") ? words.shift() : undefined;
  const timeWord = /:/.test(words[0] ?? "") ? words.shift() : undefined;
  const [unread] = words;
  if (unread !== undefined || (weekdayWord ?? dateWord ?? timeWord) === undefined)
    return { reason: `${JSON.stringify(unread ?? text)} is not understood` };
  const weekdays = weekdayWord === undefined ? [] : readWeekdays(weekdayWord);
  const date = readDate(dateWord ?? "*-*");
  const time = readTime(timeWord ?? "0:0:0");
  for (const part of [weekdays, date, time]) if ("reason" in part) return part;
  if ("reason" in weekdays || "reason" in date || "reason" in time) return { reason: "it is not understood" };
  return { ...timesOf({ ...time, ...date, weekdays }), ...inZone };
}

function isZone(word: string): boolean {
  if (/[*:~.,]/.test(word) || /^\d/.test(word)) return false;
  if (word === "UTC" || /^[A-Za-z]+\//.test(word)) return true;
  return (
    /^[A-Z]/.test(word) &&
    shorthands[word.toLowerCase()] === undefined &&
    weekdayOf(word) === undefined &&
    !/-/.test(word)
  );
}

function weekdayOf(word: string): number | undefined {
  const lower = word.toLowerCase();
  const index = weekdayNames.findIndex((name) => name === lower || name.slice(0, 3) === lower);
  return index < 0 ? undefined : index;
}

function readWeekdays(word: string): number[] | { reason: string } {
  const found: number[] = [];
  for (const item of word.split(",").filter((part) => part !== "")) {
    const [from = "", to] = item.split(/\.\.|-/);
    const [first, last] = [weekdayOf(from), weekdayOf(to ?? from)];
    if (first === undefined || last === undefined)
      return { reason: `${JSON.stringify(item)} is not a weekday` };
    // Its week begins on Monday.
    const [begin, end] = [(first + 6) % 7, (last + 6) % 7];
    if (begin > end) return { reason: `the weekdays ${item} run backwards` };
    for (let day = begin; day <= end; day++) found.push((day + 1) % 7);
  }
  return found;
}

function readDate(word: string): { day: string; month: string } | { reason: string } {
  const [, year, monthText = "", sign, dayText = ""] =
    /^(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)$/.exec(word) ?? [];
  if (sign === undefined) return { reason: `the date ${word} is not understood` };
  if (year !== undefined && year !== "*") {
    return {
      reason: `it is limited to the year ${year}, and a schedule repeats each year. For one instant, write @at 2026-12-24T18:00:00Z`,
    };
  }
  const month = readField(monthText, 1, 12);
  if (typeof month !== "string") return month;
  if (sign === "-") {
    const day = readField(dayText, 1, 31);
    return typeof day === "string" ? { day, month } : day;
  }
  if (!/^\d+$/.test(dayText))
    return { reason: `days counted from the month's end can only be given one by one` };
  const before = Number(dayText) - 1;
  return { day: before === 0 ? "L" : `L-${before}`, month };
}

function readTime(word: string): { hour: string; minute: string; second: string } | { reason: string } {
  const [hourText = "", minuteText = "", secondText = "0", ...more] = word.split(":");
  const hour = readField(hourText, 0, 23);
  const minute = readField(minuteText, 0, 59);
  const second = readField(secondText.replace(/\.0+$/, ""), 0, 59);
  for (const field of [hour, minute, second]) if (typeof field !== "string") return field;
  if (more.length > 0 || typeof hour !== "string" || typeof minute !== "string" || typeof second !== "string")
    return { reason: `the time ${word} is not understood` };
  return { hour, minute, second };
}

/** `*`, or a list of values, ranges `a..b` and repetitions `a/n`. */
function readField(text: string, min: number, max: number): string | { reason: string } {
  if (text === "*") return "*";
  const items: string[] = [];
  for (const item of text.split(",")) {
    const [, from, to, step] = /^(\d+)(?:\.\.(\d+))?(?:\/(\d+))?$/.exec(item) ?? [];
    if (from === undefined) return { reason: `${JSON.stringify(item)} in ${text} is not understood` };
    const [first, last] = [Number(from), to === undefined ? undefined : Number(to)];
    if (first < min || (last ?? first) > max) return { reason: `${item} is not within ${min} to ${max}` };
    if (step === undefined) items.push(last === undefined ? `${first}` : `${first}-${last}`);
    else if (first === min && last === undefined) items.push(`*/${Number(step)}`);
    else items.push(`${first}-${last ?? max}/${Number(step)}`);
  }
  return items.join(",");
}
