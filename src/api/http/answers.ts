/**
 * Commands to the peer and what it answers, as the routes need it; its refusals are thrown, and become problems.
 */
import { CicadaError } from "../../errors.ts";
import type { Answer, Command, Control } from "../../ports.ts";
import type { JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import { refusal } from "./problems.ts";

type AnswerOf<Kind extends Answer["kind"]> = Extract<Answer, { kind: Kind }>;

/** Longest wait for the peer, under the 30 s after which callers commonly give up: so they are told why. */
const answerLimitMs = 25_000;

/** Where any answer but a refusal will do. */
export async function ask(control: Control, command: Command): Promise<Exclude<Answer, { kind: "refused" }>> {
  const late = Promise.withResolvers<never>();
  const detail = `not confirmed within ${answerLimitMs / 1_000} s; it may still be carried out`;
  const limit = setTimeout(() => late.reject(new CicadaError("NOT_READY", detail)), answerLimitMs);
  try {
    const answer = await Promise.race([control.ask(command), late.promise]);
    if (answer.kind === "refused") throw inFull(answer.error);
    return answer;
  } finally {
    clearTimeout(limit);
  }
}

/** With its first fault in its detail, as a refusal at this door has it. */
function inFull(error: CicadaError): CicadaError {
  return error.problems.length === 0 ? error : refusal(error.code, error.problems);
}

/** Where one kind of answer fits: any other but a refusal is a mistake of the peer's. */
export async function askFor<Kind extends Answer["kind"]>(
  kind: Kind,
  control: Control,
  command: Command,
): Promise<AnswerOf<Kind>> {
  const answer = await ask(control, command);
  if (!isOf(kind, answer)) throw new Error(`${command.kind} was answered with ${answer.kind}`);
  return answer;
}

function isOf<Kind extends Answer["kind"]>(kind: Kind, answer: Answer): answer is AnswerOf<Kind> {
  return answer.kind === kind;
}

export function noJob(id: string): CicadaError {
  return new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
}

export function jobNamed(control: Control, id: JobId): Job {
  const job = control.view().jobs.get(id);
  if (job === undefined) throw noJob(id);
  return job;
}
