/**
 * Whether an input from outside is a job that can be stored and run; if not, everything that is wrong with it.
 *
 * The schema checks the shape. This file adds what a schema can't check (schedules, zones, durations, exactly one action), and
 * words the problems for people: where, why, and what to write instead. Fields that this version doesn't support yet are
 * refused by name, never ignored.
 */
import { Compile } from "typebox/compile";
import {
  fieldSynonyms,
  JobSpecSchema,
  largestCapacity,
  ParamSchema,
  notYet,
  retryAttemptsMax,
  retryOutcomes,
  readOnlyFields,
  type CheckedSpec,
  type JobSpec,
  type Problem,
} from "../../schema/job.ts";
import { assert } from "../../errors.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { paramProblems, type Params } from "./params.ts";
import { didYouMean } from "../../schema/nearest.ts";
import { instantHint, parseInstant } from "../time/calendar.ts";
import { parseSchedule } from "../time/schedule.ts";
import { longestBackoffMs } from "./retry.ts";
import { durationHint, formatSize, parseDuration, parseSize, sizeHint } from "../time/units.ts";
import { zoneProblem } from "../time/zone.ts";

export type JobCheck =
  | { ok: true; spec: CheckedSpec }
  | { ok: false; code: "INVALID_JOB" | "NOT_YET"; problems: Problem[] };

type Fields = Readonly<Record<string, unknown>>;

/**
 * The largest job, in bytes of JSON. It is half of the mesh's largest message, so that a job fits into one message in any
 * encoding. More would need larger messages; longer texts belong in a file on the peers.
 */
const jobCapBytes = 131_072;

/**
 * All problems at once, with JSON pointers. Read-only fields (from an edited `GET`) are dropped from `spec`. `without-action`
 * is for a job whose action belongs to a later version, which this one neither knows nor runs.
 */
export function checkJob(input: unknown, part: "whole" | "without-action" = "whole"): JobCheck {
  if (!isObject(input))
    return invalid([
      { pointer: "", message: "a job is an object with fields such as id, schedule and command" },
    ]);
  const readOnly: ReadonlySet<string> = new Set(readOnlyFields);
  const given: Fields = Object.fromEntries(Object.entries(input).filter(([name]) => !readOnly.has(name)));
  const size = sizeProblem(given);
  if (size !== undefined) return invalid([size]);
  const problems: Problem[] = [];
  const isActionElsewhere =
    part === "without-action" && given["command"] === undefined && given["argv"] === undefined;
  const ofAction = isActionElsewhere ? [] : actionProblems(given);
  if (!jobValidator.Check(given)) {
    const later = laterFields(given);
    const misshapen = shapeProblems(given);
    problems.push(...later, ...unknownFields(given), ...misshapen);
    // A field of the wrong shape is not checked further; all others are.
    const wrong = new Set(misshapen.map(({ pointer }) => pointer.split("/")[1]));
    problems.push(
      ...meaningProblems(Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name)))),
    );
    if (later.length > 0) return { ok: false, code: "NOT_YET", problems };
    problems.push(...ofAction);
    // No single field explains why the whole is refused.
    if (problems.length === 0) problems.push({ pointer: "", message: "this is not a job" });
    return invalid(problems);
  }
  problems.push(...meaningProblems(given), ...ofAction);
  if (problems.length > 0) return invalid(problems);
  // Only this line makes the type: everything that it promises has just been checked.
  return { ok: true, spec: given as CheckedSpec };
}

/** The same for a job that the program itself has written: a problem in it is a bug. */
export function checkedJob(spec: JobSpec): CheckedSpec {
  const check = checkJob(spec);
  assert(check.ok, `the job "${spec.id}" is right: ${check.ok ? "" : JSON.stringify(check.problems)}`);
  return check.spec;
}

function invalid(problems: Problem[]): JobCheck {
  return { ok: false, code: "INVALID_JOB", problems };
}

function sizeProblem(given: Fields): Problem | undefined {
  let bytes: number;
  try {
    bytes = Buffer.byteLength(JSON.stringify(given));
  } catch {
    return { pointer: "", message: "the job contains a value that JSON can't express" };
  }
  if (bytes <= jobCapBytes) return undefined;
  const message = `the job has ${bytes} bytes of JSON, and the maximum is ${jobCapBytes}: put long texts into a file on the peers`;
  return { pointer: "", message };
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields of an object inside the job; none if it isn't an object. */
function inside(fields: Fields, name: string): Fields {
  const value = fields[name];
  return isObject(value) ? value : {};
}

// ---------------------------------------------------------------------------------------------------------
// Names

const laterExecutors: ReadonlySet<unknown> = new Set(["http", "script"]);

function laterFields(given: Fields): Problem[] {
  const problems: Problem[] = [];
  for (const [path, names] of Object.entries(notYet)) {
    const fields = path === "" ? given : inside(given, path.slice(1));
    const within = path === "" ? "" : `${path.slice(1)}.`;
    for (const name of Object.keys(fields)) {
      if (names.includes(name)) {
        const message = `this version doesn't have "${within}${name}" yet: leave it out`;
        problems.push({ pointer: `${path}${pointerTo(name)}`, message });
        continue;
      }
      const meant = path === "" && !isKnown(name) ? synonymOf(name) : undefined;
      if (meant === undefined || !names.includes(meant)) continue;
      const message = `"${name}" is called "${meant}" here, and this version doesn't have it yet: leave it out`;
      problems.push({ pointer: pointerTo(name), message });
    }
  }
  if (laterExecutors.has(given["executor"])) {
    const message = `this version doesn't have the executor "${String(given["executor"])}" yet: use command or argv`;
    problems.push({ pointer: "/executor", message });
  }
  return problems;
}

const { properties } = JobSpecSchema;
/** The objects with a fixed set of fields, by their path. */
const closedObjects: readonly { path: readonly string[]; known: readonly string[] }[] = [
  { path: [], known: Object.keys(properties) },
  { path: ["catchUp"], known: Object.keys(properties.catchUp.properties) },
  { path: ["retry"], known: Object.keys(properties.retry.properties) },
  { path: ["target"], known: Object.keys(properties.target.properties) },
  { path: ["target", "prefer"], known: Object.keys(properties.target.properties.prefer.properties) },
  { path: ["success"], known: Object.keys(properties.success.properties) },
  { path: ["keep"], known: Object.keys(properties.keep.properties) },
];
const paramFields = Object.keys(ParamSchema.properties);

/** How many unknown fields are reported per object: enough to correct a file, and a bound for a hostile one. */
const unknownShown = 20;

function unknownFields(given: Fields): Problem[] {
  const params = Object.keys(inside(given, "params"));
  const ofParams = params.map((name) => ({ path: ["params", name], known: paramFields }));
  return [...closedObjects, ...ofParams].flatMap(({ path, known }) => {
    const fields = path.reduce(inside, given);
    const isJob = path.length === 0;
    const later = notYet[pointerTo(...path)] ?? [];
    const isLater = (name: string) =>
      later.includes(name) || (isJob && later.includes(synonymOf(name) ?? ""));
    return Object.keys(fields)
      .filter((name) => !known.includes(name) && !isLater(name))
      .slice(0, unknownShown)
      .map((name) => ({
        pointer: pointerTo(...path, name),
        message: `unknown field ${JSON.stringify(name)}${isJob ? fieldMeant(name, known) : didYouMean(name, known)}`,
      }));
  });
}

function isKnown(name: string): boolean {
  return Object.hasOwn(JobSpecSchema.properties, name);
}

/** cicada's name for a field that other schedulers call differently. */
function synonymOf(name: string): string | undefined {
  return fieldSynonyms.get(name.slice(0, longestSynonym).toLowerCase().replaceAll(/[_-]/g, ""));
}
/** Longer names are not looked up in full, because they come from outside. */
const longestSynonym = 64;

function fieldMeant(name: string, known: readonly string[]): string {
  const meant = synonymOf(name);
  return meant === undefined ? didYouMean(name, known) : `: did you mean "${meant}"?`;
}

// ---------------------------------------------------------------------------------------------------------
// Shapes

const jobValidator = Compile(JobSpecSchema);
/** One validator per field, because a validator stops after its first few errors. */
const fieldValidators = Object.entries(JobSpecSchema.properties).map(
  ([name, schema]) => [name, Compile(schema)] as const,
);

const tagsHint =
  'tags map at most 32 names to texts, such as {"disk": "ssd"}, as in --tag disk=ssd of a peer';

/** Messages for single fields; all others get the schema's. */
const fieldHints: Readonly<Record<string, string>> = {
  "/id": "an id is 1 to 128 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
  "/group": "a group is 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
  "/schedule": "a schedule is a text, or a list of 1 to 32 texts, of at most 256 characters each",
  "/executor": 'the executor is "shell" (with command) or "exec" (with argv)',
  "/argv": "argv is a list of 1 to 1024 texts: the program and its arguments",
  "/params": 'params maps names to objects such as {"type": "number", "default": 3}',
  "/success": 'success is an object such as {"exitCodes": [0, 3], "skipCodes": [75]}',
  "/success/exitCodes": "exitCodes is a list of 1 to 256 exit codes",
  "/success/skipCodes": "skipCodes is a list of exit codes",
  "/weight": `weight is a whole number from 1 to ${largestCapacity}: how much of a peer's --capacity a run takes`,
  "/umask": "a umask is three octal digits as a text, such as 077",
  "/retry/attempts": `attempts says how often a failed run is repeated: 0 to ${retryAttemptsMax}`,
  "/retry/factor": "factor says by how much each pause is longer than the last one: 1 to 100",
  "/retry/on": `on is a list of the outcomes that are repeated: ${retryOutcomes.join(", ")}`,
  "/target/peers": "peers is a list of 1 to 128 names or ids of peers",
  "/target/tags": tagsHint,
  "/target/prefer/tags": tagsHint,
  "/target/prefer": 'prefer is an object with tags, such as {"tags": {"disk": "ssd"}}',
};

const durationFields = [
  "/timeout",
  "/killGrace",
  "/catchUp/window",
  "/retry/backoff",
  "/retry/maxBackoff",
  "/keep/age",
] as const;

function shapeProblems(given: Fields): Problem[] {
  const found = new Map<string, string>();
  for (const [name, validator] of fieldValidators) {
    const value = given[name];
    if (!Object.hasOwn(given, name)) {
      if (name === "id") found.set("/id", `the id is missing: ${fieldHints["/id"] ?? ""}`);
      continue;
    }
    if (name === "executor" && laterExecutors.has(value)) continue;
    if (validator.Check(value)) continue;
    for (const error of validator.Errors(value)) {
      // Unknown names are reported by unknownFields.
      if (error.keyword === "additionalProperties" || error.keyword === "boolean") continue;
      const pointer = pointerTo(name) + error.instancePath;
      if (!found.has(pointer)) found.set(pointer, hintFor(pointer, error));
    }
  }
  return [...found].map(([pointer, message]) => ({ pointer, message }));
}

function hintFor(pointer: string, error: { keyword: string; message: string; params: object }): string {
  const own = fieldHints[pointer];
  if (own !== undefined) return own;
  if (durationFields.some((field) => field === pointer)) return `a duration has a unit: ${durationHint}`;
  if (pointer === "/keep/logBytes") return `a size has a unit: ${sizeHint}`;
  if (/^\/params\/[^/]+$/.test(pointer))
    return 'a parameter is an object such as {"type": "number", "default": 3}';
  if (/^\/params\/[^/]+\/type$/.test(pointer)) return "one of string, number, boolean, choice";
  if (/^\/success\/(exit|skip)Codes\/\d+$/.test(pointer))
    return "an exit code is a whole number from 0 to 255";
  if (pointer.startsWith("/env/") && error.keyword === "type")
    return "a variable's value is a text: put it in quotes";
  if (pointer === "/env")
    return "env maps names (letters, digits and _, not beginning with a digit) to texts";
  if (pointer === "/labels") return "labels map names (letters, digits, '.', '_', '/' and '-') to texts";
  if ("allowedValues" in error.params && Array.isArray(error.params.allowedValues)) {
    return `one of ${error.params.allowedValues.map(String).join(", ")}`;
  }
  return error.message;
}

// ---------------------------------------------------------------------------------------------------------
// Meanings, only of fields whose shape is right; a wrong shape has been reported already.

function meaningProblems(given: Fields): Problem[] {
  return [
    ...scheduleProblems(given),
    ...lifetimeProblems(given),
    ...durationProblems(given),
    ...retryProblems(given),
    ...processProblems(given),
    ...targetProblems(given),
    ...paramProblems(inside(given, "params") as Params, given["schedule"] !== undefined),
  ];
}

function text(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

function scheduleProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  const timezone = text(given, "timezone");
  const zone = timezone === undefined ? undefined : zoneProblem(timezone);
  if (zone !== undefined) problems.push({ pointer: "/timezone", message: zone });
  const schedule = given["schedule"];
  const expressions = typeof schedule === "string" ? [schedule] : listOfTexts(schedule);
  if (expressions === undefined || expressions.length === 0) return problems;
  const read = parseSchedule(expressions, "UTC", text(given, "id") ?? "");
  if (read.ok) return problems;
  for (const { index, message } of read.problems) {
    problems.push({ pointer: Array.isArray(schedule) ? `/schedule/${index}` : "/schedule", message });
  }
  return problems;
}

function listOfTexts(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
}

function lifetimeProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  const instants = ["startsAt", "endsAt"].map((name) => {
    const written = text(given, name);
    const instant = written === undefined ? undefined : parseInstant(written);
    if (written !== undefined && instant === undefined) {
      problems.push({
        pointer: `/${name}`,
        message: `${JSON.stringify(written)} is not an instant: ${instantHint}`,
      });
    }
    return instant;
  });
  const [startsAt, endsAt] = instants;
  if (startsAt !== undefined && endsAt !== undefined && startsAt >= endsAt) {
    problems.push({
      pointer: "/endsAt",
      message: "endsAt must be after startsAt",
    });
  }
  return problems;
}

const largestLogBytes = 1_073_741_824;

function durationProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  for (const pointer of durationFields) {
    const [outer = "", inner] = pointer.slice(1).split("/");
    const written = inner === undefined ? text(given, outer) : text(inside(given, outer), inner);
    if (written === undefined || parseDuration(written) !== undefined) continue;
    problems.push({ pointer, message: `${JSON.stringify(written)} is not a duration: ${durationHint}` });
  }
  const size = text(inside(given, "keep"), "logBytes");
  if (size === undefined) return problems;
  const bytes = parseSize(size);
  const message =
    bytes === undefined
      ? `${JSON.stringify(size)} is not a size: ${sizeHint}`
      : `a run's output is kept up to ${formatSize(largestLogBytes)}; ${size} is more`;
  if (bytes === undefined || bytes > largestLogBytes) problems.push({ pointer: "/keep/logBytes", message });
  return problems;
}

function retryProblems(given: Fields): Problem[] {
  const retry = inside(given, "retry");
  return (["backoff", "maxBackoff"] as const).flatMap((name) => {
    const written = text(retry, name);
    const ms = written === undefined ? undefined : parseDuration(written);
    if (ms === undefined || ms <= longestBackoffMs) return [];
    const message = `a retry is due within 24h after the attempt before it; ${written ?? ""} is more`;
    return [{ pointer: `/retry/${name}`, message }];
  });
}

function processProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  const refuse = (pointer: string, message: string) => problems.push({ pointer, message });
  const env = inside(given, "env");
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === "__proto__") {
      refuse(
        pointerTo("env", name),
        "a variable's name is made of letters, digits and _, and doesn't begin with a digit",
      );
    }
    if (typeof value === "string" && value.includes("\0")) refuse(pointerTo("env", name), nulMessage);
  }
  // The schema's patterns for names only help the form: a record type lets other names pass.
  for (const name of Object.keys(inside(given, "labels"))) {
    if (labelName.test(name) && name !== "__proto__") continue;
    refuse(pointerTo("labels", name), "a label's name is made of letters, digits, '.', '_', '/' and '-'");
  }
  for (const name of ["command", "cwd", "user"]) {
    if (text(given, name)?.includes("\0") === true) refuse(`/${name}`, nulMessage);
  }
  const argv = listOfTexts(given["argv"]) ?? [];
  for (const [index, argument] of argv.entries())
    if (argument.includes("\0")) refuse(`/argv/${index}`, nulMessage);
  const cwd = text(given, "cwd");
  if (cwd !== undefined && cwd !== "" && !cwd.startsWith("/")) {
    refuse(
      "/cwd",
      `${JSON.stringify(cwd)} is not an absolute path: a job may run on any peer, so begin with /`,
    );
  }
  const user = text(given, "user");
  if (user !== undefined && user !== "" && !/^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/.test(user)) {
    refuse("/user", `${JSON.stringify(user)} can't be a user name`);
  }
  return problems;
}

const labelName = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
const nulMessage = "a NUL byte can't be passed to a program: take it out";

function targetProblems(given: Fields): Problem[] {
  const target = inside(given, "target");
  const peers = listOfTexts(target["peers"]) ?? [];
  return [
    ...peers.flatMap((peer, index) =>
      peer.trim() === "" ? [{ pointer: `/target/peers/${index}`, message: "the peer's name is empty" }] : [],
    ),
    ...tagProblems(inside(target, "tags"), "target", "tags"),
    ...tagProblems(inside(inside(target, "prefer"), "tags"), "target", "prefer", "tags"),
  ];
}

/** A tag that no peer can have: `--tag` takes NAME=VALUE. */
function tagProblems(tags: Fields, ...path: string[]): Problem[] {
  return Object.keys(tags).flatMap((name) => {
    const isName = name !== "" && name.length <= 128 && !name.includes("=") && name !== "__proto__";
    return isName
      ? []
      : [{ pointer: pointerTo(...path, name), message: "a tag's name is 1 to 128 characters without =" }];
  });
}

/** Exactly one action, not empty, and the executor that fits it. */
function actionProblems(given: Fields): Problem[] {
  const { command, argv, executor } = given;
  if (command === undefined && argv === undefined) {
    return [
      {
        pointer: "",
        message: "nothing to run: give command (a line for /bin/sh) or argv (a program and its arguments)",
      },
    ];
  }
  if (command !== undefined && argv !== undefined) {
    return [{ pointer: "/argv", message: "give either command or argv, not both" }];
  }
  const problems: Problem[] = [];
  if (typeof command === "string" && command.trim() === "")
    problems.push({ pointer: "/command", message: "the command is empty" });
  if (listOfTexts(argv)?.[0]?.trim() === "")
    problems.push({ pointer: "/argv/0", message: "the program's name is empty" });
  const fitting = command === undefined ? "exec" : "shell";
  if ((executor === "shell" || executor === "exec") && executor !== fitting) {
    const action = command === undefined ? "argv" : "command";
    const message = `the executor "${executor}" does not take ${action}: write "${fitting}", or leave it out`;
    problems.push({ pointer: "/executor", message });
  }
  return problems;
}
