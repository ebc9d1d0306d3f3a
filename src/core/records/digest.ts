/**
 * What the digest of a day says: which jobs had problems, and how much ran. A pure rule over the day's records.
 *
 * A failed attempt that is followed by another one doesn't count: the tick's last attempt is its outcome.
 */
import type { JobId } from "../../schema/ids.ts";
import type { DigestState } from "../../schema/digest.ts";
import { noticeTextMax } from "../../schema/notice.ts";
import type { RunRecord } from "../../schema/run.ts";
import { wrongStates, type WrongState } from "../../schema/run-states.ts";
import { formatCivil } from "../time/calendar.ts";
import { instantOfCivil } from "../time/days.ts";
import type { Zone } from "../time/zone.ts";

/** Whether the tick ended with this record, which is in one of `wrongStates`. */
export function isOutcome({ retryAt }: RunRecord): boolean {
  return retryAt === undefined;
}

/** The most jobs that are named. More would make the digest longer than a person reads. */
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
  // On a day on which the clocks change, tomorrow's end may have passed already, and yesterday's may not have.
  const days = [today + 1, today, today - 1, today - 2];
  const end = days.find((day) => instantOfCivil(zone, civilOf(day)) <= nowSecond) ?? today - 2;
  return {
    from: instantOfCivil(zone, civilOf(end - 1)) * 1_000,
    to: instantOfCivil(zone, civilOf(end)) * 1_000,
    shown: formatCivil(civilOf(end)).slice(0, 16).replace("T", " "),
  };
}

/** Such as a map by id. */
export interface ExistingJobs {
  readonly size: number;
  has(job: JobId): boolean;
}

export interface DayFacts {
  day: Day;
  zone: string;
  /** the jobs that there are now */
  jobs: ExistingJobs;
  /** how many records of the day's ticks have succeeded */
  succeeded: number;
  /** more have succeeded than were counted */
  moreSucceeded: boolean;
  /** the records of the day's ticks in `wrongStates`, newest first */
  problems: readonly RunRecord[];
  /** there are more problems than these */
  isCut: boolean;
  /** jobs with a tick of the day, or an earlier one, that nobody has begun or decided */
  undecided: readonly JobId[];
  nameOf: (peer: RunRecord["peer"]) => string;
}

/** One sentence for each thing to say. As many jobs are named as fit into a notice with all the rest. */
export function describeDay(facts: DayFacts): { state: DigestState; text: string } {
  const { day, zone, jobs, succeeded, moreSucceeded, problems, isCut, undecided } = facts;
  const period = `in the day until ${day.shown} (${zone})`;
  const byJob = Map.groupBy(problems.filter(isOutcome), ({ job }) => job);
  const ran = `${moreSucceeded ? "at least " : ""}${counted(succeeded, "run")} succeeded`;
  if (byJob.size === 0 && undecided.length === 0 && !isCut) {
    const text = `${counted(jobs.size, "job")}: ${ran} ${period}, and nothing failed, timed out, was missed or was lost`;
    return { state: "ok", text };
  }
  for (let named = namedMax; ; named--) {
    const parts = [
      byJob.size === 0 ? undefined : describeProblems(facts, byJob, period, named),
      byJob.size === 0 && isCut
        ? `so many attempts failed and were repeated ${period} that not all of them were looked at`
        : undefined,
      undecided.length === 0
        ? undefined
        : `jobs with ticks that are due and have not begun: ${listed(undecided, named)}`,
      `${ran} ${byJob.size === 0 && !isCut ? period : "in that time"}`,
    ];
    const text = parts.filter((part) => part !== undefined).join(". ");
    if (text.length <= noticeTextMax || named === 1) return { state: "trouble", text };
  }
}

function describeProblems(
  { jobs, isCut, nameOf }: DayFacts,
  byJob: ReadonlyMap<JobId, readonly RunRecord[]>,
  period: string,
  named: number,
): string {
  const said = [...byJob].slice(0, named).map(([job, records]) => sentenceOf(job, records, nameOf));
  const more = byJob.size - said.length;
  if (more > 0) said.push(`and ${counted(more, "more job")}`);
  return `${isCut ? "at least " : ""}${whoHad(byJob, jobs)} had trouble ${period}: ${said.join("; ")}`;
}

/** `2 of 214 jobs`; jobs that were deleted since are counted apart. */
function whoHad(byJob: ReadonlyMap<JobId, unknown>, jobs: ExistingJobs): string {
  const deleted = [...byJob.keys()].filter((job) => !jobs.has(job)).length;
  const existing = `${byJob.size - deleted} of ${counted(jobs.size, "job")}`;
  if (deleted === 0) return existing;
  const gone = `${counted(deleted, "job")} deleted since`;
  return deleted === byJob.size ? gone : `${existing} and ${gone}`;
}

function listed(jobs: readonly JobId[], named: number): string {
  return jobs.slice(0, named).join(", ") + (jobs.length > named ? ", …" : "");
}

/** `backup-db failed 2 times, was missed once, last at 2026-11-29T03:00:00Z on vm1 (exit code 1)`. */
function sentenceOf(job: JobId, records: readonly RunRecord[], nameOf: DayFacts["nameOf"]): string {
  const [last] = records;
  const counts = wrongStates.flatMap((state) => {
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

const verbs: Readonly<Record<WrongState, string>> = {
  failed: "failed",
  timeout: "timed out",
  lost: "was lost",
  missed: "was missed",
};

function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
