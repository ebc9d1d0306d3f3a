/**
 * A job's precheck: a small command that runs just before each attempt, on the same peer, as the job's user, and in the place
 * that the run has. The job itself is started only if the precheck exits with 0; otherwise the run is `skipped(precheck)`.
 */
import type { ChildOutcome, ProcessAction } from "../../ports.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import { formatDuration, parseDuration } from "../time/units.ts";
import { limitsOf } from "./limits.ts";
import { inside, listOfTexts, type Fields } from "./fields.ts";

const defaultTimeoutMs = 30_000;
const defaultKillGraceMs = 10_000;

export interface Precheck {
  readonly action: ProcessAction;
  /** never 0: a precheck that hangs would keep the run's place */
  readonly timeoutMs: number;
}

export function precheckOf(spec: JobSpec): Precheck | undefined {
  const { precheck } = spec;
  if (precheck === undefined) return undefined;
  const limits = limitsOf(spec);
  return {
    action: {
      kind: "process",
      argv: precheck.argv ?? ["/bin/sh", "-c", precheck.command ?? ""],
      stdin: "",
      cwd: spec.cwd ?? "",
      user: spec.user ?? "",
      umask: Number.parseInt(spec.umask ?? "077", 8),
      ...(limits === undefined ? {} : { limits }),
      killGraceMs: parseDuration(spec.killGrace ?? "") ?? defaultKillGraceMs,
    },
    timeoutMs: parseDuration(precheck.timeout ?? "") || defaultTimeoutMs,
  };
}

export function precheckProblems(given: Fields): Problem[] {
  if (given["precheck"] === undefined) return [];
  const { command, argv, timeout } = inside(given, "precheck");
  const problems: Problem[] = [];
  const refuse = (pointer: string, message: string) => problems.push({ pointer, message });
  if (command === undefined && argv === undefined)
    refuse("/precheck", "give its command (a line for /bin/sh) or argv (a program and its arguments)");
  if (command !== undefined && argv !== undefined)
    refuse("/precheck/argv", "give either command or argv, not both");
  if (typeof command === "string" && command.trim() === "")
    refuse("/precheck/command", "the command is empty");
  if (listOfTexts(argv)?.[0]?.trim() === "") refuse("/precheck/argv/0", "the program's name is empty");
  const texts = [...(typeof command === "string" ? [command] : []), ...(listOfTexts(argv) ?? [])];
  if (texts.some((text) => text.includes("\0")))
    refuse("/precheck", "a NUL byte can't be passed to a program: take it out");
  if (timeout === 0 || (typeof timeout === "string" && parseDuration(timeout) === 0))
    refuse(
      "/precheck/timeout",
      "a precheck needs a limit, such as 30s: without one, a precheck that hangs would hold the run's place for ever",
    );
  return problems;
}

/** What the end of a precheck means for its run; undefined = the job itself may start. */
export function judgePrecheck(
  outcome: ChildOutcome,
  timeoutMs: number,
): Pick<RunRecord, "state" | "reason" | "exitCode" | "signal"> | undefined {
  const state = "skipped";
  switch (outcome.kind) {
    case "exited":
      return outcome.exitCode === 0 ? undefined : { state, reason: "precheck", exitCode: outcome.exitCode };
    case "timeout":
      return { state, reason: `precheck: it did not end within ${formatDuration(timeoutMs)}` };
    case "signalled":
      return { state, reason: `precheck: it was killed by ${outcome.signal}`, signal: outcome.signal };
    case "not-started":
      return { state, reason: `precheck: not started: ${outcome.reason}`.slice(0, 256) };
    case "cancelled":
    case "answered":
      return { state, reason: "precheck: it was ended" };
  }
}
