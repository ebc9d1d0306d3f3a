/**
 * Sends commands to the peer and gives its answers to the routes. A refusal is thrown, and becomes a problem document.
 * When an answer takes too long, the outcome is unknown. A request that repeats the first one under its Idempotency-Key
 * then waits for that same answer, and doesn't ask again.
 */
import type { FastifyRequest } from "fastify";
import { CicadaError } from "../../errors.ts";
import type { Answer, Command } from "../../ports/command.ts";
import type { Control } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import { refusal } from "./problems.ts";

type AnswerOf<Kind extends Answer["kind"]> = Extract<Answer, { kind: Kind }>;

/** Longest wait for the peer. Unit: ms. Below the 30 s after which callers usually give up, so that they learn why. */
const answerLimitMs = 25_000;

declare module "fastify" {
  interface FastifyRequest {
    /** The answer that the peer still owes to this request, or to an earlier one with the same Idempotency-Key. */
    unanswered: Promise<Answer> | undefined;
  }
}

/** Asks the peer, and accepts any answer except a refusal. */
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
    if (answer.kind === "refused") throw withFirstProblem(answer.error);
    return answer;
  } finally {
    clearTimeout(limit);
    if (!isLate) request.unanswered = undefined;
  }
}

/** The refusal with its detail as its first problem, as in refusals that are made here. */
function withFirstProblem(error: CicadaError): CicadaError {
  return error.problems.length === 0 ? error : refusal(error.code, error.problems);
}

/** Asks the peer for one kind of answer. Any other kind, except a refusal, is a bug of the peer. */
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
