/**
 * The parameters of a job: what a job may declare, and which values a run gets. A run by hand gives some of them; every
 * other parameter has its default, or no value if it has none.
 */
import type { JobSpec, Problem } from "../../schema/job.ts";
import { paramValuesMaxBytes, type ParamValue, type ParamValues } from "../../schema/run.ts";
import { didYouMean } from "../../schema/nearest.ts";
import { pointerTo } from "../../schema/pointer.ts";

export type Params = NonNullable<JobSpec["params"]>;
type Param = Params[string];

/** The form of an environment variable's name, because the name becomes part of one: `CICADA_PARAM_NAME`. */
export const paramName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** What is wrong with the declared parameters; their shapes are right. */
export function paramProblems(params: Params, isScheduled: boolean): Problem[] {
  const problems = Object.entries(params).flatMap(([name, param]) =>
    problemsOfParam(name, param, isScheduled),
  );
  return problems.length > 0 ? problems : sizeProblems(defaultsOf(params));
}

function problemsOfParam(name: string, param: Param, isScheduled: boolean): Problem[] {
  const at = (...within: string[]) => pointerTo("params", name, ...within);
  if (!paramName.test(name) || name === "__proto__") {
    const message = "a parameter's name is 1 to 64 letters, digits and _, and doesn't begin with a digit";
    return [{ pointer: at(), message }];
  }
  const { type, choices, required, default: value } = param;
  if (type === "choice" && choices === undefined)
    return [{ pointer: at("choices"), message: "a choice needs choices: a list of texts" }];
  if (type !== "choice" && choices !== undefined)
    return [
      { pointer: at("choices"), message: `only a parameter of the type choice has choices, not a ${type}` },
    ];
  const wrong = value === undefined ? undefined : readValue(param, value);
  if (wrong !== undefined && "message" in wrong) return [{ pointer: at("default"), message: wrong.message }];
  if (wrong !== undefined && wrong.value !== value)
    return [
      { pointer: at("default"), message: `the default of a ${type} is not a text: leave out the quotes` },
    ];
  if (!isScheduled || required !== true || value !== undefined) return [];
  const message =
    "a scheduled run would have no value for it: give it a default, or take out required or the schedule";
  return [{ pointer: at(), message }];
}

/** The values of a run for which nobody gives any. */
export function defaultsOf(params: Params | undefined): ParamValues {
  return Object.fromEntries(
    Object.entries(params ?? {}).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [[name, value] as const],
    ),
  );
}

export type RunParams = { ok: true; values: ParamValues } | { ok: false; problems: Problem[] };

/** The values of one run: those that are given, checked, and the defaults of the others. */
export function paramsOfRun(params: Params | undefined, given: ParamValues = {}): RunParams {
  const problems: Problem[] = [];
  const values: Record<string, ParamValue> = {};
  const names = Object.keys(params ?? {});
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const hint = names.length === 0 ? ": the job has no parameters" : didYouMean(name, names);
    problems.push({
      pointer: pointerTo("params", name),
      message: `unknown parameter ${JSON.stringify(name)}${hint}`,
    });
  }
  for (const [name, param] of Object.entries(params ?? {})) {
    const value = Object.hasOwn(given, name) ? given[name] : param.default;
    const pointer = pointerTo("params", name);
    if (value === undefined) {
      if (param.required === true) problems.push({ pointer, message: "it is required, and has no default" });
      continue;
    }
    const read = readValue(param, value);
    if ("message" in read) problems.push({ pointer, message: read.message });
    else values[name] = read.value;
  }
  if (problems.length === 0) problems.push(...sizeProblems(values));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, values };
}

/** A text is read as what the parameter is, because the command line and forms give texts. */
function readValue({ type, choices }: Param, value: ParamValue): { value: ParamValue } | { message: string } {
  const shown = JSON.stringify(value);
  switch (type) {
    case "string":
      return typeof value === "string" && !value.includes("\0")
        ? { value }
        : { message: `${shown} is not a text` };
    case "number": {
      const number =
        typeof value === "string" && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)
          ? Number(value)
          : value;
      return typeof number === "number" && Number.isFinite(number)
        ? { value: number }
        : { message: `${shown} is not a number` };
    }
    case "boolean":
      if (typeof value === "boolean") return { value };
      return value === "true" || value === "false"
        ? { value: value === "true" }
        : { message: `${shown} is neither true nor false` };
    case "choice":
      return typeof value === "string" && choices?.includes(value) === true
        ? { value }
        : { message: `${shown} is not one of ${(choices ?? []).join(", ")}` };
  }
}

function sizeProblems(values: ParamValues): Problem[] {
  const bytes = Buffer.byteLength(JSON.stringify(values));
  if (bytes <= paramValuesMaxBytes) return [];
  const message = `the values of a run can have at most ${paramValuesMaxBytes} bytes of JSON, and these have ${bytes}`;
  return [{ pointer: "/params", message }];
}

/** As the process gets them. */
export function paramEnv(values: ParamValues): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`CICADA_PARAM_${name}`, String(value)]),
  );
}
