/**
 * What a job runs: a command, a program or a request. A job has exactly one of them. `executor` only names the one that is
 * given.
 */
import type { ProcessAction, RunAction } from "../../ports.ts";
import { defaultGroup, type ExecutorName } from "../../schema/job-vocabulary.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import { parseDuration } from "../time/units.ts";
import { inside, listOfTexts, type Fields } from "./fields.ts";
import { limitsEquipment, limitsOf } from "./limits.ts";
import { secretsEquipment } from "./secrets.ts";
import { httpActionOf, httpTimeoutMs } from "./http.ts";

const defaultKillGraceMs = 10_000;

/** The field that holds what each executor runs. */
const fieldOf = { shell: "command", exec: "argv", http: "http", script: "script" } as const satisfies Record<
  ExecutorName,
  keyof JobSpec
>;
export const actionFields: readonly string[] = Object.values(fieldOf);

/** Fields of a process that mean nothing for a request. */
export const processFields = [
  "stdin",
  "env",
  "cwd",
  "user",
  "umask",
  "killGrace",
  "limits",
  "background",
  "params",
] as const;

function executorOf(given: Fields): ExecutorName | undefined {
  if (given["command"] !== undefined) return "shell";
  if (given["argv"] !== undefined) return "exec";
  if (given["http"] !== undefined) return "http";
  return given["script"] === undefined ? undefined : "script";
}

export function actionOf(spec: JobSpec): RunAction {
  if (spec.http !== undefined) return httpActionOf(spec.http);
  return {
    kind: "process",
    ...programOf(spec),
    stdin: spec.stdin ?? "",
    cwd: spec.cwd ?? "",
    user: spec.user ?? "",
    umask: Number.parseInt(spec.umask ?? "077", 8),
    ...limitFields(spec),
    killGraceMs: parseDuration(spec.killGrace ?? "") ?? defaultKillGraceMs,
  };
}

function limitFields(spec: JobSpec): Pick<ProcessAction, "limits" | "leavesBackground"> {
  const limits = limitsOf(spec);
  return {
    ...(limits === undefined ? {} : { limits }),
    ...(spec.background === "leave" ? { leavesBackground: true } : {}),
  };
}

function programOf({ argv, command, script }: JobSpec): { argv: readonly string[]; script?: string } {
  if (script !== undefined) {
    return { argv: [script.interpreter, ...(script.args ?? [])], script: script.sha256 };
  }
  return { argv: argv ?? ["/bin/sh", "-c", command ?? ""] };
}

/** When a run times out, ms; 0 = never. */
export function timeoutOf(spec: JobSpec): number {
  const own = parseDuration(spec.timeout ?? "") ?? 0;
  if (spec.http === undefined) return own;
  const ofRequest = httpTimeoutMs(spec.http, own > 0);
  return own === 0 || ofRequest === 0 ? Math.max(own, ofRequest) : Math.min(own, ofRequest);
}

/** What a host must have, or allow, to run the job (members/equipment.ts). */
export function equipmentOf(spec: JobSpec): string[] {
  // A job without an action belongs to a later version, and this one doesn't run it.
  const { script } = spec;
  const ofScript =
    script === undefined ? [] : [`interpreter:${script.interpreter}`, `script:${script.sha256}`];
  const executor = executorOf(spec) ?? "shell";
  // A request starts no process, so it runs as nobody.
  const startsNone = executor === "http" && spec.precheck === undefined;
  const ofUser = startsNone ? [] : [`user:${spec.user ?? ""}`];
  return [
    `executor:${executor}`,
    ...ofUser,
    `group:${spec.group ?? defaultGroup}`,
    ...ofScript,
    ...limitsEquipment(spec),
    ...secretsEquipment(spec),
  ];
}

/** Exactly one action, not empty, the executor that fits it, and no fields that it ignores. */
export function actionProblems(given: Fields): Problem[] {
  const [first, ...more] = actionFields.filter((field) => given[field] !== undefined);
  if (first === undefined) {
    const message =
      "nothing to run: give command (a line for /bin/sh), argv (a program and its arguments), http (a request) or script";
    return [{ pointer: "", message }];
  }
  if (more.length > 0) {
    const message = `give either ${first} or ${more.join(" or ")}, not both`;
    return [{ pointer: `/${more[0] ?? ""}`, message }];
  }
  const problems: Problem[] = [];
  const { command, argv, executor } = given;
  if (typeof command === "string" && command.trim() === "")
    problems.push({ pointer: "/command", message: "the command is empty" });
  if (listOfTexts(argv)?.[0]?.trim() === "")
    problems.push({ pointer: "/argv/0", message: "the program's name is empty" });
  const fitting = executorOf(given);
  if (typeof executor === "string" && executor in fieldOf && executor !== fitting) {
    const message = `the executor "${executor}" does not take ${first}: write "${fitting ?? ""}", or leave it out`;
    problems.push({ pointer: "/executor", message });
  }
  if (fitting === "http") {
    for (const field of processFields.filter((name) => given[name] !== undefined)) {
      problems.push({ pointer: `/${field}`, message: `a request has no ${field}: leave it out` });
    }
    for (const field of ["exitCodes", "skipCodes"]) {
      if (inside(given, "success")[field] === undefined) continue;
      const message = "a request has no exit code: use http.expectStatus instead";
      problems.push({ pointer: `/success/${field}`, message });
    }
  }
  return problems;
}
