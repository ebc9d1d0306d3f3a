/**
 * Schedules of the Go library robfig/cron, by which Kubernetes (5 fields) and dkron (6, seconds first) read theirs, as cicada's.
 * It differs from Vixie's cron in three ways: `N/STEP` goes on to the field's end, `?` is `*` anywhere, and `*` with a step
 * doesn't count as a star, so a day field with one takes part in "day of month OR weekday".
 */
import { zoneProblem } from "../../core/time/zone.ts";
import { formatDuration, parseDuration } from "../../core/time/units.ts";

export interface RobfigTimes {
  /** undefined: only by hand */
  schedule?: string;
  zone?: string;
  notes: string[];
}

const fields = [
  { max: 59, min: 0 },
  { max: 59, min: 0 },
  { max: 23, min: 0 },
  { max: 31, min: 1 },
  { max: 12, min: 1 },
  { max: 6, min: 0 },
] as const;

/** `dialect`: dkron also knows `@at`, `@manually`, `@minutely` and `~` for a value that follows from the job's name. */
export function readRobfig(text: string, dialect: "kubernetes" | "dkron"): RobfigTimes | { reason: string } {
  const [, zone, rest = ""] = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/s.exec(text.trim()) ?? [];
  if (zone !== undefined) {
    const problem = zoneProblem(zone);
    if (problem !== undefined) return { reason: problem };
  }
  const read = rest.startsWith("@") ? readDescriptor(rest, dialect) : readFields(rest, dialect);
  return "reason" in read || zone === undefined ? read : { ...read, zone };
}

function readDescriptor(text: string, dialect: "kubernetes" | "dkron"): RobfigTimes | { reason: string } {
  const [name = "", ...rest] = text.split(/\s+/);
  const argument = rest.join(" ");
  if (/^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/.test(text))
    return { schedule: text, notes: [] };
  if (name === "@every") {
    const ms = parseDuration(argument);
    if (ms === undefined || ms < 1_000) return { reason: `${text} is not a period of at least a second` };
    const note = `${text} counts from the scheduler's start there, and here from fixed instants, so no restart shifts it`;
    return { schedule: `@every ${formatDuration(Math.floor(ms / 1_000) * 1_000)}`, notes: [note] };
  }
  if (dialect === "dkron" && text === "@manually") return { notes: [] };
  if (dialect === "dkron" && text === "@minutely") return { schedule: text, notes: [] };
  if (dialect === "dkron" && name === "@at") return { schedule: text, notes: [] };
  return { reason: `the schedule ${JSON.stringify(text)} is not known` };
}

function readFields(text: string, dialect: "kubernetes" | "dkron"): RobfigTimes | { reason: string } {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const wanted = dialect === "kubernetes" ? 5 : 6;
  if (words.length !== wanted)
    return {
      reason: `a schedule has ${wanted} fields there, and ${JSON.stringify(text)} has ${words.length}`,
    };
  const whole = wanted === 5 ? ["0", ...words] : words;
  const [day = "*", weekday = "*"] = [whole[3], whole[5]];
  // Where both day fields say something, a star with a step must not count as a star.
  const both = !isStar(day) && !isStar(weekday);
  const notes: string[] = [];
  if (/~/.test(text))
    notes.push("~ stands for a value that depends on the job's name; here the value is a different one (H)");
  const read = whole.map((word, index) => {
    const { min = 0, max = 59 } = fields[index] ?? {};
    return word
      .split(",")
      .map((item) =>
        itemOf(
          dialect === "dkron" ? item.replace(/^~/, "H") : item,
          min,
          max,
          both && (index === 3 || index === 5),
        ),
      )
      .join(",");
  });
  return { schedule: (read[0] === "0" ? read.slice(1) : read).join(" "), notes };
}

function isStar(field: string): boolean {
  return field.split(",").some((item) => /^[*?](\/1)?$/.test(item));
}

function itemOf(item: string, min: number, max: number, spelled: boolean): string {
  const [, range = item, step] = /^([^/]+)(?:\/(\d+))?$/.exec(item) ?? [];
  if (range === "*" || range === "?") {
    if (step === undefined || step === "1") return "*";
    return spelled ? `${min}-${max}/${step}` : `*/${step}`;
  }
  return step !== undefined && /^\w+$/.test(range) && range !== "H" ? `${range}-${max}/${step}` : item;
}
