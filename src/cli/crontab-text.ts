/**
 * Jobs as the lines of a crontab with a user field, for /etc/cron.d. Pure: jobs in, text out.
 *
 * A job becomes a line if cron would then run the same command at the same times, as the same user; what else the job says (its
 * retries, where it may run, who is told) stands above it as a comment. A job whose times, command or user a crontab can't say
 * becomes comments alone. The variables that a line needs are set before it, because a variable holds for all lines below it. A
 * comment for the import holds the whole job.
 */
import type { JobSpec } from "../schema/job.ts";
import { disabledMark, originLine, type Said } from "./import/crontab-origin.ts";
import { quoted } from "./program.ts";

export interface ExportedJob {
  /** with the fields that it takes from its group */
  job: JobSpec;
  /** without them */
  own: JobSpec;
}

interface Options {
  /** who jobs without a user run as; undefined: they become comments */
  user: string | undefined;
}

/** Fields that a line expresses, or that mean nothing to cron. */
const said: ReadonlySet<string> = new Set(
  (
    "id schedule timezone command argv executor stdin env cwd user umask description labels owner group enabled keep " +
    "weight background partition overlap"
  ).split(" "),
);
/** Fields without which other ticks would run, or the command would do something else. */
const needed: ReadonlySet<string> = new Set(
  "except startsAt endsAt secrets precheck params after http script".split(" "),
);

export function crontabOf(jobs: readonly ExportedJob[], options: Options): string {
  const lines = [
    "# Jobs of cicada for /etc/cron.d, where each line names its user. Cron runs them on this host alone, starts a line even if",
    "# its last run has not ended, and begins in the user's home. CRON_TZ is understood by cronie; Debian's cron takes the host's zone.",
    "# A comment that begins with #cicada holds the whole job, for `cicada import crontab --system`.",
  ];
  const surroundings = new Map<string, string>();
  // A variable can't be taken back, so jobs without HOME come before those that set it.
  const [without, withHome] = [
    jobs.filter(({ job }) => !setsHome(job)),
    jobs.filter(({ job }) => setsHome(job)),
  ];
  for (const { job, own } of [...without, ...withHome]) {
    const line = lineOf(job, options);
    const more = Object.keys(job).filter((field) => !said.has(field) && !needed.has(field));
    lines.push("", `# ${job.id}${job.description === undefined ? "" : `: ${oneLine(job.description)}`}`);
    if ("problem" in line) {
      lines.push(`# NOT EXPORTED: ${line.problem}`);
      continue;
    }
    if (more.length > 0) lines.push(`# not expressed here: ${more.join(", ")}`);
    for (const [name, value] of line.variables) {
      if (surroundings.get(name) === value) continue;
      surroundings.set(name, value);
      lines.push(`${name}=${value}`);
    }
    lines.push(originLine(withWhatRuns(own, job, options), saidBy(line)));
    for (const text of line.lines) lines.push(job.enabled === false ? `${disabledMark}${text}` : text);
  }
  return lines.join("\n");
}

/** What a crontab says of the job; undefined = it can't say it. The user has to be in the job. */
export function saidOf(job: JobSpec): Said | undefined {
  const line = lineOf(job, { user: undefined });
  return "problem" in line ? undefined : saidBy(line);
}

function saidBy({ variables, lines }: SaidLine): Said {
  const { CRON_TZ: zone = "UTC", ...others } = Object.fromEntries(variables);
  return { zone, variables: new Map(Object.entries(others)), lines };
}

/** The job with the fields that its lines say and that it has from its group: an import must make of them what the lines say. */
function withWhatRuns(own: JobSpec, { timezone, env, cwd, umask, user }: JobSpec, options: Options): JobSpec {
  const given = { timezone, env, cwd, umask, user: user ?? options.user };
  const fields = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...own, ...Object.fromEntries(fields) };
}

interface SaidLine {
  variables: [string, string][];
  lines: string[];
}

function setsHome({ env }: JobSpec): boolean {
  return env?.["HOME"] !== undefined;
}

function lineOf(job: JobSpec, options: Options): SaidLine | { problem: string } {
  const unsaid = Object.keys(job).filter((field) => needed.has(field));
  if (unsaid.length > 0) return { problem: `a crontab can't express ${unsaid.join(", ")}` };
  const schedules = [job.schedule ?? []].flat();
  if (schedules.length === 0) return { problem: "it has no schedule" };
  const foreign = schedules.find((schedule) => !isCrons(schedule));
  if (foreign !== undefined) return { problem: `a crontab can't express the schedule ${oneLine(foreign)}` };
  const user = job.user ?? options.user;
  if (user === undefined || user === "") return { problem: "it names no user: give --user NAME" };
  const command = commandOf(job, user);
  if ("problem" in command) return command;
  const { env = {} } = job;
  const shell = shellOf(job) ?? "/bin/sh";
  const home = env["HOME"];
  const value = Object.values({ shell, home, path: env["PATH"] }).find((text) => /[\r\n]/.test(text ?? ""));
  if (value !== undefined) return { problem: "a variable has several lines" };
  return {
    variables: [
      ["CRON_TZ", job.timezone ?? "UTC"],
      ["SHELL", shell],
      ["PATH", env["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      ...(home === undefined ? [] : [["HOME", home] as [string, string]]),
    ],
    lines: schedules.map((schedule) => `${schedule} ${user} ${command.text}`),
  };
}

/** True for a schedule that every cron reads as cicada does. */
function isCrons(schedule: string): boolean {
  if (/^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/.test(schedule)) return true;
  const value = String.raw`(?:\d+|[a-z]{3})`;
  const item = String.raw`(?:\*(?:/\d+)?|${value}(?:-${value}(?:/\d+)?)?)`;
  const field = `${item}(?:,${item})*`;
  return new RegExp(`^${field}(?: ${field}){4}$`, "i").test(schedule);
}

/** The shell of a job that the import of a crontab has made of a line under another SHELL. */
function shellOf({ argv }: JobSpec): string | undefined {
  return argv?.length === 3 && argv[1] === "-c" && argv[0]?.startsWith("/") === true ? argv[0] : undefined;
}

function commandOf(job: JobSpec, user: string): { text: string } | { problem: string } {
  const { argv, command, stdin, umask = "077", cwd, env = {} } = job;
  const main =
    command ?? (shellOf(job) === undefined ? (argv ?? []).map(quoted).join(" ") : (argv?.[2] ?? ""));
  const before = [
    ...(umask === "022" ? [] : [`umask ${umask};`]),
    ...Object.entries(env)
      .filter(
        ([name, value]) =>
          !["PATH", "HOME", "SHELL"].includes(name) && !(name === "LOGNAME" && value === user),
      )
      .map(([name, value]) => `export ${name}=${quoted(value)};`),
    ...(cwd === undefined || cwd === env["HOME"] ? [] : [`cd ${quoted(cwd)} &&`]),
  ];
  const text = [...before, main].join(" ");
  if (/[\n\r]/.test(text)) return { problem: "its command has several lines" };
  if (stdin !== undefined && (/\r/.test(stdin) || (stdin !== "" && !stdin.endsWith("\n")))) {
    return { problem: "its input doesn't end with a line break" };
  }
  if (/(^|[^\\])(\\\\)*\\%/.test(stdin === undefined ? text : `${text}%`)) {
    return { problem: "its command has a backslash before a %, which cron would take away" };
  }
  const escaped = text.replaceAll("%", "\\%");
  if (stdin === undefined) return { text: escaped };
  return { text: `${escaped}%${stdin.replace(/\n$/, "").replaceAll("%", "\\%").replaceAll("\n", "%")}` };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 200);
}
