/**
 * Turns the lines of a crontab into jobs that behave as the lines do under cron. Pure: text in, jobs and reports out.
 *
 * It follows Vixie's cron as Debian and cronie ship it. Variables apply to the lines below them. `%` ends the command
 * and begins its standard input. Times are in the host's zone unless CRON_TZ names another. The command gets cron's
 * bare PATH and SHELL, the user's home and umask 022. Cron starts a line even while its last run is still in progress,
 * so the jobs overlap. What has no counterpart (mail, @reboot, random delays) is reported, never silently dropped.
 *
 * A job's id is made of the command's words and a hash of host, user, command and input, but not of the times. So the
 * same crontab gives the same ids, and a line whose times have changed updates its job. What cicada has exported comes back as the
 * job that it was (crontab-origin.ts).
 */
import { createHash } from "node:crypto";
import { checkJob } from "../../core/checks/job.ts";
import { zoneProblem } from "../../core/time/zone.ts";
import type { JobSpec } from "../../schema/job.ts";
import { readEntry, readVariable, type Entry } from "./crontab-lines.ts";
import { saidOf } from "../crontab-text.ts";
import { disabledMark, isUnchanged, readOrigin, type Origin } from "./crontab-origin.ts";

export interface CrontabOptions {
  /** the form of /etc/crontab and /etc/cron.d, with a user before each command */
  system: boolean;
  /** put before every id */
  prefix: string;
  /** the host's time zone */
  zone: string;
  /** the home of `user`; absent = not known here */
  home?: string;
  /** whose crontab it is; in the system form each line names its own */
  user: string;
  host: string;
  /** name or id of the only peer that may run the jobs */
  pinTo?: string;
  /** homes of other users, for the system form */
  homes?: ReadonlyMap<string, string>;
  /** of the system form: the crontab's file, by which its jobs are told from those of another */
  file?: string;
}

export interface CrontabReading {
  /** `line` counts from 1 */
  jobs: { line: number; spec: JobSpec }[];
  refused: { line: number; text: string; reason: string }[];
  /** what the crontab says and cicada does not carry over, in the order of the lines */
  notes: string[];
  /** what is carried over, and was perhaps not meant */
  doubts: string[];
  /** lines whose command begins with the name of a user */
  userLike: number;
}

/** The variables and the time zone that apply to a line. */
interface Surroundings {
  variables: Map<string, string>;
  zone: string;
  /** why the times of the lines below can't be read */
  zoneProblem: string | undefined;
  /** variables that the lines below should have and whose values can't be read, with the lines that say them */
  unread: Map<string, number>;
}

interface Line {
  /** counts from 1 */
  line: number;
  content: string;
}

export function parseCrontab(text: string, options: CrontabOptions): CrontabReading {
  const reading: CrontabReading = { jobs: [], refused: [], notes: [], doubts: [], userLike: 0 };
  const surroundings: Surroundings = {
    variables: new Map(),
    zone: options.zone,
    zoneProblem: undefined,
    unread: new Map(),
  };
  const taken = new Map<string, number>();
  /** lines that end as under Windows */
  const returns: number[] = [];
  /** the lines of a job that an export has written, as far as they have come */
  let exported: { origin: Origin; lines: Line[] } | undefined;
  const readLine = ({ line, content }: Line, id?: string): void => {
    const refuse = (reason: string) => reading.refused.push({ line, text: content, reason });
    const entry = readEntry(content, options.system);
    if ("reason" in entry) return void refuse(entry.reason);
    if (surroundings.zoneProblem !== undefined) return void refuse(surroundings.zoneProblem);
    const [unread] = surroundings.unread;
    if (unread !== undefined)
      return void refuse(`it is below ${unread[0]} (line ${unread[1]}), whose value can't be read`);
    if (!options.system && beginsWithUser(entry, options)) {
      reading.userLike++;
      reading.doubts.push(`line ${line}: the command begins with the name of a user; did you mean --system?`);
    }
    reading.notes.push(...entry.notes.map((note) => `line ${line}: ${note}`));
    reading.doubts.push(...entry.doubts.map((doubt) => `line ${line}: ${doubt}`));
    const spec = specOf(entry, content, line, surroundings, options, taken, reading.notes);
    const check = checkJob(id === undefined ? spec : { ...spec, id });
    if (check.ok) reading.jobs.push({ line, spec: check.spec });
    else refuse(check.problems.map(({ pointer, message }) => `${pointer.slice(1)}: ${message}`).join("; "));
  };
  const readExported = (): void => {
    if (exported === undefined) return;
    const { origin, lines } = exported;
    exported = undefined;
    if (lines.length === 0) return;
    const name = `${options.prefix}${origin.id}`;
    // Somebody has copied it: two jobs can't have one name.
    const isCopy = taken.has(name);
    taken.set(name, (taken.get(name) ?? 0) + 1);
    const active = lines.filter(({ content }) => !content.startsWith(disabledMark));
    const spec = isCopy ? undefined : jobOfOrigin(origin, lines, active.length === 0, surroundings, options);
    if (spec !== undefined) return void reading.jobs.push({ line: lines[0]?.line ?? 0, spec });
    const id = origin.lines === 1 && !isCopy ? name : undefined;
    const [changed] = active;
    if (changed !== undefined && !isCopy) {
      reading.doubts.push(
        `line ${changed.line}: it, a variable above it or its comment was changed after the export: of ${origin.id}, only what a crontab says is carried over`,
      );
    }
    for (const one of active) readLine(one, id);
  };
  for (const [index, raw] of text.split("\n").entries()) {
    const line = index + 1;
    const content = raw.replace(/^[ \t]+/, "").replace(/\r$/, "");
    const isOfExported = exported !== undefined && content.startsWith(disabledMark);
    if (content === "") {
      readExported();
      continue;
    }
    if (content.startsWith("#") && !isOfExported) {
      // A user's own crontab may name no other user, and such a comment can.
      const origin = options.system ? readOrigin(content) : undefined;
      if (origin === undefined) continue;
      readExported();
      exported = { origin, lines: [] };
      continue;
    }
    if (raw.endsWith("\r")) returns.push(line);
    const variable = isOfExported ? undefined : readVariable(content);
    if (variable !== undefined) {
      readExported();
      surroundings.unread.delete(variable.name);
      if (variable.problem !== undefined) surroundings.unread.set(variable.name, line);
      const problem = variable.problem ?? setVariable(variable, surroundings, options, line, reading.notes);
      if (problem !== undefined) reading.refused.push({ line, text: content, reason: problem });
      else if (/\$[{A-Za-z_]/.test(variable.value)) {
        reading.doubts.push(`line ${line}: cron doesn't expand $ in a variable's value: it stays as it is`);
      }
    } else if (exported === undefined) readLine({ line, content });
    else {
      exported.lines.push({ line, content });
      if (exported.lines.length === exported.origin.lines) readExported();
    }
  }
  readExported();
  const [first] = returns;
  if (first !== undefined) {
    const others = returns.length === 1 ? "" : ` and ${returns.length - 1} more`;
    const end = returns.length === 1 ? "ends in a carriage return" : "end in carriage returns";
    reading.doubts.push(`line ${first}${others} ${end}, which cron passes to the command: left out here`);
  }
  return reading;
}

/** The job that an export has written these lines for; undefined if they, or the comment above them, say something else now. */
function jobOfOrigin(
  origin: Origin,
  lines: readonly Line[],
  isDisabled: boolean,
  { variables, zone }: Surroundings,
  { prefix, pinTo }: CrontabOptions,
): JobSpec | undefined {
  const texts = lines.map(({ content }) => (isDisabled ? content.slice(disabledMark.length) : content));
  if (!isUnchanged(origin, { zone, variables, lines: texts })) return undefined;
  const exported = checkJob(origin.spec);
  const said = exported.ok ? saidOf(exported.spec) : undefined;
  if (said === undefined || !isUnchanged(origin, said)) return undefined;
  const spec: Record<string, unknown> = {
    ...origin.spec,
    id: `${prefix}${origin.id}`,
    ...(isDisabled ? { enabled: false } : {}),
    ...(pinTo === undefined ? {} : { target: { peers: [pinTo] } }),
  };
  if (!isDisabled && spec["enabled"] === false) delete spec["enabled"];
  const check = checkJob(spec);
  return check.ok ? check.spec : undefined;
}

// ---------------------------------------------------------------------------------------------------------
// Variables

/** Returns why the variable was refused; undefined if it was accepted. */
function setVariable(
  { name, value }: { name: string; value: string },
  surroundings: Surroundings,
  options: CrontabOptions,
  line: number,
  notes: string[],
): string | undefined {
  switch (name) {
    case "MAILTO":
      if (value !== "") {
        notes.push(
          `line ${line}: MAILTO=${value} is not carried over: output is kept with each run, nothing is mailed`,
        );
      }
      return undefined;
    case "MAILFROM":
    case "CONTENT_TYPE":
    case "CONTENT_TRANSFER_ENCODING":
      notes.push(`line ${line}: ${name} is not carried over: nothing is mailed`);
      return undefined;
    case "RANDOM_DELAY":
      notes.push(`line ${line}: RANDOM_DELAY is not carried over: use H in a schedule to spread jobs`);
      return undefined;
    case "LOGNAME":
      // Cron always sets it to the crontab's user, whatever the crontab says.
      return undefined;
    case "CRON_TZ": {
      surroundings.zone = value === "" ? options.zone : value;
      const problem = zoneProblem(surroundings.zone);
      surroundings.zoneProblem =
        problem === undefined ? undefined : `it is below CRON_TZ (line ${line}), which is not a time zone`;
      return problem;
    }
    default:
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return `${JSON.stringify(name)} can't be a variable's name`;
      surroundings.variables.set(name, value);
      return undefined;
  }
}

/**
 * True for a line that seems to come from /etc/cron.d but is read as a line of a user's crontab. Some users are called like
 * commands (`mail`, `sync`), and a command is followed by options or by nothing.
 */
function beginsWithUser({ command }: Entry, options: CrontabOptions): boolean {
  const [word = "", next = ""] = command.split(/\s+/, 2);
  const isUser = word === "root" || word === options.user || options.homes?.has(word) === true;
  return isUser && /^[A-Za-z0-9_/.~$[({"']/.test(next);
}

// ---------------------------------------------------------------------------------------------------------
// Jobs

function specOf(
  entry: Entry,
  content: string,
  line: number,
  { variables, zone }: Surroundings,
  options: CrontabOptions,
  taken: Map<string, number>,
  notes: string[],
): object {
  const user = entry.user ?? options.user;
  const knownHome =
    variables.get("HOME") ?? (user === options.user ? options.home : options.homes?.get(user));
  const home = knownHome ?? (user === "root" ? "/root" : "/");
  if (knownHome === undefined && user !== "root") {
    notes.push(`line ${line}: the home of ${user} is not known here, so the job starts in /`);
  }
  const shell = variables.get("SHELL") ?? "/bin/sh";
  return {
    id: idOf(entry, user, options, taken),
    schedule: entry.schedule,
    timezone: zone,
    ...(shell === "/bin/sh" ? { command: entry.command } : { argv: [shell, "-c", entry.command] }),
    ...(entry.stdin === undefined ? {} : { stdin: entry.stdin }),
    env: { PATH: "/usr/bin:/bin", ...Object.fromEntries(variables), SHELL: shell, HOME: home, LOGNAME: user },
    cwd: home,
    user,
    umask: "022",
    overlap: "allow",
    ...(leavesRunning(entry.command) ? { background: "leave" } : {}),
    ...(options.pinTo === undefined ? {} : { target: { peers: [options.pinTo] } }),
    labels: {
      "imported-from": "crontab",
      host: options.host,
      ...(options.file === undefined ? {} : { file: options.file.slice(0, labelLength) }),
    },
    description:
      content.length <= descriptionLength ? content : `${content.slice(0, descriptionLength - 1)}…`,
  };
}

/**
 * Whether the command leaves something running when it ends, which cron lets go on: `&` behind a command, or a program that puts
 * its own into the background. Quoted text is no command.
 */
function leavesRunning(command: string): boolean {
  const bare = command.replaceAll(/\\.|'[^']*'|"(?:[^"\\]|\\.)*"/gs, "_");
  const ampersand = /(?:^|[^&<>|])&(?![&>])/;
  const daemonizers =
    /\b(?:setsid\s+(?:-\S*f|--fork)|start-stop-daemon\s.*(?:\s-b\b|--background)|daemonize\s|screen\s+-\S*d|tmux\s+new\S*\s.*-d)/;
  return ampersand.test(bare) || daemonizers.test(bare);
}

const slugLength = 40;
/** The most that a job's description and a label may hold. */
const descriptionLength = 4_096;
const labelLength = 256;

function idOf(entry: Entry, user: string, options: CrontabOptions, taken: Map<string, number>): string {
  const meaning = JSON.stringify([options.host, user, entry.command, entry.stdin ?? ""]);
  const hash = createHash("sha256").update(meaning).digest("hex").slice(0, 6);
  const id = `${options.prefix}${slugOf(entry.command)}-${hash}`;
  const count = (taken.get(id) ?? 0) + 1;
  taken.set(id, count);
  return count === 1 ? id : `${id}-${count}`;
}

/**
 * The command's first meaningful words: programs without their folders, and no assignments, dashes of flags or
 * redirections.
 */
function slugOf(command: string): string {
  const words = command
    .split(/\s+/)
    .filter((word) => !/^[A-Za-z_]\w*=|^\d*[<>&|]|^[[\]{}()!;]+$|^\/dev\/null/.test(word))
    .map((word) =>
      word
        .replace(/\/+$/, "")
        .replace(/^.*\//, "")
        .toLowerCase()
        .replaceAll(/[^a-z0-9._]+/g, "-"),
    )
    .map((word) => word.replaceAll(/^[-._]+|[-._]+$/g, ""))
    .filter((word) => word !== "");
  let slug = words[0]?.slice(0, slugLength) ?? "job";
  for (const word of words.slice(1)) {
    if (slug.length + 1 + word.length > slugLength) break;
    slug += `-${word}`;
  }
  return slug.replace(/[-._]+$/, "");
}
