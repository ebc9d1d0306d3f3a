/**
 * Commands to the peer and its answers, as the routes need them: refusals are thrown, and become problems. An answer that
 * takes too long leaves the outcome unknown; a request that repeats the first under its Idempotency-Key goes on waiting
 * for that same answer, and doesn't ask again.
 */
import type { FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Answer, Command, Control } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import { refusal } from "./problems.ts";

type AnswerOf<Kind extends Answer["kind"]> = Extract<Answer, { kind: Kind }>;

/** Longest wait for the peer. Unit: ms. Under the 30 s after which callers commonly give up, so that they learn why. */
const answerLimitMs = 25_000;

declare module "fastify" {
  interface FastifyRequest {
    /** What the peer was asked under this request's Idempotency-Key and has not answered yet, by this request or before. */
    unanswered: Promise<Answer> | undefined;
  }
}

/** Asks the peer; any answer except a refusal will do. */
export async function ask(
  request: FastifyRequest,
  control: Control,
  command: Command,
): Promise<Exclude<Answer, { kind: "refused" }>> {
  const asked = request.unanswered ?? control.ask(command);
  request.unanswered = asked;
  const late = Promise.withResolvers<never>();
  const detail = `not confirmed within ${answerLimitMs / 1_000} s; it may still be carried out`;
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    late.reject(new CicadaError("NOT_READY", detail));
  }, answerLimitMs);
  try {
    const answer = await Promise.race([asked, late.promise]);
    if (answer.kind === "refused") throw inFull(answer.error);
    return answer;
  } finally {
    clearTimeout(limit);
    if (!isLate) request.unanswered = undefined;
  }
}

/** With its first problem as its detail, like the refusals that are made here. */
function inFull(error: CicadaError): CicadaError {
  return error.problems.length === 0 ? error : refusal(error.code, error.problems);
}

/** Asks the peer for one kind of answer: any other one, except a refusal, is the peer's mistake. */
export async function askFor<Kind extends Answer["kind"]>(
  kind: Kind,
  request: FastifyRequest,
  control: Control,
  command: Command,
): Promise<AnswerOf<Kind>> {
  const answer = await ask(request, control, command);
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
