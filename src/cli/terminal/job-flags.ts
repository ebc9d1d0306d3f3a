/**
 * A job from the flags of the command line, and back: offers them, turns them into a job's fields, and names the flag when the
 * peer refuses a field.
 */
import { Option, type Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { fieldSynonyms } from "../../schema/field-synonyms.ts";
import { readJsonText } from "../../schema/json.ts";
import { repeatable } from "../program.ts";
import { jobFlags, type JobFlag } from "./job-flag-table.ts";

const repeated: ReadonlySet<JobFlag["shape"]> = new Set(["list", "names", "numbers", "pairs", "rules"]);

const offered = jobFlags.map((flag) => ({ flag, option: optionOf(flag) }));

function optionOf(flag: JobFlag): Option {
  if (repeated.has(flag.shape)) return repeatable(flag.flags, flag.help);
  const option = new Option(flag.flags, flag.help);
  return flag.choices === undefined ? option : option.choices(flag.choices);
}

export function withJobFlags(command: Command): Command {
  for (const { flag } of offered) command.addOption(optionOf(flag));
  for (const { option } of synonymFlags) command.addOption(option);
  return command;
}

/** Flags under the names of other schedulers. They are refused as the API refuses the fields. */
const synonymFlags = [...fieldSynonyms]
  .map(([synonym, field]) => ({ field, option: synonymOption(synonym) }))
  .filter(({ option }) => !offered.some((one) => one.option.short === option.long));

function synonymOption(field: string): Option {
  return new Option(`${flagOf(field)} [value]`).hideHelp();
}

function flagOf(field: string): string {
  return `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A field that is a group of others has a flag for each of them: the first one that matters. */
function flagForField(field: string): string {
  const own = offered.find(({ flag: { path } }) => path.length === 1 && path[0] === field);
  const part = offered.find(({ flag: { path } }) => path[0] === field);
  return (own ?? part)?.option.long ?? flagOf(field);
}

/** For `--concurrencyPolicy` or `--depends-on`, as other schedulers call it: the flag of `jobs create`. */
export function flagInOtherWords(flag: string): string | undefined {
  const field = fieldSynonyms.get(flag.replaceAll("-", "").toLowerCase());
  return field === undefined ? undefined : flagForField(field);
}

function refuseSynonyms(given: Readonly<Record<string, unknown>>): void {
  for (const { field, option } of synonymFlags) {
    if (given[option.attributeName()] === undefined) continue;
    throw new CicadaError("USAGE", `unknown option ${option.long}: did you mean ${flagForField(field)}?`);
  }
}

/** The given fields as a (partial) job. In a `patch` (RFC 7396) an empty text clears its field. */
export function jobFromFlags(
  given: Readonly<Record<string, unknown>>,
  use: "job" | "patch" = "job",
): Record<string, unknown> {
  refuseSynonyms(given);
  const job: Record<string, unknown> = {};
  for (const { flag, option } of offered) {
    const value = given[option.attributeName()];
    if (value === undefined) continue;
    const [field, ...within] = flag.path.filter((name) => name !== undefined);
    const clears = use === "patch" && [value].flat().every((text) => text === "");
    const read = clears ? null : readValue(flag, option, value);
    if (field !== undefined) job[field] = withMember(job[field], within, read);
  }
  return job;
}

/** The error for a job that was given as flags: it names the flags instead of the fields. */
export function inTermsOfFlags(error: unknown): unknown {
  if (!(error instanceof CicadaError) || error.problems.length === 0) return error;
  const problems = error.problems.map(({ pointer, message }) => ({ pointer: flagFor(pointer), message }));
  return new CicadaError(error.code, error.detail, problems);
}

function flagFor(pointer: string): string {
  const names = pointer.slice(1).split("/");
  const [field] = names;
  // The longest path that leads to the field or to an object that it is part of.
  const found = offered
    .filter(({ flag: { path } }) => path.every((name, place) => name === names[place]))
    .toSorted((a, b) => b.flag.path.length - a.flag.path.length)[0];
  if (found !== undefined) return found.option.long ?? pointer;
  return field === "id" ? "ID" : field === "argv" ? "ARGV" : pointer;
}

function withMember(value: unknown, [name, ...within]: readonly string[], member: unknown): unknown {
  if (name === undefined) return member;
  const part = partOf(value);
  return { ...part, [name]: withMember(part[name], within, member) };
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
    case "names":
      return texts.flatMap((one) => one.split(",")).map((name) => name.trim());
    case "pairs":
      return pairsOf(`--${option.name()}`, texts);
    case "rules":
      return texts.flatMap((one) => readRules(option, one));
    case "json":
      return readJson(option, text);
    case "truth":
      if (text === "true" || text === "false") return text === "true";
      throw new CicadaError("USAGE", `--${option.name()} ${text}: give true or false`);
    case "number":
      return readNumber(option, text);
    case "count":
      return /^\d+$/.test(text) ? Number(text) : text;
    case "numbers":
      return texts.map((one) => readNumber(option, one));
  }
}

/** `EVENT,EVENT=CHANNEL,CHANNEL`, or a rule or list of rules as JSON. */
function readRules(option: Option, written: string): unknown[] {
  if (/^\s*[[{]/.test(written)) return [readJson(option, written)].flat();
  const [on, to, ...more] = written.split("=");
  if (on === undefined || to === undefined || more.length > 0) {
    throw new CicadaError(
      "USAGE",
      `--${option.name()} ${written}: write EVENTS=CHANNELS, such as failed,recovered=ops`,
    );
  }
  return [{ on: namesIn(on), to: namesIn(to) }];
}

function namesIn(list: string): string[] {
  return list.split(",").map((name) => name.trim());
}

function readNumber(option: Option, text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new CicadaError("USAGE", `--${option.name()} ${text}: give a whole number`);
}

function readJson(option: Option, text: string): unknown {
  const read = readJsonText(text);
  if (!read.ok) throw new CicadaError("USAGE", `--${option.name()} ${text}: give JSON (${read.detail})`);
  return read.value;
}

/** Texts such as `K=V`, given with the flag; a value may contain further `=`. */
export function pairsOf(flag: string, pairs: readonly string[]): Record<string, string> {
  const seen = new Set<string>();
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new CicadaError("USAGE", `${flag} ${pair}: give NAME=VALUE`);
      const name = pair.slice(0, at);
      if (seen.has(name)) throw new CicadaError("USAGE", `${flag}: ${name} is given twice`);
      seen.add(name);
      return [name, pair.slice(at + 1)];
    }),
  );
}
