/**
 * Whether an input from outside is a job that can be stored and run; if not, everything that is wrong with it.
 *
 * The schema checks the shape (job-shapes.ts). What a schema can't check follows: names that this version doesn't know or
 * doesn't support yet (job-names.ts), and values that mean nothing (job-meanings.ts). The problems are worded for people:
 * where, why, and what to write instead.
 */
import { readOnlyFields } from "../../schema/job-vocabulary.ts";
import type { CheckedSpec, JobSpec, Problem } from "../../schema/job.ts";
import { assert } from "../../errors.ts";
import { isObject, type Fields } from "./fields.ts";
import { actionFields, actionProblems } from "./action.ts";
import { meaningProblems } from "./job-meanings.ts";
import { unknownFields } from "./job-names.ts";
import { isJob, shapeProblems } from "./job-shapes.ts";

export type JobCheck =
  | { ok: true; spec: CheckedSpec }
  | { ok: false; code: "INVALID_JOB"; problems: Problem[] };

/**
 * The largest job, in bytes of JSON. It is half of the mesh's largest message, so that a job fits into one message in any
 * encoding. More would need larger messages; longer texts belong in a file on the peers.
 */
const jobCapBytes = 131_072;

const readOnly: ReadonlySet<string> = new Set(readOnlyFields);

/** A copy, because it becomes the job. */
function withoutReadOnly(input: Fields): Fields {
  if (!readOnlyFields.some((name) => Object.hasOwn(input, name))) return { ...input };
  return Object.fromEntries(Object.entries(input).filter(([name]) => !readOnly.has(name)));
}

/**
 * All problems at once, with JSON pointers. Read-only fields (from an edited `GET`) are dropped from `spec`. `without-action`
 * is for a job whose action belongs to a later version, which this one neither knows nor runs.
 */
export function checkJob(input: unknown, part: "whole" | "without-action" = "whole"): JobCheck {
  if (!isObject(input))
    return invalid([
      { pointer: "", message: "a job is an object with fields such as id, schedule and command" },
    ]);
  const given = withoutReadOnly(input);
  const size = sizeProblem(given);
  if (size !== undefined) return invalid([size]);
  const problems: Problem[] = [];
  const isActionElsewhere =
    part === "without-action" && actionFields.every((field) => given[field] === undefined);
  const ofAction = isActionElsewhere ? [] : actionProblems(given);
  if (!isJob(given)) {
    const misshapen = shapeProblems(given);
    problems.push(...unknownFields(given), ...misshapen);
    // A field of the wrong shape is not checked further; all others are.
    const wrong = new Set(misshapen.map(({ pointer }) => pointer.split("/")[1]));
    problems.push(
      ...meaningProblems(Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name)))),
    );
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
