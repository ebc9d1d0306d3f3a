/** Times, durations and states in words. */
import type { JobState, RunState, Tick, WrongJob } from "./live/types.ts";

export type Tone = "good" | "bad" | "busy" | "odd" | "quiet";

export const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const formats = new Map<string, Intl.DateTimeFormat>();
function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    formats.set(key, found);
  }
  return found;
}

const clockOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;
const minuteOptions = { hour: "2-digit", minute: "2-digit" } as const;

/** `14:02:05`, and with its day when that isn't today: `28 Nov 14:02:05`. */
export function instantText(ms: number, nowMs: number, zone = browserZone): string {
  const day = dayText(ms, zone);
  const clock = format(zone, clockOptions).format(ms);
  return day === dayText(nowMs, zone) ? clock : `${day} ${clock}`;
}

/** Without seconds. */
export function minuteText(ms: number, zone = browserZone): string {
  return format(zone, minuteOptions).format(ms);
}

/** `28 Nov`, and with the year when that isn't this one. */
export function dayText(ms: number, zone = browserZone): string {
  const sameYear = new Date(ms).getUTCFullYear() === new Date().getUTCFullYear();
  return format(zone, { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) }).format(
    ms,
  );
}

export function wholeText(ms: number, zone = browserZone): string {
  const text = format(zone, {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    ...clockOptions,
  }).format(ms);
  return `${text} ${zone}`;
}

/** `YYYY-MM-DD` in the zone. */
export function dateKey(ms: number, zone = browserZone): string {
  return format(zone, { year: "numeric", month: "2-digit", day: "2-digit" })
    .formatToParts(ms)
    .filter(({ type }) => type !== "literal")
    .map(({ value }) => value)
    .toReversed()
    .join("-");
}

/** The instant of the last midnight in this browser's zone. */
export function midnight(nowMs: number): number {
  return new Date(nowMs).setHours(0, 0, 0, 0);
}

/** Keeps a number and its unit on one line. */
const space = "\u00a0";

/** `4 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`, on one line. */
export function durationText(ms: number): string {
  const abs = Math.abs(ms);
  if (abs < 1_000) return `${Math.round(abs)}${space}ms`;
  if (abs < 10_000) return `${(abs / 1_000).toFixed(1)}${space}s`;
  const seconds = Math.round(abs / 1_000);
  if (seconds < 60) return `${seconds}${space}s`;
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86_400)
    return pair(Math.floor(seconds / 3_600), "h", Math.floor((seconds % 3_600) / 60), "min");
  return pair(Math.floor(seconds / 86_400), "d", Math.floor((seconds % 86_400) / 3_600), "h");
}

function pair(first: number, unit: string, second: number, lesser: string): string {
  return (second === 0 ? [first, unit] : [first, unit, second, lesser]).join(space);
}

/** One unit only, for countdowns: `12 s`, `3 min`, `5 h`, `2 d`. */
function roughText(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1_000);
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/**
 * `3 min ago`, `in 12 s`. An instant within half a second of now counts as past: the page's clock moves once a second, and what
 * has happened must not seem to be ahead.
 */
export function awayText(ms: number): string {
  return ms >= 500 ? `in ${roughText(ms)}` : `${roughText(ms)} ago`;
}

/** How long runs took. `all`: ms, sorted, at least two */
export function spreadText(all: readonly number[]): string {
  const [least = "", middle = "", most = ""] = [0, all.length >> 1, all.length - 1].map((index) =>
    durationText(all[index] ?? 0),
  );
  if (least === most) return `${all.length} runs, each of them ${least}`;
  return `${all.length} runs, from ${least} to ${most}${middle === most ? "" : `, half of them under ${middle}`}`;
}

export function bytesText(bytes: number): string {
  if (bytes < 1_024) return `${bytes}${space}bytes`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1_024;
    unit++;
  } while (value >= 1_024 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}${space}${units[unit]}`;
}

/** `ada`, `ada and bob`, `ada, bob and cyd`. */
export function listText(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** How many of the jobs can run. */
export function ableText(able: number, jobs: number): string {
  if (jobs === 0) return "no job yet";
  if (jobs === 1) return `the only job ${able === 1 ? "can" : "can't"} run`;
  return able === jobs
    ? `all ${countText(jobs, "job")} can run`
    : `${able} of ${countText(jobs, "job")} can run`;
}

/** The API counts so many of a job's last ticks that went wrong. */
const wrongCounted = 1_000;

/** `failed`, `failed 3 times`, and `failed at least 600 times` where not all ticks were counted. */
export function wrongTexts(counts: WrongJob["counts"]): string[] {
  const all = Object.values(counts).reduce<number>((sum, count = 0) => sum + count, 0);
  return Object.entries(counts).map(([state, count = 0]) => {
    const times = count === 1 ? "once" : `${count.toLocaleString("en")} times`;
    if (all >= wrongCounted) return `${state} at least ${times}`;
    return count === 1 ? state : `${state} ${times}`;
  });
}

export function toneOfJob(state: JobState): Tone {
  switch (state) {
    case "invalid":
    case "blocked":
    case "failing":
      return "bad";
    case "running":
    case "waiting":
      return "busy";
    case "paused":
      return "odd";
    case "scheduled":
    case "manual":
    case "disabled":
    case "ended":
      return "quiet";
  }
}

export function toneOfRun(state: RunState | "pending"): Tone {
  switch (state) {
    case "failed":
    case "timeout":
    case "lost":
    case "missed":
      return "bad";
    case "running":
    case "claimed":
      return "busy";
    case "skipped":
    case "cancelled":
    case "pending":
      return "odd";
    case "succeeded":
      return "good";
    case "withdrawn":
      return "quiet";
  }
}

/** What each state of a job means, for its tooltip. */
export const jobStateWords: Readonly<Record<JobState, string>> = {
  invalid: "This peer can't read it, so it never runs",
  disabled: "It is disabled, and its ticks don't run",
  paused: "It is paused, and its ticks don't run",
  ended: "It has no further tick",
  running: "A run of it is in progress",
  blocked: "No living peer can run it",
  waiting: "A tick of it is due and undecided",
  failing: "Its last tick went wrong",
  scheduled: "It waits for its next tick",
  manual: "It runs only by hand or after other jobs",
};

const reasonWords: Readonly<Record<string, string>> = {
  window: "no peer could run it before its catch-up window closed",
  superseded: "no peer could run it in time, and a newer tick came due",
  limit: "more ticks were overdue than the job catches up",
  policy: "no peer could run it in time, and the job doesn't catch up",
  overlap: "an earlier run of the job had not ended",
  paused: "the job was paused",
  "no-quorum": "too few voters were in reach",
  asked: "a person asked for it to be skipped",
  precheck: "its precheck did not succeed",
  "exit-code": "its exit code means that there was nothing to do",
  stopped: "an earlier run of the same tick failed",
  forgotten: "its peer was forgotten",
  maintenance: "it was due during maintenance",
  disabled: "the job was disabled",
  deleted: "the job was deleted",
  offline: "its peer was away",
};

/** A reason in plain words. Longer ones are sentences already. */
export function reasonText(reason: string): string {
  return reasonWords[reason] ?? reason;
}

const waitWords: Readonly<Record<NonNullable<Tick["waitsFor"]>, string>> = {
  peer: "for a peer that can run it",
  capacity: "for a free place on a peer",
  overlap: "for an earlier run to end",
  voters: "for enough voters",
  answer: "for an answer from another peer",
  start: "for its start",
  retry: "for its next attempt",
  parent: "for the jobs before it",
  pause: "for the pause to end",
  maintenance: "for the maintenance to end",
  pool: "for a slot of its pool",
  calendar: "for its calendar",
  turn: "for its turn among the peers",
};

export function waitText(waitsFor: Tick["waitsFor"]): string {
  return waitsFor === null ? "waiting" : `waits ${waitWords[waitsFor]}`;
}

interface End {
  exitCode: number | null;
  signal?: string | null;
  state?: string;
}

/** How a run ended; empty if nothing is known about it. */
export function exitText({ exitCode, signal, state }: End): string {
  const limit = state === "timeout" ? "timed out" : "";
  const end = signal ? `ended by ${signal}` : exitCode === null ? "" : `exit ${exitCode}`;
  return limit === "" || end === "" ? limit + end : `${limit}, ${end}`;
}

/** The peer of a run: its name, or the end of its id where no name is known. */
export function runnerText({ peerName, peer }: { peerName: string | null; peer: string }): string {
  return peerName ?? peer.slice(-8);
}

interface Target {
  count?: number | "all";
}

/** Where a job's next tick runs, if one of its peers is known. */
export function runnersText(
  { target, inherited }: { target?: Target; inherited: Readonly<Record<string, unknown>> | null },
  first: string,
): string {
  // A field that a job inherits from its group has the same form as its own field.
  const { count = 1 } = target ?? (inherited?.["target"] as Target | undefined) ?? {};
  if (count === "all") return "each peer that may run it";
  return count === 1 ? first : `${first} and up to ${count - 1} more`;
}

/** How long a run took; empty while it hasn't ended, or if it was never started. */
export function tookText({
  startedAt,
  finishedAt,
}: {
  startedAt: string | null;
  finishedAt: string | null;
}): string {
  return startedAt === null || finishedAt === null
    ? ""
    : durationText(Date.parse(finishedAt) - Date.parse(startedAt));
}

/** Why a coming tick will not run. */
export function skipText({ skipped, skippedBy, note }: Skip): string {
  if (skipped === "except") return "left out by the job's except";
  if (skipped === "maintenance") return "skipped for maintenance";
  return `skipped${skippedBy === undefined ? " on request" : ` by ${skippedBy}`}${note === undefined ? "" : `: ${note}`}`;
}

interface Skip {
  skipped: string;
  skippedBy?: string | undefined;
  note?: string | undefined;
}

/** What the job does, in one line. */
export function actionText(job: {
  command?: string;
  argv?: string[];
  http?: { method?: string; url: string };
  script?: { interpreter: string };
}): string {
  if (job.command !== undefined) return job.command;
  if (job.argv !== undefined) return job.argv.join(" ");
  if (job.http !== undefined) return `${job.http.method ?? "GET"} ${job.http.url}`;
  if (job.script !== undefined) return `a script for ${job.script.interpreter}`;
  return "";
}

export function scheduleText(schedule: string | readonly string[] | undefined): string {
  if (schedule === undefined) return "";
  return typeof schedule === "string" ? schedule : schedule.join(" · ");
}

/** The text with a capital at the beginning, unless it begins with one of these names, and a full stop at the end. */
export function sentence(text: string, names: readonly string[] = []): string {
  const isName = names.some((name) => text.startsWith(name) && !/[\w-]/.test(text.charAt(name.length)));
  const first = isName ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}

/** Names what a peer lacks of the things that jobs may need. If it refuses a whole kind, only the exceptions are named. */
export function lacksText(lacks: readonly string[]): string {
  return lacks
    .filter((item) => !item.includes(":+") && !(item.endsWith(":*") && isCounted(item, lacks)))
    .map((item) => lackText(item, lacks))
    .join(", ");
}

function isCounted(item: string, lacks: readonly string[]): boolean {
  return lacks.some((one) => one.startsWith(`unlisted:${item.slice(0, -1)}`));
}

function lackText(item: string, lacks: readonly string[]): string {
  const [kind = "", name = ""] = item.split(/:(.*)/s);
  if (kind === "unlisted") return name.replace(/(.*):(.*)/, "$2 $1s that jobs need");
  if (item === "user:*" || item === "group:*") {
    const exceptions = lacks.filter((one) => one.startsWith(`${kind}:+`));
    const names = exceptions.map((one) => one.slice(kind.length + 2) || "its own").join(" and ");
    return names === ""
      ? `permission for jobs of any ${kind}`
      : `permission for jobs of a ${kind} other than ${names}`;
  }
  if (item === "limits:processes-of-own-user")
    return "limits.processes for jobs without a user (it runs as root)";
  if (kind === "limits") return `limits.${name.replace("-below-0", " below 0")}`;
  if (kind === "open-files") return `enough open files to run jobs (it may have ${name})`;
  if (item === "exec:off") return "permission for any jobs (--exec off)";
  if (kind === "executor") return `permission for ${name} jobs`;
  return kind === "user" || kind === "group" ? `permission for jobs of the ${kind} ${name}` : item;
}
