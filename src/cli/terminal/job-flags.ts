/**
 * Every field of a job as a flag of the command line (INTERFACE, Command line: `--FIELD VALUE`). One table serves to
 * offer the flags, to turn them into a job's fields, and to name the flag when the peer refuses a field.
 */
import { Option, type Command } from "commander";
import { CicadaError } from "../../errors.ts";
import {
  catchUpPolicies,
  fieldSynonyms,
  notYet,
  overlapPolicies,
  partitionPolicies,
} from "../../schema/job.ts";
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
    help: "false: kept, but never run",
    path: ["enabled"],
    shape: "truth",
  },
  {
    flags: "--executor <executor>",
    help: "default: shell with --command, exec with -- ARGV",
    path: ["executor"],
    shape: "text",
    choices: ["shell", "exec"],
  },
  { flags: "--stdin <text>", help: "what the command reads", path: ["stdin"], shape: "text" },
  { flags: "--env <K=V>", help: "environment; repeatable", path: ["env"], shape: "pairs" },
  {
    flags: "--cwd <dir>",
    help: "default: the data folder's work/, or the home of --user",
    path: ["cwd"],
    shape: "text",
  },
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
  {
    flags: "--keep-runs <n>",
    help: "ticks whose history is kept (default: 100)",
    path: ["keep", "runs"],
    shape: "number",
  },
  {
    flags: "--keep-age <duration>",
    help: "older ticks are not kept (default: 30d)",
    path: ["keep", "age"],
    shape: "text",
  },
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
  for (const { option } of laterFlags) command.addOption(option);
  return command;
}

/** Fields of a later version as flags, by our names and by those of other schedulers: refused as the API does. */
const laterFlags = [
  ...(notYet[""] ?? []).map((field) => ({ field, option: laterOption(field) })),
  ...[...fieldSynonyms].map(([synonym, field]) => ({ field, option: laterOption(synonym) })),
].filter(({ option }) => !offered.some((one) => one.option.short === option.long));

function laterOption(field: string): Option {
  return new Option(`${flagOf(field)} [value]`).hideHelp();
}

function flagOf(field: string): string {
  return `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function refuseLater(given: Readonly<Record<string, unknown>>): void {
  for (const { field, option } of laterFlags) {
    if (given[option.attributeName()] === undefined) continue;
    if ((notYet[""] ?? []).includes(field)) {
      throw new CicadaError("NOT_YET", `${option.long}: this version doesn't have "${field}" yet`);
    }
    throw new CicadaError("USAGE", `unknown option ${option.long}: did you mean ${flagOf(field)}?`);
  }
}

/** The fields that were given, as a (partial) job; as a `patch` (RFC 7396) an empty text clears its field. */
export function jobFromFlags(
  given: Readonly<Record<string, unknown>>,
  use: "job" | "patch" = "job",
): Record<string, unknown> {
  refuseLater(given);
  const job: Record<string, unknown> = {};
  for (const { flag, option } of offered) {
    const value = given[option.attributeName()];
    if (value === undefined) continue;
    const [field, inner] = flag.path;
    const clears = use === "patch" && [value].flat().every((text) => text === "");
    const read = clears ? null : readValue(flag, option, value);
    if (inner === undefined) job[field] = read;
    else job[field] = { ...partOf(job[field]), [inner]: read };
  }
  return job;
}

/** A refused job that was given as flags: its complaints name the flags instead of the fields. */
export function inFlags(error: unknown): unknown {
  if (!(error instanceof CicadaError) || error.problems.length === 0) return error;
  const problems = error.problems.map(({ pointer, message }) => ({ pointer: flagFor(pointer), message }));
  return new CicadaError(error.code, error.detail, problems);
}

function flagFor(pointer: string): string {
  const [field, inner] = pointer.slice(1).split("/");
  const found =
    offered.find(({ flag: { path } }) => path[0] === field && path[1] === inner) ??
    offered.find(({ flag: { path } }) => path[0] === field && path[1] === undefined);
  if (found !== undefined) return found.option.long ?? pointer;
  return field === "id" ? "ID" : field === "argv" ? "ARGV" : pointer;
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
