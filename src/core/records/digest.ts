/**
 * What the digest of a day says: which jobs had trouble, and how much ran. A pure rule over the day's records.
 *
 * An attempt that is followed by another one is no trouble: the tick's last attempt is its outcome.
 */
import type { JobId } from "../../schema/ids.ts";
import type { DigestState } from "../../schema/digest.ts";
import type { RunRecord, RunState } from "../../schema/run.ts";
import { formatCivil } from "../time/calendar.ts";
import { instantOfCivil } from "../time/days.ts";
import type { Zone } from "../time/zone.ts";

/** The states of records that are trouble. */
export const troubleStates = ["failed", "timeout", "lost", "missed"] as const satisfies readonly RunState[];
type TroubleState = (typeof troubleStates)[number];

/** Of a record in `troubleStates`: whether the tick ended so. */
export function isTrouble({ retryAt }: RunRecord): boolean {
  return retryAt === undefined;
}

/** So many jobs are named; a digest fits into one message of every service. */
const namedMax = 12;
const daySeconds = 86_400;

export interface Day {
  /** ms; from in, to out */
  from: number;
  to: number;
  /** where `to` lies on the zone's clock, such as 2026-11-29 08:00 */
  shown: string;
}

/** The last whole day before `now` (ms) that ends at this time of day (`HH:MM`) in the zone. */
export function lastDay(zone: Zone, at: string, now: number): Day {
  const [hours = 0, minutes = 0] = at.split(":").map(Number);
  const nowSecond = Math.floor(now / 1_000);
  const today = Math.floor((nowSecond + zone.stretchAt(nowSecond).offset) / daySeconds);
  const civilOf = (day: number) => day * daySeconds + hours * 3_600 + minutes * 60;
  // On the day of a change, today's may still lie ahead by the old offset, and tomorrow's may not.
  const days = [today + 1, today, today - 1, today - 2];
  const end = days.find((day) => instantOfCivil(zone, civilOf(day)) <= nowSecond) ?? today - 2;
  return {
    from: instantOfCivil(zone, civilOf(end - 1)) * 1_000,
    to: instantOfCivil(zone, civilOf(end)) * 1_000,
    shown: formatCivil(civilOf(end)).slice(0, 16).replace("T", " "),
  };
}

export interface DayFacts {
  day: Day;
  zone: string;
  /** how many jobs there are now */
  jobs: number;
  /** how many records of the day's ticks have succeeded */
  succeeded: number;
  /** more have succeeded than were counted */
  moreSucceeded: boolean;
  /** the records of the day's ticks in `troubleStates`, newest first */
  troubles: readonly RunRecord[];
  /** there are more troubles than these */
  isCut: boolean;
  /** jobs with a tick of the day, or an earlier one, that nobody has begun or decided */
  undecided: readonly JobId[];
  nameOf: (peer: RunRecord["peer"]) => string;
}

/** At most a few hundred characters, whatever the names of jobs: one sentence for each thing to say. */
export function digestOf(facts: DayFacts): { state: DigestState; text: string } {
  const { day, zone, jobs, succeeded, moreSucceeded, troubles, isCut, undecided } = facts;
  const period = `in the day until ${day.shown} (${zone})`;
  const ran = `${moreSucceeded ? "at least " : ""}${succeeded} ${succeeded === 1 ? "run" : "runs"} succeeded`;
  const byJob = outcomesByJob(troubles);
  if (byJob.size === 0 && undecided.length === 0 && !isCut) {
    const text = `${counted(jobs, "job")}: ${ran} ${period}, and nothing failed, was missed or lost`;
    return { state: "ok", text };
  }
  const said = [...byJob].slice(0, namedMax).map(([job, records]) => sentenceOf(job, records, facts.nameOf));
  const more = byJob.size - said.length;
  if (more > 0) said.push(`and ${counted(more, "more job")}`);
  const waiting = undecided.slice(0, namedMax).join(", ") + (undecided.length > namedMax ? ", …" : "");
  const parts = [
    byJob.size === 0 && isCut
      ? `so many attempts failed and were repeated ${period} that not all were looked at`
      : undefined,
    byJob.size === 0
      ? undefined
      : `${isCut ? "at least " : ""}${byJob.size} of ${counted(jobs, "job")} had trouble ${period}: ${said.join("; ")}`,
    undecided.length === 0 ? undefined : `ticks that are due and have not begun: ${waiting}`,
    byJob.size === 0 && !isCut ? `${ran} ${period}` : `${ran} in that time`,
  ];
  return { state: "trouble", text: parts.filter((part) => part !== undefined).join(". ") };
}

function outcomesByJob(troubles: readonly RunRecord[]): Map<JobId, RunRecord[]> {
  const byJob = new Map<JobId, RunRecord[]>();
  for (const record of troubles) {
    if (!isTrouble(record)) continue;
    byJob.set(record.job, [...(byJob.get(record.job) ?? []), record]);
  }
  return byJob;
}

/** `backup-db failed 2 times, last at 2026-11-29T03:00:00Z on vm1 (exit code 1); missed 3 ticks`. */
function sentenceOf(job: JobId, records: readonly RunRecord[], nameOf: DayFacts["nameOf"]): string {
  const [last] = records;
  const counts = troubleStates.flatMap((state) => {
    const number = records
      .filter((record) => record.state === state)
      .reduce((sum, { range }) => sum + (range?.count ?? 1), 0);
    return number === 0 ? [] : `${verbs[state]} ${number === 1 ? "once" : `${number} times`}`;
  });
  if (last === undefined) return job;
  const how = last.exitCode === undefined ? last.reason : `exit code ${last.exitCode}`;
  const on = last.state === "missed" ? "" : ` on ${nameOf(last.peer)}`;
  const why = how === undefined ? "" : ` (${how.slice(0, 80)})`;
  return `${job} ${counts.join(", ")}, last at ${last.tick}${on}${why}`;
}

const verbs: Readonly<Record<TroubleState, string>> = {
  failed: "failed",
  timeout: "ran into its timeout",
  lost: "was lost",
  missed: "was missed",
};

function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
