/**
 * Every field of a job as a flag of the command line (INTERFACE, Command line: `--FIELD VALUE`). The table is read
 * twice: to offer the flags, and to make of what was given the job's fields.
 */
import { Option, type Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { catchUpPolicies, overlapPolicies, partitionPolicies } from "../../schema/job.ts";
import { repeatable } from "../program.ts";

interface JobFlag {
  flags: string;
  help: string;
  /** Where in the job the value goes. */
  path: readonly [string, string?];
  /** `pairs` are K=V and may be repeated, as may `list`; a list of one schedule stays a plain text. */
  shape: "text" | "number" | "truth" | "list" | "pairs";
  choices?: readonly string[];
}

export const jobFlags: readonly JobFlag[] = [
  {
    flags: "-s, --schedule <schedule>",
    help: "cron expression, @every 90s, rate(5 minutes), @at INSTANT; repeatable",
    path: ["schedule"],
    shape: "list",
  },
  { flags: "--tz, --timezone <zone>", help: "IANA name (default: UTC)", path: ["timezone"], shape: "text" },
  { flags: "-c, --command <text>", help: "for /bin/sh -c", path: ["command"], shape: "text" },
  { flags: "--starts-at <instant>", help: "no tick before it", path: ["startsAt"], shape: "text" },
  { flags: "--ends-at <instant>", help: "no tick after it", path: ["endsAt"], shape: "text" },
  {
    flags: "--enabled <true|false>",
    help: "false: kept, but never started",
    path: ["enabled"],
    shape: "truth",
  },
  {
    flags: "--executor <executor>",
    help: "follows from command or argv",
    path: ["executor"],
    shape: "text",
    choices: ["shell", "exec"],
  },
  { flags: "--stdin <text>", help: "what the command reads", path: ["stdin"], shape: "text" },
  { flags: "--env <K=V>", help: "environment; repeatable", path: ["env"], shape: "pairs" },
  { flags: "--cwd <dir>", help: "default: the data folder's work/", path: ["cwd"], shape: "text" },
  { flags: "--user <user>", help: "default: the peer's own", path: ["user"], shape: "text" },
  { flags: "--umask <mask>", help: "default: 077", path: ["umask"], shape: "text" },
  { flags: "--timeout <duration>", help: "0 = none (default)", path: ["timeout"], shape: "text" },
  {
    flags: "--kill-grace <duration>",
    help: "from TERM to KILL (default: 10s)",
    path: ["killGrace"],
    shape: "text",
  },
  {
    flags: "--overlap <policy>",
    help: "while an earlier run is on (default: queue)",
    path: ["overlap"],
    shape: "text",
    choices: overlapPolicies,
  },
  {
    flags: "--catch-up-policy <policy>",
    help: "ticks that no peer could run (default: latest)",
    path: ["catchUp", "policy"],
    shape: "text",
    choices: catchUpPolicies,
  },
  {
    flags: "--catch-up-window <duration>",
    help: "how far back (default: 1h)",
    path: ["catchUp", "window"],
    shape: "text",
  },
  {
    flags: "--catch-up-limit <n>",
    help: "how many (default: 100)",
    path: ["catchUp", "limit"],
    shape: "number",
  },
  {
    flags: "--partition <policy>",
    help: "when the mesh is split: available = at least once (default), majority = at most once",
    path: ["partition"],
    shape: "text",
    choices: partitionPolicies,
  },
  {
    flags: "--target-peer <peer>",
    help: "name or id of a peer that may run it; repeatable (default: any)",
    path: ["target", "peers"],
    shape: "list",
  },
  { flags: "--keep-runs <n>", help: "history kept (default: 100)", path: ["keep", "runs"], shape: "number" },
  { flags: "--keep-age <duration>", help: "default: 30d", path: ["keep", "age"], shape: "text" },
  {
    flags: "--keep-log-bytes <size>",
    help: "output kept of a run (default: 1MiB)",
    path: ["keep", "logBytes"],
    shape: "text",
  },
  { flags: "--group <group>", help: "default: default", path: ["group"], shape: "text" },
  { flags: "--label, --labels <K=V>", help: "repeatable", path: ["labels"], shape: "pairs" },
  { flags: "--description <text>", help: "for people", path: ["description"], shape: "text" },
  { flags: "--owner <text>", help: "for people", path: ["owner"], shape: "text" },
];

const offered = jobFlags.map((flag) => ({ flag, option: optionOf(flag) }));

function optionOf(flag: JobFlag): Option {
  if (flag.shape === "list" || flag.shape === "pairs") return repeatable(flag.flags, flag.help);
  const option = new Option(flag.flags, flag.help);
  return flag.choices === undefined ? option : option.choices(flag.choices);
}

export function withJobFlags(command: Command): Command {
  for (const { flag } of offered) command.addOption(optionOf(flag));
  return command;
}

/** The fields that were given, as a (partial) job. */
export function jobFromFlags(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const job: Record<string, unknown> = {};
  for (const { flag, option } of offered) {
    const value = given[option.attributeName()];
    if (value === undefined) continue;
    const [field, inner] = flag.path;
    const read = readValue(flag, option, value);
    if (inner === undefined) job[field] = read;
    else job[field] = { ...partOf(job[field]), [inner]: read };
  }
  return job;
}

function partOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function readValue(flag: JobFlag, option: Option, value: unknown): unknown {
  const texts = Array.isArray(value) ? value.map(String) : [String(value)];
  const text = texts.at(-1) ?? "";
  switch (flag.shape) {
    case "text":
      return text;
    case "list":
      return flag.path[0] === "schedule" && texts.length === 1 ? text : texts;
    case "pairs":
      return Object.fromEntries(texts.map((pair) => readPair(option, pair)));
    case "truth":
      if (text === "true" || text === "false") return text === "true";
      throw new CicadaError("USAGE", `--${option.name()} ${text}: give true or false`);
    case "number":
      if (/^\d+$/.test(text)) return Number(text);
      throw new CicadaError("USAGE", `--${option.name()} ${text}: give a whole number`);
  }
}

/** `K=V`; the value may hold further `=`. */
function readPair(option: Option, pair: string): [string, string] {
  const at = pair.indexOf("=");
  if (at < 1) throw new CicadaError("USAGE", `--${option.name()} ${pair}: give NAME=VALUE`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}
