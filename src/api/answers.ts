/**
 * What the peer answers to a command, as the routes need it; its refusals are thrown, and answered as problems.
 */
import { CicadaError } from "../errors.ts";
import type { Answer, Control } from "../ports.ts";
import type { JobId } from "../schema/ids.ts";
import type { Job } from "../schema/job.ts";

type AnswerOf<Kind extends Answer["kind"]> = Extract<Answer, { kind: Kind }>;

/** Of several kinds where the peer may choose; a refusal is thrown. */
export function accepted(answer: Answer): Exclude<Answer, { kind: "refused" }> {
  if (answer.kind === "refused") throw answer.error;
  return answer;
}

/** Of one kind: anything else but a refusal is a mistake of the peer's. */
export function acceptedAs<Kind extends Answer["kind"]>(kind: Kind, answer: Answer): AnswerOf<Kind> {
  const good = accepted(answer);
  if (!isOf(kind, good)) throw new Error(`a command was answered with ${good.kind} instead of ${kind}`);
  return good;
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
