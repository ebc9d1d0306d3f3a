/**
 * A job in words: its line in a list, all its fields, the result of a change, its next ticks, and why a tick went as it
 * did.
 */
import { instantOf } from "../../schema/ids.ts";
import { defaultGroup, readOnlyFields, type JobState } from "../../schema/job-vocabulary.ts";
import { listSome } from "../../schema/listed.ts";
import { asInvoked, invocationOf } from "../program.ts";
import type { JobAnswer, NextAnswer, RevisionAnswer, WhyAnswer } from "./answers.ts";
import { fields, table, type Column } from "./table.ts";
import { runState } from "./run-words.ts";
import { paint, plain, type Colour, type Terminal } from "./terminal.ts";
import { local, relative, utc } from "./times.ts";

export function printWhy(
  terminal: Terminal,
  id: string,
  { tick, state = "pending", why = [], ...rest }: WhyAnswer,
): void {
  if (tick === null) terminal.print(`No tick of ${plain(id)} has gone wrong, as far as its history goes.`);
  else {
    const waits = rest.waitsFor ?? null;
    terminal.print(`${paint(terminal, "bold", `${id}@${tick}`)}  ${runState(terminal, state, waits)}`);
  }
  for (const sentence of why) terminal.print(`  ${plain(sentence)}`);
  if (rest.obstacles.length === 0) return;
  terminal.print(paint(terminal, "bold", "Next"));
  for (const sentence of rest.obstacles) terminal.print(`  ${plain(sentence)}`);
}

/** One line for each revision, and one for each field that it changed. */
export function revisionList(terminal: Terminal, revisions: readonly RevisionAnswer[]): void {
  if (revisions.length === 0) return terminal.print("This peer has not seen an edit yet.");
  for (const { revision, at, by, change, fields: changed } of revisions) {
    const what = change ?? "before this peer kept its history";
    const head = `${utc(Date.parse(at))}  ${paint(terminal, "bold", revision)}  ${what}`;
    terminal.print(`${head}${by === null ? "" : ` by ${plain(by)}`}`);
    for (const { pointer, before, after } of changed) {
      terminal.print(`  ${plain(pointer.slice(1))}: ${fieldText(before)} → ${fieldText(after)}`);
    }
  }
}

const longestValue = 120;

function fieldText(value: unknown): string {
  if (value === null) return "none";
  const text = plain(JSON.stringify(value));
  return text.length <= longestValue ? text : `${text.slice(0, longestValue - 1)}…`;
}

const jobColumns: readonly (string | Column)[] = [
  { title: "ID", cut: "front", min: 12, isName: true },
  { title: "SCHEDULE", min: 10, spare: 3 },
  { title: "ZONE", cut: "front", min: 6, spare: 4 },
  "STATE",
  { title: "NEXT TICK (UTC)", spare: 6 },
  { title: "NEXT", spare: 1 },
  { title: "LAST TICK", min: 13, spare: 2 },
  { title: "LAST SUCCESS", spare: 5 },
  { title: "PROBLEM", min: 14 },
  { title: "GROUP", wide: true },
  { title: "OWNER", wide: true },
  { title: "NEXT PEER", wide: true },
  { title: "COMMAND", wide: true },
];

export function jobTable(
  terminal: Terminal,
  jobs: readonly JobAnswer[],
  { isFiltered, wide }: { isFiltered: boolean; wide: boolean },
): void {
  if (jobs.length === 0) {
    const { program } = invocationOf(terminal.env);
    terminal.print(
      isFiltered
        ? "No job matches."
        : `There are no jobs. Create one: ${program} jobs create hello --schedule '@every 1m' --command 'date'`,
    );
    return;
  }
  const now = terminal.now();
  const rows = jobs.map((job) => [
    plain(job.id),
    plain(scheduleText(job)),
    job.schedule === undefined ? "" : plain(zoneOf(job)),
    jobState(terminal, job.state),
    job.nextTick === null ? "-" : utc(Date.parse(job.nextTick)),
    job.nextTick === null ? "" : relative(Date.parse(job.nextTick), now),
    lastTickText(terminal, job.lastTick, now),
    job.lastSuccess === null ? "-" : relative(Date.parse(job.lastSuccess), now),
    problemText(terminal, job),
    plain(job.group ?? defaultGroup),
    plain(job.owner ?? ""),
    plain(job.nextPeer?.name ?? ""),
    plain(job.command ?? job.argv?.join(" ") ?? job.http?.url ?? ""),
  ]);
  table(terminal, jobColumns, rows, wide);
}

/** What keeps it from running, or why its last tick went wrong. */
function problemText(terminal: Terminal, { problems, state, lastTick }: JobAnswer): string {
  // The last tick's own column has the code of one that was not run.
  const isShown = lastTick?.state === "missed" || lastTick?.state === "skipped";
  const reason = state === "failing" && !isShown ? lastTick?.reason : undefined;
  const text = problems[0]?.message ?? reason ?? "";
  return text === "" ? "" : paint(terminal, "red", plain(text));
}

/** The job's own time zone, or its group's. */
export function zoneOf({ timezone, inherited }: Pick<JobAnswer, "timezone" | "inherited">): string {
  return timezone ?? inherited?.timezone ?? "UTC";
}

function scheduleText(job: JobAnswer): string {
  if (job.after !== undefined) return afterText(job.after);
  if (job.schedule === undefined) return "by hand";
  return typeof job.schedule === "string" ? job.schedule : job.schedule.join("; ");
}

/** `after load, clean` or `after load (failure)` */
function afterText({ jobs, on = "success" }: NonNullable<JobAnswer["after"]>): string {
  return `after ${jobs.join(", ")}${on === "success" ? "" : ` (${on})`}`;
}

const stateColours: Readonly<Partial<Record<JobState, Colour>>> = {
  invalid: "red",
  blocked: "red",
  failing: "red",
  disabled: "yellow",
  paused: "yellow",
  waiting: "yellow",
  running: "cyan",
};

function jobState(terminal: Terminal, state: JobState): string {
  const colour = stateColours[state];
  return colour === undefined ? plain(state) : paint(terminal, colour, plain(state));
}

/** `missed(window) 3m ago` */
function lastTickText(terminal: Terminal, last: JobAnswer["lastTick"], now: number): string {
  if (last === null) return "-";
  const when = ` ${relative(instantOf(last.tick), now)}`;
  const isCode = last.state === "skipped" || last.state === "missed";
  return `${runState(terminal, last.state, isCode ? last.reason : null)}${when}`;
}

export function jobFields(terminal: Terminal, job: JobAnswer): void {
  const now = terminal.now();
  const zone = zoneOf(job);
  const next = job.nextTick === null ? undefined : Date.parse(job.nextTick);
  const { revision, createdAt, updatedAt, updatedBy, paused, problems, state } = job;
  const shown = new Set(["id", "schedule", "timezone", "after"]);
  const rest = Object.entries(writable({ ...job })).filter(([field]) => !shown.has(field));
  const given = Object.entries(job.inherited ?? {}).filter(([field]) => field !== "timezone");
  const from = paint(terminal, "dim", `from the group ${plain(job.group ?? defaultGroup)}`);
  const isZoneGiven = job.timezone === undefined && job.inherited?.timezone !== undefined;
  fields(terminal, [
    ["id", paint(terminal, "bold", plain(job.id))],
    ["state", jobState(terminal, state)],
    ["schedule", plain(scheduleText(job))],
    ["timezone", isZoneGiven ? `${plain(zone)}  ${from}` : plain(zone)],
    ["next tick", next === undefined ? "none" : `${utc(next)}  ${relative(next, now)}`],
    ["on", job.nextPeer === null ? undefined : plain(job.nextPeer.name)],
    ["there", next === undefined || zone === "UTC" ? undefined : local(next, zone)],
    ["last tick", lastTickText(terminal, job.lastTick, now)],
    ["", plain(job.lastTick?.reason ?? "")],
    [
      "last success",
      job.lastSuccess === null ? "none" : `${job.lastSuccess}  ${relative(Date.parse(job.lastSuccess), now)}`,
    ],
    ...(paused === null ? [] : [["paused", pauseText(paused)] as const]),
    ...problems.map(({ message }) => ["problem", paint(terminal, "red", plain(message))] as const),
    ...rest.map(([field, value]) => [field, plain(valueText(value))] as const),
    ...given.map(([field, value]) => [field, `${plain(valueText(value))}  ${from}`] as const),
    ["created", createdAt ?? undefined],
    ["updated", updatedAt === null ? undefined : `${updatedAt} by ${plain(updatedBy ?? "?")}`],
    ["revision", revision ?? undefined],
  ]);
}

function pauseText(paused: NonNullable<JobAnswer["paused"]>): string {
  const until = paused.until === null ? "until resumed" : `until ${paused.until}`;
  return plain(`by ${paused.by}, ${until}${paused.note === null ? "" : `: ${paused.note}`}`);
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function nextTable(terminal: Terminal, items: readonly NextAnswer[]): void {
  if (items.length === 0) return terminal.print("There is no further tick.");
  const now = terminal.now();
  const rows = items.map(({ tick, startsAt, skipped, skippedBy = "", note, peers, after = [] }) => {
    const [runner, ...fallbacks] = peers.map((peer) => plain(peer.name));
    const isLater = Date.parse(startsAt) !== Date.parse(tick);
    const later =
      after.length > 0 ? ` (after ${plain(after.join(", "))})` : isLater ? ` (starts ${startsAt})` : "";
    if (skipped === "asked") {
      const said = note === undefined ? "" : `: ${plain(note)}`;
      return [tick, `skipped by ${plain(skippedBy)}${said}`, "-", ""];
    }
    if (skipped !== undefined) return [tick, skipped === "except" ? "left out" : plain(skipped), "-", ""];
    return [tick + later, relative(Date.parse(startsAt), now), runner ?? "no peer can", fallbacks.join(", ")];
  });
  const columns = ["TICK (UTC)", { title: "", min: 10 }, "RUNNER", { title: "THEN", min: 12 }];
  table(terminal, columns, rows);
}

export function describeWritten(terminal: Terminal, job: JobAnswer, verb: string): void {
  terminal.print(`${plain(job.id)} ${verb}, ${whenNext(terminal, job)}`);
  warn(terminal, job);
  if ((job.timezone ?? job.inherited?.timezone) === undefined) warnOfUtc(terminal, job.schedule);
}

/** Shows the warnings of an answer. */
export function warn(terminal: Terminal, { warnings = [] }: Pick<JobAnswer, "warnings">): void {
  for (const warning of warnings) {
    terminal.notify(`${paint(terminal, "yellow", "warning:")} ${plain(asInvoked(warning, terminal.env))}`);
  }
}

/** How many things are named for which the same warning holds. */
const warnedOf = 5;

/** Prints a warning once for all jobs for which it holds. */
export function warnOfEach(terminal: Terminal, all: readonly { of: string; message: string }[]): void {
  const groups = [...Map.groupBy(all, ({ message }) => message)];
  const warnings = groups.map(([message, some]) => {
    const names = some.map(({ of }) => of);
    return `${listSome(names, warnedOf)}: ${message}`;
  });
  warn(terminal, { warnings });
}

/** Says that a schedule without a zone is in UTC, where that makes a difference on this machine. */
export function warnOfUtc(terminal: Terminal, schedule: JobAnswer["schedule"]): void {
  const zone = terminal.timezone;
  if (zone === "UTC" || !namesHours(schedule)) return;
  terminal.notify(
    `Its times are in UTC, but this machine's clock shows ${zone}: use --tz ${zone} if you meant that.`,
  );
}

export function whenNext(terminal: Terminal, job: JobAnswer): string {
  if (job.after !== undefined) return `to run ${afterText(job.after)}`;
  if (job.nextTick !== null) {
    const next = Date.parse(job.nextTick);
    const zone = zoneOf(job);
    const there = zone === "UTC" ? "" : `${local(next, zone)}, `;
    return `next tick ${utc(next)} (${there}${relative(next, terminal.now())})`;
  }
  if (job.schedule === undefined) return "to be run by hand";
  if (job.state === "disabled") return "disabled: it has no next tick";
  if (job.state === "blocked") return "blocked: no peer can run it";
  if (job.problems.some(({ code }) => code === "ALL_SKIPPED")) return "but all its coming ticks are skipped";
  return job.state === "paused" ? "paused: it has no next tick" : "but its schedule has no further tick";
}

/** Whether the schedule names hours of the day, so that the zone matters. */
function namesHours(schedule: JobAnswer["schedule"]): boolean {
  return [schedule ?? []].flat().some((expression) => {
    if (/^@(daily|midnight|weekly|monthly|yearly|annually)$/i.test(expression)) return true;
    const parts = expression.split(/\s+/);
    return /^[^@r]/.test(expression) && parts.length >= 5 && !parts.at(-4)?.startsWith("*");
  });
}

/** A job without its read-only fields. */
export function writable(job: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const ownFields: readonly string[] = readOnlyFields;
  return Object.fromEntries(Object.entries(job).filter(([field]) => !ownFields.includes(field)));
}
